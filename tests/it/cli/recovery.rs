//! Automatic recovery with real processes: R128, A48, and the faults 12, 19 and 53. `monitor` leads.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Instant;

use super::{DEADLINE, Home, wait_until};

/// A service that appends its PID to a ledger, and is healthy while a file of its name is there.
struct Part<'a> {
    name: &'a str,
    dependencies: &'a str,
    /// A shell line that is run before it waits for ever.
    before: &'a str,
    /// Of its `startup`.
    startup: &'a str,
}

impl Default for Part<'_> {
    fn default() -> Self {
        let startup = "restart_on_failure = true\nmax_restarts = 1";
        Self { name: "web", dependencies: "", before: ":", startup }
    }
}

fn home(parts: &[Part<'_>]) -> Home {
    let text = |Part { name, dependencies, before, startup }: &Part<'_>| {
        format!(
            "[services.{name}]\ntype = \"platform\"\ncategory = \"api\"\ndependencies = [{dependencies}]\n\
             [services.{name}.deployment]\nmode = \"binary\"\n\
             [services.{name}.deployment.binary]\nbinary_path = \"/bin/sh\"\n\
             args = [\"-c\", \"echo $$ >> $HOME/{name}.ledger; {before}; while :; do sleep 1000; done\"]\n\
             [services.{name}.startup]\nstart_timeout = 1\n{startup}\n\
             [services.{name}.health_check]\ntype = \"file\"\ninterval = 1\nretries = 1\ntimeout = 1\n\
             [services.{name}.health_check.file]\npath = \"${{HOME}}/{name}.well\"\n"
        )
    };
    let home = Home::with(&parts.iter().map(text).collect::<Vec<_>>().join("\n"));
    for part in parts {
        set_well(&home, part.name, true);
    }
    home
}

