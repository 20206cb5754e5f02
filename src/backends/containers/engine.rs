//! The Docker Engine itself: reached when it is first needed, with words for each way in which it cannot be.

use std::error::Error as _;
use std::io;
use std::path::Path;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use tokio::sync::OnceCell;

use crate::engine::ports::{BackendError, ErrorKind};

/// Where the engine listens when nothing else is said.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// How long the engine may take to answer a question.
const ANSWER: Duration = Duration::from_secs(10);

/// How long the engine may take to do something: it makes networks and mounts.
const DEED: Duration = Duration::from_secs(120);

/// For streams, whose beginning may be a long time away.
const NO_LIMIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// The way to the engine.
#[derive(Debug)]
pub(crate) struct Engine {
    /// `DOCKER_HOST`, where it is set.
    address: Option<String>,
    client: OnceCell<Docker>,
}

/// Why the engine did not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It could not be asked. The cause as a fragment, and what to do.
    Unreachable { cause: String, remedy: String },
    /// There is no such thing.
    NotFound(String),
    /// The thing is in another state than the one that is needed.
    Conflict(String),
    /// It answered with another error, in its own words.
    Failed(String),
}

impl Engine {
    /// At this address, or at the usual one. Nothing is contacted yet.
    pub(crate) fn new(address: Option<String>) -> Self {
        Self { address, client: OnceCell::new() }
    }

    /// As people know it.
    pub(crate) fn name(&self) -> String {
        self.address.clone().unwrap_or_else(|| format!("unix://{DEFAULT_SOCKET}"))
    }

    /// Whether this host has no engine at all: nobody named one, and the usual socket does not exist. No container can run then.
    pub(crate) fn is_absent(&self) -> bool {
        self.address.is_none() && !Path::new(DEFAULT_SOCKET).exists()
    }

    /// For questions.
    pub(crate) async fn ask(&self) -> Result<Docker, Refusal> {
        self.client(ANSWER).await
    }

    /// For orders.
    pub(crate) async fn order(&self) -> Result<Docker, Refusal> {
        self.client(DEED).await
    }

    /// For streams.
    pub(crate) async fn stream(&self) -> Result<Docker, Refusal> {
        self.client(NO_LIMIT).await
    }

    async fn client(&self, limit: Duration) -> Result<Docker, Refusal> {
        let connect = || async {
            let docker = Docker::connect_with_host(&self.name())?;
            docker.with_timeout(ANSWER).negotiate_version().await
        };
        let client = self.client.get_or_try_init(connect).await.map_err(|error| self.refusal(&error))?;
        Ok(client.clone().with_timeout(limit))
    }

    /// Puts an error of the client into the terms of this module.
    pub(crate) fn refusal(&self, error: &Error) -> Refusal {
        match error {
            Error::DockerResponseServerError { status_code: 404, message } => Refusal::NotFound(message.clone()),
            Error::DockerResponseServerError { status_code: 409, message } => Refusal::Conflict(message.clone()),
            Error::DockerResponseServerError { message, .. } | Error::DockerStreamError { error: message } => {
                Refusal::Failed(message.clone())
            }
            Error::SocketNotFoundError(path) => self.unreachable(&format!("{path} does not exist"), START_IT),
            Error::UnsupportedURISchemeError { uri } => self
                .unreachable(&format!("{uri} is no address that can be used"), "set DOCKER_HOST to unix:// or tcp://"),
            Error::RequestTimeoutError => self.unreachable("it does not answer", START_IT),
            other => match io_error(other) {
                Some((io::ErrorKind::PermissionDenied, words)) => {
                    self.unreachable(&words, "join the group docker (sudo usermod -aG docker $USER), then log in again")
                }
                Some((io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused, words)) => {
                    self.unreachable(&words, START_IT)
                }
                Some((_, words)) => self.unreachable(&words, START_IT),
                None => self.unreachable(&chain(other), START_IT),
            },
        }
    }

    fn unreachable(&self, why: &str, remedy: &str) -> Refusal {
        Refusal::Unreachable {
            cause: format!("docker is unreachable at {}: {why}", self.name()),
            remedy: remedy.to_owned(),
        }
    }
}

const START_IT: &str = "start Docker (sudo systemctl start docker), or install it; `docker info` must work";

impl Refusal {
    /// What the engine said.
    pub(crate) fn words(&self) -> &str {
        match self {
            Self::Unreachable { cause, .. } => cause,
            Self::NotFound(words) | Self::Conflict(words) | Self::Failed(words) => words,
        }
    }

    /// As the engine port has it, after what was tried.
    pub(crate) fn into_error(self, tried: &str) -> BackendError {
        match self {
            Self::Unreachable { cause, remedy } => {
                BackendError { kind: ErrorKind::Transient, message: cause, remedy: Some(remedy) }
            }
            Self::NotFound(words) | Self::Conflict(words) | Self::Failed(words) => {
                BackendError { kind: ErrorKind::Permanent, message: format!("{tried}: {}", words.trim()), remedy: None }
            }
        }
    }
}

/// The error of the system below an error of the client.
fn io_error(error: &Error) -> Option<(io::ErrorKind, String)> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some((io.kind(), io.to_string()));
        }
        cause = error.source();
    }
    None
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Engine, Refusal};

    async fn cause(address: &str) -> String {
        let engine = Engine::new(Some(address.to_owned()));
        assert!(!engine.is_absent());
        match engine.ask().await.err() {
            Some(Refusal::Unreachable { cause, .. }) => cause,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn each_way_of_being_unreachable_has_its_own_words() {
        let dir = tempfile::tempdir().unwrap();
        let stale = dir.path().join("stale.sock");
        drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
        let missing = cause(&format!("unix://{}", dir.path().join("none").display())).await;
        let refused = cause(&format!("unix://{}", stale.display())).await;
        let odd = cause("ftp://localhost").await;
        assert!(missing.contains("does not exist"), "{missing}");
        assert!(refused.contains("Connection refused"), "{refused}");
        assert!(odd.contains("no address that can be used"), "{odd}");
    }
}
