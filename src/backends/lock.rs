//! One copy of the tool acts on a service at a time, in every mode whose instances are not children of ours.

use std::fs::File;
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::ports::{BackendError, ErrorKind};
use crate::model::ServiceId;
use crate::store::{Layout, directory, lock};

/// How long is waited for another copy that acts on the same service at this moment.
const PATIENCE: Duration = Duration::from_secs(15);

/// From one try for the lock to the next.
const PAUSE: Duration = Duration::from_millis(10);

/// Takes the service's lock: one copy acts at a time, and no instance of binary mode lives. Cancel safe.
pub(crate) async fn locked(layout: &Layout, id: &ServiceId) -> Result<File, BackendError> {
    directory::prepare(layout).map_err(|unusable| BackendError {
        kind: ErrorKind::Misconfigured,
        message: unusable.to_string(),
        remedy: Some(unusable.remedy()),
    })?;
    let path = layout.lock_file(id);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match lock::try_lock(&path) {
            Ok(Some(file)) => return Ok(file),
            Ok(None) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            Ok(None) => {
                return Err(BackendError {
                    kind: ErrorKind::Transient,
                    message: format!("{} is held: {id} is being started, or still runs in binary mode", path.display()),
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
