//! Ends that nobody asked for.

use std::time::Duration;

use provisioning::model::{Ending, FailureReason, Intent, Presence, StopHow};

use super::{Home, is_present, kill, pid_of, restarting, service};

#[tokio::test]
async fn a_death_is_answered_after_a_pause_and_given_up_after_max_restarts() {
    let home = Home::new();
    let spec = restarting(service("a", &["--ledger", &home.path("ledger").to_string_lossy(), "--exit", "7"]), 2);
    home.start(&spec).await.expect("it could be started");
    let observed = home.until(&spec, "waiting", |presence| matches!(presence, Presence::RestartPending { .. })).await;
    let Presence::RestartPending { attempt: 1, until, last: Ending::Exited(7) } = observed.presence else {
        panic!("{observed:?}")
    };
    assert!(until.saturating_duration_since(std::time::Instant::now()) <= Duration::from_millis(1_100));
    let observed = home.until(&spec, "given up", |presence| matches!(presence, Presence::Failed { .. })).await;
    assert_eq!(
        observed.presence,
        Presence::Failed { reason: FailureReason::GaveUp { ending: Ending::Exited(7), restarts: 2 } }
    );
    assert_eq!(home.ledger().len(), 3);
    let timeline = std::fs::read_to_string(home.layout.events()).expect("the shim is a witness that is always there");
    let told: Vec<&str> = timeline.lines().filter_map(|line| line.split("\"what\":").nth(1)).collect();
    let expected = [
        "exited with code 7",
        "restart 1 in 1.",
        "started with PID",
        "exited with code 7",
        "restart 2 in 2.",
        "started with PID",
        "exited with code 7",
        "given up after 2 restarts",
    ];
    assert!(
        told.len() == expected.len() && told.iter().zip(expected).all(|(told, what)| told.contains(what)),
        "{told:#?}"
    );
    let record = home.record(&spec).expect("record");
    let ends: Vec<u64> = record.exits.iter().map(|exit| exit.at - exit.ran_for).collect();
    let pauses: Vec<u64> = ends.windows(2).map(|pair| (pair[1] - pair[0] + 100) / 1000).collect();
    assert_eq!(pauses, [1, 2], "{record:?}");
    assert_eq!(home.strays(), Vec::<String>::new());
}

#[tokio::test]
async fn a_stop_beats_a_pending_restart() {
    let home = Home::new();
    let spec = restarting(service("a", &["--ledger", &home.path("ledger").to_string_lossy(), "--exit", "7"]), 5);
    home.start(&spec).await.expect("it could be started");
    home.until(&spec, "waiting", |presence| matches!(presence, Presence::RestartPending { .. })).await;
    home.stop(&spec, StopHow::Ask).await.expect("stops");
    let observed = home.observe(&spec).await;
    assert_eq!((observed.presence, observed.intent), (Presence::Absent, Some(Intent::Down)));
    assert_eq!(home.strays(), Vec::<String>::new(), "somebody is left to start it again");
    assert_eq!(home.ledger().len(), 1);
}

#[tokio::test]
async fn a_start_does_not_wait_for_the_pause() {
    let home = Home::new();
    let failing = restarting(service("a", &["--exit", "7"]), 5);
    home.start(&failing).await.expect("it could be started");
    home.until(&failing, "waiting", |presence| matches!(presence, Presence::RestartPending { .. })).await;
    let repaired = service("a", &[]);
    home.start(&repaired).await.expect("starts");
    let observed = home.observe(&repaired).await;
    assert!(is_present(&observed.presence), "{observed:?}");
    assert_eq!(observed.restarts, 0);
    home.stop(&repaired, StopHow::Ask).await.expect("stops");
}

#[tokio::test]
async fn a_death_without_restart_is_a_failure_with_its_ending() {
    let home = Home::new();
    let spec = service("a", &[]);
    let pid = home.start(&spec).await.expect("starts").instance.pid().expect("pid");
    kill("-ABRT", pid);
    let observed = home.until(&spec, "failed", |presence| matches!(presence, Presence::Failed { .. })).await;
    let Presence::Failed { reason: FailureReason::Died { ending: Ending::Signalled(6), after: Some(_) } } =
        observed.presence
    else {
        panic!("{observed:?}")
    };
    assert_eq!(observed.intent, Some(Intent::Up));
}

#[tokio::test]
async fn what_a_dead_service_leaves_behind_is_cleared_before_it_is_started_again() {
    let home = Home::new();
    let spec = restarting(
        service(
            "a",
            &[
                "--ledger",
                &home.path("ledger").to_string_lossy(),
                "--spawn-child",
                "--daemonize",
                &home.path("daemon").to_string_lossy(),
            ],
        ),
        3,
    );
    let pid = home.start(&spec).await.expect("starts").instance.pid().expect("pid");
    home.until_file("daemon").await;
    let daemon: u32 = home.text("daemon").trim().parse().expect("pid");
    kill("-KILL", pid);
    home.until_true("the remains are gone", || !super::is_alive(daemon)).await;
    let observed = home.until(&spec, "running again", |presence| pid_of(presence).is_some_and(|now| now != pid)).await;
    assert_eq!(observed.restarts, 1);
    home.stop(&spec, StopHow::Ask).await.expect("stops");
    assert_eq!(home.strays(), Vec::<String>::new());
}
