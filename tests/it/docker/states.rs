//! The container's own state is the service's, whoever changed it.

use std::process::Command;
use std::time::{Duration, Instant};

use provisioning::backends::docker::HostWithContainers;
use provisioning::engine::ports::{Backend as _, Host as _, StopError, UsageSource as _};
use provisioning::host::{Places, System};
use provisioning::model::{Ending, FailureReason, Intent, Presence, RestartOnFailure, StartHow, StopHow};
use provisioning::preflight::{ConflictKind, Requirement};
use provisioning::store::Layout;

use super::{Fixture, GOOD};
use crate::process::{DEADLINE, is_present};
use crate::support::engine::must;

#[tokio::test]
async fn a_container_killed_by_hand_is_told_within_200_ms_and_shown_as_failed() {
    let Some(it) = Fixture::new(&GOOD) else { return };
    let mut changes = it.backend.changes();
    let mut took = Vec::new();
    // The other tests keep the engine busy: what counts is how quick it can be.
    while took.iter().all(|took| *took >= Duration::from_millis(200)) {
        assert!(took.len() < 5, "{took:?}");
        it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
        assert!(is_present(&it.backend.observe(&it.spec).await.expect("observation").presence));
        // What the stream tells of the start itself: from then on it is heard.
        tokio::time::timeout(DEADLINE, changes.recv()).await.expect("a hint").expect("a watch");
        while let Ok(Some(_)) = tokio::time::timeout(Duration::from_millis(300), changes.recv()).await {}
        let pid = it.inspect("{{.State.Pid}}");
        let begun = Instant::now();
        if !Command::new("kill").args(["-9", &pid]).status().expect("kill").success() {
            // The process belongs to root.
            must(&["kill", &it.name]);
        }
        // Looked at only when something is heard.
        let failed = loop {
            let hinted = tokio::time::timeout(DEADLINE, changes.recv()).await.expect("a hint").expect("a watch");
            assert_eq!(hinted, it.spec.id);
            let observed = it.backend.observe(&it.spec).await.expect("observation");
            match observed.presence {
                Presence::Failed { reason } => break reason,
                _ => continue,
            }
        };
        took.push(begun.elapsed());
        assert!(matches!(failed, FailureReason::Died { ending: Ending::Signalled(9), .. }), "{failed:?}");
    }
}

#[tokio::test]
async fn a_container_stopped_by_hand_is_stopped_and_one_that_dies_has_failed() {
    let Some(it) = Fixture::new(&GOOD) else { return };
    it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    it.until_it_has_said("ready");
    must(&["stop", &it.name]);
    assert_eq!(it.observe().await.presence, Presence::Absent);

    let Some(it) = Fixture::new(&["--after-ms", "50", "--exit", "7"]) else { return };
    it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    let observed = it.until("failed", |presence| matches!(presence, Presence::Failed { .. })).await;
    assert_eq!(observed.last_exit.expect("an exit").ending, Ending::Exited(7));
}

#[tokio::test]
async fn the_engine_restarts_what_dies_and_nobody_else_does() {
    let Some(mut it) = Fixture::new(&["--after-ms", "20", "--exit", "3"]) else { return };
    it.spec.startup.restart_on_failure = RestartOnFailure::UpTo { max_restarts: 2 };
    it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    let gave_up = |presence: &Presence| {
        matches!(
            presence,
            Presence::Failed { reason: FailureReason::GaveUp { ending: Ending::Exited(3), restarts: 2 } }
        )
    };
    it.until("given up after two restarts", gave_up).await;
}

