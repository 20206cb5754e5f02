//! A request is answered with the expected status.

use std::time::Duration;

use reqwest::{Method, Url};
use tokio::time::Instant;

use super::prober::{answered, could_not_run};
use crate::model::{ProbeOutcome, ProbeVerdict};
use crate::net::cause::{self, Cause};
use crate::net::{Access, Clients, read_politely, without_credentials};

/// How long a body may keep a probe busy after the status has decided it.
const BODY_GRACE: Duration = Duration::from_millis(50);

/// Asks once: connecting and the head of the answer together may take `timeout`.
pub(super) async fn probe(
    clients: &Clients,
    access: &Access,
    endpoint: &str,
    method: &str,
    expected_status: u16,
    timeout: Duration,
) -> ProbeOutcome {
    let mut started = Instant::now();
    let url = match Url::parse(endpoint) {
        Ok(url) => url,
        Err(error) => return failed(started, endpoint, &format!("not a valid URL: {error}")),
    };
    let shown = without_credentials(&url, endpoint);
    let Ok(method) = Method::from_bytes(method.as_bytes()) else {
        return failed(started, &shown, &format!("not an HTTP method: {method}"));
    };
    let host = url.host_str().unwrap_or_default().to_owned();
    let request = match clients.prepare(url, access).await {
        Ok(request) => request,
        Err(refused) => return could_not_run(refused.message),
    };
    started = Instant::now();
    let deadline = started + timeout;
    match tokio::time::timeout_at(deadline, request.send(method)).await {
        Ok(Ok(response)) => {
            let outcome = judge(started, response.status().as_u16(), expected_status);
            let until = deadline.min(Instant::now() + BODY_GRACE);
            let _in_time = tokio::time::timeout_at(until, read_politely(response)).await;
            outcome
        }
        Ok(Err(error)) => match cause::of_request(&error, &host) {
            Cause::Service(reason) => failed(started, &shown, &reason),
            Cause::Ours(reason) => could_not_run(reason),
        },
        Err(_) => {
            answered(started, ProbeVerdict::Failed, format!("HTTP request to {shown} timed out after {timeout:?}"))
        }
    }
}

fn failed(started: Instant, endpoint: &str, reason: &str) -> ProbeOutcome {
    answered(started, ProbeVerdict::Failed, format!("HTTP request to {endpoint} failed: {reason}"))
}

/// M1, M2 and M5; M2 where "passed" would puzzle, that is, when something else than success is expected (A5).
fn judge(started: Instant, got: u16, expected: u16) -> ProbeOutcome {
    if got != expected {
        let message = format!("HTTP status {got} does not match expected {expected}");
        return answered(started, ProbeVerdict::Failed, message);
    }
    let message = if (200..300).contains(&expected) {
        "HTTP health check passed".to_owned()
    } else {
        format!("HTTP status {got} matches expected")
    };
    answered(started, ProbeVerdict::Passed, message)
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
