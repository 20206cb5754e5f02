//! Starts, stops and states, whoever caused them.

use std::time::Instant;

use provisioning::engine::ports::StopError;
use provisioning::model::{Ending, FailureReason, Intent};

use super::*;

#[tokio::test]
async fn a_service_of_the_file_is_started_and_stopped_alone_and_the_rest_of_the_project_is_left() {
    let Some(it) = Fixture::new(GOOD) else { return };
    let needs = it.definition("app", GOOD, "    depends_on: [db]\n") + &it.definition("db", GOOD, "");
    it.write(&(needs + &it.definition("neighbour", GOOD, "")));
    it.by_hand(&it.name, &["up", "-d", "--no-deps", "neighbour"]);

    let launch = it.start().await.expect("starts");
    Fixture::assert_started(&launch);
    assert_eq!(it.running("app").len(), 1);
    assert!(it.running("db").is_empty(), "what it depends on is the registry's to start");
    let again = start_with(&it.another_backend(), &it.spec).await.expect("found");
    assert_eq!((again.origin, &again.instance), (LaunchOrigin::FoundRunning, &launch.instance));
    let observed = it.observe().await;
    assert!(is_present(&observed), "{observed:?}");
    assert_eq!((observed.intent, observed.notes), (Some(Intent::Up), Vec::new()));

    it.until_all_have_said("ready");
    let begun = Instant::now();
    it.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "a stop lasts as long as the service takes, not longer");
    let observed = it.observe().await;
    assert_eq!((observed.presence, observed.intent), (Presence::Absent, Some(Intent::Down)));
    assert_eq!(it.running("neighbour").len(), 1, "a stop concerns one service, not its project");

    let second = it.start().await.expect("starts again").instance;
    assert_ne!(launch.instance, second, "another run is another instance");
    assert_eq!(it.containers(&it.name, "app", &[]).len(), 1, "the container is used again");
}

#[tokio::test]
async fn what_was_started_by_hand_is_adopted_and_what_was_stopped_by_hand_is_stopped() {
    let Some(mut it) = Fixture::new(GOOD) else { return };
    let project = it.name.clone();
    // The registry says nothing of a project: the containers that were made from its file tell.
    it.compose_spec().project_name = None;
    assert!(is_down(&it.observe().await));
    it.by_hand(&project, &["up", "-d"]);
    let observed = it.observe().await;
    assert!(is_present(&observed), "{observed:?}");
    let found = it.start().await.expect("found");
    assert_eq!(found.origin, LaunchOrigin::FoundRunning);
    it.by_hand(&project, &["stop", "app"]);
    let observed = it.observe().await;
    assert!(is_down(&observed), "{observed:?}");
    it.by_hand(&project, &["start", "app"]);
    assert!(is_present(&it.observe().await));
    it.stop().await;
    assert!(it.running("app").is_empty());
}