#[tokio::test]
async fn a_stop_asks_and_leaves_what_does_not_go_unless_it_is_forced() {
    let Some(it) = Fixture::new(&["--print", "ready"]) else { return };
    it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    it.until_it_has_said("ready");
    let grace = Duration::from_millis(300);
    let begun = Instant::now();
    let error = it.backend.stop(&it.spec, StopHow::Ask, grace).await.expect_err("it ignores SIGTERM");
    assert!(begun.elapsed() >= grace);
    assert!(matches!(&error, StopError::StillAlive { survivors, .. } if survivors[0].contains(&it.name)), "{error}");
    assert_eq!(it.inspect("{{.State.Running}}"), "true");
    let observed = it.observe().await;
    assert!(matches!(observed.presence, Presence::Leaving { .. }), "{observed:?}");

    it.backend.stop(&it.spec, StopHow::AskThenKill, grace).await.expect("killed");
    let observed = it.observe().await;
    assert_eq!((observed.presence, observed.intent), (Presence::Absent, Some(Intent::Down)));
    it.backend.stop(&it.spec, StopHow::Ask, grace).await.expect("nothing runs");

    it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts again");
    it.backend.stop(&it.spec, StopHow::Kill, grace).await.expect("killed");
    assert_eq!(it.inspect("{{.State.Running}}"), "false");
}

#[tokio::test]
async fn a_container_of_the_name_that_is_not_ours_is_a_conflict_and_never_touched() {
    let Some(it) = Fixture::new(&GOOD) else { return };
    let id = must(&["run", "-d", "--name", &it.name, &it.name]);
    let error = it.backend.start(&it.spec, StartHow::AsItIs).await.expect_err("a conflict");
    assert!(error.message.contains("not ours"), "{error}");
    it.backend.stop(&it.spec, StopHow::Kill, DEADLINE).await.expect("nothing of ours runs");
    let observed = it.observe().await;
    assert_eq!(observed.presence, Presence::Absent);
    assert!(observed.notes.iter().any(|note| note.contains("not ours")), "{observed:?}");
    let requirements = it.backend.requirements(&it.spec).await;
    assert!(requirements.contains(&Requirement::ContainerName { name: it.name.clone(), is_taken: true }));
    assert_eq!(it.inspect("{{.Id}} {{.State.Running}}"), format!("{id} true"));

    let layout = Layout::new(it.home.path().join("services"));
    let places = Places { layout, home: None, docker_host: None, kubeconfig: None };
    let host = HostWithContainers::new(std::sync::Arc::new(System::new(places)), it.backend.clone());
    let strangers = host.running_strangers(std::slice::from_ref(&it.name)).await;
    assert!(strangers.iter().any(|stranger| stranger.kind == ConflictKind::Container), "{strangers:?}");
}

#[tokio::test]
async fn what_a_container_uses_is_asked_while_it_runs() {
    let Some(it) = Fixture::new(&GOOD) else { return };
    let launch = it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    let used = it.backend.usage(&it.spec, &launch.instance).await.expect("it runs");
    assert!((1..100 * 1024 * 1024).contains(&used.memory), "{used:?}");
    it.backend.stop(&it.spec, StopHow::Kill, DEADLINE).await.expect("stops");
    assert_eq!(it.backend.usage(&it.spec, &launch.instance).await, None);
}

#[tokio::test]
async fn a_container_removed_renamed_or_made_by_hand_is_shown_as_what_it_is() {
    let Some(it) = Fixture::new(&GOOD) else { return };
    it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    // Renamed: nothing has the name, and what was renamed is left alone.
    let aside = format!("{}-aside", it.name);
    must(&["rename", &it.name, &aside]);
    assert_eq!(it.observe().await.presence, Presence::Absent);
    let second = it.backend.start(&it.spec, StartHow::AsItIs).await.expect("a new one").instance;
    assert_eq!(must(&["inspect", "--format", "{{.State.Running}}", &aside]), "true");
    must(&["rm", "-f", &aside]);
    let observed = it.observe().await;
    assert!(matches!(&observed.presence, Presence::Present { instance, .. } if *instance == second), "{observed:?}");

    // Removed.
    must(&["rm", "-f", &it.name]);
    assert_eq!(it.observe().await.presence, Presence::Absent);
    it.backend.stop(&it.spec, StopHow::Ask, DEADLINE).await.expect("nothing runs");

    // Made by hand with labels of another home: somebody else's.
    must(&[
        "run",
        "-d",
        "--label",
        "provisioning.service=web",
        "--label",
        "provisioning.home=other",
        "--name",
        &it.name,
        &it.name,
    ]);
    let error = it.backend.start(&it.spec, StartHow::Anew).await.expect_err("a conflict");
    assert!(error.message.contains("not ours"), "{error}");
    it.backend.stop(&it.spec, StopHow::Kill, DEADLINE).await.expect("nothing of ours runs");
    assert_eq!(it.inspect("{{.State.Running}}"), "true");
}

