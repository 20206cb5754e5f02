//! Every recorded refusal with its kind, its words and its remedy.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::{ErrorAnswer, Kind, Refusal};
use crate::engine::ports::ErrorKind;

fn recorded(name: &str) -> Refusal {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/kubernetes/{name}.json"));
    let exchange: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let response = &exchange["response"];
    let header = |name: &str| response["headers"][name].as_str();
    let body = match &response["body"] {
        Value::String(text) => text.clone(),
        json => json.to_string(),
    };
    Refusal::of_answer(
        "do it",
        &ErrorAnswer {
            status: u16::try_from(response["status"].as_u64().unwrap()).unwrap(),
            content_type: header("content-type").unwrap_or_default(),
            retry_after: header("retry-after"),
            body: body.as_bytes(),
        },
    )
}

#[track_caller]
fn check(name: &str, kind: Kind, words: &str, remedy: &str) {
    let refusal = recorded(name);
    assert_eq!(refusal.kind, kind, "{name}: {refusal:?}");
    assert!(refusal.words.contains(words), "{name}: {refusal:?}");
    assert!(refusal.remedy.as_deref().unwrap_or_default().contains(remedy), "{name}: {refusal:?}");
}

#[test]
fn who_asks_and_what_is_not_allowed_is_said() {
    check("auth-401-bad-token", Kind::Unknown, "does not accept the credentials (401", "log in");
    check(
        "auth-403-scale-patch",
        Kind::Forbidden,
        "you may not do it (403",
        "patch deployments/scale in the namespace provisioning",
    );
    check(
        "auth-403-apply-create",
        Kind::Forbidden,
        "cannot create resource",
        "create deployments in the namespace provisioning",
    );
    check("auth-403-list-cluster", Kind::Forbidden, "cannot list resource", "list deployments at the cluster scope");
    check("auth-403-logs", Kind::Forbidden, "pods/log", "get pods/log in the namespace provisioning");
    check("namespace-terminating-create", Kind::Stale, "is being deleted", "wait until it is gone");
}

#[test]
fn not_found_has_three_forms() {
    check("deployment-missing", Kind::Missing, "deployments.apps \"orchestrator\" not found", "");
    check(
        "namespace-missing-apply-deployment",
        Kind::Missing,
        "the namespace provisioning does not exist",
        "kubectl create namespace provisioning",
    );
    check("apply-unknown-kind", Kind::Missing, "does not know this kind", "definition must be installed");
    check("apply-unknown-resource", Kind::Missing, "does not know this kind", "definition must be installed");
}

#[test]
fn conflicts_are_told_apart() {
    check("apply-over-scaled-no-force", Kind::Owned { by_us: true }, ".spec.replicas", "");
    check("stop-with-annotation-stale", Kind::Stale, "409 Conflict", "");
    check("create-exists", Kind::Stale, "409 AlreadyExists", "");
    check("delete-precondition", Kind::Stale, "409 Conflict", "");
    check("list-410-continue", Kind::Expired, "", "");
    // Recorded from the other side: we are the owner there.
    check(
        "apply-conflict-two-fields",
        Kind::Owned { by_us: true },
        ".spec.",
        "kubectl apply --server-side --force-conflicts",
    );
}

#[test]
fn what_is_wrong_with_a_manifest_is_not_the_servers_fault() {
    check(
        "apply-invalid-unknown-field",
        Kind::Invalid,
        ".spec.replicass: field not declared in schema",
        "correct the field",
    );
    check("apply-invalid-type", Kind::Invalid, "does not fit its schema", "correct the field");
    check("apply-invalid-configmap-number", Kind::Invalid, "does not fit its schema", "correct the field");
    check("apply-invalid-selector", Kind::Invalid, "refuses it (422)", "");
    check("apply-invalid-managed-fields", Kind::Invalid, "refuses it (400)", "");
    check("apply-too-large-body", Kind::Invalid, "refuses it (413)", "");
    check("admission-policy-denied", Kind::Invalid, "at most five replicas", "");
    let error = recorded("apply-invalid-type").into_error("kubernetes could not start web");
    assert_eq!(error.kind, ErrorKind::Misconfigured);
}

#[test]
fn a_body_is_read_by_its_type_and_its_text_is_kept() {
    check(
        "throttled-429-get",
        Kind::Throttled { after: Some(Duration::from_secs(1)) },
        "Too many requests",
        "try again",
    );
    check("server-503-aggregated", Kind::Server, "(503): service unavailable", "try again");
    check("store-stalled-scale", Kind::Server, "(504): Timeout: request did not complete", "try again");
    check("server-500-webhook", Kind::Server, "a webhook of the cluster does not answer", "nothing was changed");
    check("logs-node-silent", Kind::Server, "TLS handshake timeout", "");
    check("transport-plain-http", Kind::Configuration, "wants https", "https://");
}
