//! A. Our own parts crash, or are stopped.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{RESTARTS, startup};
use crate::support::campaign::{dice, rounds, skipped};
use crate::support::dice::pass;
use crate::support::home::{Home, is_alive, kill, wait_until};
use crate::support::program;
use crate::support::terminal::Terminal;

/// Twenty services: five roots, and three layers above them.
fn twenty() -> Home {
    let home = Home::empty();
    let name = |number: usize| format!("s{number:02}");
    let sections: Vec<String> = (0..20)
        .map(|number| {
            let needs: Vec<String> = match number {
                0..5 => Vec::new(),
                _ => vec![name(number - 5), name(number / 2 - 2)],
            };
            let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
            let startup = startup(&name(number), "auto_start = true\n");
            home.section(&name(number), &needs, &[], &startup)
        })
        .collect();
    home.write(&sections.concat());
    home
}

#[test]
fn a_console_killed_while_twenty_services_start_leaves_nothing_half_started() {
    let home = twenty();
    let mut dice = dice();
    for round in 0..rounds(2, 200) {
        let mut console = Terminal::console(&home);
        console.press("a");
        pass(dice.moment(Duration::from_millis(300)));
        kill("-9", console.pid());
        console.ended();
        let listed = home.must("services list --json");
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        let services = listed["services"].as_array().expect("services");
        assert_eq!(services.len(), 20, "{listed}");
        for service in services {
            let state = service["state"].as_str().or(service["status"].as_str()).expect("a state");
            assert!(["running", "stopped"].contains(&state), "round {round}: nobody starts this any more: {service}");
        }
        home.must("platform start");
        for number in 0..20 {
            let name = format!("s{number:02}");
            wait_until(&format!("{name} has begun"), || !home.living(&name).is_empty());
            assert_eq!(home.living(&name).len(), 1, "round {round}: instances of {name}");
        }
        home.must("platform stop");
    }
    home.assert_all_can_be_stopped();
}

#[test]
fn a_console_that_is_suspended_keeps_nobody_from_starting_and_stopping() {
    let home = Home::empty();
    home.write(&(home.section("a", &[], &[], "") + &home.section("b", &["a"], &[], "")));
    let mut console = Terminal::console(&home);
    kill("-STOP", console.pid());
    for _ in 0..rounds(2, 20) {
        home.must("services start b");
        assert!(home.pid("a").is_some() && home.pid("b").is_some());
        home.must("services stop b");
        home.must("services stop a");
        assert_eq!((home.pid("a"), home.pid("b")), (None, None));
    }
    home.must("services start b");
    kill("-CONT", console.pid());
    console.wait_for("Running 2/2");
    console.press("\u{3}");
    assert_eq!(console.ended(), 0);
    assert_eq!((home.living("a").len(), home.living("b").len()), (1, 1));
    home.assert_all_can_be_stopped();
}

#[test]
fn the_last_words_of_an_orphan_are_logged_and_its_death_is_answered_once() {
    for _ in 0..rounds(1, 50) {
        let home = Home::empty();
        let go = home.path("go");
        let line = format!("while [ ! -e {0} ]; do sleep 0.01; done; rm {0}; echo last words", go.display());
        home.write(&home.section("a", &[], &["--run-sh", &line, "--exit", "7"], &startup("a", RESTARTS)));
        home.must("services start a");
        let first = home.pid("a").expect("it runs");
        let shim = home.shim("a");
        kill("-9", shim);
        wait_until("the shim's end", || !is_alive(shim));
        // Whoever acts next gives the orphan a guardian again.
        home.must("services start a");
        assert_eq!(home.pid("a"), Some(first), "an orphan was started a second time");
        std::fs::write(&go, "").unwrap();
        wait_until("its restart", || home.living("a").first().is_some_and(|&pid| pid != first));
        assert!(home.log("a").contains("last words\n"), "{}", home.log("a"));
        let record = home.record("a").expect("a record");
        assert_eq!((record.restarts, record.exits.len(), home.living("a").len()), (1, 1, 1), "{record:?}");
        home.assert_all_can_be_stopped();
    }
}

/// Every point of a shim's life at which it can be killed with something half done, and whether a service runs afterwards.
const POINTS: [&str; 10] = [
    "replace-made-aside",
    "replace-written-aside",
    "replace-written-aside:2",
    "replace-written-aside:3",
    "shim-before-process",
    "shim-after-process",
    "shim-after-state",
    "shim-before-exit-record",
    "shim-before-last-state",
    "rotate-before-create",
];

