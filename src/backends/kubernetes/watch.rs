//! The watches: two streams for each namespace, whatever number of services is in it. Nothing is asked while nothing happens.
//!
//! A collection is listed once, then watched from there with bookmarks. A stream that ends in good order, or falls silent, goes on from
//! the last version heard; a version that the server has forgotten (410, which every restart of a server causes) means a new list, in
//! silence. Only when the server cannot be asked at all is the namespace's state unknown, until it answers again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures::StreamExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::cluster::{Ask, Cluster};
use super::objects::{Deployment, Metadata, Pod};
use super::refusal::{Kind, Refusal, Status};
use super::shelf::{Collection, Concerned, Shelf};
use crate::model::ServiceId;

/// Hints on their way to an engine.
const CAPACITY: usize = 64;
/// Items of one page of a list.
const PAGE: usize = 500;
/// The longest line of a watch, in bytes: an object is at most a few MiB.
const MAX_LINE: usize = 32 * 1024 * 1024;

/// How long the watches wait for what.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long a stream is asked to last, before a part of it is added at random.
    pub stream: Duration,
    /// A stream without a word for this long is dead: bookmarks come about once a minute.
    pub silence: Duration,
    /// The first pause after a failure; it doubles each time, give or take a quarter.
    pub first_pause: Duration,
    /// The longest one.
    pub longest_pause: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            stream: Duration::from_secs(240),
            silence: Duration::from_secs(150),
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(30),
        }
    }
}

/// Who wants to hear of which Deployment. Std locks: held for moments, never across an await.
#[derive(Debug, Default)]
struct Hints {
    /// By namespace and Deployment.
    known: Mutex<BTreeMap<(String, String), BTreeSet<ServiceId>>>,
    listeners: Mutex<Vec<mpsc::Sender<ServiceId>>>,
}

impl Hints {
    async fn tell(&self, namespace: &str, concerned: Concerned) {
        if concerned.is_empty() {
            return;
        }
        let ids: Vec<ServiceId> = {
            let known = held(&self.known);
            let of = |name: String| known.get(&(namespace.to_owned(), name));
            concerned.into_iter().filter_map(of).flatten().cloned().collect()
        };
        self.send(ids).await;
    }

    async fn tell_all(&self, namespace: &str) {
        let ids: Vec<ServiceId> = {
            let known = held(&self.known);
            known.iter().filter(|((space, _), _)| space == namespace).flat_map(|(_, ids)| ids).cloned().collect()
        };
        self.send(ids).await;
    }

    async fn send(&self, ids: Vec<ServiceId>) {
        let listeners = held(&self.listeners).clone();
        for id in ids {
            for listener in &listeners {
                // Nobody listens any more: then nobody needs to know.
                drop(listener.send(id.clone()).await);
            }
        }
        held(&self.listeners).retain(|listener| !listener.is_closed());
    }
}

/// All shelves with their watches, which end with this.
#[derive(Debug)]
pub(super) struct Watches {
    cluster: Arc<Cluster>,
    pace: Pace,
    shelves: Mutex<BTreeMap<String, Arc<Shelf>>>,
    hints: Arc<Hints>,
    tasks: Mutex<JoinSet<()>>,
}

impl Watches {
    /// Watches nothing yet.
    pub(super) fn new(cluster: Arc<Cluster>, pace: Pace) -> Self {
        Self { cluster, pace, shelves: Mutex::default(), hints: Arc::default(), tasks: Mutex::default() }
    }

    /// The shelf of a namespace; the first one who asks makes it be watched.
    pub(super) fn shelf(&self, namespace: &str) -> Arc<Shelf> {
        let mut shelves = held(&self.shelves);
        if let Some(shelf) = shelves.get(namespace) {
            return Arc::clone(shelf);
        }
        let shelf = Arc::new(Shelf::new(namespace));
        shelves.insert(namespace.to_owned(), Arc::clone(&shelf));
        let mut tasks = held(&self.tasks);
        for collection in [Collection::Deployments, Collection::Pods] {
            let follower = Follower {
                cluster: Arc::clone(&self.cluster),
                shelf: Arc::clone(&shelf),
                hints: Arc::clone(&self.hints),
                collection,
                pace: self.pace,
            };
            tasks.spawn(follower.run());
        }
        shelf
    }

    /// Has a service hear of its Deployment.
    pub(super) fn know(&self, id: &ServiceId, namespace: &str, deployment: &str) {
        let key = (namespace.to_owned(), deployment.to_owned());
        held(&self.hints.known).entry(key).or_default().insert(id.clone());
    }

