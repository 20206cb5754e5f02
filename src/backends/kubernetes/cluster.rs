//! The way to the API server: the kubeconfig, the credentials, one client, and what each request costs when it fails.
//!
//! The context is chosen once: a `kubectl config use-context` elsewhere does not move a running console to another cluster. Credentials
//! are read again when they expire, and once when the server does not accept them.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::client::{Body, ClientBuilder};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::credentials;
use super::refusal::{ErrorAnswer, Kind, Refusal};
use super::trouble::brief;

/// How long a connection may take to be made, TLS included.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the server may take to answer a question.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// How long it may take to do something: it may have to ask webhooks.
pub(super) const DEED: Duration = Duration::from_secs(35);
/// How long an overloaded or failing server is asked again.
const PATIENCE: Duration = Duration::from_secs(20);
/// The first pause before it is asked again; it doubles each time.
const PAUSE: Duration = Duration::from_millis(250);
/// Credentials are read again this long before they expire.
const AHEAD: Duration = Duration::from_secs(60);
/// Credentials that could not be had are not asked for again before this.
const AGAIN: Duration = Duration::from_millis(500);
/// The most that is read of an error.
const MAX_ERROR: usize = 1024 * 1024;

/// Where the kubeconfig is looked for, and what runs its plugins.
#[derive(Debug, Clone)]
pub struct Access {
    /// `KUBECONFIG`: a list of files.
    pub kubeconfig: Option<OsString>,
    /// Whose `.kube/config` is used otherwise.
    pub home: Option<PathBuf>,
    /// This program: run with [`credentials::PLUGIN_ARGUMENT`] it becomes a credential plugin without a terminal. The running executable
    /// where it is `None`.
    pub program: Option<PathBuf>,
}

/// One cluster, as one user.
#[derive(Debug)]
pub(super) struct Cluster {
    access: Access,
    session: Mutex<Held>,
    /// The context of the first session, for all later ones.
    context: std::sync::OnceLock<String>,
}

/// The newest session, or why there is none.
#[derive(Debug, Default)]
struct Held {
    session: Option<Arc<Session>>,
    /// Many who wait for the same plugin are told the same.
    failed: Option<(Instant, Refusal)>,
}

/// A client with the credentials it was made with.
struct Session {
    client: Client,
    server: String,
    expires: Option<SystemTime>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("server", &self.server).finish_non_exhaustive()
    }
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    method: &'static str,
    path: String,
    query: Vec<(&'static str, String)>,
    content_type: &'static str,
    body: Vec<u8>,
    limit: Duration,
    /// What it is for, as an infinitive: `patch deployments/web in platform`.
    what: String,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    /// 201 says that it was made.
    pub(super) status: u16,
    /// What the server warns of.
    pub(super) warnings: Vec<String>,
    pub(super) body: Vec<u8>,
}

/// A body that comes bit by bit.
pub(super) type Chunks = futures::stream::BoxStream<'static, Result<Vec<u8>, Refusal>>;

impl Ask {
    /// Asks, and changes nothing.
    pub(super) fn get(what: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            method: "GET",
            path: path.into(),
            query: Vec::new(),
            content_type: "application/json",
            body: Vec::new(),
            limit: ANSWER,
            what: what.into(),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(super) fn limited(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// A write whose effect is the same when it is sent twice.
    pub(super) fn sending(
        method: &'static str,
        what: impl Into<String>,
        path: impl Into<String>,
        content_type: &'static str,
        body: &serde_json::Value,
    ) -> Self {
        let body = body.to_string().into_bytes();
        Self { method, content_type, body, limit: DEED, ..Self::get(what, path) }
    }

    fn target(&self) -> String {
        let mut target = self.path.clone();
        for (at, (name, value)) in self.query.iter().enumerate() {
            target.push(if at == 0 { '?' } else { '&' });
            target.push_str(name);
            target.push('=');
            for byte in value.bytes() {
                match byte {
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                        target.push(char::from(byte))
                    }
                    other => target.push_str(&format!("%{other:02X}")),
                }
            }
        }
        target
    }
}

impl Reply {
    pub(super) fn json<T: DeserializeOwned>(&self, what: &str) -> Result<T, Refusal> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Refusal::new(Kind::Server, format!("its answer to {what} cannot be read: {error}")))
    }
}

impl Cluster {
    /// Nothing is read or contacted yet.
    pub(super) fn new(access: Access) -> Self {
        Self { access, session: Mutex::default(), context: std::sync::OnceLock::new() }
    }

    /// The context, where the kubeconfig could be read.
    pub(super) fn context(&self) -> Option<&str> {
        self.context.get().map(String::as_str)
    }

