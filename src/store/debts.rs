//! `state/<service>.owed`: a start that did not come to be because of another service, and comes when that one is well.

use std::io::{self, Read as _};
use std::path::PathBuf;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::Layout;
use super::directory::{self, Durability};
use crate::model::{Debt, ServiceId};

/// The version of the format.
const SCHEMA: u32 = 1;

/// The longest file that is read, in bytes.
const MAX_LENGTH: u64 = 4 * 1024;

#[derive(Serialize, Deserialize)]
struct DebtJson {
    schema: u32,
    because_of: String,
}

fn file(layout: &Layout, service: &ServiceId) -> PathBuf {
    layout.state().join(format!("{service}.owed"))
}

/// Records it. Durable when it returns.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(layout: &Layout, debt: &Debt) -> io::Result<()> {
    let json = DebtJson { schema: SCHEMA, because_of: debt.because_of.to_string() };
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
    let because_of = ServiceId::new(&json.because_of).ok()?;
    (json.schema == SCHEMA).then(|| Debt { service: service.clone(), because_of })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{file, read, remove, write};
    use crate::model::{Debt, ServiceId};
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
        let debt = Debt { service: id("web"), because_of: id("db") };
        write(&layout, &debt).expect("write");
        assert_eq!(read(&layout, &id("web")), Some(debt));
        let path = file(&layout, &id("web"));
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "{\"schema\":1,\"because_of\":\"../x\"}").expect("write");
        assert_eq!(read(&layout, &id("web")), None, "what no service is called");
        std::fs::write(&path, "torn").expect("write");
        assert_eq!(read(&layout, &id("web")), None);
        remove(&layout, &id("web")).expect("remove");
        assert!(!path.exists());
    }
}
