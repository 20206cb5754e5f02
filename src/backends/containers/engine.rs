//! The Docker Engine itself: reached when it is first needed, with words for each way in which it cannot be.

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::address::{Address, Unusable};
#[cfg(feature = "tls")]
use super::distrust::distrust;
use crate::engine::ports::{BackendError, ErrorKind};

/// How long the engine may take to answer a question.
const ANSWER: Duration = Duration::from_secs(10);

/// How long the engine may take to do something: it makes networks and mounts.
const DEED: Duration = Duration::from_secs(120);

/// An engine that was waited for in vain is not waited for again before this: a command asks it more than one question.
const AGAIN: Duration = Duration::from_secs(1);

/// The client's own limit counts up to the head of an answer, and none at all holds for the rest: limits are set here.
const NO_LIMIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// The way to the engine.
#[derive(Debug)]
pub(crate) struct Engine {
    address: Address,
    client: OnceLock<Docker>,
    /// Held while it is connected to; why that failed, and when.
    connecting: Mutex<Option<(Instant, Refusal)>>,
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
    pub(crate) fn new(address: Address) -> Self {
        Self { address, client: OnceLock::new(), connecting: Mutex::default() }
    }

    /// Whether it is the one that this address leads to.
    pub(crate) fn is_at(&self, address: &Address) -> bool {
        self.address == *address
    }

    /// As people know it.
    pub(crate) fn name(&self) -> String {
        self.address.name()
    }

    /// Whether this host has no engine at all: nobody named one, and the usual socket does not exist. No container can run then.
    pub(crate) fn is_absent(&self) -> bool {
        self.address.is_usual() && self.socket().is_some_and(|socket| !socket.exists())
    }

    /// Its socket, where it is not reached through a network.
    pub(crate) fn socket(&self) -> Option<&Path> {
        self.address.socket()
    }

