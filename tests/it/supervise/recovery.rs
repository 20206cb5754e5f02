//! Whoever leads has an unhealthy service restarted.

use std::time::Duration;

use super::Supervise;
use crate::support::home::{Home, wait_until};
use crate::support::terminal::Terminal;

#[test]
fn an_unhealthy_service_is_restarted_by_whoever_leads_and_by_nobody_else() {
    let home = Home::empty();
    let ready = home.path("ready");
    let more = format!(
        "[services.a.health_check]\ntype = \"file\"\ninterval = 1\nretries = 1\n\
         [services.a.health_check.file]\npath = {ready:?}\n\
         [services.a.startup]\nrestart_on_failure = true\nmax_restarts = 5\n"
    );
    home.write(&home.section("a", &[], &["--ready-file", ready.to_str().unwrap()], &more));
    home.must("services start a");
    let first = home.pid("a").unwrap();
    let falls_ill = || std::fs::remove_file(&ready).unwrap();
    let next_after = |pid: u32| {
        wait_until("it is restarted", || home.pid("a").is_some_and(|now| now != pid) && ready.exists());
        home.pid("a").unwrap()
    };

    falls_ill();
    // Two intervals and the failures that they see.
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(home.pid("a"), Some(first), "nobody leads");

    let supervise = Supervise::leading(&home, "");
    let second = next_after(first);
    supervise.signal(rustix::process::Signal::KILL);
    drop(supervise);

    let console = Terminal::console(&home);
    console.wait_for("leading here");
    falls_ill();
    let third = next_after(second);
    drop(console);

    let mut monitor = home.command("services monitor --interval 1").spawn().unwrap();
    wait_until("monitor leads", || super::leader(&home).as_deref() == Some("monitor"));
    falls_ill();
    let fourth = next_after(third);
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    assert_eq!(home.living("a"), [fourth]);
}
