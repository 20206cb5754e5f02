//! What an edit of the registry does while services run: nothing by itself, and everything can still be done.

use super::handle::Handle;
use super::operation::{Refusal, Verb};
use super::tests::{engine, operate, platform, request, wait_for, wait_for_kind};
use crate::model::{Deployment, EDITED_NOTE, RemoteSpec, ServiceSpec, Snapshot, StateKind};
use crate::testkit::builders::{checked_service, id, ids, registry, service};
use crate::testkit::world::World;

#[tokio::test(start_paused = true)]
async fn an_edited_registry_touches_nothing_that_runs() {
    let world = World::new();
    let handle = engine(&world, platform());
    operate(&handle, Verb::Start, "control-center").await;
    let mut edited = platform();
    edited.remove(1);
    edited[0].description = "another text".to_owned();
    edited.push(service("added", ""));
    handle.reload(registry(edited)).await.unwrap();
    let snapshot = wait_for(&handle, |snapshot| {
        snapshot.service("added").is_some()
            && snapshot.service("orchestrator").is_some_and(|s| s.spec.description == "another text")
    })
    .await;
    let removed = snapshot.service("control-center").unwrap();
    assert!(removed.state.is_alive(), "a service that left the file while it ran is still there");
    assert!(removed.notes.iter().any(|note| note.contains("not in the registry")), "{:?}", removed.notes);
    assert_eq!(world.deeds(), ["start orchestrator", "start control-center"]);
}

async fn edit(handle: &Handle, services: impl IntoIterator<Item = ServiceSpec>) {
    handle.reload(registry(services)).await.unwrap();
}

fn is_noted(snapshot: &Snapshot, name: &str) -> bool {
    snapshot.service(name).is_some_and(|service| service.notes.iter().any(|note| note == EDITED_NOTE))
}

fn in_another_mode(mut spec: ServiceSpec) -> ServiceSpec {
    let endpoint = "http://example.com".to_owned();
    spec.deployment =
        Deployment::Remote(RemoteSpec { endpoint, tls_enabled: false, auth_token_path: None, ca_path: None });
    spec
}

fn with_argument(mut spec: ServiceSpec) -> ServiceSpec {
    if let Deployment::Binary(binary) = &mut spec.deployment {
        binary.args.push("--verbose".to_owned());
    }
    spec
}

