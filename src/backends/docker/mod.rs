//! Docker mode: one container for each service, made and watched through the engine's interface.
//!
//! A container is ours when its labels name this home and the service; any other container of that name is a conflict and never
//! touched. The engine restarts containers that die (the registry's `restart_policy`, or else what `restart_on_failure` means), so
//! nothing here does. A stopped container of ours is started again as it is; when the registry or the image has changed since it
//! was made, it is made anew at its next start, so that a restart applies what the registry says; `--force` makes it anew in any case.
//! An image that is missing is pulled before the start begins: no timeout of the service counts meanwhile. Volumes are never removed.

mod container;
mod credentials;
mod launch;
mod look;
mod output;
mod pull;
mod requirements;
mod stop;
mod strangers;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::mpsc;

use crate::backends::containers::{self, Address, Clock, Container, Engine, Records, Run, Watch};
use crate::engine::ports::{Backend, BackendError, ErrorKind, IsWanted, Preparation, StopError, UsageSource};
use crate::model::{
    Deployment, DockerSpec, Instance, Launch, Mode, Observed, ServiceId, ServiceSpec, StartHow, StopHow, Usage,
};
use crate::preflight::Requirement;
use crate::store::Layout;
use crate::store::state::Phase;

pub use strangers::HostWithContainers;

/// What a [`DockerBackend`] is made of.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the state files are.
    pub layout: Layout,
    /// `DOCKER_HOST`, where it is set; the usual socket otherwise.
    pub docker_host: Option<String>,
    /// Where ca.pem, cert.pem and key.pem are (`DOCKER_CERT_PATH`, or `.docker` in the home), when `DOCKER_TLS_VERIFY` is set.
    pub docker_certificates: Option<PathBuf>,
    /// Where the `config.json` is that `docker login` writes: `DOCKER_CONFIG`, or `.docker` in the home.
    pub docker_config: Option<PathBuf>,
}

/// Starts, stops and observes services of Docker mode. Cheap to clone: clones share one client and one watch.
#[derive(Debug, Clone)]
pub struct DockerBackend {
    engine: Arc<Engine>,
    layout: Layout,
    /// The value of the label that makes a container ours.
    home: String,
    records: Records,
    watch: Arc<Watch>,
    clock: Clock,
    config_dir: Option<PathBuf>,
}

impl DockerBackend {
    /// Contacts nothing yet. The methods of [`Backend`] want to be called inside a tokio runtime with I/O and time enabled.
    pub fn new(settings: Settings) -> Self {
        let Settings { layout, docker_host, docker_certificates, docker_config } = settings;
        Self {
            engine: Arc::new(Engine::new(Address::new(docker_host, docker_certificates))),
            home: home_label(&layout),
            records: Records::new(layout.clone()),
            layout,
            watch: Arc::default(),
            clock: Clock::new(),
            config_dir: docker_config,
        }
    }

    /// Its client and its watch, where another mode reaches its engine at the same address: one client and one stream of events are enough.
    pub(super) fn shared(&self, address: &Address) -> Option<(Arc<Engine>, Arc<Watch>)> {
        self.engine.is_at(address).then(|| (Arc::clone(&self.engine), Arc::clone(&self.watch)))
    }

    /// Writes what is wanted, for every copy of the tool. Wants the lock to be held.
    fn write(
        &self,
        lock: &File,
        id: &ServiceId,
        phase: Phase,
        container: Option<&Container>,
    ) -> Result<(), BackendError> {
        let hash = container.and_then(|it| it.label(container::SPEC_LABEL));
        let run = Run {
            started_at: container.and_then(Container::started_millis),
            spec_hash: hash.and_then(|hash| u64::from_str_radix(hash, 16).ok()).unwrap_or_default(),
            compose: None,
        };
        self.records.write(lock, id, phase, run)
    }
}

/// Tells homes apart, also those of several machines on one engine.
fn home_label(layout: &Layout) -> String {
    let machine = std::fs::read("/etc/machine-id").unwrap_or_default();
    let name = rustix::system::uname();
    let root = std::path::absolute(layout.root()).unwrap_or_else(|_| PathBuf::from(layout.root()));
    let parts = [machine.as_slice(), name.nodename().to_bytes(), root.as_os_str().as_encoded_bytes()];
    // The host's name alone would change too easily where there is a better one.
    let parts = if machine.is_empty() { &parts[1..] } else { &[parts[0], parts[2]] };
    container::stable_hash(parts.iter().copied())
}

impl Backend for DockerBackend {
    fn observe<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Result<Observed, BackendError>> {
        self.look(spec).boxed()
    }

    fn prepare<'a>(
        &'a self,
        spec: &'a ServiceSpec,
        how: StartHow,
        news: Preparation,
    ) -> BoxFuture<'a, Result<(), BackendError>> {
        async move { self.fetch_image(spec, how, &news).await }.boxed()
    }

    fn start_if<'a>(
        &'a self,
        spec: &'a ServiceSpec,
        how: StartHow,
        is_wanted: &'a IsWanted<'a>,
    ) -> BoxFuture<'a, Result<Option<Launch>, BackendError>> {
        self.start_or_find(spec, how, is_wanted).boxed()
    }

    fn stop<'a>(
        &'a self,
        spec: &'a ServiceSpec,
        how: StopHow,
        grace: Duration,
    ) -> BoxFuture<'a, Result<(), StopError>> {
        self.stop_container(spec, how, grace).boxed()
    }

    /// The engine is the guardian of every container.
    fn tend<'a>(&'a self, _spec: &'a ServiceSpec) -> BoxFuture<'a, Result<(), BackendError>> {
        std::future::ready(Ok(())).boxed()
    }

    /// The engine restarts containers, and nobody but an onlooker writes that down.
    fn has_own_witness(&self, _spec: &ServiceSpec) -> bool {
        false
    }

    fn requirements<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Vec<Requirement>> {
        self.gather(spec).boxed()
    }

    fn changes(&self) -> mpsc::Receiver<ServiceId> {
        containers::subscribe(&self.watch, &self.engine, Mode::Docker)
    }
}

impl UsageSource for DockerBackend {
    fn usage<'a>(&'a self, _spec: &'a ServiceSpec, instance: &'a Instance) -> BoxFuture<'a, Option<Usage>> {
        match instance {
            Instance::Container { id, .. } => self.engine.usage(id).boxed(),
            Instance::Process(_) | Instance::Deployment { .. } | Instance::Endpoint(_) => {
                std::future::ready(None).boxed()
            }
        }
    }
}

/// The part of a specification that this mode is about.
fn docker_spec(spec: &ServiceSpec) -> Result<&DockerSpec, BackendError> {
    match &spec.deployment {
        Deployment::Docker(docker) => Ok(docker),
        Deployment::Binary(_) | Deployment::DockerCompose(_) | Deployment::Kubernetes(_) | Deployment::Remote(_) => {
            Err(BackendError {
                kind: ErrorKind::Misconfigured,
                message: format!("{} is not a service of docker mode", spec.id),
                remedy: None,
            })
        }
    }
}
