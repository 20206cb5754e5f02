//! Kubernetes mode: one Deployment for each service, applied, scaled and watched through the cluster's interface.
//!
//! - A start applies every document of `manifests_path` and gives a stopped Deployment the number of pods that it had. It is over when the
//!   rollout is: `judge` alone says what that means, and the engine waits for its word.
//! - A stop scales to 0, remembers the number in an annotation, and waits until the pods are gone. Nothing is ever deleted, but for pods
//!   that do not end under `--force`.
//! - A restart is a rollout restart: what runs is replaced bit by bit, and nothing is stopped.
//! - What is there comes from two watches for each namespace. Nothing is asked while nothing happens. When the cluster cannot be asked,
//!   the state is unknown, and the last that was heard is told with its time.
//!
//! The cluster restarts what dies, so nothing here does. Its context is read once and shown wherever something is about to be changed.

mod apply;
mod cluster;
mod credentials;
mod judge;
mod launch;
mod look;
mod manifests;
mod objects;
mod output;
mod refusal;
mod requirements;
mod shelf;
mod stop;
mod trouble;
mod watch;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::mpsc;

use crate::engine::ports::{Backend, BackendError, IsWanted, StopError};
use crate::model::{Deployment, Fact, Launch, Observed, ServiceId, ServiceSpec, StartHow, StopHow};
use crate::preflight::Requirement;
use crate::store::Layout;

pub use cluster::Access;
pub use credentials::{PLUGIN_ARGUMENT, become_plugin};
pub use watch::Pace;

/// Holds the number of pods that a stopped Deployment had.
const REMEMBERED: &str = "provisioning.dev/replicas";

/// What a [`KubernetesBackend`] is made of.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the locks are.
    pub layout: Layout,
    /// The way to the cluster.
    pub access: Access,
    /// How long the watches wait for what.
    pub pace: Pace,
}

/// Starts, stops and observes services of Kubernetes mode. Cheap to clone: clones share one client and all watches.
#[derive(Debug, Clone)]
pub struct KubernetesBackend {
    cluster: Arc<cluster::Cluster>,
    watches: Arc<watch::Watches>,
    kinds: Arc<apply::Kinds>,
    layout: Layout,
    /// What the server warned of when a service was last started here.
    warned: Arc<Mutex<BTreeMap<ServiceId, Vec<String>>>>,
    /// One moment on both clocks, so that a moment of the cluster's is always the same one on ours.
    began: (Instant, SystemTime),
}

impl KubernetesBackend {
    /// Reads and contacts nothing yet. The methods of [`Backend`] want to be called inside a tokio runtime with I/O and time enabled.
    pub fn new(settings: Settings) -> Self {
        let Settings { layout, access, pace } = settings;
        let cluster = Arc::new(cluster::Cluster::new(access));
        Self {
            watches: Arc::new(watch::Watches::new(Arc::clone(&cluster), pace)),
            cluster,
            kinds: Arc::default(),
            layout,
            warned: Arc::default(),
            began: (Instant::now(), SystemTime::now()),
        }
    }
}

impl Backend for KubernetesBackend {
    fn observe<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Result<Observed, BackendError>> {
        self.look(spec).boxed()
    }

    fn start_if<'a>(
        &'a self,
        spec: &'a ServiceSpec,
        how: StartHow,
        is_wanted: &'a IsWanted<'a>,
    ) -> BoxFuture<'a, Result<Option<Launch>, BackendError>> {
        self.start_or_find(spec, how, is_wanted).boxed()
    }

    fn restarts_in_place(&self, _spec: &ServiceSpec) -> bool {
        true
    }

    fn stop<'a>(
        &'a self,
        spec: &'a ServiceSpec,
        how: StopHow,
        grace: Duration,
    ) -> BoxFuture<'a, Result<(), StopError>> {
        self.scale_down(spec, how, grace).boxed()
    }

    /// The cluster is the guardian of every pod.
    fn tend<'a>(&'a self, _spec: &'a ServiceSpec) -> BoxFuture<'a, Result<(), BackendError>> {
        std::future::ready(Ok(())).boxed()
    }

    /// The cluster restarts pods, and nobody but an onlooker writes that down.
    fn has_own_witness(&self, _spec: &ServiceSpec) -> bool {
        false
    }

    fn facts(&self, spec: &ServiceSpec) -> Vec<Fact> {
        self.known_facts(spec)
    }

    fn requirements<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Vec<Requirement>> {
        self.gather(spec).boxed()
    }

    fn changes(&self) -> mpsc::Receiver<ServiceId> {
        self.watches.subscribe()
    }
}

/// Where a service is in the cluster.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    namespace: &'a str,
    name: &'a str,
    manifests: Option<&'a Path>,
}

impl<'a> Place<'a> {
    fn of(spec: &'a ServiceSpec) -> Result<Self, BackendError> {
        match &spec.deployment {
            Deployment::Kubernetes(it) => Ok(Self {
                namespace: &it.namespace,
                name: &it.deployment_name,
                manifests: it.manifests_path.as_deref(),
            }),
            Deployment::Binary(_) | Deployment::Docker(_) | Deployment::DockerCompose(_) | Deployment::Remote(_) => {
                Err(launch::wrong_mode(spec))
            }
        }
    }
}
