//! What was last asked of a service, beside what the engine knows: the state file, written by whoever acts.

use crate::engine::ports::{BackendError, ErrorKind};
use crate::model::ServiceId;
use crate::store::Layout;
use crate::store::directory::{self, Durability};
use crate::store::state::{ComposeRecord, Phase, ServiceRecord, Wanted};
use crate::store::state_reader::{self, Found};
use std::fs::File;

/// The state files of one home.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    layout: Layout,
}

/// What is written of a run, beside what was asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    /// When it began, in milliseconds since 1970.
    pub(crate) started_at: Option<u64>,
    /// A number that changes with what its container was made from.
    pub(crate) spec_hash: u64,
    /// Where a Compose service's containers are.
    pub(crate) compose: Option<ComposeRecord>,
}

impl Records {
    /// Of the home with this layout.
    pub(crate) fn new(layout: Layout) -> Self {
        Self { layout }
    }

    /// What was recorded of this service, with what is worth knowing about that.
    pub(crate) fn read(&self, id: &ServiceId) -> (Option<Box<ServiceRecord>>, Vec<String>) {
        let path = self.layout.state_file(id);
        match state_reader::read(&path) {
            Ok(Found::Record(record, _, _)) => (Some(record), Vec::new()),
            Ok(Found::Nothing) => (None, Vec::new()),
            Ok(Found::Unusable(why)) => (None, vec![format!("{} cannot be used: {why}", path.display())]),
            Err(error) => (None, vec![format!("{}: {error}", path.display())]),
        }
    }

    /// See [`crate::backends::lock::locked`].
    pub(crate) async fn locked(&self, id: &ServiceId) -> Result<File, BackendError> {
        crate::backends::lock::locked(&self.layout, id).await
    }

    /// Writes what is wanted, for every copy of the tool. Wants the lock to be held.
    pub(crate) fn write(&self, _lock: &File, id: &ServiceId, phase: Phase, run: Run) -> Result<(), BackendError> {
        let Run { started_at, spec_hash, compose } = run;
        let wanted = match phase {
            Phase::Starting | Phase::Running | Phase::Clearing | Phase::Backoff | Phase::Failed => Wanted::Up,
            Phase::Stopping | Phase::Stopped => Wanted::Down,
        };
        let record = ServiceRecord {
            phase,
            wanted,
            shim: None,
            service: None,
            started_at,
            restarts: 0,
            failures: 0,
            streak: 0,
            exits: Vec::new(),
            next_attempt: None,
            spec_hash,
            dropped_bytes: 0,
            failure: None,
            compose,
        };
        let path = self.layout.state_file(id);
        directory::replace(&path, record.to_json().as_bytes(), Durability::Durable).map_err(|error| BackendError {
            kind: ErrorKind::Transient,
            message: format!("{}: {error}", path.display()),
            remedy: None,
        })
    }
}
