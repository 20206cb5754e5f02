//! One backend over all modes: hands each service, and the question for its output, to the adapter of its mode.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::engine::ports::{
    Backend, BackendError, ErrorKind, Following, IsWanted, Output, OutputSource, Preparation, StopError, UsageSource,
};
use crate::model::{Fact, Instance, Launch, Mode, Observed, ServiceId, ServiceSpec, StartHow, StopHow, Usage};
use crate::preflight::Requirement;

/// Hints of all adapters on their way to the engine.
const CAPACITY: usize = 64;

/// The adapters of this build. A mode without one is said to be unknown, never to be stopped.
#[derive(Default)]
pub struct ByMode {
    adapters: BTreeMap<Mode, Arc<dyn Backend>>,
    /// Those of them whose services write to no log file of ours.
    streams: BTreeMap<Mode, Arc<dyn OutputSource>>,
    /// Those of them whose services' use of the machine can be told.
    usages: BTreeMap<Mode, Arc<dyn UsageSource>>,
    /// Carry hints; they end with this.
    carriers: Mutex<JoinSet<()>>,
}

impl ByMode {
    /// Without any adapter.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this adapter for `mode`.
    #[must_use]
    pub fn with(mut self, mode: Mode, adapter: Arc<dyn Backend>) -> Self {
        self.adapters.insert(mode, adapter);
        self
    }

    /// With this adapter for `mode`, which also has the output of its services.
    #[must_use]
    pub fn with_streams(mut self, mode: Mode, adapter: Arc<impl Backend + OutputSource + 'static>) -> Self {
        self.streams.insert(mode, adapter.clone());
        self.with(mode, adapter)
    }

    /// With this one to tell what services of `mode` use.
    #[must_use]
    pub fn with_usage(mut self, mode: Mode, source: Arc<dyn UsageSource>) -> Self {
        self.usages.insert(mode, source);
        self
    }

    fn of(&self, spec: &ServiceSpec) -> Result<&dyn Backend, BackendError> {
        let mode = spec.deployment.mode();
        self.adapters.get(&mode).map(AsRef::as_ref).ok_or_else(|| unsupported(mode))
    }
}

impl fmt::Debug for ByMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.adapters.keys()).finish()
    }
}

impl OutputSource for ByMode {
    fn output(&self, spec: &ServiceSpec, n_lines: usize, following: Following) -> Option<mpsc::Receiver<Vec<Output>>> {
        self.streams.get(&spec.deployment.mode())?.output(spec, n_lines, following)
    }
}

impl UsageSource for ByMode {
    fn usage<'a>(&'a self, spec: &'a ServiceSpec, instance: &'a Instance) -> BoxFuture<'a, Option<Usage>> {
        match self.usages.get(&spec.deployment.mode()) {
            Some(source) => source.usage(spec, instance),
            None => std::future::ready(None).boxed(),
        }
    }
}

fn unsupported(mode: Mode) -> BackendError {
    BackendError {
        kind: ErrorKind::Permanent,
        message: format!("{mode} mode is not supported by this version"),
        remedy: Some("use another mode, or start and stop it with its own tools".to_owned()),
    }
}

impl Backend for ByMode {
    fn observe<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Result<Observed, BackendError>> {
        match self.of(spec) {
            Ok(backend) => backend.observe(spec),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }

    fn prepare<'a>(
        &'a self,
        spec: &'a ServiceSpec,
        how: StartHow,
        news: Preparation,
    ) -> BoxFuture<'a, Result<(), BackendError>> {
        match self.of(spec) {
            Ok(backend) => backend.prepare(spec, how, news),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }

    fn start_if<'a>(
        &'a self,
        spec: &'a ServiceSpec,
        how: StartHow,
        is_wanted: &'a IsWanted<'a>,
    ) -> BoxFuture<'a, Result<Option<Launch>, BackendError>> {
        match self.of(spec) {
            Ok(backend) => backend.start_if(spec, how, is_wanted),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }

    fn restarts_in_place(&self, spec: &ServiceSpec) -> bool {
        self.of(spec).is_ok_and(|backend| backend.restarts_in_place(spec))
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

    fn recover<'a>(&'a self, spec: &'a ServiceSpec, instance: &'a Instance) -> BoxFuture<'a, Result<(), BackendError>> {
        match self.of(spec) {
            Ok(backend) => backend.recover(spec, instance),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }

    fn has_own_witness(&self, spec: &ServiceSpec) -> bool {
        self.of(spec).is_ok_and(|backend| backend.has_own_witness(spec))
    }

    fn facts(&self, spec: &ServiceSpec) -> Vec<Fact> {
        self.of(spec).map(|backend| backend.facts(spec)).unwrap_or_default()
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
        let mut adapters = self.adapters.values();
        // Its own hints need no carrier.
        if let (Some(only), None) = (adapters.next(), adapters.next()) {
            return only.changes();
        }
        let (to, receiver) = mpsc::channel(CAPACITY);
        // Whole at any moment, so a panic elsewhere does not spoil it.
        let mut carriers = self.carriers.lock().unwrap_or_else(PoisonError::into_inner);
        for adapter in self.adapters.values() {
            let (mut from, to) = (adapter.changes(), to.clone());
            carriers.spawn(async move {
                while let Some(id) = from.recv().await {
                    if to.send(id).await.is_err() {
                        return;
                    }
                }
            });
        }
        receiver
    }
}
