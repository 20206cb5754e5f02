//! What the API server says when it does not do what it was asked, put into words: pure. An error's body is looked at only after its
//! content type, since load balancers, aggregated groups and the server's own throttle answer in plain text.

use std::time::Duration;

use serde::Deserialize;

use super::trouble::brief;
use crate::engine::ports::{BackendError, ErrorKind};

/// Our name as a field manager.
pub(super) const MANAGER: &str = "provisioning-tui";

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) kind: Kind,
    /// What happened, as a fragment that stands for itself.
    pub(super) words: String,
    /// What to do about it.
    pub(super) remedy: Option<String>,
}

/// The kinds that are treated differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is no kubeconfig, or it does not say which cluster, or credentials cannot be had.
    Configuration,
    /// Nobody answers, or only half.
    Unreachable,
    /// The server does not know who asks (401).
    Unknown,
    /// The server knows, and does not allow it (403).
    Forbidden,
    /// There is no such object, kind or namespace (404).
    Missing,
    /// It has changed since it was read (409).
    Stale,
    /// Somebody else manages these fields (409).
    Owned {
        /// All of these are ourselves under another operation.
        by_us: bool,
    },
    /// What was read from has been forgotten (410): list anew.
    Expired,
    /// The manifest or the request is wrong.
    Invalid,
    /// Come back later (429); nothing was done.
    Throttled {
        /// Not before this.
        after: Option<Duration>,
    },
    /// The server, or something behind it, fails; whether a write was done is not known.
    Server,
}

/// An answer that is an error.
#[derive(Debug, Clone)]
pub(super) struct ErrorAnswer<'a> {
    pub(super) status: u16,
    pub(super) content_type: &'a str,
    pub(super) retry_after: Option<&'a str>,
    pub(super) body: &'a [u8],
}

/// The API's own form of an error.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) message: String,
    pub(super) reason: String,
    pub(super) code: u16,
    details: Details,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    name: String,
    kind: String,
    causes: Vec<Cause>,
    retry_after_seconds: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cause {
    reason: String,
    message: String,
    field: String,
}

impl Refusal {
    pub(super) fn new(kind: Kind, words: impl Into<String>) -> Self {
        Self { kind, words: words.into(), remedy: None }
    }

    pub(super) fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// From an answer over HTTP. `asked` says what was asked for, as an infinitive: `patch deployments/web in platform`.
    pub(super) fn of_answer(asked: &str, answer: &ErrorAnswer<'_>) -> Self {
        let status = status_of(answer);
        let after = answer
            .retry_after
            .and_then(|seconds| seconds.trim().parse().ok())
            .or_else(|| status.as_ref().map(|it| it.details.retry_after_seconds).filter(|seconds| *seconds > 0))
            .map(Duration::from_secs);
        let status = status.unwrap_or_else(|| Status {
            message: brief(&String::from_utf8_lossy(answer.body)),
            code: answer.status,
            ..Status::default()
        });
        of_status(asked, answer.status, &status, after)
    }

    /// From a Status that came in a stream: its code is the only one there is.
    pub(super) fn of_status(asked: &str, status: &Status) -> Self {
        of_status(asked, status.code, status, None)
    }

    /// As the engine's port has it, after what was tried.
    pub(super) fn into_error(self, tried: &str) -> BackendError {
        let kind = match self.kind {
            Kind::Configuration | Kind::Invalid | Kind::Owned { .. } => ErrorKind::Misconfigured,
            Kind::Forbidden | Kind::Missing => ErrorKind::Permanent,
            Kind::Unreachable | Kind::Unknown | Kind::Stale | Kind::Expired | Kind::Throttled { .. } | Kind::Server => {
                ErrorKind::Transient
            }
        };
        BackendError { kind, message: format!("{tried}: {}", self.words), remedy: self.remedy }
    }
}

/// JSON where the content type says so. A Status under another type is still one when it reads as one: the server's own time limit
/// answers like that.
fn status_of(answer: &ErrorAnswer<'_>) -> Option<Status> {
    let is_json = answer.content_type.split(';').next().is_some_and(|it| it.trim().ends_with("json"));
    let looks_like_it = answer.body.trim_ascii_start().starts_with(b"{");
    let status: Status = (is_json || looks_like_it).then(|| serde_json::from_slice(answer.body).ok()).flatten()?;
    (!status.message.is_empty()).then_some(status)
}

