//! What was last asked of a service, beside what the engine knows: the state file, written by whoever acts.

use std::fs::File;
use std::time::Duration;

use tokio::time::Instant;

use super::DockerBackend;
use super::look::Container;
use crate::engine::ports::{BackendError, ErrorKind};
use crate::model::ServiceId;
use crate::store::directory::{self, Durability};
use crate::store::lock;
use crate::store::state::{Phase, ServiceRecord, Wanted};

/// How long is waited for another copy that acts on the same service at this moment.
const PATIENCE: Duration = Duration::from_secs(15);

/// From one try for the lock to the next.
const PAUSE: Duration = Duration::from_millis(10);

impl DockerBackend {
    /// Takes the service's lock: one copy acts at a time, and no instance of binary mode lives. Cancel safe.
    pub(super) async fn locked(&self, id: &ServiceId) -> Result<File, BackendError> {
        directory::prepare(&self.layout).map_err(|unusable| BackendError {
            kind: ErrorKind::Misconfigured,
            message: unusable.to_string(),
            remedy: Some(unusable.remedy()),
        })?;
        let path = self.layout.lock_file(id);
        let deadline = Instant::now() + PATIENCE;
        loop {
            match lock::try_lock(&path) {
                Ok(Some(file)) => return Ok(file),
                Ok(None) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
                Ok(None) => {
                    return Err(BackendError {
                        kind: ErrorKind::Transient,
                        message: format!(
                            "{} is held: {id} is being started, or still runs in binary mode",
                            path.display()
                        ),
                        remedy: Some(format!("fuser {} shows who holds it", path.display())),
                    });
                }
                Err(error) => {
                    let message = format!("{}: {error}", path.display());
                    return Err(BackendError { kind: ErrorKind::Transient, message, remedy: None });
                }
            }
        }
    }

    /// Writes what is wanted, for every copy of the tool. Wants the lock to be held.
    pub(super) fn write(
        &self,
        _lock: &File,
        id: &ServiceId,
        phase: Phase,
        container: Option<&Container>,
    ) -> Result<(), BackendError> {
        let wanted = match phase {
            Phase::Starting | Phase::Running | Phase::Clearing | Phase::Backoff | Phase::Failed => Wanted::Up,
            Phase::Stopping | Phase::Stopped => Wanted::Down,
        };
        let record = ServiceRecord {
            phase,
            wanted,
            shim: None,
            service: None,
            started_at: container.and_then(Container::started_millis),
            restarts: 0,
            failures: 0,
            streak: 0,
            exits: Vec::new(),
            next_attempt: None,
            spec_hash: container.and_then(|it| u64::from_str_radix(&it.spec_hash, 16).ok()).unwrap_or_default(),
            dropped_bytes: 0,
            failure: None,
        };
        let path = self.layout.state_file(id);
        directory::replace(&path, record.to_json().as_bytes(), Durability::Durable).map_err(|error| BackendError {
            kind: ErrorKind::Transient,
            message: format!("{}: {error}", path.display()),
            remedy: None,
        })
    }
}