#[tokio::test]
async fn a_paused_container_is_said_to_be_paused_and_a_start_lets_it_go_on() {
    let Some(it) = Fixture::new(&GOOD) else { return };
    it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    it.until_it_has_said("ready");
    must(&["pause", &it.name]);
    let observed = it.observe().await;
    assert!(
        is_present(&observed.presence) && observed.notes.iter().any(|note| note.contains("paused")),
        "{observed:?}"
    );
    it.backend.start(&it.spec, StartHow::AsItIs).await.expect("goes on");
    assert_eq!(it.inspect("{{.State.Paused}}"), "false");
    must(&["pause", &it.name]);
    it.backend.stop(&it.spec, StopHow::Ask, DEADLINE).await.expect("a paused one can be stopped");
    assert_eq!(it.inspect("{{.State.Running}}"), "false");
}

#[tokio::test]
async fn a_container_between_two_restarts_of_its_engine_is_shown_so_and_can_be_started_and_stopped() {
    let Some(mut it) = Fixture::new(&["--after-ms", "20", "--exit", "3"]) else { return };
    it.docker_spec().restart_policy = Some("always".to_owned());
    it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    let is_pending = |presence: &Presence| matches!(presence, Presence::RestartPending { last: Ending::Exited(3), .. });
    it.until("waiting for a restart", is_pending).await;
    it.backend.stop(&it.spec, StopHow::Ask, DEADLINE).await.expect("stops");
    let observed = it.observe().await;
    assert_eq!((observed.presence, observed.intent), (Presence::Absent, Some(Intent::Down)));
}

#[tokio::test]
async fn an_exit_with_137_is_a_death_by_signal_9() {
    let Some(it) = Fixture::new(&["--print", "ready"]) else { return };
    it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    it.until_it_has_said("ready");
    must(&["kill", &it.name]);
    let failed = |presence: &Presence| {
        matches!(presence, Presence::Failed { reason: FailureReason::Died { ending: Ending::Signalled(9), .. } })
    };
    it.until("failed", failed).await;
    assert_eq!(it.inspect("{{.State.ExitCode}}"), "137");
}

#[tokio::test]
async fn a_container_whose_memory_runs_out_says_so_with_its_exit_code_and_its_limit() {
    let Some(it) = Fixture::new(&["--print", "ready", "--eat-mib", "96"]) else { return };
    it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    it.until_it_has_said("ready");
    it.backend.stop(&it.spec, StopHow::Kill, DEADLINE).await.expect("stops");
    // A limit is a container's own: the registry does not name it, and a start leaves it as it is.
    must(&["update", "--memory", "16m", "--memory-swap", "16m", &it.name]);
    for _ in 0..10 {
        it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
        let observed = it.until("failed", |presence| matches!(presence, Presence::Failed { .. })).await;
        assert_eq!(it.inspect("{{.State.ExitCode}}"), "137");
        assert!(observed.notes.iter().any(|note| note.contains("its limit is 16 MiB")), "{observed:?}");
        // An engine that is busy does not always notice.
        if it.inspect("{{.State.OOMKilled}}") == "false" {
            assert!(observed.notes.iter().any(|note| note.contains("memory may have run out")), "{observed:?}");
            continue;
        }
        let Presence::Failed { reason } = &observed.presence else { panic!("{observed:?}") };
        let words = reason.to_string();
        assert!(words.starts_with("ran out of memory and was killed (exit code 137)"), "{words}");
        assert_eq!(observed.last_exit.expect("an exit").ending, Ending::OutOfMemory);
        return;
    }
    panic!("the engine never noticed");
}
