//! The watches: few, patient, and back by themselves.

use std::time::Duration;

use provisioning::backends::kubernetes::Pace;
use provisioning::engine::ports::Backend as _;
use provisioning::model::{Presence, Serves, StartHow, StopHow};

use super::double::Fault;
use super::{NAMESPACE, Platform, manifest, until};

fn is_ready(observed: &Result<provisioning::model::Observed, provisioning::engine::ports::BackendError>) -> bool {
    matches!(observed, Ok(observed) if matches!(observed.presence, Presence::Present { .. }))
}

fn is_serving(observed: &Result<provisioning::model::Observed, provisioning::engine::ports::BackendError>) -> bool {
    let serves =
        |it: &Presence| matches!(it, Presence::Present { .. } | Presence::Arriving { serves: Serves::Yes, .. });
    matches!(observed, Ok(observed) if serves(&observed.presence))
}

#[tokio::test(flavor = "multi_thread")]
async fn many_services_of_a_namespace_cost_two_streams_and_no_request_while_nothing_happens() {
    let platform = Platform::new();
    let names: Vec<String> = (0..40).map(|n| format!("service-{n}")).collect();
    for name in &names {
        let text = manifest("replicas: 1", "registry.example/web:1").replace("web", name);
        platform.write(&format!("manifests/{name}.yaml"), &text);
    }
    std::fs::remove_file(platform.path("manifests/20-web.yaml")).unwrap();
    let backend = platform.backend_with(Pace::default());
    backend.start(&platform.spec_of("service-0"), StartHow::AsItIs).await.unwrap();
    let mut hints = backend.changes();
    for name in &names {
        until(&backend, &platform.spec_of(name), "ready", is_ready).await.unwrap();
    }
    let collections = || {
        let all = platform.double.requests();
        all.into_iter().filter(|it| it.contains("?limit=") || it.contains("watch=true")).collect::<Vec<_>>()
    };
    assert_eq!(collections().len(), 4, "two lists, two watches: {:?}", collections());
    let before = platform.double.requests().len();
    platform.double.scale(NAMESPACE, "service-7", 2);
    let hinted = async { while hints.recv().await.unwrap().as_str() != "service-7" {} };
    tokio::time::timeout(Duration::from_secs(10), hinted).await.unwrap();
    until(&backend, &platform.spec_of("service-7"), "scaled", is_ready).await.unwrap();
    let asked = platform.double.requests().split_off(before);
    assert_eq!(asked, Vec::<String>::new(), "what happens is told by the streams that are open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_version_is_listed_anew_without_a_word() {
    let platform = Platform::new();
    let (backend, spec) = (platform.backend(), platform.spec());
    backend.start(&spec, StartHow::AsItIs).await.unwrap();
    until(&backend, &spec, "ready", is_ready).await.unwrap();
    platform.double.forget();
    platform.double.break_connections();
    platform.double.scale(NAMESPACE, "web", 0);
    // Never unknown meanwhile.
    until(&backend, &spec, "stopped by somebody else", |it| {
        assert!(it.is_ok(), "{it:?}");
        matches!(it, Ok(it) if it.presence == Presence::Absent)
    })
    .await
    .unwrap();
    let listed = platform.double.requests().iter().filter(|it| it.contains("/deployments?limit")).count();
    assert!(listed >= 2, "it was listed anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_leaves_the_last_truth_with_its_time_and_comes_back_by_itself() {
    let platform = Platform::new();
    let (backend, spec) = (platform.backend(), platform.spec());
    backend.start(&spec, StartHow::AsItIs).await.unwrap();
    until(&backend, &spec, "ready", is_ready).await.unwrap();
    platform.double.stop();
    let error = until(&backend, &spec, "unknown", Result::is_err).await.unwrap_err();
    assert!(error.message.contains("cannot be reached: Connection refused"), "{error:?}");
    assert!(error.message.contains("last heard at ") && error.message.contains("2 of 2 pods ready"), "{error:?}");
    platform.double.start();
    until(&backend, &spec, "back", is_ready).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_falls_silent_is_opened_again() {
    let platform = Platform::new();
    platform.backend().start(&platform.spec(), StartHow::AsItIs).await.unwrap();
    platform.double.inject("GET", "/deployments?watch=true", Fault::SilentWatch, 1);
    platform.double.inject("GET", "/pods?watch=true", Fault::SilentWatch, 1);
    let (backend, spec) = (platform.backend(), platform.spec());
    until(&backend, &spec, "seen", Result::is_ok).await.unwrap();
    platform.double.scale(NAMESPACE, "web", 0);
    until(&backend, &spec, "stopped by somebody else", |it| {
        assert!(it.is_ok(), "{it:?}");
        matches!(it, Ok(it) if it.presence == Presence::Absent)
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_watches_are_said_and_tried_again() {
    let platform = Platform::new();
    platform.backend().start(&platform.spec(), StartHow::AsItIs).await.unwrap();
    platform.double.inject("GET", "/pods?limit", Fault::Recorded("auth-403-get"), 3);
    let (backend, spec) = (platform.backend(), platform.spec());
    let noted = until(&backend, &spec, "noted", |it| {
        it.as_ref().is_ok_and(|it| it.notes.iter().any(|note| note.contains("its pods cannot be seen")))
    })
    .await
    .unwrap();
    assert!(!matches!(noted.presence, Presence::Absent), "the Deployment alone tells: {noted:?}");
    until(&backend, &spec, "seen", |it| it.as_ref().is_ok_and(|it| it.notes.is_empty())).await.unwrap();
    platform.double.inject("GET", "/deployments?limit", Fault::Recorded("auth-403-watch"), usize::MAX);
    let error = platform.backend().observe(&spec).await.unwrap_err();
    assert!(error.message.contains("you may not list deployments in the namespace platform (403"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_up_when_its_controller_says_so_and_not_before() {
    let platform = Platform::new();
    let (backend, spec) = (platform.backend(), platform.spec());
    platform.double.freeze(true);
    backend.start(&spec, StartHow::AsItIs).await.unwrap();
    let observed = backend.observe(&spec).await.unwrap();
    assert!(matches!(observed.presence, Presence::Arriving { serves: Serves::No, .. }), "{observed:?}");
    platform.double.freeze(false);
    until(&backend, &spec, "ready", is_ready).await.unwrap();
    platform.double.freeze(true);
    // By its own word it has all pods; that was before.
    backend.start(&spec, StartHow::InPlace).await.unwrap();
    let observed = backend.observe(&spec).await;
    assert!(!is_ready(&observed) && is_serving(&observed), "{observed:?}");
    platform.double.freeze(false);
    until(&backend, &spec, "ready", is_ready).await.unwrap();
    platform.double.freeze(true);
    let stopping = tokio::spawn({
        let (backend, spec) = (backend.clone(), spec.clone());
        async move { backend.stop(&spec, StopHow::Ask, Duration::from_secs(20)).await }
    });
    until(&backend, &spec, "leaving", |it| matches!(it, Ok(it) if matches!(it.presence, Presence::Leaving { .. })))
        .await
        .unwrap();
    assert!(!stopping.is_finished());
    platform.double.freeze(false);
    stopping.await.unwrap().unwrap();
    until(&backend, &spec, "gone", |it| matches!(it, Ok(it) if it.presence == Presence::Absent)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_goes_on_through_a_restart_of_the_server() {
    let platform = Platform::new();
    let (backend, spec) = (platform.backend(), platform.spec());
    backend.start(&spec, StartHow::AsItIs).await.unwrap();
    until(&backend, &spec, "ready", is_ready).await.unwrap();
    platform.double.freeze(true);
    let stopping = tokio::spawn({
        let (backend, spec) = (backend.clone(), spec.clone());
        async move { backend.stop(&spec, StopHow::Ask, Duration::from_secs(20)).await }
    });
    until(&backend, &spec, "leaving", |it| matches!(it, Ok(it) if matches!(it.presence, Presence::Leaving { .. })))
        .await
        .unwrap();
    platform.double.stop();
    until(&backend, &spec, "unknown", Result::is_err).await.unwrap_err();
    platform.double.freeze(false);
    platform.double.start();
    stopping.await.unwrap().unwrap();
}
