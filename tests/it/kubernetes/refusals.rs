//! What the server refuses, in words of its own each.

use std::time::{Duration, Instant};

use provisioning::engine::ports::{Backend as _, BackendError, ErrorKind, StopError};
use provisioning::model::{StartHow, StopHow};

use super::double::Fault;
use super::{NAMESPACE, Platform, until};

/// What a start says when the write of the Deployment meets this recording.
async fn start_against(recording: &'static str) -> (Platform, BackendError) {
    let platform = Platform::new();
    platform.double.inject("PATCH", "/deployments/web", Fault::Recorded(recording), 1);
    let error = platform.backend().start(&platform.spec(), StartHow::AsItIs).await.unwrap_err();
    (platform, error)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_of_a_start_has_its_own_words_and_is_not_repeated() {
    for (recording, kind, words) in [
        ("auth-403-apply", ErrorKind::Permanent, "you may not apply Deployment web"),
        ("apply-invalid-unknown-field", ErrorKind::Misconfigured, "does not fit its schema"),
        ("admission-policy-denied", ErrorKind::Misconfigured, "at most five replicas"),
        ("namespace-missing-apply-deployment", ErrorKind::Permanent, "the namespace provisioning does not exist"),
        ("server-500-webhook", ErrorKind::Transient, "a webhook of the cluster does not answer"),
    ] {
        let (platform, error) = start_against(recording).await;
        assert_eq!(error.kind, kind, "{recording}: {error:?}");
        assert!(error.message.contains(words) && error.message.contains("20-web.yaml:1"), "{recording}: {error:?}");
        let is_write = |it: &&String| it.starts_with("PATCH") && it.contains("/deployments/web");
        assert_eq!(platform.double.requests().iter().filter(is_write).count(), 1, "{recording}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_of_somebody_else_is_not_taken() {
    let platform = Platform::new();
    platform.double.inject("PATCH", "/deployments/web", Fault::Recorded("apply-conflict"), 2);
    let error = platform.backend().start(&platform.spec(), StartHow::AsItIs).await.unwrap_err();
    // In the recording it is we who own it; then it is ours to take, and only then.
    assert!(error.message.contains("manages .spec.replicas with another value"), "{error:?}");
    let forced: Vec<bool> = platform
        .double
        .requests()
        .iter()
        .filter(|it| it.starts_with("PATCH") && it.contains("/deployments/web"))
        .map(|it| it.contains("force=true"))
        .collect();
    assert_eq!(forced, [false, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_read_again_once_and_then_it_is_said() {
    let platform = Platform::new();
    let backend = platform.backend();
    let spec = platform.spec();
    platform.double.accept(&["secret-token"]);
    backend.start(&spec, StartHow::AsItIs).await.unwrap();
    // The token was changed, here and there.
    platform.double.accept(&["new-token"]);
    platform.write("kubeconfig", &platform.double.kubeconfig("    token: new-token"));
    backend.stop(&spec, StopHow::Ask, Duration::from_secs(5)).await.unwrap();
    // And there alone.
    platform.double.accept(&["newest-token"]);
    let before = platform.double.requests().len();
    let error = backend.start(&spec, StartHow::AsItIs).await.unwrap_err();
    assert!(error.message.contains("does not accept the credentials (401 Unauthorized)"), "{error:?}");
    assert!(error.remedy.unwrap().contains("log in"));
    let asked = platform.double.requests().split_off(before);
    assert_eq!(asked.iter().filter(|it| it.contains("/deployments/web")).count(), 2, "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_somebody_else_was_quicker_than_is_decided_again() {
    let platform = Platform::new();
    let (backend, spec) = (platform.backend(), platform.spec());
    backend.start(&spec, StartHow::AsItIs).await.unwrap();
    platform.double.inject("PATCH", "/deployments/web", Fault::Recorded("stop-with-annotation-stale"), 2);
    backend.stop(&spec, StopHow::Ask, Duration::from_secs(5)).await.unwrap();
    assert_eq!(platform.double.replicas(NAMESPACE, "web"), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_allowed_disables_that_action_alone() {
    let platform = Platform::new();
    let (backend, spec) = (platform.backend(), platform.spec());
    backend.start(&spec, StartHow::AsItIs).await.unwrap();
    until(&backend, &spec, "ready", |it| it.as_ref().is_ok_and(|it| it.notes.is_empty())).await.unwrap();
    platform.double.inject("PATCH", "/deployments/web?", Fault::Recorded("auth-403-apply"), 1);
    platform.double.inject("PATCH", "/deployments/web/scale", Fault::Recorded("auth-403-scale-patch"), 1);
    let error = backend.stop(&spec, StopHow::Ask, Duration::from_secs(5)).await.unwrap_err();
    let StopError::Backend(error) = error else { panic!("{error:?}") };
    assert!(error.message.contains("you may not patch deployments/web (403 Forbidden)"), "{error:?}");
    assert!(error.remedy.as_deref().unwrap().contains("patch deployments in the namespace provisioning"), "{error:?}");
    backend.observe(&spec).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_honoured() {
    let platform = Platform::new();
    platform.double.inject("GET", "/deployments/web", Fault::Recorded("throttled-429-get"), 1);
    let begun = Instant::now();
    platform.backend().start(&platform.spec(), StartHow::AsItIs).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1), "the recorded answer says one second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_closed_without_an_answer_is_said() {
    let platform = Platform::new();
    platform.double.inject("PATCH", "/deployments/web", Fault::Close, 9);
    let error = platform.backend().start(&platform.spec(), StartHow::AsItIs).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Transient);
    assert!(error.message.contains("cannot be reached"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_is_given_up() {
    let platform = Platform::new();
    platform.double.inject("GET", "/deployments/web", Fault::Hang, 1);
    let error = platform.backend().start(&platform.spec(), StartHow::AsItIs).await.unwrap_err();
    assert!(error.message.contains("has not answered within 10 s"), "{error:?}");
    platform.double.heal();
    platform.backend().start(&platform.spec(), StartHow::AsItIs).await.unwrap();
}