#[tokio::test]
async fn a_stop_asks_and_leaves_what_does_not_go_unless_it_is_forced() {
    let Some(it) = Fixture::new(r#"["/static-service", "--print", "ready"]"#) else { return };
    it.start().await.expect("starts");
    it.until_all_have_said("ready");
    let grace = Duration::from_millis(300);
    let begun = Instant::now();
    let error = it.backend.stop(&it.spec, StopHow::Ask, grace).await.expect_err("it ignores SIGTERM");
    assert!(begun.elapsed() >= grace);
    assert!(matches!(&error, StopError::StillAlive { survivors, .. } if survivors[0].contains("app")), "{error}");
    let observed = it.observe().await;
    assert!(matches!(observed.presence, Presence::Leaving { .. }), "{observed:?}");
    it.backend.stop(&it.spec, StopHow::AskThenKill, grace).await.expect("killed");
    assert!(is_down(&it.observe().await));
    it.backend.stop(&it.spec, StopHow::Ask, grace).await.expect("nothing runs");
}

#[tokio::test]
async fn a_service_that_dies_has_failed_and_one_that_the_engine_restarts_waits_for_that() {
    let Some(it) = Fixture::new(r#"["/static-service", "--after-ms", "20", "--exit", "7"]"#) else { return };
    it.start().await.expect("starts");
    let observed = it.until("failed", |it| matches!(it.presence, Presence::Failed { .. })).await;
    assert_eq!(observed.last_exit.expect("an exit").ending, Ending::Exited(7));

    it.write(&it.definition(
        "app",
        r#"["/static-service", "--after-ms", "20", "--exit", "3"]"#,
        "    restart: \"on-failure:2\"\n",
    ));
    it.start().await.expect("starts");
    let gave_up = |it: &Observed| {
        let reason = FailureReason::GaveUp { ending: Ending::Exited(3), restarts: 2 };
        it.presence == Presence::Failed { reason }
    };
    it.until("given up after the restarts of the file", gave_up).await;
}

#[tokio::test]
async fn a_container_killed_by_hand_is_told_and_shown_as_failed_and_a_pause_is_said_and_undone() {
    let Some(it) = Fixture::new(GOOD) else { return };
    let mut changes = it.backend.changes();
    it.start().await.expect("starts");
    let heard = async |changes: &mut tokio::sync::mpsc::Receiver<_>, what: &str, is_so: fn(&Observed) -> bool| {
        let deadline = Instant::now() + DEADLINE;
        // Looked at only when something is heard, and once before.
        loop {
            let observed = it.backend.observe(&it.spec).await.expect("observation");
            if is_so(&observed) {
                return observed;
            }
            assert!(Instant::now() < deadline, "never {what}: {observed:?}");
            let hinted = tokio::time::timeout(DEADLINE, changes.recv()).await.expect("a hint").expect("a watch");
            assert_eq!(hinted, it.spec.id);
        }
    };
    heard(&mut changes, "present", is_present).await;
    let id = it.running("app").remove(0);
    must(&["pause", &id]);
    heard(&mut changes, "paused", |it| it.notes.iter().any(|note| note.contains("paused"))).await;
    assert_eq!(it.start().await.expect("found").origin, LaunchOrigin::FoundRunning);
    heard(&mut changes, "going on", |it| it.notes.is_empty()).await;
    must(&["kill", &id]);
    let observed = heard(&mut changes, "failed", |it| matches!(it.presence, Presence::Failed { .. })).await;
    assert_eq!(observed.last_exit.expect("an exit").ending, Ending::Signalled(9));

    it.start().await.expect("starts again");
    it.until_all_have_said("ready");
    must(&["pause", &it.running("app").remove(0)]);
    it.stop().await;
    assert!(is_down(&it.observe().await), "a paused one hears that it shall stop");
}

#[tokio::test]
async fn all_containers_of_a_scaled_service_are_one_service() {
    let Some(it) = Fixture::new(GOOD) else { return };
    it.write(&it.definition("app", GOOD, "    scale: 3\n"));
    it.start().await.expect("starts");
    assert_eq!(it.running("app").len(), 3);
    it.until_all_have_said("ready");
    let one = it.running("app").remove(0);
    must(&["kill", &one]);
    let observed = it.observe().await;
    assert!(is_present(&observed), "{observed:?}");
    assert!(observed.notes.iter().any(|note| note.contains("1 of its 3 containers do")), "{observed:?}");
    let before = it.running("app");
    assert_eq!(it.start().await.expect("completed").origin, LaunchOrigin::FoundRunning);
    let after = it.running("app");
    assert_eq!(after.len(), 3, "a start completes what is there");
    assert!(before.iter().all(|id| after.contains(id)), "and leaves what runs");
    it.until_all_have_said("ready");
    it.stop().await;
    assert!(it.running("app").is_empty());
    assert!(is_down(&it.observe().await));
}

#[tokio::test]
async fn containers_of_a_single_command_are_no_instances_of_the_service() {
    let Some(it) = Fixture::new(GOOD) else { return };
    it.by_hand(&it.name, &["run", "-d", "app"]);
    assert!(is_down(&it.observe().await));
    it.stop().await;
    assert_eq!(it.running("app").len(), 1, "what somebody runs for himself is left alone");
}

#[tokio::test]
async fn an_engine_that_cannot_be_reached_makes_the_state_unknown_with_the_reason() {
    let home = tempfile::tempdir().expect("directory");
    let layout = Layout::new(home.path().join("services"));
    let places = Places { layout: layout.clone(), home: None, docker_host: None, kubeconfig: None };
    let settings = Settings::new(layout, std::env::var_os("PATH"), Arc::new(System::new(places)));
    let docker_host = Some("unix:///nonexistent/docker.sock".to_owned());
    let backend = ComposeBackend::new(Settings { docker_host, ..settings });
    let spec = spec_of("/nonexistent/compose.yaml".into(), None);
    let error = backend.observe(&spec).await.expect_err("unknown");
    assert!(error.message.contains("/nonexistent/docker.sock does not exist"), "{error}");
    let error = start_with(&backend, &spec).await.expect_err("no engine");
    assert!(error.message.contains("does not exist") && error.remedy.is_some(), "{error:?}");
    assert!(backend.stop(&spec, StopHow::Kill, DEADLINE).await.is_err(), "what is unknown is not said to be stopped");
}