    /// Reads the kubeconfig when that was not done yet; says whom it leads to.
    pub(super) async fn server(&self) -> Result<String, Refusal> {
        Ok(self.session().await?.server.clone())
    }

    async fn session(&self) -> Result<Arc<Session>, Refusal> {
        let mut held = self.session.lock().await;
        let is_good = |it: &&Arc<Session>| it.expires.is_none_or(|at| SystemTime::now() + AHEAD < at);
        if let Some(session) = held.session.as_ref().filter(is_good) {
            return Ok(Arc::clone(session));
        }
        if let Some((at, refusal)) = held.failed.as_ref().filter(|(at, _)| at.elapsed() < AGAIN) {
            tracing::debug!(ago = ?at.elapsed(), "credentials could not be had just now");
            return Err(refusal.clone());
        }
        match self.connect().await {
            Ok(session) => {
                let session = Arc::new(session);
                *held = Held { session: Some(Arc::clone(&session)), failed: None };
                Ok(session)
            }
            Err(refusal) => {
                held.failed = Some((Instant::now(), refusal.clone()));
                Err(refusal)
            }
        }
    }

    /// With credentials that were read anew, unless somebody else did that meanwhile.
    async fn renewed(&self, refused: &Arc<Session>) -> Result<Arc<Session>, Refusal> {
        {
            let mut held = self.session.lock().await;
            if held.session.as_ref().is_some_and(|session| Arc::ptr_eq(session, refused)) {
                held.session = None;
            }
        }
        self.session().await
    }

