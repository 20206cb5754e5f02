//! O7 to O11 from the real program.

use std::fs;
use std::io::{BufReader, Read as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Home, b10, check, normalised, ready, service, wait_until};

/// B10 with coredns in the one mode of it that needs Docker, which is not to be had.
fn with_docker() -> Home {
    let home = b10();
    let path = home.path("config/services.toml");
    let text = fs::read_to_string(&path).unwrap();
    let from = text.find("[services.coredns]").unwrap();
    let to = text.find("[services.gitea]").unwrap();
    let coredns = "[services.coredns]\ntype = \"infrastructure\"\ncategory = \"dns\"\n\
                   [services.coredns.deployment]\nmode = \"docker\"\n\
                   [services.coredns.deployment.docker]\nimage = \"coredns/coredns:1.11.1\"\n";
    fs::write(&path, format!("{}{coredns}{}", &text[..from], &text[to..])).unwrap();
    home
}

#[test]
fn dependencies_of_one_are_o7_and_of_all_o11() {
    let home = b10();
    let o7 = "\
## orchestrator
- Type: platform
- Category: orchestration
- Required by:
- control-center
- mcp-server
- api-gateway";
    let answer = home.types("services dependencies orchestrator");
    assert_eq!((answer.code, normalised(&answer.out)), (Some(0), normalised(o7)));
    let o11 = "orchestrator (order: 10)\n├─> control-center (order: 100)\n│ └─> api-gateway (order: 100)";
    check(&home.types("services dependencies"), 0, o11, "");
    check(&home.types("services dependencies orchestratr"), 2, "", "Did you mean orchestrator?");
}

#[test]
fn a_circle_is_written_out_and_ends_the_command() {
    let part = |name: &str, on: &str| service(name, "utility", "api", on, &ready(name));
    let home = Home::with(&[part("a", "\"b\""), part("b", "\"a\""), part("c", "\"a\""), part("d", "")].concat());
    let answer = home.types("services dependencies");
    check(
        &answer,
        0,
        "Startup order:\nd (order: 100)\nCircular dependency: a -> b -> a\nCannot be started: a, b, c",
        "",
    );
    // R118, M18: an issue of the services concerned; R119.
    let invalid = home.types("services validate");
    assert_eq!(invalid.code, Some(1), "{invalid:#?}");
    assert!(invalid.out.contains("a -> b -> a"), "{invalid:#?}");
    let json: serde_json::Value = serde_json::from_str(&home.types("services dependencies --json").out).unwrap();
    assert_eq!(json["cycles"][0], serde_json::json!(["a", "b", "a"]));
}

#[test]
fn validate_is_o8_names_the_registry_and_writes_nothing() {
    let home = with_docker();
    let answer = home.types("services validate");
    check(&answer, 1, "Total services: 7\nValid: 6\nInvalid: 1\nInvalid services:\n❌ coredns:", "");
    let words = if cfg!(feature = "docker") { "Docker is not installed or not running" } else { "not supported yet" };
    assert!(answer.out.contains(words), "A18: {answer:#?}");
    assert!(answer.out.starts_with("Registry: ") && answer.out.contains("config/services.toml"), "R33: {answer:#?}");
    assert!(!home.path(".provisioning").exists(), "R120");
    let good = b10().types("services validate");
    check(&good, 0, "Total services: 7\nValid: 7\nInvalid: 0", "");
    assert!(!good.out.contains("Invalid services"), "R116");
}

#[test]
fn validate_shows_each_line_that_is_wrong_and_counts_what_was_set_aside() {
    let home = Home::with(
        "[services.good]\ntype = \"utility\"\ncategory = \"api\"\n[services.good.deployment]\nmode = \"binary\"\n\
         [services.good.deployment.binary]\nbinary_path = \"/bin/sh\"\n\
         [services.bad]\ntype = \"utilty\"\ncategory = \"api\"\n",
    );
    let answer = home.types("services validate");
    check(&answer, 1, "Total services: 2\nValid: 1\nInvalid: 1\n❌ bad:\n9 | type = \"utilty\"", "");
    assert!(!answer.out.contains('\u{1b}'), "no colour in a pipe (R205)");
    let json: serde_json::Value = serde_json::from_str(&home.types("services validate --json").out).unwrap();
    let found = &json["diagnostics"][1];
    assert_eq!((&found["line"], &found["service"]), (&9.into(), &"bad".into()), "{json:#}");

    let broken = Home::with("[services.a\n");
    let answer = broken.types("services validate --json");
    let json: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!((answer.code, &json["diagnostics"][0]["line"]), (Some(2), &1.into()), "{json:#}");
}

