//! All files removed while services run: what lives is found, taken over and never started twice.

use super::{Supervise, home, leader};
use crate::support::home::{Home, is_alive, kill, wait_until};

fn remove_everything(home: &Home) {
    std::fs::remove_dir_all(home.services_dir()).unwrap();
}

#[test]
fn a_start_finds_what_runs_and_its_shim_writes_its_state_again() {
    let home = home();
    home.must("services start a");
    let (pid, shim) = (home.pid("a").unwrap(), home.shim("a"));
    remove_everything(&home);
    assert_eq!(home.pid("a"), Some(pid), "seen before anything is started");
    home.must("services start a");
    wait_until("its state is back", || home.record("a").is_some());
    assert_eq!(home.shim("a"), shim, "the same guardian");
    assert_eq!(home.living("a"), [pid]);
    // All of it is as before: killed and stopped like any other.
    kill("-9", shim);
    home.must("services start a");
    wait_until("it has a guardian again", || home.shim("a") != shim);
    home.must("services stop a");
    assert_eq!(home.living("a"), Vec::<u32>::new());
}

#[test]
fn an_orphan_of_which_no_file_tells_is_taken_over_with_its_output() {
    let home = home();
    let text = std::fs::read_to_string(home.registry()).unwrap();
    home.write(
        &text
            .replace("args = [", "args = [\"--print\", \"before\", \"--after-ms\", \"1500\", \"--print\", \"after\", "),
    );
    home.must("services start a");
    let pid = home.pid("a").unwrap();
    wait_until("it printed", || home.log("a").contains("before"));
    kill("-9", home.shim("a"));
    remove_everything(&home);
    home.must("services start a");
    wait_until("it has a guardian", || home.record("a").is_some_and(|it| it.shim.is_some_and(|it| is_alive(it.pid))));
    wait_until("its output goes on", || home.log("a").contains("after"));
    assert_eq!(home.pid("a"), Some(pid));
    home.must("services stop a");
    assert!(!is_alive(pid));
}

#[test]
fn a_stop_stops_what_no_file_tells_of() {
    let home = home();
    home.must("services start a");
    let (pid, shim) = (home.pid("a").unwrap(), home.shim("a"));
    remove_everything(&home);
    let said = home.must("services stop a");
    let left = [pid, shim].map(|pid| provisioning::host::process::stat(pid).filter(|stat| stat.is_alive()));
    assert_eq!(left, [None, None], "{said}{:?}", home.record("a"));
}

#[test]
fn a_restart_that_comes_due_after_another_start_makes_no_second_instance() {
    let home = Home::empty();
    let section = home.section("a", &[], &["--after-ms", "50", "--exit", "1"], "");
    home.write(&format!("{section}[services.a.startup]\nrestart_on_failure = true\nmax_restarts = 9\n"));
    drop(home.types("services start a"));
    wait_until("it waits to be restarted", || {
        home.record("a").is_some_and(|it| it.phase == provisioning::store::state::Phase::Backoff)
    });
    let shim = home.shim("a");
    remove_everything(&home);
    home.write(&home.section("a", &[], &[], ""));
    home.must("services start a");
    let pid = home.pid("a").unwrap();
    wait_until("the shim of the removed one has gone", || !is_alive(shim));
    assert_eq!(home.living("a"), [pid]);
}

#[test]
fn processes_that_an_ended_service_left_behind_are_named_and_nothing_is_started_beside_them() {
    let home = Home::empty();
    let left = home.path("left");
    home.write(&home.section("a", &[], &["--daemonize", left.to_str().unwrap()], ""));
    home.must("services start a");
    wait_until("its grandchild began", || std::fs::read_to_string(&left).is_ok_and(|text| !text.trim().is_empty()));
    let grandchild: u32 = std::fs::read_to_string(&left).unwrap().trim().parse().unwrap();
    let (pid, shim) = (home.pid("a").unwrap(), home.shim("a"));
    kill("-9", shim);
    kill("-9", pid);
    wait_until("the service is gone", || !is_alive(pid));
    remove_everything(&home);
    let refused = home.types("services start a");
    let said = format!("{}{}", String::from_utf8_lossy(&refused.stdout), String::from_utf8_lossy(&refused.stderr));
    let taken_over = home.pid("a") == Some(grandchild);
    if !taken_over {
        assert!(!refused.status.success(), "{said}");
        assert!(said.contains(&format!("PID {grandchild}")), "{said}");
    }
    let living = home.living("a");
    assert!(living.is_empty(), "started beside what is left: {living:?}");
    kill("-9", grandchild);
    wait_until("what was left is gone", || !is_alive(grandchild));
    home.must("services start a");
}

#[test]
fn a_supervise_started_after_the_removal_looks_after_what_ran_before() {
    let home = home();
    home.must("services start a");
    let pid = home.pid("a").unwrap();
    let first = Supervise::leading(&home, "");
    remove_everything(&home);
    drop(first.ended());
    let _second = Supervise::leading(&home, "");
    wait_until("the state is written again", || home.record("a").is_some());
    let shim = home.shim("a");
    kill("-9", shim);
    wait_until("the shim is replaced", || home.record("a").is_some_and(|it| it.shim.is_some_and(|it| it.pid != shim)));
    assert_eq!(home.living("a"), [pid]);
    assert_eq!(leader(&home).as_deref(), Some("supervise"));
}