    /// Has a service look again after a while.
    pub(super) fn look_again(&self, id: &ServiceId, after: Duration) {
        let (hints, id) = (Arc::clone(&self.hints), id.clone());
        let mut tasks = held(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            tokio::time::sleep(after).await;
            hints.send(vec![id]).await;
        });
    }

    pub(super) fn subscribe(&self) -> mpsc::Receiver<ServiceId> {
        let (to, receiver) = mpsc::channel(CAPACITY);
        held(&self.hints.listeners).push(to);
        receiver
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole at any moment, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a collection is.
pub(super) fn path_of(collection: Collection, namespace: &str) -> String {
    match collection {
        Collection::Deployments => format!("/apis/apps/v1/namespaces/{namespace}/deployments"),
        Collection::Pods => format!("/api/v1/namespaces/{namespace}/pods"),
    }
}

/// Follows one collection of one namespace.
struct Follower {
    cluster: Arc<Cluster>,
    shelf: Arc<Shelf>,
    hints: Arc<Hints>,
    collection: Collection,
    pace: Pace,
}

/// A page of a list.
#[derive(Deserialize)]
struct Page<T> {
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(default = "Vec::new")]
    items: Vec<T>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PageMetadata {
    resource_version: String,
    #[serde(rename = "continue")]
    next: String,
}

/// One line of a watch.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    /// Whole, hollow or a Status, by the type.
    object: serde_json::Value,
}

/// The part of a hollow object that counts.
#[derive(Deserialize)]
struct Hollow {
    metadata: Metadata,
}

/// Why a stream ended without an error.
enum End {
    /// It may go on from this version.
    Resume(String),
    /// All has to be listed anew.
    Relist,
}

