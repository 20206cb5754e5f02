//! A request is answered with the expected status.

use std::error::Error;
#[cfg(feature = "tls")]
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use reqwest::header::{CONNECTION, HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder, Method, Response, Url, redirect};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::cause::{self, Cause};
use super::prober::{answered, could_not_run};
use crate::model::{ProbeOutcome, ProbeVerdict};

/// How much of a body is read. It is not needed (R156), but a server that may finish its sentence logs no broken pipe.
const MAX_BODY: usize = 10 * 1024;

/// How long a body may keep a probe busy after the status has decided it.
const BODY_GRACE: Duration = Duration::from_millis(50);

/// One client without certificates and one that verifies, each built when first needed and shared by all probes.
#[derive(Debug, Default)]
pub(super) struct Clients {
    plain: OnceCell<Client>,
    #[cfg(feature = "tls")]
    verifying: OnceCell<Client>,
}

impl Clients {
    async fn for_url(&self, url: &Url) -> Result<&Client, String> {
        match url.scheme() {
            "https" => self.verifying().await,
            _ => self.plain.get_or_try_init(|| async { plain_client() }).await,
        }
    }

    #[cfg(feature = "tls")]
    async fn verifying(&self) -> Result<&Client, String> {
        // Loading the system's roots takes up to 60 ms of reading and parsing: not on a thread that others wait for.
        self.verifying
            .get_or_try_init(|| async {
                tokio::task::spawn_blocking(verifying_client)
                    .await
                    .map_err(|_| "the system's certificates could not be loaded".to_owned())?
            })
            .await
    }

    #[cfg(not(feature = "tls"))]
    async fn verifying(&self) -> Result<&Client, String> {
        Err("https needs a build with the `tls` feature".to_owned())
    }
}

/// What all clients have in common: nothing is kept, nothing is followed, nobody is between us and the service.
fn builder() -> ClientBuilder {
    let mut headers = HeaderMap::new();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    ClientBuilder::new()
        .default_headers(headers)
        .user_agent(concat!("provisioning-health/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .pool_max_idle_per_host(0)
        // Both loopback addresses whatever the resolver says (R156), and no thread to ask it. Port 0 stands for that of the URL.
        .resolve_to_addrs("localhost", &[(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()])
}

#[cfg(feature = "tls")]
fn plain_client() -> Result<Client, String> {
    install_tls();
    build(builder().tls_certs_only([]))
}

#[cfg(not(feature = "tls"))]
fn plain_client() -> Result<Client, String> {
    build(builder())
}

#[cfg(feature = "tls")]
fn verifying_client() -> Result<Client, String> {
    install_tls();
    build(builder())
}

fn build(builder: ClientBuilder) -> Result<Client, String> {
    builder.build().map_err(|error| format!("cannot prepare HTTP requests: {}", cause::innermost(&error)))
}

/// reqwest panics without a provider. Whoever is second finds one installed, which is as good.
#[cfg(feature = "tls")]
fn install_tls() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
    }
}

/// Asks once: connecting and the head of the answer together may take `timeout`.
pub(super) async fn probe(
    clients: &Clients,
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
    let client = match clients.for_url(&url).await {
        Ok(client) => client,
        Err(reason) => return could_not_run(reason),
    };
    started = Instant::now();
    let deadline = started + timeout;
    let host = url.host_str().unwrap_or_default().to_owned();
    match tokio::time::timeout_at(deadline, client.request(method, url).send()).await {
        Ok(Ok(response)) => {
            let outcome = judge(started, response.status().as_u16(), expected_status);
            read_politely(response, deadline.min(Instant::now() + BODY_GRACE)).await;
            outcome
        }
        Ok(Err(error)) => match cause_of(&error, &host) {
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

/// Reads a little of the body for the server's sake. The verdict stands, whatever comes.
async fn read_politely(mut response: Response, until: Instant) {
    let read = async {
        let mut n_bytes = 0;
        while n_bytes < MAX_BODY {
            match response.chunk().await {
                Ok(Some(chunk)) => n_bytes += chunk.len(),
                Ok(None) | Err(_) => break,
            }
        }
    };
    let _in_time = tokio::time::timeout_at(until, read).await;
}

fn cause_of(error: &reqwest::Error, host: &str) -> Cause {
    if error.is_dns() {
        return cause::unresolvable(host);
    }
    if let Some(doubt) = tls_error(error) {
        return Cause::Service(format!("TLS error: {doubt}"));
    }
    match cause::io_error(error) {
        Some(io) => cause::of_io(io, host),
        None => Cause::Service(match cause::innermost(error).to_string() {
            closed if closed.starts_with("connection closed") => "connection closed without an answer".to_owned(),
            other => other,
        }),
    }
}

#[cfg(feature = "tls")]
fn tls_error(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(doubt) = error.downcast_ref::<rustls::Error>() {
        return Some(doubt.to_string());
    }
    // An I/O error hides what it carries from `source`, and handshake errors come wrapped in two of them.
    let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match carried {
        Some(carried) => tls_error(carried),
        None => tls_error(error.source()?),
    }
}

#[cfg(not(feature = "tls"))]
fn tls_error(_error: &(dyn Error + 'static)) -> Option<String> {
    None
}

/// The endpoint as people may see it: a password in a URL is nobody's business.
fn without_credentials(url: &Url, endpoint: &str) -> String {
    if url.username().is_empty() && url.password().is_none() {
        return endpoint.to_owned();
    }
    let mut shown = url.clone();
    let masked = shown.set_username("***").is_ok() && shown.set_password(None).is_ok();
    if masked { shown.to_string() } else { url.host_str().unwrap_or_default().to_owned() }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