#[test]
fn readiness_is_o9() {
    let home = with_docker();
    home.types("platform start control-center mcp-server");
    let o9 = "\
Platform Readiness Report
Total services: 7
Running: 3
Ready to start: 6
Services:
🟢 orchestrator - platform - orchestration
🟢 control-center - platform - ui
🔴 coredns - infrastructure - dns
Issues: 1
🟡 gitea - infrastructure - git
🟡 oci-registry - infrastructure - registry
🟢 mcp-server - platform - api
🟡 api-gateway - platform - api";
    let answer = home.types("services readiness");
    assert_eq!((answer.code, normalised(&answer.out)), (Some(0), normalised(o9)));
    let verbose = home.types("services readiness --verbose");
    assert!(verbose.out.contains("docker"), "R123: {verbose:#?}");
}

/// Reads lines until one holds `wanted`.
fn read_until(out: &mut impl std::io::BufRead, wanted: &str) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "ended before {wanted:?}: {lines:#?}");
        let is_found = line.contains(wanted);
        lines.push(line.trim_end().to_owned());
        if is_found {
            return lines;
        }
    }
}

#[test]
fn monitor_is_o10_checks_at_once_keeps_its_pace_and_ends_well() {
    let home = b10();
    home.types("services start orchestrator");
    let begun = Instant::now();
    let mut monitor = home
        .command("services monitor orchestrator --interval 1")
        .env("TZ", "Asia/Kolkata")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(monitor.stdout.take().unwrap());
    let header = read_until(&mut out, "Press Ctrl+C to stop");
    assert_eq!(header[0], "Starting health monitoring for orchestrator (interval: 1s)");
    let mut checks = read_until(&mut out, "✅ orchestrator: File exists");
    assert!(begun.elapsed() < Duration::from_millis(900), "R127: the first check is made at once");
    for _ in 0..3 {
        checks.extend(read_until(&mut out, "✅ orchestrator: File exists"));
    }
    let seconds: Vec<i64> = checks
        .iter()
        .filter(|line| line.contains('✅'))
        .map(|line| {
            let written = jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", &line[..19]).unwrap();
            written.to_zoned(jiff::tz::TimeZone::get("Asia/Kolkata").unwrap()).unwrap().timestamp().as_second()
        })
        .collect();
    assert!(seconds.windows(2).all(|pair| (1..=2).contains(&(pair[1] - pair[0]))), "R126: {checks:#?}");
    let now = jiff::Timestamp::now().as_second();
    assert!((now - seconds[0]).abs() < 60, "A61: local time: {checks:#?}");

    fs::remove_file(home.path("orchestrator.ready")).unwrap();
    read_until(&mut out, "❌ orchestrator: File does not exist");
    home.types("services stop orchestrator");
    read_until(&mut out, "⚪ orchestrator: Not running");
    assert!(Command::new("kill").args(["-INT", &monitor.id().to_string()]).status().unwrap().success());
    assert_eq!(monitor.wait().unwrap().code(), Some(0), "A62");
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
}

#[test]
fn monitor_without_a_name_watches_all_and_speaks_json_line_by_line() {
    let home = b10();
    let mut monitor = home.command("services monitor --json").stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(monitor.stdout.take().unwrap());
    let lines = read_until(&mut out, "api-gateway");
    assert_eq!(lines.len(), 7);
    for line in &lines {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&json["running"], &json["message"]), (&false.into(), &"Not running".into()));
    }
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    assert!(!home.path(".provisioning").exists());
    for line in ["services monitor --interval 0", "services monitor nobody"] {
        assert_eq!(home.types(line).code, Some(2), "{line}");
    }
}

