//! Shims that are killed: nothing is lost, nothing is doubled.

use std::time::Duration;

use provisioning::engine::ports::Backend as _;
use provisioning::model::{Ending, FailureReason, Guardian, LaunchOrigin, Presence, StopHow};
use provisioning::store::handover::Rotation;

use super::{Home, is_alive, kill, pid_of, restarting, service};

fn is_orphan(presence: &Presence) -> bool {
    matches!(presence, Presence::Present { guardian: Guardian::Gone, .. })
}

#[tokio::test]
async fn a_killed_shim_loses_and_doubles_no_line() {
    const N_LINES: u64 = 300_000;
    let home = Home::with_rotation(Rotation { limit: 1_000_000, n_kept: 50 });
    let done = home.path("done");
    let spec = service("a", &["--trickle", &N_LINES.to_string(), "--ready-file", &done.to_string_lossy()]);
    let pid = home.start(&spec).await.expect("starts").instance.pid();
    let mut n_kills = 0;
    while !done.exists() {
        kill("-9", home.shim_pid(&spec));
        n_kills += 1;
        home.until(&spec, "an orphan", is_orphan).await;
        home.backend.tend(&spec).await.expect("tended");
        let observed = home.observe(&spec).await;
        assert_eq!(pid_of(&observed.presence), pid);
        assert!(!is_orphan(&observed.presence));
        // Between kills the log has to grow, or there is nothing to lose.
        let length = home.log_length();
        home.until_true("growth", || done.exists() || home.log_length() > length).await;
    }
    home.stop(&spec, StopHow::Ask).await.expect("stops");
    let log = home.log(&spec);
    for (index, line) in log.lines().enumerate() {
        assert_eq!(line.get(..10), Some(format!("{index:010}").as_str()), "after {n_kills} kills");
    }
    assert_eq!(log.lines().count() as u64, N_LINES, "after {n_kills} kills");
    assert!(n_kills > 20, "only {n_kills} kills");
    assert_eq!(home.strays(), Vec::<String>::new());
}

#[tokio::test]
async fn an_orphan_is_found_by_a_start_and_stopped_by_a_stop() {
    let home = Home::new();
    let daemon = home.path("daemon");
    let spec = service("a", &["--spawn-child", "--daemonize", &daemon.to_string_lossy()]);
    for how in [StopHow::Ask, StopHow::Kill] {
        let launch = home.start(&spec).await.expect("starts");
        home.until_file("daemon").await;
        let daemonized: u32 = home.text("daemon").trim().parse().expect("pid");
        kill("-9", home.shim_pid(&spec));
        home.until(&spec, "an orphan", is_orphan).await;
        let found = home.start(&spec).await.expect("found");
        assert_eq!((found.instance, found.origin), (launch.instance, LaunchOrigin::FoundRunning));
        kill("-9", home.shim_pid(&spec));
        home.until(&spec, "an orphan", is_orphan).await;
        home.stop(&spec, how).await.expect("stops");
        assert!(!is_alive(daemonized), "what left the session was forgotten");
        assert_eq!(home.strays(), Vec::<String>::new());
        std::fs::remove_file(&daemon).expect("remove");
    }
}

#[tokio::test]
async fn an_orphan_that_dies_after_it_was_taken_over_is_started_again() {
    let home = Home::new();
    let spec = restarting(service("a", &["--ledger", &home.path("ledger").to_string_lossy()]), 3);
    let pid = home.start(&spec).await.expect("starts").instance.pid().expect("pid");
    kill("-9", home.shim_pid(&spec));
    home.until(&spec, "an orphan", is_orphan).await;
    home.backend.tend(&spec).await.expect("tended");
    home.backend.tend(&spec).await.expect("nothing to do is no error");
    kill("-9", pid);
    let observed = home.until(&spec, "running again", |presence| pid_of(presence).is_some_and(|now| now != pid)).await;
    assert_eq!(observed.restarts, 1);
    home.stop(&spec, StopHow::Ask).await.expect("stops");
    assert_eq!(home.strays(), Vec::<String>::new());
}

#[tokio::test]
async fn an_orphan_that_dies_untended_ended_without_a_witness() {
    let home = Home::new();
    let spec = service("a", &[]);
    let pid = home.start(&spec).await.expect("starts").instance.pid().expect("pid");
    kill("-9", home.shim_pid(&spec));
    kill("-9", pid);
    let observed = home.until(&spec, "failed", |presence| matches!(presence, Presence::Failed { .. })).await;
    assert_eq!(
        observed.presence,
        Presence::Failed { reason: FailureReason::Died { ending: Ending::Unknown, after: None } }
    );
    home.start(&spec).await.expect("starts again");
    home.stop(&spec, StopHow::Ask).await.expect("stops");
}