impl Follower {
    async fn run(self) {
        let mut version: Option<String> = None;
        let mut pause = self.pace.first_pause;
        loop {
            let begun = tokio::time::Instant::now();
            let result = match version.take() {
                Some(version) => self.watch(version).await,
                None => self.list().await.map(End::Resume),
            };
            let wait = match result {
                Ok(end) => {
                    version = match end {
                        End::Resume(version) => Some(version),
                        End::Relist => None,
                    };
                    // Streams that end at once, one after the other, are no reason for a storm of requests.
                    let is_storm = begun.elapsed() < self.pace.first_pause;
                    pause = if is_storm { (pause * 2).min(self.pace.longest_pause) } else { self.pace.first_pause };
                    if is_storm && pause > self.pace.first_pause * 4 { pause } else { Duration::ZERO }
                }
                Err(Lost { refusal, resume }) => {
                    // A stream that breaks after it was heard is taken up again at once; only when that fails is anything wrong.
                    let had_begun = resume.is_some();
                    version = resume;
                    if had_begun {
                        jittered(self.pace.first_pause)
                    } else {
                        self.lost(&refusal).await;
                        let wait = match refusal.kind {
                            Kind::Throttled { after: Some(after) } => pause.max(after),
                            _ => jittered(pause),
                        };
                        pause = (pause * 2).min(self.pace.longest_pause);
                        wait
                    }
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    fn what(&self, verb: &str) -> String {
        let resource = match self.collection {
            Collection::Deployments => "deployments",
            Collection::Pods => "pods",
        };
        format!("{verb} {resource} in the namespace {}", self.shelf.namespace())
    }

    async fn lost(&self, refusal: &Refusal) {
        if self.shelf.lost(self.collection, refusal) {
            tracing::debug!(why = refusal.words, "kubernetes cannot be watched");
            self.hints.tell_all(self.shelf.namespace()).await;
        }
    }

    async fn heard(&self) {
        if self.shelf.heard(self.collection) {
            self.hints.tell_all(self.shelf.namespace()).await;
        }
    }

    /// Lists all; the version to watch from.
    async fn list(&self) -> Result<String, Lost> {
        let (concerned, version) = match self.collection {
            Collection::Deployments => {
                let (items, version) = self.pages::<Deployment>().await?;
                (self.shelf.list_deployments(items), version)
            }
            Collection::Pods => {
                let (items, version) = self.pages::<Pod>().await?;
                (self.shelf.list_pods(items), version)
            }
        };
        self.heard().await;
        self.hints.tell(self.shelf.namespace(), concerned).await;
        Ok(version)
    }

    async fn pages<T: DeserializeOwned>(&self) -> Result<(Vec<T>, String), Refusal> {
        let (mut items, mut next) = (Vec::new(), String::new());
        let what = self.what("list");
        loop {
            let ask = Ask::get(&what, path_of(self.collection, self.shelf.namespace())).with("limit", PAGE.to_string());
            let ask = if next.is_empty() { ask } else { ask.with("continue", next) };
            let page: Page<T> = match self.cluster.send(&ask).await {
                Ok(reply) => reply.json(&what)?,
                // The pages before this one were forgotten: from the beginning.
                Err(refusal) if refusal.kind == Kind::Expired && !items.is_empty() => {
                    items.clear();
                    next = String::new();
                    continue;
                }
                Err(refusal) => return Err(refusal),
            };
            items.extend(page.items);
            if page.metadata.next.is_empty() {
                return Ok((items, page.metadata.resource_version));
            }
            next = page.metadata.next;
        }
    }

    async fn watch(&self, mut version: String) -> Result<End, Lost> {
        let seconds = self.pace.stream.as_secs().max(1) + jittered(self.pace.stream / 4).as_secs();
        let ask = Ask::get(self.what("watch"), path_of(self.collection, self.shelf.namespace()))
            .with("watch", "true")
            .with("allowWatchBookmarks", "true")
            .with("resourceVersion", version.as_str())
            .with("timeoutSeconds", seconds.to_string());
        let mut chunks = match self.cluster.stream(&ask).await {
            Ok((_, chunks)) => chunks,
            Err(refusal) if refusal.kind == Kind::Expired => return Ok(End::Relist),
            // The version is good for the next attempt, but this one has failed.
            Err(refusal) => return self.lost_before(refusal, version).await,
        };
        // It answers, even if there is nothing to say.
        self.heard().await;
        let mut line = Vec::new();
        loop {
            let chunk = match tokio::time::timeout(self.pace.silence, chunks.next()).await {
                // Half-open, or a server that only pretends: another connection tells.
                Err(_) => return Ok(End::Resume(version)),
                Ok(None) => return Ok(End::Resume(version)),
                Ok(Some(Err(refusal))) => return Err(Lost { refusal, resume: Some(version) }),
                Ok(Some(Ok(chunk))) => chunk,
            };
            for part in chunk.split_inclusive(|&byte| byte == b'\n') {
                line.extend_from_slice(part);
                if line.len() > MAX_LINE {
                    return Ok(End::Relist);
                }
                if line.ends_with(b"\n") {
                    let told = self.take(&line);
                    line.clear();
                    match told {
                        Ok(Told { version: new, concerned }) => {
                            if !new.is_empty() {
                                version = new;
                            }
                            self.heard().await;
                            self.hints.tell(self.shelf.namespace(), concerned).await;
                        }
                        Err(refusal) if refusal.kind == Kind::Expired => return Ok(End::Relist),
                        Err(refusal) => return Err(Lost { refusal, resume: None }),
                    }
                }
            }
        }
    }

    /// The next attempt goes on from the version; this failure counts nevertheless.
    async fn lost_before(&self, refusal: Refusal, version: String) -> Result<End, Lost> {
        self.lost(&refusal).await;
        let wait = match refusal.kind {
            Kind::Throttled { after } => after.unwrap_or(Duration::from_secs(1)),
            // A list afterwards says by itself how it is, and with a growing pause.
            _ => return Err(Lost { refusal, resume: None }),
        };
        tokio::time::sleep(wait).await;
        Ok(End::Resume(version))
    }

    /// Takes one line over.
    fn take(&self, line: &[u8]) -> Result<Told, Refusal> {
        let odd = |error: serde_json::Error| Refusal::new(Kind::Expired, format!("a line of a watch: {error}"));
        let Event { kind, object } = serde_json::from_slice(line).map_err(odd)?;
        match kind.as_str() {
            "ERROR" => {
                let status: Status = serde_json::from_value(object).map_err(odd)?;
                Err(Refusal::of_status(&self.what("watch"), &status))
            }
            "ADDED" | "MODIFIED" | "DELETED" => {
                let is_gone = kind == "DELETED";
                Ok(match self.collection {
                    Collection::Deployments => {
                        let it: Deployment = serde_json::from_value(object).map_err(odd)?;
                        let version = it.metadata.resource_version.clone();
                        let concerned =
                            if is_gone { self.shelf.remove_deployment(&it) } else { self.shelf.put_deployment(it) };
                        Told { version, concerned }
                    }
                    Collection::Pods => {
                        let it: Pod = serde_json::from_value(object).map_err(odd)?;
                        let version = it.metadata.resource_version.clone();
                        let concerned = if is_gone { self.shelf.remove_pod(&it) } else { self.shelf.put_pod(it) };
                        Told { version, concerned }
                    }
                })
            }
            // BOOKMARK, and what later versions may add: its version is all that counts.
            _ => {
                let hollow: Hollow = serde_json::from_value(object).map_err(odd)?;
                Ok(Told { version: hollow.metadata.resource_version, concerned: Vec::new() })
            }
        }
    }
}

/// What a line said.
struct Told {
    version: String,
    concerned: Concerned,
}

/// An attempt that failed.
struct Lost {
    refusal: Refusal,
    /// From where it can go on, when it had been heard.
    resume: Option<String>,
}

impl From<Refusal> for Lost {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, resume: None }
    }
}

/// Give or take a quarter, so that many who lost the same server do not come back at the same moment.
fn jittered(pause: Duration) -> Duration {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    let sixteenths = nanos / 1_000 % 9;
    pause * (12 + sixteenths) / 16
}