    /// The client, whose calls have no limit of their own: see [`Engine::answer`] and [`Engine::deed`]. Cancel safe.
    pub(crate) async fn client(&self) -> Result<Docker, Refusal> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let asked = Instant::now();
        let mut failed = self.connecting.lock().await;
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        // Many who wait for the same silent engine are told the same, instead of waiting one after the other.
        let is_known =
            |(at, refusal): &&(Instant, Refusal)| *at >= asked || refusal.is_silence() && at.elapsed() < AGAIN;
        if let Some((_, refusal)) = failed.as_ref().filter(is_known) {
            return Err(refusal.clone());
        }
        match self.connect().await {
            Ok(client) => Ok(self.client.get_or_init(|| client).clone()),
            Err(refusal) => {
                *failed = Some((Instant::now(), refusal.clone()));
                Err(refusal)
            }
        }
    }

    async fn connect(&self) -> Result<Docker, Refusal> {
        let client = self.address.client();
        let client = client.map_err(|Unusable { why, remedy }| self.unreachable(&why, &remedy))?;
        let docker = client.map_err(|error| self.refusal(&error))?;
        self.answer(docker.with_timeout(NO_LIMIT).negotiate_version()).await
    }

    /// Waits for all of the answer to a question, not just for its head. As cancel safe as `question`.
    pub(crate) async fn answer<T>(&self, question: impl Future<Output = Result<T, Error>>) -> Result<T, Refusal> {
        self.within(ANSWER, question).await
    }

    /// The same for an order.
    pub(crate) async fn deed<T>(&self, order: impl Future<Output = Result<T, Error>>) -> Result<T, Refusal> {
        self.within(DEED, order).await
    }

    async fn within<T>(&self, limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Refusal> {
        match tokio::time::timeout(limit, work).await {
            Ok(done) => done.map_err(|error| self.refusal(&error)),
            Err(_) => Err(self.unreachable(&format!("{SILENT} {} s", limit.as_secs()), RESTART_IT)),
        }
    }

    /// Puts an error of the client into the terms of this module.
    pub(crate) fn refusal(&self, error: &Error) -> Refusal {
        if let Some((why, remedy)) = distrust(error) {
            return self.unreachable(&why, remedy);
        }
        match error {
            Error::DockerResponseServerError { status_code: 404, message } => Refusal::NotFound(message.clone()),
            Error::DockerResponseServerError { status_code: 409, message } => Refusal::Conflict(message.clone()),
            Error::DockerResponseServerError { message, .. } if message.contains("HTTP request to an HTTPS server") => {
                self.unreachable(
                    "it wants TLS",
                    "set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to where ca.pem, cert.pem and key.pem are",
                )
            }
            Error::DockerResponseServerError { message, .. } | Error::DockerStreamError { error: message } => {
                Refusal::Failed(message.clone())
            }
            Error::SocketNotFoundError(path) => self.unreachable(&format!("{path} does not exist"), START_IT),
            Error::RequestTimeoutError => self.unreachable("it does not answer", RESTART_IT),
            other => match io_error(other) {
                Some((io::ErrorKind::PermissionDenied, words)) => {
                    self.unreachable(&words, "join the group docker (sudo usermod -aG docker $USER), then log in again")
                }
                Some((io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused, words)) => {
                    self.unreachable(&words, START_IT)
                }
                Some((_, words)) => self.unreachable(&words, self.other_remedy(RESTART_IT)),
                None => {
                    let why = format!("it does not answer as it should: {}", chain(other));
                    self.unreachable(&why, self.other_remedy(ODD))
                }
            },
        }
    }

    /// Where TLS is spoken, a connection that is closed without a word may be its way to say what it thinks of us.
    fn other_remedy(&self, usual: &'static str) -> &'static str {
        #[cfg(feature = "tls")]
        if self.address.is_secured() {
            return super::distrust::CLIENT;
        }
        usual
    }

    fn unreachable(&self, why: &str, remedy: &str) -> Refusal {
        Refusal::Unreachable {
            cause: format!("docker is unreachable at {}: {why}", self.name()),
            remedy: remedy.to_owned(),
        }
    }
}

const SILENT: &str = "it does not answer within";

const RESTART_IT: &str = "look at what keeps it (sudo systemctl status docker), or restart it; `docker info` must work";

const ODD: &str = "look at what listens there: restart Docker (sudo systemctl restart docker), or correct DOCKER_HOST; `docker info` must work";

const START_IT: &str = "start Docker (sudo systemctl start docker), or install it; `docker info` must work";

/// What to do when a port that a container publishes is taken.
pub(crate) const PORT_REMEDY: &str = "free the port, or publish another one (`ports`)";

/// Whether these are the engine's words for that.
pub(crate) fn is_port_taken(words: &str) -> bool {
    words.contains("address already in use") || words.contains("port is already")
}

impl Refusal {
    /// What the engine said.
    pub(crate) fn words(&self) -> &str {
        match self {
            Self::Unreachable { cause, .. } => cause,
            Self::NotFound(words) | Self::Conflict(words) | Self::Failed(words) => words,
        }
    }

    /// Whether that took as long as one waits.
    fn is_silence(&self) -> bool {
        matches!(self, Self::Unreachable { cause, .. } if cause.contains(SILENT))
    }

    /// What to do.
    pub(crate) fn remedy(&self) -> &str {
        match self {
            Self::Unreachable { remedy, .. } => remedy,
            Self::NotFound(_) | Self::Conflict(_) | Self::Failed(_) => "`docker info` must work",
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
    if let Error::IOError { err } = error {
        // It stands for its cause, and does not name it as one.
        return Some((err.kind(), err.to_string()));
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some((io.kind(), io.to_string()));
        }
        cause = error.source();
    }
    None
}

#[cfg(not(feature = "tls"))]
fn distrust(_error: &Error) -> Option<(String, &'static str)> {
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
    use super::{Address, Engine, Refusal};

    async fn cause(address: &str) -> String {
        let engine = Engine::new(Address::new(Some(address.to_owned()), None));
        assert!(!engine.is_absent());
        match engine.client().await.err() {
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
        let secured = cause("https://localhost:2376").await;
        assert!(secured.contains("needs certificates"), "{secured}");
    }

    #[tokio::test]
    async fn an_engine_over_ssh_is_refused_with_a_way_to_reach_it() {
        let engine = Engine::new(Address::new(Some("ssh://me@far".to_owned()), None));
        let Some(Refusal::Unreachable { cause, remedy }) = engine.client().await.err() else { panic!("refused") };
        assert!(cause.contains("ssh:// is not supported"), "{cause}");
        assert!(remedy.contains("ssh -nNT -L") && remedy.contains("me@far"), "{remedy}");
    }

    #[tokio::test]
    async fn a_socket_that_may_not_be_used_names_the_group() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
        if rustix::process::geteuid().is_root() {
            // Nothing is forbidden to root: the words are made from the error that others get.
            let error = bollard::errors::Error::from(std::io::Error::from(std::io::ErrorKind::PermissionDenied));
            let engine = Engine::new(Address::default());
            let Refusal::Unreachable { remedy, .. } = engine.refusal(&error) else { panic!("unreachable") };
            assert!(remedy.contains("group docker"), "{remedy}");
            return;
        }
        let engine = Engine::new(Address::new(Some(format!("unix://{}", path.display())), None));
        let Some(Refusal::Unreachable { remedy, .. }) = engine.client().await.err() else { panic!("unreachable") };
        assert!(remedy.contains("group docker"), "{remedy}");
    }
}