#[tokio::test]
async fn the_shim_that_took_an_orphan_over_writes_a_lost_state_again_and_can_be_told_to_stop() {
    let home = Home::new();
    let spec = service("a", &[]);
    for is_lost_before_stop in [false, true] {
        let pid = home.start(&spec).await.expect("starts").instance.pid();
        kill("-9", home.shim_pid(&spec));
        home.until(&spec, "an orphan", is_orphan).await;
        home.backend.tend(&spec).await.expect("tended");
        let path = home.layout.state_file(&spec.id);
        std::fs::write(&path, "{").expect("write");
        if !is_lost_before_stop {
            assert_eq!(home.start(&spec).await.expect("found").instance.pid(), pid);
            home.until_true("written again", || std::fs::read_to_string(&path).is_ok_and(|text| text.len() > 1)).await;
        }
        home.stop(&spec, StopHow::Ask).await.expect("stops");
        assert_eq!(home.strays(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_is_left_of_a_service_whose_shim_was_killed_with_it_goes_when_it_is_stopped() {
    let home = Home::new();
    let bystander = super::Bystander::new();
    let daemon = home.path("daemon");
    let spec = service("a", &["--spawn-child", "--daemonize", &daemon.to_string_lossy()]);
    for how in [StopHow::Ask, StopHow::Kill] {
        let pid = home.start(&spec).await.expect("starts").instance.pid().expect("pid");
        home.until_file("daemon").await;
        let daemonized: u32 = home.text("daemon").trim().parse().expect("pid");
        let shim = home.shim_pid(&spec);
        // Stopped first, so that it cannot see the end of the service.
        kill("-STOP", shim);
        kill("-9", pid);
        kill("-9", shim);
        home.until_true("both are gone", || !is_alive(pid) && !is_alive(shim)).await;
        assert!(is_alive(daemonized));
        home.stop(&spec, how).await.expect("stops");
        assert!(!is_alive(daemonized), "{how:?}: what left the session was forgotten");
        assert_eq!(home.strays(), Vec::<String>::new(), "{how:?}");
        std::fs::remove_file(&daemon).expect("remove");
    }
    assert!(is_alive(bystander.pid()));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tenders_at_once_make_one_guardian() {
    let home = Home::new();
    let spec = service("a", &[]);
    let pid = home.start(&spec).await.expect("starts").instance.pid();
    for _ in 0..5 {
        kill("-9", home.shim_pid(&spec));
        home.until(&spec, "an orphan", is_orphan).await;
        let copies: Vec<_> = (0..8).map(|_| home.another_backend()).collect();
        let tended = futures::future::join_all(copies.iter().map(|copy| copy.tend(&spec))).await;
        assert!(tended.iter().all(Result::is_ok), "{tended:?}");
        let observed = home.until(&spec, "guarded", |presence| {
            matches!(presence, Presence::Present { guardian: Guardian::Alive, .. })
        });
        assert_eq!(pid_of(&observed.await.presence), pid);
        home.until_true("one guardian", || {
            home.strays().iter().filter(|stray| stray.parse() != Ok(pid.unwrap_or(0))).count() == 1
        })
        .await;
    }
    home.stop(&spec, StopHow::Ask).await.expect("stops");
}

#[tokio::test]
async fn an_incomplete_handover_starts_nothing() {
    use std::io::Write as _;
    let home = Home::new();
    let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().expect("pair");
    let mut shim = std::process::Command::new(env!("CARGO_BIN_EXE_provisioning-shim"))
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .spawn()
        .expect("spawns");
    ours.write_all(b"PVH1\x40\0\0\0 and then its sender was killed").expect("write");
    drop(ours);
    home.until_true("it ends", || shim.try_wait().expect("wait").is_some()).await;
    assert!(!home.layout.root().exists());
    assert!(Duration::ZERO < super::DEADLINE);
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_trusted_makes_the_state_unknown_and_not_stopped() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    let spec = service("a", &[]);
    let pid = home.start(&spec).await.expect("starts").instance.pid();
    let state = home.layout.state();
    let allow = |mode| std::fs::set_permissions(&state, std::fs::Permissions::from_mode(mode)).expect("chmod");
    allow(0o777);
    let refused = home.backend.observe(&spec).await.expect_err("nothing can be known");
    assert!(refused.message.contains("may be written to by others"), "{refused}");
    allow(0o700);
    assert_eq!(pid_of(&home.observe(&spec).await.presence), pid);
    home.stop(&spec, StopHow::Ask).await.expect("stops");
}
