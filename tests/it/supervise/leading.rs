//! One leader at a time, for as long as there is something to lead.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Supervise, home, leader, running, status};
use crate::support::home::{DEADLINE, Home, Service, is_alive, wait_until};

/// How often two begin at the same moment.
const ROUNDS: usize = 25;

#[test]
fn of_two_that_begin_at_the_same_moment_exactly_one_leads_and_the_other_says_so_and_succeeds() {
    let home = home();
    home.must("services start a");
    for round in 0..ROUNDS {
        let mut both = vec![Supervise::begin(&home, ""), Supervise::begin(&home, "")];
        // One of the two ends by itself.
        let begun = Instant::now();
        let loser = loop {
            if let Some(at) = both.iter_mut().position(|it| it.0.try_wait().unwrap().is_some()) {
                break both.remove(at);
            }
            assert!(begun.elapsed() < DEADLINE, "round {round}: both run");
            std::thread::sleep(Duration::from_millis(1));
        };
        let winner = both.remove(0);
        let (ended, said) = loser.ended();
        assert!(ended.success(), "round {round}: {said}");
        assert!(said.contains("supervise is already running"), "round {round}: {said}");
        wait_until("the other one leads", || status(&home)["leader"]["pid"].as_u64() == Some(u64::from(winner.pid())));
        winner.signal(Signal::KILL);
        drop(winner);
    }
}

#[test]
fn killing_it_touches_no_service_and_the_next_one_leads_at_once() {
    let home = home();
    home.must("services start a");
    let pid = home.pid("a").unwrap();
    for _ in 0..3 {
        let supervise = Supervise::leading(&home, "");
        supervise.signal(Signal::KILL);
        drop(supervise);
        assert_eq!(leader(&home), None, "a dead leader does not lead, whatever it left in its lock");
        assert_eq!(running(&home), None);
        assert!(is_alive(pid));
    }
    assert_eq!(home.living("a"), [pid]);
}

#[test]
fn each_signal_that_ends_it_leaves_services_alone() {
    let home = home();
    home.must("services start a");
    let pid = home.pid("a").unwrap();
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT"), (Signal::HUP, "SIGHUP")] {
        let supervise = Supervise::leading(&home, "");
        supervise.signal(signal);
        let (ended, said) = supervise.ended();
        assert!(ended.success(), "{name}: {said}");
        assert!(said.contains(&format!("No longer looking after services: {name}")), "{said}");
        assert!(is_alive(pid), "{name} reached the service");
    }
}

#[test]
fn it_ends_by_itself_when_nothing_is_wanted_up_unless_it_was_told_to_stay() {
    let home = home();
    home.must("services start a");
    let supervise = Supervise::leading(&home, "");
    home.must("services stop a");
    let (ended, said) = supervise.ended();
    assert!(ended.success() && said.contains("no service is wanted up"), "{said}");

    let mut stays = Supervise::leading(&home, "--stay");
    std::thread::sleep(Duration::from_secs(6));
    assert!(stays.0.try_wait().unwrap().is_none(), "longer than one without the flag");
}

#[test]
fn one_that_is_about_to_give_up_stays_for_what_is_started() {
    let home = home();
    let supervise = Supervise::leading(&home, "");
    // It gives up after 5 s without anything; what is started before that keeps it.
    std::thread::sleep(Duration::from_secs(3));
    home.must("services start a");
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(running(&home), Some(supervise.pid()));
}

#[test]
fn stop_ends_it_and_says_so_and_status_tells_scripts_by_its_exit_code() {
    let home = home();
    home.must("services start a");
    let supervise = Supervise::leading(&home, "");
    assert_eq!(home.types("supervise status").status.code(), Some(0));
    assert_eq!(home.must("supervise stop"), "supervise has ended; services go on\n");
    assert!(supervise.ended().0.success());
    assert_eq!(home.types("supervise status").status.code(), Some(1));
    assert_eq!(home.must("supervise stop"), "supervise is not running\n");
    assert!(home.pid("a").is_some());
}

#[test]
fn a_note_that_lies_is_not_believed_and_nobody_it_names_is_signalled() {
    let home = home();
    home.must("services start a");
    let supervise = Supervise::leading(&home, "");
    let path = home.layout().supervise_lock();
    let note = std::fs::read_to_string(&path).unwrap();
    let mut bystander = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let stat = provisioning::host::process::stat(bystander.id()).unwrap();
    let mut lie: serde_json::Value = serde_json::from_str(&note).unwrap();
    lie["pid"] = bystander.id().into();
    lie["start_ticks"] = stat.start_ticks.into();
    // In place, as one who wants to be believed would.
    std::fs::write(&path, lie.to_string()).unwrap();
    assert_eq!(status(&home)["running"], true, "the lock is held, whatever the note says");
    assert_eq!(running(&home), None, "by whom is not known");
    let mut stop = home.command("supervise stop").spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    std::fs::write(&path, note).unwrap();
    assert!(stop.wait().unwrap().success(), "it is found as soon as the note is right again");
    assert!(supervise.ended().0.success());
    assert!(bystander.try_wait().unwrap().is_none(), "a bystander was signalled");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn one_that_replaces_another_leads_in_its_place() {
    let home = home();
    home.must("services start a");
    let first = Supervise::leading(&home, "");
    let second = Supervise::leading(&home, "--stay --replace");
    let (ended, said) = first.ended();
    assert!(ended.success() && said.contains("SIGTERM"), "{said}");
    assert_eq!(running(&home), Some(second.pid()));
}

#[test]
fn an_edit_of_the_registry_is_in_force_without_a_restart_and_a_bad_one_changes_nothing() {
    let home = home();
    home.must("services start a");
    let supervise = Supervise::leading(&home, "--stay");
    let good = std::fs::read_to_string(home.registry()).unwrap();
    home.write("[services.a\n");
    let log = || std::fs::read_to_string(home.services_dir().join("provisioning.log")).unwrap();
    wait_until("the bad edit is refused", || log().contains("the edited registry is not put in force"));
    home.write(&format!("{good}{}", home.section("b", &[], &[], "")));
    wait_until("the good edit is in force", || log().contains("the edited registry is in force"));
    home.must("services start b");
    // That it looks after the new one shows when the shim is killed.
    let shim = home.shim("b");
    crate::support::home::kill("-9", shim);
    wait_until("the new service has a guardian again", || {
        home.record("b").is_some_and(|it| it.shim.unwrap().pid != shim)
    });
    assert_eq!(running(&home), Some(supervise.pid()));
}

#[test]
fn it_ends_when_its_directory_is_removed_and_leaves_it_removed() {
    let home = Home::with(&[Service { name: "a", needs: &[], arguments: Vec::new() }]);
    let supervise = Supervise::leading(&home, "--stay");
    std::fs::remove_dir_all(home.services_dir()).unwrap();
    let (ended, said) = supervise.ended();
    assert!(ended.success() && said.contains("removed or replaced"), "{said}");
    assert!(!home.services_dir().exists(), "it was brought back");
}

#[test]
fn it_ends_when_another_directory_takes_the_place_of_its_own() {
    let home = home();
    let supervise = Supervise::leading(&home, "--stay");
    std::fs::rename(home.services_dir(), home.path("moved")).unwrap();
    let (_, said) = supervise.ended();
    assert!(said.contains("removed or replaced"), "{said}");
}
