//! One backend over all modes: hands each service to the adapter of its mode.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::mpsc;

use crate::engine::ports::{Backend, BackendError, ErrorKind, StopError};
use crate::model::{Deployment, Launch, Mode, Observed, ServiceId, ServiceSpec, StopHow};
use crate::preflight::Requirement;

/// The adapters of this build. A mode without one is said to be unknown, never to be stopped.
pub struct ByMode {
    binary: Arc<dyn Backend>,
}

impl ByMode {
    /// Over these adapters.
    pub fn new(binary: Arc<dyn Backend>) -> Self {
        Self { binary }
    }

    fn of(&self, spec: &ServiceSpec) -> Result<&dyn Backend, BackendError> {
        match &spec.deployment {
            Deployment::Binary(_) => Ok(self.binary.as_ref()),
            Deployment::Docker(_)
            | Deployment::DockerCompose(_)
            | Deployment::Kubernetes(_)
            | Deployment::Remote(_) => Err(unsupported(spec.deployment.mode())),
        }
    }
}

fn unsupported(mode: Mode) -> BackendError {
    BackendError {
        kind: ErrorKind::Permanent,
        message: format!("{mode} mode is not supported by this version"),
        remedy: Some("use binary mode, or start and stop it with its own tools".to_owned()),
    }
}

impl Backend for ByMode {
    fn observe<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Result<Observed, BackendError>> {
        match self.of(spec) {
            Ok(backend) => backend.observe(spec),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }

    fn start<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Result<Launch, BackendError>> {
        match self.of(spec) {
            Ok(backend) => backend.start(spec),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }

    fn stop<'a>(
        &'a self,
        spec: &'a ServiceSpec,
        how: StopHow,
        grace: Duration,
    ) -> BoxFuture<'a, Result<(), StopError>> {
        match self.of(spec) {
            Ok(backend) => backend.stop(spec, how, grace),
            Err(error) => std::future::ready(Err(error.into())).boxed(),
        }
    }

    fn tend<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Result<(), BackendError>> {
        match self.of(spec) {
            Ok(backend) => backend.tend(spec),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }

    fn has_own_witness(&self, spec: &ServiceSpec) -> bool {
        self.of(spec).is_ok_and(|backend| backend.has_own_witness(spec))
    }

    fn requirements<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Vec<Requirement>> {
        match self.of(spec) {
            Ok(backend) => backend.requirements(spec),
            Err(_) => {
                let mode = spec.deployment.mode().as_str();
                std::future::ready(vec![Requirement::UnsupportedMode { mode }]).boxed()
            }
        }
    }

    fn changes(&self) -> mpsc::Receiver<ServiceId> {
        self.binary.changes()
    }
}
