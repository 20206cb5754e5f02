//! A console and `monitor` lead while no `supervise` runs, and give way to it.

use super::{Supervise, home, leader, running, status};
use crate::support::home::{kill, wait_until};
use crate::support::terminal::Terminal;

#[test]
fn a_console_leads_until_a_supervise_comes_and_again_when_it_has_gone() {
    let home = home();
    home.must("services start a");
    let console = Terminal::console(&home);
    console.wait_for("leading here");
    assert_eq!(leader(&home).as_deref(), Some("console"));
    assert_eq!(running(&home), None);

    let supervise = Supervise::leading(&home, "");
    console.wait_for("supervise ✓");
    supervise.signal(rustix::process::Signal::KILL);
    drop(supervise);
    console.wait_for("leading here");
    assert_eq!(status(&home)["leader"]["pid"].as_u64(), Some(u64::from(console.pid())));
}

#[test]
fn of_two_consoles_one_leads_and_the_other_takes_over_when_it_is_closed() {
    let home = home();
    home.must("services start a");
    let mut first = Terminal::console(&home);
    first.wait_for("leading here");
    let second = Terminal::console(&home);
    second.wait_for("another console leads");
    first.press("q");
    first.ended();
    second.wait_for("leading here");
}

#[test]
fn a_console_that_is_suspended_gives_the_lead_up_and_takes_it_again() {
    let home = home();
    home.must("services start a");
    let console = Terminal::console(&home);
    console.wait_for("leading here");
    kill("-TSTP", console.pid());
    wait_until("it is stopped", || {
        provisioning::host::process::stat(console.pid()).is_some_and(|stat| stat.state == 'T')
    });
    assert_eq!(leader(&home), None);
    let supervise = Supervise::leading(&home, "");
    supervise.signal(rustix::process::Signal::TERM);
    assert!(supervise.ended().0.success());
    kill("-CONT", console.pid());
    wait_until("it leads again", || leader(&home).as_deref() == Some("console"));
}

#[test]
fn monitor_leads_while_it_runs() {
    let home = home();
    home.must("services start a");
    let mut monitor = home.command("services monitor").spawn().unwrap();
    wait_until("it leads", || leader(&home).as_deref() == Some("monitor"));
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    assert_eq!(leader(&home), None);
}

#[test]
fn reports_say_who_leads() {
    let home = home();
    home.must("services start a");
    let of = |line: &str| -> serde_json::Value { serde_json::from_slice(&home.types(line).stdout).unwrap() };
    for line in ["services status a --json", "services readiness --json", "doctor --json"] {
        assert!(of(line)["leader"].is_null(), "{line}: {}", of(line));
    }
    let supervise = Supervise::leading(&home, "");
    for line in ["services status a --json", "services readiness --json", "doctor --json"] {
        assert_eq!(of(line)["leader"]["kind"], "supervise", "{line}");
        assert_eq!(of(line)["leader"]["pid"], supervise.pid(), "{line}");
    }
    let text = |line: &str| String::from_utf8(home.types(line).stdout).unwrap();
    let line = format!("Leader: supervise (PID {})", supervise.pid());
    assert!(text("services status a --verbose").contains(&line));
    assert!(text("doctor").starts_with(&line));
    assert!(!text("services status a").contains("Leader"), "the guide's report stays as it is");
}
