//! Binary mode: processes of this host, each below a shim of its own.
//!
//! Nothing here is believed that the kernel does not confirm: a state file names processes, and each of them counts only while the
//! one that lives has the recorded start time, in the recorded boot and namespace. PID files are never read.
//!
//! The calls look at `/proc` and at small local files without leaving the thread: each look takes microseconds.

mod env_file;
mod launch;
mod look;
mod lost;
mod requirements;
mod stop;
mod watch;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::mpsc;

use crate::engine::ports::{Backend, BackendError, ErrorKind, IsWanted, StopError, UsageSource};
use crate::host::process::Era;
use crate::host::usage;
use crate::model::{
    BinarySpec, Deployment, Instance, Launch, Observed, OnFull, ServiceId, ServiceSpec, StartHow, StopHow, Usage,
};
use crate::preflight::Requirement;
use crate::store::Layout;
use crate::store::handover::Rotation;

/// What a [`BinaryBackend`] is made of.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the files are.
    pub layout: Layout,
    /// Where a service without `working_dir` starts (A58).
    pub home: PathBuf,
    /// How a shim is started.
    pub shim: ShimProgram,
    /// When logs are rotated.
    pub rotation: Rotation,
}

/// How a shim is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShimProgram {
    /// The executable.
    pub path: PathBuf,
    /// The arguments that make it a shim; none for the small executable.
    pub arguments: Vec<&'static str>,
}

impl ShimProgram {
    /// The hidden first argument that makes the large executable a shim.
    pub const HIDDEN_ARGUMENT: &'static str = "__shim";

    /// The small executable beside the running one; the running one itself where that is missing.
    ///
    /// # Errors
    /// When the system does not say which executable runs.
    pub fn find() -> io::Result<Self> {
        let running = std::env::current_exe()?;
        let small = running.with_file_name("provisioning-shim");
        if small.is_file() {
            return Ok(Self { path: small, arguments: Vec::new() });
        }
        // By the link, which still names the right file when an upgrade has replaced the executable.
        let path = if running.exists() { running } else { PathBuf::from("/proc/self/exe") };
        Ok(Self { path, arguments: vec![Self::HIDDEN_ARGUMENT] })
    }
}

/// Starts, stops and observes services of binary mode.
#[derive(Debug)]
pub struct BinaryBackend {
    settings: Settings,
    era: Era,
    watches: Arc<watch::Watches>,
    /// A std lock: held for one look at all processes, so that a start of many makes one.
    lost: Mutex<lost::Lost>,
}

impl BinaryBackend {
    /// Does nothing yet. The methods of [`Backend`] want to be called inside a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// When `/proc` is not mounted: no process could be told from another.
    pub fn new(settings: Settings) -> io::Result<Self> {
        Ok(Self { settings, era: Era::present()?, watches: Arc::default(), lost: Mutex::default() })
    }
}

impl BinaryBackend {
    /// Whether nothing more can be written to the logs. A disk that cannot be asked is not said to be full.
    fn log_disk_is_full(&self) -> bool {
        rustix::fs::statvfs(self.settings.layout.logs()).is_ok_and(|found| found.f_bavail == 0)
    }
}

impl UsageSource for BinaryBackend {
    fn usage<'a>(&'a self, _spec: &'a ServiceSpec, instance: &'a Instance) -> BoxFuture<'a, Option<Usage>> {
        match instance {
            Instance::Process(identity) => {
                let identity = identity.clone();
                let look = tokio::task::spawn_blocking(move || usage::of_tree(&identity));
                // It is not known when the runtime is ending.
                async move { look.await.ok().flatten() }.boxed()
            }
            Instance::Container { .. } | Instance::Deployment { .. } | Instance::Endpoint(_) => {
                std::future::ready(None).boxed()
            }
        }
    }
}

impl Backend for BinaryBackend {
    fn observe<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Result<Observed, BackendError>> {
        let binary = match &spec.deployment {
            Deployment::Binary(binary) => Some(binary),
            Deployment::Docker(_)
            | Deployment::DockerCompose(_)
            | Deployment::Kubernetes(_)
            | Deployment::Remote(_) => None,
        };
        async move {
            let mut observed = self.observe_settled(&spec.id, binary.map(launch::spec_hash)).await?;
            if binary.is_some_and(|binary| binary.log_on_full == OnFull::Block) && self.log_disk_is_full() {
                observed.notes.push("the disk of its log is full: it waits as soon as its pipe is full too".to_owned());
            }
            Ok(observed)
        }
        .boxed()
    }

    fn start_if<'a>(
        &'a self,
        spec: &'a ServiceSpec,
        _how: StartHow,
        is_wanted: &'a IsWanted<'a>,
    ) -> BoxFuture<'a, Result<Option<Launch>, BackendError>> {
        self.start_or_find(spec, is_wanted).boxed()
    }

    fn stop<'a>(
        &'a self,
        spec: &'a ServiceSpec,
        how: StopHow,
        grace: Duration,
    ) -> BoxFuture<'a, Result<(), StopError>> {
        self.stop_tree(spec, how, grace).boxed()
    }

    fn tend<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Result<(), BackendError>> {
        self.tend_orphan(spec).boxed()
    }

    fn recover<'a>(&'a self, spec: &'a ServiceSpec, instance: &'a Instance) -> BoxFuture<'a, Result<(), BackendError>> {
        self.order_restart(spec, instance).boxed()
    }

    fn has_own_witness(&self, _spec: &ServiceSpec) -> bool {
        true
    }

    fn requirements<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Vec<Requirement>> {
        async move {
            match binary_spec(spec) {
                Ok(binary) => requirements::gather(&self.settings, binary),
                Err(_) => vec![Requirement::UnsupportedMode { mode: spec.deployment.mode().as_str() }],
            }
        }
        .boxed()
    }

    fn changes(&self) -> mpsc::Receiver<ServiceId> {
        watch::Watches::subscribe(&self.watches, self.settings.layout.clone())
    }
}

/// The part of a specification that this mode is about.
fn binary_spec(spec: &ServiceSpec) -> Result<&BinarySpec, BackendError> {
    match &spec.deployment {
        Deployment::Binary(binary) => Ok(binary),
        Deployment::Docker(_) | Deployment::DockerCompose(_) | Deployment::Kubernetes(_) | Deployment::Remote(_) => {
            Err(BackendError {
                kind: ErrorKind::Misconfigured,
                message: format!("{} is not a service of binary mode", spec.id),
                remedy: None,
            })
        }
    }
}

/// An error of the host that may be gone the next time.
fn transient(what: impl std::fmt::Display, error: &io::Error) -> BackendError {
    BackendError { kind: ErrorKind::Transient, message: format!("{what}: {error}"), remedy: None }
}
