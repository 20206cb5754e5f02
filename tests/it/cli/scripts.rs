//! What scripts rely on: the guide's GitLab job, exit codes, streams, `--wait`.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Home, b10, check, ready, service, wait_until};

/// Runs a job as a GitLab runner does: one shell, `set -e`, the program on the PATH.
fn job(home: &Home, script: &str) -> (Option<i32>, String) {
    let output = home.shell("sh", &["-ec", script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

/// The guide's example, line by line: `before_script`, then the job's `script`.
const GITLAB: &str = "\
provisioning platform start orchestrator
provisioning services health orchestrator
provisioning test quick kubernetes";

#[test]
fn the_gitlab_job_of_the_guide_runs_and_fails_when_the_service_does() {
    let home = b10();
    home.program("provisioning-test", "echo \"tests ran: $*\"");
    let (code, said) = job(&home, GITLAB);
    assert_eq!(code, Some(0), "R202: {said}");
    let order = ["Service orchestrator is healthy", "Healthy: true", "tests ran: quick kubernetes"];
    let mut rest = said.as_str();
    for wanted in order {
        rest = rest.split_once(wanted).unwrap_or_else(|| panic!("{wanted} is missing: {said}")).1;
    }
    let broken = Home::with(&service("orchestrator", "platform", "orchestration", "", "\"--exit\", \"3\""));
    broken.program("provisioning-test", "echo tests ran");
    let (code, said) = job(&broken, GITLAB);
    assert_eq!(code, Some(1), "R202: {said}");
    assert!(!said.contains("tests ran"), "{said}");
}

#[test]
fn every_exit_code_of_the_table_is_in_the_help_and_meant() {
    let home = b10();
    let help = home.types("--help").out;
    for code in ["0    done", "1    what was asked", "2    usage", "130  interrupted"] {
        assert!(help.contains(code), "{code} is missing: {help}");
    }
    // R203.
    for (line, code) in [
        ("services list", 0),
        ("services health gitea", 1),
        ("services check server", 0),
        ("services validate", 0),
        ("services status nobody", 2),
        ("services nothing", 2),
        ("platform start nobody", 2),
        ("--format json", 2),
        ("completions tcsh", 2),
    ] {
        let answer = home.types(line);
        assert_eq!(answer.code, Some(code), "{line}: {answer:#?}");
        if code == 2 {
            assert!(answer.out.is_empty() && !answer.err.is_empty(), "errors go to standard error: {answer:#?}");
        }
    }
    assert!(home.types("services lst").err.contains("list"), "did you mean list");
    assert!(home.types("services list --category dnss").err.contains("dns"));
}

#[test]
fn health_can_be_waited_for() {
    let home = Home::with(&service("late", "utility", "api", "", "\"--after-ms\", \"100000\""));
    home.types("services start late --timeout 1");
    let begun = Instant::now();
    check(&home.types("services health late --wait --timeout 1"), 1, "Healthy: false", "");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let mut waiting = home.command("services health late --wait --timeout 60").stdout(Stdio::piped()).spawn().unwrap();
    let all = home.command("platform health --wait --timeout 60").stdout(Stdio::piped()).spawn().unwrap();
    assert!(waiting.try_wait().unwrap().is_none());
    fs::write(home.path("late.ready"), "").unwrap();
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Healthy: true"));
    assert_eq!(all.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn a_service_that_somebody_else_starts_ends_the_waiting() {
    let home = Home::with(&service("a", "utility", "api", "", &ready("a")));
    let mut waiting = home.command("services health a --wait --timeout 60").stdout(Stdio::piped()).spawn().unwrap();
    home.types("services start a");
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = waiting.try_wait().unwrap() {
            break status;
        }
        assert!(begun.elapsed() < super::DEADLINE, "it was not noticed");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(0));
}

#[test]
fn ctrl_c_ends_the_waiting_for_health_with_130() {
    let home = b10();
    let waiting = home.command("services health gitea --wait --timeout 60").spawn().unwrap();
    // SIGINT is handled from here on; before, it would end the program as a signal.
    let status = format!("/proc/{}/status", waiting.id());
    wait_until("Ctrl+C is listened for", || {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0").trim().to_owned();
        u64::from_str_radix(&mask, 16).is_ok_and(|mask| mask & 0b10 != 0)
    });
    assert!(Command::new("kill").args(["-INT", &waiting.id().to_string()]).status().unwrap().success());
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
}