#[test]
fn a_shim_killed_at_any_point_leaves_what_the_next_command_can_go_on_with() {
    for point in POINTS {
        let home = Home::empty();
        home.write(&home.section("a", &[], &["--print", "hello"], ""));
        let mut command = home.command("services start a");
        command.env("PROVISIONING_FAILPOINT", point).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap();
        if point.starts_with("shim-before-exit") || point.starts_with("shim-before-last") {
            home.types("services stop a --timeout 2");
        }
        home.assert_files_whole();
        assert!(home.living("a").len() <= 1, "{point}");
        home.must("services start a");
        let pid = home.pid("a").unwrap_or_else(|| panic!("{point}: it does not run"));
        wait_until("its first deed", || home.living("a") == [pid]);
        wait_until("its log", || home.log("a").contains("hello\n"));
        home.must("services stop a");
        assert!(home.living("a").is_empty(), "{point}: it outlived its stop");
        home.assert_files_whole();
        home.assert_all_can_be_stopped();
    }
}

#[test]
fn a_program_that_is_being_written_is_told_as_busy_and_started_when_it_is_whole() {
    let home = Home::empty();
    let copy = home.path("program");
    std::fs::copy(program::service(), &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
    let text = home.section("a", &[], &[], "");
    home.write(&text.replace(&program::service().display().to_string(), &copy.display().to_string()));
    let writer = std::fs::OpenOptions::new().append(true).open(&copy).unwrap();
    let output = home.types("services start a");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("Text file busy") && said.contains(&copy.display().to_string()), "{said}");
    assert_eq!(output.status.code(), Some(1));
    drop(writer);
    home.must("services start a");
    home.assert_all_can_be_stopped();
}

/// Sets a limit of a process that runs.
fn limit(pid: u32, limit: &str) {
    let set = Command::new("prlimit").arg("--pid").arg(pid.to_string()).arg(limit).status().unwrap();
    assert!(set.success(), "{limit}");
}

#[test]
fn a_shim_without_descriptors_goes_on_trying_with_pauses_and_says_what_is_missing() {
    let home = Home::empty();
    home.write(&home.section("a", &[], &[], &startup("a", RESTARTS)));
    home.must("services start a");
    let (shim, first) = (home.shim("a"), home.pid("a").expect("it runs"));
    wait_until("its first deed", || !home.living("a").is_empty());
    let n_open = std::fs::read_dir(format!("/proc/{shim}/fd")).unwrap().count();
    limit(shim, &format!("--nofile={}:4096", n_open.saturating_sub(1)));
    kill("-9", first);
    wait_until("a start that failed", || {
        std::fs::read_to_string(home.layout().events()).unwrap_or_default().matches("restart").count() >= 2
    });
    assert!(is_alive(shim), "the shim did not survive");
    limit(shim, "--nofile=4096:4096");
    wait_until("its restart", || home.living("a").first().is_some_and(|&pid| pid != first));
    assert_eq!(home.living("a").len(), 1);
    home.assert_all_can_be_stopped();
}

#[test]
fn a_service_that_may_not_be_forked_is_tried_again_until_it_may() {
    let home = Home::empty();
    home.write(&home.section("a", &[], &[], &startup("a", RESTARTS)));
    // The superuser is bound by no limit, so somebody else has to start it.
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        std::os::unix::fs::chown(home.path(""), Some(54_321), Some(54_321)).unwrap();
    }
    let somebody = |plain: Command| {
        if !is_root {
            return plain;
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=54321", "--regid=54321", "--clear-groups"]).arg(plain.get_program());
        command.args(plain.get_args()).envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null());
        command
    };
    let started = somebody(home.command("services start a")).output().unwrap();
    let said = String::from_utf8_lossy(&started.stderr).into_owned();
    if said.contains("Permission denied") {
        return skipped(
            "a_service_that_may_not_be_forked_is_tried_again_until_it_may",
            "another user may not read this",
        );
    }
    assert!(started.status.success(), "{said}");
    wait_until("its first deed", || !home.living("a").is_empty());
    let first = home.living("a");
    let shim = provisioning::host::process::stat(first[0]).expect("stat").parent;
    let limit = |limit: &str| {
        let mut command = Command::new("prlimit");
        command.arg("--pid").arg(shim.to_string()).arg(limit);
        assert!(somebody(command).status().unwrap().success(), "{limit}");
    };
    limit("--nproc=1:");
    kill("-9", first[0]);
    wait_until("a start that failed", || {
        std::fs::read_to_string(home.layout().events()).unwrap_or_default().matches("restart").count() >= 2
    });
    assert!(is_alive(shim) && home.living("a").is_empty());
    limit("--nproc=1000:");
    wait_until("its restart", || !home.living("a").is_empty());
    assert_eq!(home.living("a").len(), 1);
    assert!(somebody(home.command("platform stop --force")).status().unwrap().success());
}