fn of_status(asked: &str, code: u16, status: &Status, after: Option<Duration>) -> Refusal {
    let said = brief(&status.message);
    let has_cause = |reason: &str| status.details.causes.iter().any(|cause| cause.reason == reason);
    match code {
        401 => Refusal::new(Kind::Unknown, "the cluster does not accept the credentials (401 Unauthorized)")
            .with_remedy("log in to the cluster again; `kubectl auth whoami` must work"),
        403 if has_cause("NamespaceTerminating") => {
            Refusal::new(Kind::Stale, format!("the namespace is being deleted (403): {said}"))
                .with_remedy("wait until it is gone, then start again: `kubectl get namespaces` shows it")
        }
        403 => Refusal::new(Kind::Forbidden, format!("you may not {asked} (403 Forbidden): {said}"))
            .with_remedy(format!("ask the cluster's administrator for the permission to {}", permission(&said, asked))),
        404 if status.details.kind == "namespaces" => {
            let name = &status.details.name;
            Refusal::new(Kind::Missing, format!("the namespace {name} does not exist (404)"))
                .with_remedy(format!("kubectl create namespace {name}, or add it to the manifests"))
        }
        404 if status.reason.is_empty() || status.details.name.is_empty() => Refusal::new(
            Kind::Missing,
            format!("the cluster does not know this kind of thing (404), asked to {asked}"),
        )
        .with_remedy(
            "check `apiVersion` and `kind`; where it is a custom resource, its definition must be installed first",
        ),
        404 => Refusal::new(Kind::Missing, format!("{said} (404)")),
        409 if has_cause("FieldManagerConflict") => owned(status),
        409 => Refusal::new(Kind::Stale, format!("it has changed at the same moment (409 {}): {said}", status.reason)),
        410 => Refusal::new(Kind::Expired, said),
        429 => Refusal::new(Kind::Throttled { after }, format!("the cluster is overloaded (429): {said}"))
            .with_remedy("try again in a moment"),
        500 if said.starts_with("failed to create typed patch object") => {
            Refusal::new(Kind::Invalid, format!("the manifest does not fit its schema: {said}"))
                .with_remedy("correct the field that is named, then start again")
        }
        500 if said.contains("failed calling webhook") => {
            Refusal::new(Kind::Server, format!("a webhook of the cluster does not answer (500): {said}"))
                .with_remedy("the webhook's own service has to be repaired; nothing was changed")
        }
        504 => Refusal::new(Kind::Server, format!("the cluster did not finish in time (504): {said}"))
            .with_remedy("its store may be overloaded; try again in a moment"),
        503 => Refusal::new(Kind::Server, format!("the cluster, or a part of it, is not available (503): {said}"))
            .with_remedy("try again in a moment"),
        400 if said.contains("HTTP request to an HTTPS server") => {
            Refusal::new(Kind::Configuration, "the server wants https and was asked by http")
                .with_remedy("write https:// in the kubeconfig's `server`")
        }
        400 | 413 | 415 | 422 => Refusal::new(Kind::Invalid, format!("the cluster refuses it ({code}): {said}")),
        405..=499 => Refusal::new(Kind::Invalid, format!("the cluster refuses it ({code}): {said}")),
        _ => Refusal::new(Kind::Server, format!("the cluster failed ({code}): {said}")),
    }
}

/// The verb and the resource as the server names them, which is more exact than what was asked: an apply that would create is refused as
/// `create`.
fn permission(said: &str, asked: &str) -> String {
    let words = || {
        let rest = said.split_once(" cannot ")?.1;
        let (verb, rest) = rest.split_once(" resource \"")?;
        let (resource, rest) = rest.split_once('"')?;
        let namespace = rest.split_once("in the namespace \"").and_then(|(_, rest)| rest.split_once('"'));
        let place = namespace
            .map_or_else(|| " at the cluster scope".to_owned(), |(name, _)| format!(" in the namespace {name}"));
        Some(format!("{verb} {resource}{place}"))
    };
    words().unwrap_or_else(|| asked.to_owned())
}

/// One cause per field; the owner is named in the text only.
fn owned(status: &Status) -> Refusal {
    let causes: Vec<&Cause> =
        status.details.causes.iter().filter(|cause| cause.reason == "FieldManagerConflict").collect();
    let owner = |cause: &Cause| cause.message.split('"').nth(1).unwrap_or("somebody else").to_owned();
    let mut owners: Vec<String> = causes.iter().map(|cause| owner(cause)).collect();
    let by_us = owners.iter().all(|owner| owner == MANAGER);
    owners.sort();
    owners.dedup();
    let fields: Vec<&str> = causes.iter().map(|cause| cause.field.as_str()).collect();
    let (owners, fields) = (owners.join(", "), fields.join(", "));
    Refusal::new(Kind::Owned { by_us }, format!("{owners} manages {fields} with another value (409 Conflict)"))
        .with_remedy(format!(
            "take {fields} out of the manifest, or hand it over: kubectl apply --server-side --force-conflicts \
             --field-manager={MANAGER} -f …"
        ))
}

#[cfg(test)]
#[path = "refusal_test.rs"]
mod tests;