fn set_well(home: &Home, name: &str, is_well: bool) {
    let path = home.path(&format!("{name}.well"));
    if is_well {
        fs::write(path, "").unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

fn n_runs(home: &Home, name: &str) -> usize {
    fs::read_to_string(home.path(&format!("{name}.ledger"))).unwrap_or_default().lines().count()
}

fn timeline(home: &Home) -> String {
    fs::read_to_string(home.path(".provisioning/services/state/events.jsonl")).unwrap_or_default()
}

fn state(home: &Home, name: &str) -> serde_json::Value {
    serde_json::from_str(&home.types(&format!("services status {name} --json")).out).unwrap()
}

/// A running `services monitor`.
struct Monitor {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Monitor {
    fn of(home: &Home) -> Self {
        let mut child = home.command("services monitor --interval 1").stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    /// Reads until a line that holds `wanted`; returns it. A check is printed each second, so this ends.
    fn says(&mut self, wanted: &str) -> String {
        let begun = Instant::now();
        let mut all = String::new();
        loop {
            let mut line = String::new();
            let n_bytes = self.out.read_line(&mut line).unwrap();
            if line.contains(wanted) {
                return line;
            }
            all += &line;
            assert!(n_bytes > 0 && begun.elapsed() < DEADLINE, "never said {wanted:?}:\n{all}");
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_unhealthy_service_is_restarted_within_its_budget_and_then_given_up() {
    let home = home(&[Part::default()]);
    assert_eq!(home.types("services start web").code, Some(0));
    let mut monitor = Monitor::of(&home);
    monitor.says("✅ web");
    set_well(&home, "web", false);
    let restarting = monitor.says("restarting it");
    assert!(restarting.contains("because it is unhealthy: File does not exist"), "{restarting}");
    monitor.says("web: restart 1 in 1.");
    monitor.says("web: started with PID");
    monitor.says("web: given up after 1 restart");
    assert_eq!(n_runs(&home, "web"), 2);
    let failed = state(&home, "web");
    assert_eq!(failed["service"]["status"], "failed", "{failed:#}");
    let why = failed["service"]["why"].as_str().unwrap_or_default();
    assert!(why.contains("was unhealthy; restarted once, then given up"), "{failed:#}");
    let timeline = timeline(&home);
    assert!(timeline.contains("\"actor\":\"recovery\",\"what\":\"restarting it, because"), "{timeline}");
    assert!(timeline.contains("\"actor\":\"recovery\",\"what\":\"given up after 1 restart"), "{timeline}");
    set_well(&home, "web", true);
    assert_eq!(home.types("services start web").code, Some(0), "a start that a person asks for begins anew");
    assert_eq!(n_runs(&home, "web"), 3);
}

#[test]
fn a_persons_stop_beats_a_restart_for_being_unhealthy() {
    let home = home(&[Part::default()]);
    home.types("services start web");
    let mut monitor = Monitor::of(&home);
    monitor.says("✅ web");
    set_well(&home, "web", false);
    monitor.says("web: restart 1 in 1.");
    assert_eq!(home.types("services stop web").code, Some(0));
    monitor.says("web: Not running");
    let stopped = state(&home, "web");
    assert_eq!(stopped["service"]["status"], "stopped", "{stopped:#}");
    let lock = home.path(".provisioning/services/state/web.shim-lock");
    let is_free = fs::File::open(lock).unwrap().try_lock().is_ok();
    assert!(is_free, "somebody is left to start it again");
    assert_eq!(n_runs(&home, "web"), 1);
}

#[test]
fn an_unhealthy_service_that_ignores_its_stop_signal_is_killed_and_that_is_said() {
    let startup = "stop_timeout = 1\nrestart_on_failure = true\nmax_restarts = 3";
    let home = home(&[Part { before: "trap '' TERM", startup, ..Part::default() }]);
    home.types("services start web");
    let first = home.pid_of("web");
    let mut monitor = Monitor::of(&home);
    monitor.says("✅ web");
    set_well(&home, "web", false);
    monitor.says("restarting it");
    set_well(&home, "web", true);
    monitor.says("web: started with PID");
    monitor.says("✅ web");
    assert_eq!(n_runs(&home, "web"), 2);
    assert!(!super::is_alive(first), "it was killed");
    let timeline = timeline(&home);
    assert!(timeline.contains("\"actor\":\"recovery\",\"what\":\"did not end within 1 s and is killed"), "{timeline}");
    assert_eq!(home.types("services stop web --force").code, Some(0));
}

#[test]
fn what_is_unhealthy_because_of_a_dependency_is_not_restarted_and_the_dependency_is_named() {
    let base = Part { name: "base", startup: "", ..Part::default() };
    let home = home(&[base, Part { dependencies: "\"base\"", ..Part::default() }]);
    home.types("services start web");
    let mut monitor = Monitor::of(&home);
    monitor.says("✅ web");
    set_well(&home, "base", false);
    set_well(&home, "web", false);
    let held = monitor.says("not restarted");
    assert!(held.contains("web: unhealthy, and not restarted: base, which it needs,"), "{held}");
    assert_eq!((n_runs(&home, "base"), n_runs(&home, "web")), (1, 1));
    set_well(&home, "base", true);
    monitor.says("web: restarting it, because it is unhealthy");
    wait_until("web is restarted", || n_runs(&home, "web") == 2);
    assert_eq!(n_runs(&home, "base"), 1);
}

#[test]
fn what_waited_in_vain_for_a_dependency_is_started_when_that_is_well() {
    let base = Part { name: "base", startup: "", ..Part::default() };
    let home = home(&[base, Part { dependencies: "\"base\"", ..Part::default() }]);
    set_well(&home, "base", false);
    assert_eq!(home.types("services start web").code, Some(1), "base is not ready in time");
    let status = state(&home, "web");
    assert_eq!(status["service"]["status"], "stopped", "{status:#}");
    let mut monitor = Monitor::of(&home);
    monitor.says("web: Not running");
    assert_eq!(n_runs(&home, "web"), 0);
    set_well(&home, "base", true);
    monitor.says("✅ web");
    assert_eq!(n_runs(&home, "web"), 1);
    assert!(timeline(&home).contains("\"actor\":\"recovery\",\"what\":\"start requested"), "{}", timeline(&home));
    assert!(!home.path(".provisioning/services/state/web.owed").exists(), "a debt is paid once");
}
