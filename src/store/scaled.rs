//! `state/<service>.replicas`: how many pods a stop took away, where it was allowed to scale and not to write that down in the cluster.

use std::io::{self, Read as _};
use std::path::PathBuf;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::Layout;
use super::directory::{self, Durability};
use crate::model::ServiceId;

/// The longest file that is read, in bytes.
const MAX_LENGTH: u64 = 4 * 1024;

/// What is remembered of a Deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scaled {
    /// Of which: another one of that name is another one.
    pub(crate) uid: String,
    /// How many pods it had.
    pub(crate) replicas: u32,
    /// What was written down in the cluster by then. What is written there later is newer than this.
    pub(crate) written: Option<String>,
}

fn file(layout: &Layout, service: &ServiceId) -> PathBuf {
    layout.state().join(format!("{service}.replicas"))
}

/// Durable when it returns. Wants the service's lock to be held.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write(layout: &Layout, service: &ServiceId, scaled: &Scaled) -> io::Result<()> {
    let mut text = serde_json::to_vec(scaled).map_err(io::Error::other)?;
    text.push(b'\n');
    directory::prepare(layout).map_err(io::Error::other)?;
    directory::replace(&file(layout, service), &text, Durability::Durable)
}

/// Forgets it. What cannot be removed is only read when a Deployment stands at 0 again, so that is logged and no more.
pub(crate) fn forget(layout: &Layout, service: &ServiceId) {
    match directory::remove(&file(layout, service)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%service, %error, "the number of pods that it had cannot be forgotten");
        }
        Ok(()) | Err(_) => {}
    }
}

/// What is remembered; `None` for nothing, and for what cannot be understood.
pub(crate) fn read(layout: &Layout, service: &ServiceId) -> Option<Scaled> {
    let mut text = Vec::new();
    let file = directory::open_regular(&file(layout, service), OFlags::RDONLY).ok()?;
    file.take(MAX_LENGTH).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::{Scaled, file, forget, read, write};
    use crate::model::ServiceId;
    use crate::store::Layout;

    #[test]
    fn a_number_of_pods_is_remembered_until_it_is_forgotten() {
        let home = tempfile::tempdir().unwrap();
        let (layout, id) = (Layout::new(home.path().join("services")), ServiceId::new("web").unwrap());
        assert_eq!(read(&layout, &id), None);
        forget(&layout, &id);
        assert!(!layout.root().exists(), "looking makes nothing");
        let scaled = Scaled { uid: "a".to_owned(), replicas: 3, written: None };
        write(&layout, &id, &scaled).unwrap();
        assert_eq!(read(&layout, &id), Some(scaled));
        std::fs::write(file(&layout, &id), "torn").unwrap();
        assert_eq!(read(&layout, &id), None);
        forget(&layout, &id);
        assert!(!file(&layout, &id).exists());
    }
}
