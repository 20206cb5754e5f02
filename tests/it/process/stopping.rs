//! Stops: the whole tree, or a failure that names what is left.

use std::time::{Duration, Instant};

use provisioning::engine::ports::{Backend as _, StopError};
use provisioning::model::{Presence, ServiceSpec, StartHow, StopHow};

use super::{Home, is_alive, is_present, kill, pid_of, program, service};

fn shell(line: &str) -> ServiceSpec {
    program("a", "/bin/sh".into(), &["-c", line])
}

async fn stop_fails_naming(home: &Home, spec: &ServiceSpec, name: &str) {
    let grace = Duration::from_millis(300);
    let begun = Instant::now();
    let error = home.backend.stop(spec, StopHow::Ask, grace).await.expect_err("it ignores TERM");
    assert!(begun.elapsed() >= grace);
    let StopError::StillAlive { survivors, .. } = &error else { panic!("{error}") };
    assert!(survivors.iter().any(|survivor| survivor.starts_with(name)), "{survivors:?}");
}

#[tokio::test]
async fn who_ignores_the_stop_signal_is_named_and_force_leaves_nothing() {
    let home = Home::new();
    let ready = home.path("ready");
    let spec = shell(&format!("trap '' TERM; touch {}; while :; do sleep 1000; done", ready.display()));
    home.start(&spec).await.expect("starts");
    home.until_file("ready").await;
    stop_fails_naming(&home, &spec, "sh (PID ").await;
    assert!(matches!(home.observe(&spec).await.presence, Presence::Leaving { .. }));

    let begun = Instant::now();
    home.stop(&spec, StopHow::Kill).await.expect("killed");
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(home.observe(&spec).await.presence, Presence::Absent);
    assert_eq!(home.strays(), Vec::<String>::new());
}

#[tokio::test]
async fn asking_then_killing_gives_the_grace_time_first() {
    let home = Home::new();
    let spec = shell(&format!("trap '' TERM; touch {}; while :; do sleep 1000; done", home.path("ready").display()));
    home.start(&spec).await.expect("starts");
    home.until_file("ready").await;
    let begun = Instant::now();
    let grace = Duration::from_millis(300);
    home.backend.stop(&spec, StopHow::AskThenKill, grace).await.expect("killed in the end");
    assert!(begun.elapsed() >= grace);
    assert_eq!(home.observe(&spec).await.presence, Presence::Absent);
}

#[tokio::test]
async fn a_member_of_the_group_that_outlives_its_leader_is_waited_for() {
    let home = Home::new();
    let (pid, ready) = (home.path("pid"), home.path("ready"));
    let member =
        format!("trap '' TERM; echo $$ > {}; touch {}; while :; do sleep 0.05; done", pid.display(), ready.display());
    let spec = shell(&format!("sh -c '{}' & exec sleep 1000", member.replace('\'', "'\\''")));
    home.start(&spec).await.expect("starts");
    home.until_file("ready").await;
    stop_fails_naming(&home, &spec, "sh (PID ").await;
    home.stop(&spec, StopHow::Kill).await.expect("killed");
    let member: u32 = home.text("pid").trim().parse().expect("pid");
    assert!(!is_alive(member));
}

#[tokio::test]
async fn a_daemon_of_another_session_belongs_to_the_tree() {
    let home = Home::new();
    let spec = service("a", &["--daemonize", &home.path("daemon").to_string_lossy()]);
    home.start(&spec).await.expect("starts");
    home.until_file("daemon").await;
    let daemon: u32 = home.text("daemon").trim().parse().expect("pid");
    assert!(is_alive(daemon));
    home.stop(&spec, StopHow::Ask).await.expect("stops");
    assert!(!is_alive(daemon));
    assert_eq!(home.strays(), Vec::<String>::new());
}

#[tokio::test]
async fn a_program_that_puts_itself_into_the_background_is_the_service() {
    let home = Home::new();
    let spec = service("a", &["--daemonize", &home.path("daemon").to_string_lossy(), "--exit", "0"]);
    home.start(&spec).await.expect("starts");
    home.until_file("daemon").await;
    let daemon: u32 = home.text("daemon").trim().parse().expect("pid");
    home.until(&spec, "the daemon", |presence| pid_of(presence) == Some(daemon)).await;
    home.stop(&spec, StopHow::Ask).await.expect("stops");
    assert!(!is_alive(daemon));
}

#[tokio::test]
async fn a_stopped_process_is_woken_to_stop() {
    let home = Home::new();
    let spec = service("a", &["--ready-file", &home.path("ready").to_string_lossy()]);
    let pid = home.start(&spec).await.expect("starts").instance.pid().expect("pid");
    home.until_file("ready").await;
    kill("-STOP", pid);
    home.stop(&spec, StopHow::Ask).await.expect("stops");
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn the_configured_stop_signal_is_sent() {
    let home = Home::new();
    let (ready, got) = (home.path("ready"), home.path("got"));
    let mut spec = shell(&format!(
        "trap '' TERM; trap 'touch {}; exit 0' INT; touch {}; while :; do sleep 0.05; done",
        got.display(),
        ready.display()
    ));
    super::binary(&mut spec).stop_signal = 2;
    home.start(&spec).await.expect("starts");
    home.until_file("ready").await;
    home.stop(&spec, StopHow::Ask).await.expect("stops");
    assert!(got.exists());
}

#[tokio::test]
async fn a_service_that_signals_its_own_group_does_not_reach_its_shim() {
    let home = Home::new();
    let spec = shell("kill -KILL 0");
    home.start(&spec).await.expect("starts");
    home.until(&spec, "failed", |presence| matches!(presence, Presence::Failed { .. })).await;
    let ending = home.observe(&spec).await.last_exit.expect("recorded").ending;
    assert_eq!(ending, provisioning::model::Ending::Signalled(9));
}

#[tokio::test]
async fn signals_that_end_programs_do_not_end_a_shim() {
    let home = Home::new();
    let spec = service("a", &[]);
    let pid = home.start(&spec).await.expect("starts").instance.pid();
    let shim = home.shim_pid(&spec);
    for signal in ["-HUP", "-INT", "-QUIT", "-PIPE", "-ALRM", "-USR2"] {
        kill(signal, shim);
    }
    // A signal that is answered by writing comes after the others.
    home.until_true("written again", || home.record(&spec).is_some()).await;
    assert!(is_alive(shim));
    assert_eq!(pid_of(&home.observe(&spec).await.presence), pid);
    home.stop(&spec, StopHow::Ask).await.expect("stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_and_starts_at_once_never_leave_two_and_end_with_the_last_wish() {
    let home = Home::new();
    let spec = service("a", &["--ledger", &home.path("ledger").to_string_lossy()]);
    for _ in 0..20 {
        let other = home.another_backend();
        let (started, stopped) =
            tokio::join!(other.start(&spec, StartHow::AsItIs), home.backend.stop(&spec, StopHow::Ask, super::DEADLINE));
        started.expect("a start wins or loses, and does not break");
        stopped.expect("a stop wins or loses, and does not break");
        home.stop(&spec, StopHow::Ask).await.expect("stops");
        assert!(!is_present(&home.observe(&spec).await.presence));
        assert_eq!(home.strays(), Vec::<String>::new());
    }
}