    async fn connect(&self) -> Result<Session, Refusal> {
        let mut config = self.config().await?;
        let program = self.access.program.clone().unwrap_or_else(credentials::own_program);
        let expires = credentials::resolve(&mut config.auth_info, &program).await?;
        config.connect_timeout = Some(CONNECT);
        // One of the environment's, which says nothing about this cluster: what the kubeconfig itself names was refused before.
        config.proxy_url = None;
        config.read_timeout = None;
        config.default_retry = false;
        let server = config.cluster_url.to_string();
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            let _already_installed = rustls::crypto::ring::default_provider().install_default();
        }
        let client = ClientBuilder::try_from(config).map_err(|error| unusable(&chain(&error)))?.build();
        Ok(Session { client, server: server.trim_end_matches('/').to_owned(), expires })
    }

    async fn config(&self) -> Result<Config, Refusal> {
        let Some(kubeconfig) = self.kubeconfig()? else {
            return Config::incluster().inspect(|_| self.remember("in-cluster")).map_err(|_| {
                let looked = self.files().iter().map(|it| it.display().to_string()).collect::<Vec<_>>().join(", ");
                Refusal::new(Kind::Configuration, format!("there is no kubeconfig (looked for: {looked})")).with_remedy(
                    "set KUBECONFIG, or put a configuration at ~/.kube/config; `kubectl version` must work",
                )
            });
        };
        let context = self.context.get().cloned().or_else(|| kubeconfig.current_context.clone());
        let Some(context) = context.filter(|it| !it.is_empty()) else {
            return Err(unusable("it names no current context").with_remedy("kubectl config use-context NAME"));
        };
        refuse_proxy(&kubeconfig, &context)?;
        let options = KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
        let known = kubeconfig.contexts.iter().map(|it| it.name.clone()).collect::<Vec<_>>().join(", ");
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| match error {
            KubeconfigError::LoadContext(_) | KubeconfigError::CurrentContextNotSet => {
                unusable(&format!("there is no context {context}"))
                    .with_remedy(format!("kubectl config use-context NAME, one of: {known}"))
            }
            other => unusable(&chain(&other)),
        })?;
        self.remember(&context);
        Ok(config)
    }

    fn remember(&self, context: &str) {
        // Only the first one counts.
        let _already_set = self.context.set(context.to_owned());
    }

    /// The files in which a kubeconfig is looked for.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        match self.access.kubeconfig.as_ref().filter(|set| !set.is_empty()) {
            Some(set) => std::env::split_paths(set).filter(|path| !path.as_os_str().is_empty()).collect(),
            None => self.access.home.iter().map(|home| home.join(".kube/config")).collect(),
        }
    }

    /// All files that are there, the first one to say something being right. `None` where there is no file.
    fn kubeconfig(&self) -> Result<Option<Kubeconfig>, Refusal> {
        let mut merged: Option<Kubeconfig> = None;
        for file in self.files() {
            match std::fs::metadata(&file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(unreadable(&file, &error)),
                Ok(_) => {}
            }
            let read = Kubeconfig::read_from(&file).map_err(|error| match error {
                KubeconfigError::ReadConfig(error, _) => unreadable(&file, &error),
                other => unusable(&format!("{}: {}", file.display(), brief(&chain(&other)))),
            })?;
            merged = Some(match merged {
                None => read,
                Some(earlier) => earlier.merge(read).map_err(|error| unusable(&chain(&error)))?,
            });
        }
        Ok(merged)
    }

    /// Sends a request and waits for all of its answer. What is overloaded is asked again when it says so; what may have been lost on the
    /// way is sent again, since every request of ours may be. Cancel safe in that a dropped call may still have been heard.
    pub(super) async fn send(&self, ask: &Ask) -> Result<Reply, Refusal> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = PAUSE;
        loop {
            let refusal = match self.send_once(ask).await {
                Ok(reply) => return Ok(reply),
                Err(refusal) => refusal,
            };
            let wait = match refusal.kind {
                Kind::Throttled { after } => after.unwrap_or(Duration::from_secs(1)),
                Kind::Server if is_passing(&refusal) => pause,
                _ => return Err(refusal),
            };
            if Instant::now() + wait > deadline {
                return Err(refusal);
            }
            tokio::time::sleep(wait).await;
            pause *= 2;
        }
    }

    async fn send_once(&self, ask: &Ask) -> Result<Reply, Refusal> {
        // A plugin has a limit of its own.
        self.session().await?;
        let work = async {
            let response = self.open(ask).await?;
            let status = response.status().as_u16();
            let warnings = warnings(&response);
            let server = self.server().await?;
            let body = response.into_body().collect_bytes().await.map_err(|error| transport(&server, &error))?;
            Ok(Reply { status, warnings, body: body.to_vec() })
        };
        match tokio::time::timeout(ask.limit, work).await {
            Ok(done) => done,
            Err(_) => Err(self.silent(ask.limit).await),
        }
    }

    /// Opens a stream; `ask.limit` counts until the first line of the answer.
    pub(super) async fn stream(&self, ask: &Ask) -> Result<(u16, Chunks), Refusal> {
        use futures::StreamExt as _;
        self.session().await?;
        let response = match tokio::time::timeout(ask.limit, self.open(ask)).await {
            Ok(opened) => opened?,
            Err(_) => return Err(self.silent(ask.limit).await),
        };
        let status = response.status().as_u16();
        let server = self.server().await?;
        let chunks = response.into_body().into_data_stream();
        let chunks = chunks.map(move |chunk| match chunk {
            Ok(bytes) => Ok(bytes.to_vec()),
            Err(error) => Err(transport(&server, &error)),
        });
        Ok((status, chunks.boxed()))
    }

    async fn silent(&self, limit: Duration) -> Refusal {
        let server =
            self.session.lock().await.session.as_ref().map_or_else(String::new, |session| session.server.clone());
        Refusal::new(
            Kind::Unreachable,
            format!("the cluster at {server} has not answered within {} s", limit.as_secs()),
        )
        .with_remedy(REACH_IT)
    }

    /// An answer that is no error. Credentials that are not accepted are read again once.
    async fn open(&self, ask: &Ask) -> Result<Response<Body>, Refusal> {
        let session = self.session().await?;
        match self.open_as(&session, ask).await {
            Err(refusal) if refusal.kind == Kind::Unknown => {
                let session = self.renewed(&session).await?;
                self.open_as(&session, ask).await
            }
            other => other,
        }
    }

    async fn open_as(&self, session: &Session, ask: &Ask) -> Result<Response<Body>, Refusal> {
        let request = Request::builder()
            .method(ask.method)
            .uri(ask.target())
            .header("accept", "application/json")
            .header("accept-encoding", "identity")
            .header("content-type", ask.content_type)
            .body(Body::from(ask.body.clone()))
            .map_err(|error| Refusal::new(Kind::Invalid, format!("{}: {error}", ask.path)))?;
        let response = session.client.send(request).await.map_err(|error| transport(&session.server, &error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let content_type = header(&response, "content-type").unwrap_or_default();
        let retry_after = header(&response, "retry-after");
        let body = response.into_body().collect_bytes().await.map_err(|error| transport(&session.server, &error))?;
        let body = body.get(..MAX_ERROR.min(body.len())).unwrap_or_default();
        let answer = ErrorAnswer { status, content_type: &content_type, retry_after: retry_after.as_deref(), body };
        Err(Refusal::of_answer(&ask.what, &answer))
    }
}

/// What an overloaded server says; a failure of its own or of a webhook stays one.
fn is_passing(refusal: &Refusal) -> bool {
    refusal.words.contains("(503)") || refusal.words.contains("(504)")
}

const REACH_IT: &str = "check the network and the kubeconfig's `server`; `kubectl version` must work";

/// A proxy that the kubeconfig names is meant: going past it would fail, or end up elsewhere.
fn refuse_proxy(kubeconfig: &Kubeconfig, context: &str) -> Result<(), Refusal> {
    let context = kubeconfig.contexts.iter().find(|it| it.name == context).and_then(|it| it.context.as_ref());
    let cluster = context.and_then(|it| kubeconfig.clusters.iter().find(|cluster| cluster.name == it.cluster));
    let proxy = cluster.and_then(|it| it.cluster.as_ref()).and_then(|it| it.proxy_url.as_ref());
    match (cluster, proxy.filter(|url| !url.is_empty())) {
        (Some(cluster), Some(_)) => Err(unusable(&format!(
            "its cluster {} is behind a proxy (`proxy-url`), and none can be used here",
            cluster.name
        ))
        .with_remedy(
            "take `proxy-url` out if the cluster can be reached without it; else forward a port \
             (ssh -NL 6443:CLUSTER:6443 HOST), set `server` to https://127.0.0.1:6443 and `tls-server-name` to CLUSTER",
        )),
        _ => Ok(()),
    }
}

fn unusable(why: &str) -> Refusal {
    Refusal::new(Kind::Configuration, format!("the kubeconfig cannot be used: {why}"))
        .with_remedy("`kubectl config view` shows it; `kubectl version` must work")
}

fn unreadable(file: &Path, error: &io::Error) -> Refusal {
    unusable(&format!("{}: {error}", file.display())).with_remedy(format!("make {} readable for you", file.display()))
}

fn header(response: &Response<Body>, name: &str) -> Option<String> {
    response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// `299 - "text"`, with quotes in the text escaped.
fn warnings(response: &Response<Body>) -> Vec<String> {
    let values = response.headers().get_all("warning").iter().filter_map(|value| value.to_str().ok());
    values.filter_map(warning).collect()
}

fn warning(value: &str) -> Option<String> {
    let (_, quoted) = value.split_once('"')?;
    let text = quoted.rsplit_once('"').map_or(quoted, |(text, _)| text);
    Some(brief(&text.replace("\\\"", "\"").replace("\\\\", "\\")))
}

/// Puts an error below HTTP into words.
fn transport(server: &str, error: &kube::Error) -> Refusal {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(tls) = current.downcast_ref::<rustls::Error>() {
            return certificate(server, tls);
        }
        if let Some(io) = current.downcast_ref::<io::Error>() {
            if let Some(tls) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                return certificate(server, tls);
            }
            let inner = io.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
            if inner.is_none() {
                return unreachable(server, &io.to_string());
            }
            cause = inner;
            continue;
        }
        cause = current.source();
    }
    unreachable(server, &brief(&chain(error)))
}

