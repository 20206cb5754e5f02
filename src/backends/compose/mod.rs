//! Docker Compose mode: one service of a Compose file, made by Compose and watched through the engine's interface.
//!
//! Compose is the only program that is called, and only to make or change containers and to read its file; what is there, what
//! happens and what is printed comes from the engine, by the labels that Compose gives its containers: whoever started a service, it is
//! this one. Nothing of Compose's output is read but the model of the file and, after a failure, the reason.
//!
//! - A start is `up -d --no-deps` for this one service. What depends on what is the registry's to say: Compose starting more would put
//!   services beside ours that nobody watches and no stop reaches. A service of the file that it depends on and that does not run is
//!   named by the check before a start. Images that are missing are pulled before it, and never built.
//! - A stop is the containers' own stop signal through the engine: Compose's own stop kills when its time has passed. It concerns all
//!   containers of this service (scaled ones too), and nothing else of the project.
//! - `up` makes containers anew whose definition has changed, so a restart applies an edited file. What runs is left as it is.
//! - The project is `project_name`, or else what it was at the first start, kept in the state file: a file that was moved would
//!   otherwise be another project, beside containers and volumes that nobody finds any more. At first, it is that of the containers which
//!   were made from this very file, or else Compose's own choice.
//! - The engine restarts containers that die as the file's `restart` says, so nothing here does.
//! - The process that runs `up` inherits the service's lock, so that nobody acts beside it when its caller was killed; and since `up` ends in the
//!   same state from wherever it begins, the next start completes what was left half-way.

mod failure;
mod file;
mod launch;
mod look;
mod output;
mod place;
mod program;
mod pull;
mod requirements;
mod stop;

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::mpsc;

use super::docker::DockerBackend;
use crate::backends::containers::{self, Address, Clock, Container, Engine, Records, Run, Watch};
use crate::engine::ports::{Backend, BackendError, ErrorKind, Host, IsWanted, Preparation, StopError};
use crate::model::{ComposeSpec, Deployment, Launch, Mode, Observed, ServiceId, ServiceSpec, StartHow, StopHow};
use crate::preflight::Requirement;
use crate::store::Layout;
use crate::store::state::{ComposeRecord, Phase};

/// How long `up` may take by default: it may have to pull images.
const UP: Duration = Duration::from_secs(900);

/// What a [`ComposeBackend`] is made of.
#[derive(Clone)]
pub struct Settings {
    /// Where the state files are.
    pub layout: Layout,
    /// `DOCKER_HOST`, where it is set; the usual socket otherwise.
    pub docker_host: Option<String>,
    /// Where ca.pem, cert.pem and key.pem are, where the engine is reached with TLS.
    pub docker_certificates: Option<PathBuf>,
    /// `PATH`: where Compose is looked for.
    pub search_path: Option<OsString>,
    /// `COMPOSE_PROJECT_NAME`, where it is set.
    pub project_name: Option<String>,
    /// Tells who holds a port.
    pub host: Arc<dyn Host>,
    /// How long `up` may take.
    pub patience: Duration,
}

impl Settings {
    /// With the usual engine and the usual patience.
    pub fn new(layout: Layout, search_path: Option<OsString>, host: Arc<dyn Host>) -> Self {
        Self {
            layout,
            docker_host: None,
            docker_certificates: None,
            search_path,
            project_name: None,
            host,
            patience: UP,
        }
    }
}

/// Starts, stops and observes services of Compose files. Cheap to clone: clones share one client, one watch and one Compose.
#[derive(Clone)]
pub struct ComposeBackend {
    engine: Arc<Engine>,
    compose: Arc<program::Compose>,
    files: Arc<file::ComposeFiles>,
    layout: Layout,
    records: Records,
    watch: Arc<Watch>,
    clock: Clock,
    project_name: Option<String>,
    host: Arc<dyn Host>,
    patience: Duration,
}

impl std::fmt::Debug for ComposeBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ComposeBackend")
            .field("engine", &self.engine)
            .field("compose", &self.compose)
            .finish_non_exhaustive()
    }
}

impl ComposeBackend {
    /// Contacts and calls nothing yet. The methods of [`Backend`] want to be called inside a tokio runtime with I/O and time enabled.
    pub fn new(settings: Settings) -> Self {
        Self::beside(settings, None)
    }

    /// With the client and the stream of events of Docker mode, where that reaches the same engine.
    pub fn beside(settings: Settings, docker: Option<&DockerBackend>) -> Self {
        let Settings { layout, docker_host, docker_certificates, search_path, project_name, host, patience } = settings;
        let address = Address::new(docker_host, docker_certificates);
        let (engine, watch) = docker
            .and_then(|docker| docker.shared(&address))
            .unwrap_or_else(|| (Arc::new(Engine::new(address)), Arc::default()));
        Self {
            compose: Arc::new(program::Compose::new(search_path, engine.name())),
            engine,
            files: Arc::default(),
            records: Records::new(layout.clone()),
            layout,
            watch,
            clock: Clock::new(),
            project_name: project_name.filter(|name| !name.is_empty()),
            host,
            patience,
        }
    }

    /// Writes what is wanted, and where the containers are, for every copy of the tool. Wants the lock to be held.
    fn write(
        &self,
        lock: &File,
        id: &ServiceId,
        phase: Phase,
        place: Option<&ComposeRecord>,
        containers: &[Container],
    ) -> Result<(), BackendError> {
        let run = Run {
            // Of several, all that run began until then.
            started_at: containers.iter().filter(|it| it.is_alive()).filter_map(Container::started_millis).max(),
            spec_hash: 0,
            compose: place.cloned(),
        };
        self.records.write(lock, id, phase, run)
    }
}

impl Backend for ComposeBackend {
    fn observe<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Result<Observed, BackendError>> {
        self.look(spec).boxed()
    }

    fn prepare<'a>(
        &'a self,
        spec: &'a ServiceSpec,
        _how: StartHow,
        news: Preparation,
    ) -> BoxFuture<'a, Result<(), BackendError>> {
        async move { self.fetch_image(spec, &news).await }.boxed()
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
        self.stop_service(spec, how, grace).boxed()
    }

    /// The engine is the guardian of every container; a start that was killed with its Compose is all that can be left undone.
    fn tend<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Result<(), BackendError>> {
        self.complete_interrupted(spec).boxed()
    }

    /// The engine restarts containers, and nobody but an onlooker writes that down.
    fn has_own_witness(&self, _spec: &ServiceSpec) -> bool {
        false
    }

    fn requirements<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Vec<Requirement>> {
        self.gather(spec).boxed()
    }

    fn changes(&self) -> mpsc::Receiver<ServiceId> {
        containers::subscribe(&self.watch, &self.engine, Mode::DockerCompose)
    }
}

/// The part of a specification that this mode is about.
fn compose_spec(spec: &ServiceSpec) -> Result<&ComposeSpec, BackendError> {
    match &spec.deployment {
        Deployment::DockerCompose(compose) => Ok(compose),
        Deployment::Binary(_) | Deployment::Docker(_) | Deployment::Kubernetes(_) | Deployment::Remote(_) => {
            Err(BackendError {
                kind: ErrorKind::Misconfigured,
                message: format!("{} is not a service of docker-compose mode", spec.id),
                remedy: None,
            })
        }
    }
}
