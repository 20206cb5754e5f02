//! Asking an endpoint once, and what its answer means.

use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::{Method, Response, StatusCode, Url};
use tokio::time::Instant;

use super::remote_spec;
use crate::engine::ports::ErrorKind;
use crate::model::{Fact, ServiceSpec};
use crate::net::cause::{self, Cause};
use crate::net::{Access, Clients, Refused, is_same_origin, read_politely, without_credentials};

/// How many redirects within the endpoint's own origin are followed.
const MAX_HOPS: usize = 3;

/// How long a body may keep us busy after the status has decided.
const BODY_GRACE: Duration = Duration::from_millis(50);

/// The longest part of a foreign URL that is told.
const MAX_TOLD: usize = 200;

/// What an endpoint's answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Something answers.
    Up {
        /// The HTTP status.
        status: u16,
        /// From the request to the head of the answer, over all hops.
        took: Duration,
        /// What is odd about it.
        aside: Option<String>,
    },
    /// Nothing does, or nothing that lets us in.
    Down(Problem),
}

/// Why an endpoint counts as not reachable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// As a fragment: `connection refused`.
    pub(super) why: String,
    /// What to do about it, where that is known.
    pub(super) remedy: Option<String>,
    /// Whether asking again can help.
    pub(super) kind: ErrorKind,
    /// Whether nothing was asked at all, for something on this side.
    pub(super) is_ours: bool,
}

impl Problem {
    fn transient(why: impl Into<String>) -> Self {
        Self { why: why.into(), remedy: None, kind: ErrorKind::Transient, is_ours: false }
    }

    /// Both parts.
    pub(super) fn sentence(&self) -> String {
        match &self.remedy {
            Some(remedy) => format!("{}; {remedy}", self.why),
            None => self.why.clone(),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self { why: refused.message, remedy: refused.remedy, kind: ErrorKind::Misconfigured, is_ours: true }
    }
}

impl Answer {
    /// Status and latency, for people.
    pub(super) fn fact(&self) -> Option<Fact> {
        match self {
            Self::Up { status, took, .. } => {
                Some(Fact::new("Answer", format!("{} in {}", words(*status), brief(*took))))
            }
            Self::Down(_) => None,
        }
    }
}

/// Asks, following redirects within the endpoint's own origin. Takes no longer than one check of the service may (its `timeout`).
pub(super) async fn ask(clients: &Clients, spec: &ServiceSpec) -> Answer {
    let timeout = spec.health_check.timeout;
    match tokio::time::timeout(timeout, follow(clients, spec)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(problem)) => Answer::Down(problem),
        Err(_) => Answer::Down(Problem::transient(format!("no answer within {timeout:?}"))),
    }
}

async fn follow(clients: &Clients, spec: &ServiceSpec) -> Result<Answer, Problem> {
    let remote = remote_spec(spec).map_err(|error| Problem::transient(error.message))?;
    let endpoint =
        Url::parse(&remote.endpoint).map_err(|error| Problem::transient(format!("not a valid URL: {error}")))?;
    let access = Access::of(spec);
    let mut url = endpoint.clone();
    let mut took = Duration::ZERO;
    for _ in 0..=MAX_HOPS {
        let request = clients.prepare(url.clone(), &access).await?;
        let began = Instant::now();
        let response = request.send(Method::GET).await.map_err(|error| unanswered(&error, &url))?;
        took += began.elapsed();
        let status = response.status();
        let next = next_hop(&url, &response);
        let _in_time = tokio::time::timeout(BODY_GRACE, read_politely(response)).await;
        match next {
            None => return judge(status, took, remote.auth_token_path.as_deref()),
            Some(Hop::Within(next)) => url = next,
            Some(Hop::Elsewhere(place)) => {
                let aside = format!("its endpoint redirects to another place, which is not followed: {place}");
                return Ok(Answer::Up { status: status.as_u16(), took, aside: Some(aside) });
            }
        }
    }
    Err(Problem::transient(format!("it redirects more than {MAX_HOPS} times")))
}

/// Where an answer sends us.
enum Hop {
    /// To the same origin.
    Within(Url),
    /// To another one, as it may be shown.
    Elsewhere(String),
}

fn next_hop(from: &Url, response: &Response) -> Option<Hop> {
    if !response.status().is_redirection() {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let next = from.join(location).ok()?;
    if is_same_origin(from, &next) {
        return Some(Hop::Within(next));
    }
    // What it carries in its query may be a secret between the two of them.
    let mut place = next;
    place.set_query(None);
    place.set_fragment(None);
    let shown = without_credentials(&place, place.as_str());
    Some(Hop::Elsewhere(shown.chars().filter(|c| !c.is_control()).take(MAX_TOLD).collect()))
}

fn judge(status: StatusCode, took: Duration, token_path: Option<&std::path::Path>) -> Result<Answer, Problem> {
    let refusal = |remedy: String| {
        Err(Problem {
            why: words(status.as_u16()),
            remedy: Some(remedy),
            kind: ErrorKind::Misconfigured,
            is_ours: false,
        })
    };
    match (status, token_path) {
        (StatusCode::UNAUTHORIZED, None) => {
            refusal("it wants a token: put one into a file of mode 600 and name it with `auth_token_path`".to_owned())
        }
        (StatusCode::UNAUTHORIZED, Some(path)) => {
            refusal(format!("the token in {} is not accepted: put a valid one there", path.display()))
        }
        (StatusCode::FORBIDDEN, None) => refusal(
            "it lets nobody in without a right to it: name a token with `auth_token_path`, or another `endpoint`"
                .to_owned(),
        ),
        (StatusCode::FORBIDDEN, Some(path)) => {
            refusal(format!("the token in {} has no right to this endpoint: use another token", path.display()))
        }
        (StatusCode::PROXY_AUTHENTICATION_REQUIRED, _) => {
            refusal("the proxy on the way wants credentials: give them in HTTPS_PROXY".to_owned())
        }
        (StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT, _) => {
            Err(Problem::transient(format!("{}: what should answer there does not", words(status.as_u16()))))
        }
        _ => Ok(Answer::Up { status: status.as_u16(), took, aside: None }),
    }
}

fn unanswered(error: &reqwest::Error, url: &Url) -> Problem {
    let host = url.host_str().unwrap_or_default();
    let why = match cause::of_request(error, host) {
        Cause::Service(why) | Cause::Ours(why) => why,
    };
    let remedy = cause::doubt(error).map(str::to_owned);
    let kind = if remedy.is_some() { ErrorKind::Misconfigured } else { ErrorKind::Transient };
    Problem { why, remedy, kind, is_ours: false }
}

/// `HTTP 404 Not Found`.
fn words(status: u16) -> String {
    match StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()) {
        Some(reason) => format!("HTTP {status} {reason}"),
        None => format!("HTTP {status}"),
    }
}

fn brief(took: Duration) -> String {
    match took.as_millis() {
        0 => "less than 1 ms".to_owned(),
        millis => format!("{millis} ms"),
    }
}