#[tokio::test(start_paused = true)]
async fn an_emptied_file_stops_nothing_and_everything_can_still_be_stopped_in_order() {
    let world = World::new();
    let handle = engine(&world, platform());
    operate(&handle, Verb::Start, "api-gateway").await;
    let deeds = world.deeds();
    edit(&handle, []).await;
    let snapshot = handle.settled().await.unwrap();
    assert_eq!(snapshot.n_running(), 4);
    assert_eq!(world.deeds(), deeds);
    let refused = handle.plan(request(Verb::Stop, "orchestrator")).await.unwrap().err();
    assert!(matches!(refused, Some(Refusal::DependentsRunning { .. })), "what needs it still runs: {refused:?}");
    let (_, summary) = operate(&handle, Verb::Stop, "").await;
    assert!(summary.is_success(), "{summary:?}");
    assert_eq!(world.deeds()[4..], ["stop api-gateway", "stop mcp-server", "stop control-center", "stop orchestrator"]);
    wait_for(&handle, |snapshot| snapshot.services.is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_left_the_registry_can_be_stopped_and_not_be_started_or_restarted() {
    let world = World::new();
    let handle = engine(&world, [checked_service("web", ""), service("other", "")]);
    operate(&handle, Verb::Start, "web").await;
    edit(&handle, [service("other", "")]).await;
    for verb in [Verb::Start, Verb::Restart, Verb::StartUnchecked, Verb::StartOrRestart] {
        let refused = handle.plan(request(verb, "web")).await.unwrap();
        assert!(matches!(refused, Err(Refusal::SetAside { .. })), "{verb:?}: {refused:?}");
    }
    let (_, summary) = operate(&handle, Verb::Stop, "web").await;
    assert_eq!(summary.stopped, ids("web"));
    wait_for(&handle, |snapshot| snapshot.service("web").is_none()).await;
    let refused = handle.plan(request(Verb::Stop, "web")).await.unwrap();
    assert!(matches!(refused, Err(Refusal::UnknownService { .. })), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_started_on_top_of_a_service_that_left_the_registry() {
    let world = World::new();
    let handle = engine(&world, platform());
    operate(&handle, Verb::Start, "orchestrator").await;
    edit(&handle, platform().into_iter().skip(1)).await;
    let refused = handle.plan(request(Verb::Start, "control-center")).await.unwrap().err();
    let expected = Refusal::MissingDependency { service: id("control-center"), dependency: id("orchestrator") };
    assert_eq!(refused, Some(expected));
}

#[tokio::test(start_paused = true)]
async fn what_was_edited_under_a_running_service_is_noted_until_it_is_restarted() {
    let world = World::new();
    let handle = engine(&world, [checked_service("web", ""), checked_service("idle", "")]);
    operate(&handle, Verb::Start, "web").await;
    let edited = || [with_argument(checked_service("web", "")), with_argument(checked_service("idle", ""))];
    edit(&handle, edited()).await;
    let snapshot = wait_for(&handle, |snapshot| is_noted(snapshot, "web")).await;
    assert!(!is_noted(&snapshot, "idle"), "what does not run has nothing to be restarted");
    assert_eq!(world.deeds(), ["start web"], "a save alone restarts nothing");
    operate(&handle, Verb::Restart, "web").await;
    wait_for(&handle, |snapshot| !is_noted(snapshot, "web")).await;
    assert_eq!(world.n_launches("web"), 2);
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_is_taken_back_leaves_no_note() {
    let world = World::new();
    let handle = engine(&world, [checked_service("web", "")]);
    operate(&handle, Verb::Start, "web").await;
    // Without a pause in between: what the services reported last is older than the registry in force.
    edit(&handle, [with_argument(checked_service("web", ""))]).await;
    edit(&handle, [checked_service("web", "")]).await;
    let snapshot = wait_for(&handle, |snapshot| {
        snapshot.service("web").is_some_and(|web| snapshot.registry.services.contains(&web.spec))
    })
    .await;
    assert!(!is_noted(&snapshot, "web"));
}

#[tokio::test(start_paused = true)]
async fn a_service_whose_mode_was_edited_is_seen_and_stopped_as_what_it_was_started() {
    let world = World::new();
    let handle = engine(&world, [checked_service("web", "")]);
    operate(&handle, Verb::Start, "web").await;
    edit(&handle, [in_another_mode(checked_service("web", ""))]).await;
    wait_for(&handle, |snapshot| is_noted(snapshot, "web")).await;
    // Looked at again, as whenever something may have changed.
    world.hides("web", None).await;
    let snapshot = handle.settled().await.unwrap();
    assert_eq!(snapshot.service("web").unwrap().kind(), StateKind::Running);
    let (_, summary) = operate(&handle, Verb::Restart, "web").await;
    assert!(summary.is_success(), "{summary:?}");
    assert_eq!(world.deeds(), ["start web", "stop web", "start web"]);
    wait_for_kind(&handle, "web", StateKind::Running).await;
}

#[tokio::test(start_paused = true)]
async fn an_edit_while_the_services_are_still_being_looked_at_is_not_lost() {
    let world = World::new();
    let handle = engine(&world, [checked_service("web", "")]);
    let mut edited = checked_service("web", "");
    edited.description = "edited".to_owned();
    edit(&handle, [edited]).await;
    wait_for(&handle, |snapshot| snapshot.service("web").is_some_and(|web| web.spec.description == "edited")).await;
}
