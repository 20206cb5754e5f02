//! `state/<service>.owed`: what a leader owes to a service, in any mode, with the restarts used up where no shim counts them.

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::Layout;
use super::directory::{self, Durability};
use crate::model::{Debt, Owed, ServiceId};

/// The version of the format.
const SCHEMA: u32 = 1;

/// The longest file that is read, in bytes.
const MAX_LENGTH: u64 = 4 * 1024;

#[derive(Serialize, Deserialize)]
struct DebtJson {
    schema: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_after: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_at_boottime_ms: Option<u64>,
    #[serde(default)]
    gave_up: bool,
    #[serde(default)]
    failures: u32,
    #[serde(default)]
    streak: u32,
}

fn file(layout: &Layout, service: &ServiceId) -> PathBuf {
    layout.state().join(format!("{service}.owed"))
}

/// Records it. Durable when it returns.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(layout: &Layout, debt: &Debt) -> io::Result<()> {
    let Debt { service: _, owed, failures, streak } = debt;
    let mut json = DebtJson {
        schema: SCHEMA,
        start_after: None,
        start_at_boottime_ms: None,
        gave_up: *owed == Owed::GaveUp,
        failures: *failures,
        streak: *streak,
    };
    match owed {
        Owed::StartAfter(service) => json.start_after = Some(service.to_string()),
        Owed::StartAt(due) => json.start_at_boottime_ms = Some(u64::try_from(due.as_millis()).unwrap_or(u64::MAX)),
        Owed::GaveUp | Owed::Nothing => {}
    }
    let mut text = serde_json::to_vec(&json).map_err(io::Error::other)?;
    text.push(b'\n');
    directory::prepare(layout)?;
    directory::replace(&file(layout, &debt.service), &text, Durability::Durable)
}

/// Forgets it; success when there is none.
///
/// # Errors
/// When it is there and cannot be removed.
pub(super) fn remove(layout: &Layout, service: &ServiceId) -> io::Result<()> {
    match directory::remove(&file(layout, service)) {
        // Nothing was ever kept here.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// What is recorded; `None` for nothing, and for what cannot be understood.
pub(super) fn read(layout: &Layout, service: &ServiceId) -> Option<Debt> {
    let mut text = Vec::new();
    directory::open_regular(&file(layout, service), OFlags::RDONLY)
        .ok()?
        .take(MAX_LENGTH)
        .read_to_end(&mut text)
        .ok()?;
    let json: DebtJson = serde_json::from_slice(&text).ok()?;
    let owed = match (json.start_after, json.start_at_boottime_ms) {
        (Some(name), _) => Owed::StartAfter(ServiceId::new(&name).ok()?),
        (None, Some(due)) => Owed::StartAt(Duration::from_millis(due)),
        (None, None) if json.gave_up => Owed::GaveUp,
        (None, None) => Owed::Nothing,
    };
    let (failures, streak) = (json.failures, json.streak);
    (json.schema == SCHEMA).then(|| Debt { service: service.clone(), owed, failures, streak })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{file, read, remove, write};
    use crate::model::{Debt, Owed, ServiceId};
    use crate::store::Layout;

    fn id(name: &str) -> ServiceId {
        ServiceId::new(name).expect("name")
    }

    #[test]
    fn a_debt_is_read_back_until_it_is_forgotten_and_only_by_its_owner() {
        let home = tempfile::tempdir().expect("directory");
        let layout = Layout::new(home.path().join("services"));
        assert_eq!(read(&layout, &id("web")), None);
        remove(&layout, &id("web")).expect("there is nothing to forget");
        assert!(!layout.root().exists(), "looking makes nothing");
        let start_at = Owed::StartAt(std::time::Duration::from_millis(1_234));
        for owed in [Owed::Nothing, Owed::GaveUp, start_at, Owed::StartAfter(id("db"))] {
            let debt = Debt { service: id("web"), owed, failures: 2, streak: 1 };
            write(&layout, &debt).expect("write");
            assert_eq!(read(&layout, &id("web")), Some(debt));
        }
        let path = file(&layout, &id("web"));
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "{\"schema\":1,\"start_after\":\"../x\"}").expect("write");
        assert_eq!(read(&layout, &id("web")), None, "what no service is called");
        std::fs::write(&path, "torn").expect("write");
        assert_eq!(read(&layout, &id("web")), None);
        remove(&layout, &id("web")).expect("remove");
        assert!(!path.exists());
    }
}