fn unreachable(server: &str, why: &str) -> Refusal {
    Refusal::new(Kind::Unreachable, format!("the cluster at {server} cannot be reached: {why}")).with_remedy(REACH_IT)
}

fn certificate(server: &str, error: &rustls::Error) -> Refusal {
    use rustls::{CertificateError, Error};
    let (why, remedy) = match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => (
            "its certificate is signed by an authority that the kubeconfig does not name".to_owned(),
            "correct `certificate-authority` in the kubeconfig; never skip the verification",
        ),
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => (
            "its certificate is made out to another name".to_owned(),
            "correct `server`, or set `tls-server-name`, in the kubeconfig",
        ),
        Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            ("its certificate is not valid yet".to_owned(), "compare the clocks of both machines")
        }
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            ("its certificate has expired".to_owned(), "the cluster's certificates have to be renewed")
        }
        other => (other.to_string(), "check `server` and `certificate-authority` in the kubeconfig"),
    };
    Refusal::new(Kind::Unreachable, format!("the cluster at {server} cannot be trusted: {why}")).with_remedy(remedy)
}

/// An error with its causes, none of them told twice.
fn chain(error: &dyn std::error::Error) -> String {
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
    use super::{Ask, warning};

    #[test]
    fn what_is_asked_for_is_escaped() {
        let ask = Ask::get("x", "/p").with("fieldSelector", "metadata.name=a b").with("watch", "true");
        assert_eq!(ask.target(), "/p?fieldSelector=metadata.name%3Da%20b&watch=true");
    }

    #[test]
    fn a_warning_is_read_without_its_escapes() {
        assert_eq!(
            warning(r#"299 - "would violate \"restricted:latest\"""#).unwrap(),
            "would violate \"restricted:latest\""
        );
        assert_eq!(warning("299"), None);
    }
}