#[test]
fn monitor_tells_an_end_and_the_restart_as_they_happen() {
    let restarting = service("a", "utility", "api", "", &ready("a"))
        + "[services.a.startup]\nrestart_on_failure = true\nmax_restarts = 3\n";
    let home = Home::with(&restarting);
    home.types("services start a");
    let first = home.pid_of("a");
    // The next check by the clock is a day away: what comes is told for itself.
    let mut monitor = home.command("services monitor a --interval 86400").stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(monitor.stdout.take().unwrap());
    read_until(&mut out, "✅ a: ");
    assert!(Command::new("kill").args(["-KILL", &first.to_string()]).status().unwrap().success());
    read_until(&mut out, "🔴 a: was killed by SIGKILL");
    read_until(&mut out, "🟡 a: ");
    assert!(Command::new("kill").args(["-INT", &monitor.id().to_string()]).status().unwrap().success());
    assert_eq!(monitor.wait().unwrap().code(), Some(0));
}

/// A service whose check is this shell line.
fn asked_by(name: &str, line: &str) -> String {
    let binary = crate::support::program::service();
    format!(
        "[services.{name}]\ntype = \"utility\"\ncategory = \"api\"\n[services.{name}.deployment]\nmode = \"binary\"\n\
         [services.{name}.deployment.binary]\nbinary_path = \"{}\"\n\
         [services.{name}.health_check]\ntype = \"command\"\nretries = 1\ntimeout = 10\n\
         [services.{name}.health_check.command]\ncommand = '{line}'\n",
        binary.display()
    )
}

/// R67: each check waits for all the others to have begun, so they pass only when all run at once.
#[test]
fn checks_that_wait_for_each_other_all_pass() {
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let registry: String = names
        .iter()
        .map(|name| {
            let line = "[ -e $HOME/open ] || exit 0; : > $HOME/met/NAME; while [ $(ls $HOME/met | wc -l) -lt 7 ]; do sleep 0.02; done";
            asked_by(name, &line.replace("NAME", name))
        })
        .collect();
    let home = Home::with(&registry);
    fs::create_dir(home.path("met")).unwrap();
    assert_eq!(home.types(&format!("platform start {}", names.join(" "))).code, Some(0));
    fs::write(home.path("open"), "").unwrap();
    let answer = home.types("platform health");
    assert_eq!(answer.code, Some(0), "{answer:#?}");
    assert_eq!(fs::read_dir(home.path("met")).unwrap().count(), names.len());
}

/// R126: a second from start to start, although each check takes 600 ms; from end to start they would be 1.6 s apart, always.
#[test]
fn a_slow_check_does_not_drift_the_series_of_monitor() {
    let line = "cut -d. -f1,2 /proc/uptime >> $HOME/begun; [ -e $HOME/fast ] || sleep 0.6";
    let home = Home::with(&asked_by("slow", line));
    fs::write(home.path("fast"), "").unwrap();
    assert_eq!(home.types("services start slow").code, Some(0));
    fs::remove_file(home.path("fast")).unwrap();
    fs::remove_file(home.path("begun")).unwrap();
    let mut monitor = home.command("services monitor slow --interval 1").stdout(Stdio::piped()).spawn().unwrap();
    wait_until("two checks begin less than 1.5 s apart", || {
        let begun = fs::read_to_string(home.path("begun")).unwrap_or_default();
        let moments: Vec<f64> = begun.lines().filter_map(|it| it.split_whitespace().next()?.parse().ok()).collect();
        moments.windows(2).any(|pair| pair[1] - pair[0] < 1.5)
    });
    monitor.kill().unwrap();
    monitor.wait().unwrap();
}

/// R100, A67: the uptime is the process's own, whatever is written down, and begins anew with the process.
#[test]
fn uptime_is_the_age_of_the_process_and_begins_anew_after_a_restart() {
    let home = b10();
    home.types("services start orchestrator");
    let uptime = || {
        let answer = home.types("services status orchestrator --json");
        let json: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
        (json["service"]["pid"].as_u64().unwrap(), json["service"]["uptime_seconds"].as_u64().unwrap())
    };
    wait_until("it is two seconds old", || uptime().1 >= 2);
    let (pid, _) = uptime();
    fs::remove_file(home.path(".provisioning/services/state/orchestrator.json")).unwrap();
    let (same, still) = uptime();
    assert_eq!(same, pid);
    assert!(still >= 2, "A67: {still} s by another record than the process");
    home.types("services restart orchestrator");
    let (new, restarted) = uptime();
    assert_ne!(new, pid);
    assert!(restarted < 2, "R100: {restarted} s after a restart");
}
