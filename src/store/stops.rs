//! `state/<service>.stopped`: that a person stopped a service, for starts of it that wait in another copy of the tool.
//!
//! What runs when it is stopped needs none of this: its shim, or its engine, says so. But a start may wait, for something that the service
//! needs or for an image, while nothing of it is there yet; whoever waits compares the number in this file with the one it began with.

use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::SystemTime;

use rustix::fs::OFlags;

use super::Layout;
use super::directory::{self, Durability};
use crate::model::{ServiceId, StopMark};

/// What is behind the service's name.
pub const SUFFIX: &str = ".stopped";

/// A number in hexadecimal with its line end, in bytes.
const MAX_LENGTH: u64 = 17;

/// How often a file is written that others write at the same moment.
const MAX_TRIES: u32 = 5;

fn file(layout: &Layout, service: &ServiceId) -> PathBuf {
    layout.state().join(format!("{service}{SUFFIX}"))
}

/// Records a new stop. Not on the disk for good when it returns: a start that waits does not survive the machine either.
///
/// # Errors
/// When it cannot be written.
pub(super) fn record(layout: &Layout, service: &ServiceId) -> io::Result<()> {
    directory::prepare(layout)?;
    // Different from any other by chance, so that nobody has to count.
    let number = RandomState::new().hash_one((std::process::id(), SystemTime::now())).max(1);
    let text = format!("{number:016x}\n");
    let path = file(layout, service);
    let mut n_tries = 0;
    loop {
        n_tries += 1;
        match directory::replace(&path, text.as_bytes(), Durability::Visible) {
            // Another stop took the file that was being written aside, and perhaps renamed it half-written.
            Err(error) if error.kind() == io::ErrorKind::NotFound && n_tries < MAX_TRIES => {}
            result => return result,
        }
    }
}

/// The newest stop; `None` when there was none, and for what cannot be understood. Reads only, and little.
pub(super) fn last(layout: &Layout, service: &ServiceId) -> Option<StopMark> {
    let mut text = String::new();
    let opened = directory::open_regular(&file(layout, service), OFlags::RDONLY).ok()?;
    opened.take(MAX_LENGTH).read_to_string(&mut text).ok()?;
    StopMark::new(u64::from_str_radix(text.strip_suffix('\n')?, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::PermissionsExt as _;

    use super::{file, last, record};
    use crate::model::ServiceId;
    use crate::store::Layout;

    #[test]
    fn each_stop_is_told_from_the_one_before_and_from_none() {
        let home = tempfile::tempdir().expect("directory");
        let layout = Layout::new(home.path().join("services"));
        let web = ServiceId::new("web").expect("name");
        assert_eq!(last(&layout, &web), None);
        assert!(!layout.root().exists(), "looking makes nothing");
        let marks: BTreeSet<u64> = (0..100)
            .map(|_| {
                record(&layout, &web).expect("written");
                last(&layout, &web).expect("a mark").number()
            })
            .collect();
        assert_eq!(marks.len(), 100);
        let path = file(&layout, &web);
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        for bad in ["", "\n", "12", "xyz\n", "0\n", "+1\n\n"] {
            std::fs::write(&path, bad).expect("write");
            assert_eq!(last(&layout, &web), None, "{bad:?}");
        }
    }

    #[test]
    fn stops_at_the_same_moment_leave_one_of_them() {
        let home = tempfile::tempdir().expect("directory");
        let layout = Layout::new(home.path().join("services"));
        let web = ServiceId::new("web").expect("name");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50).for_each(|_| drop(record(&layout, &web))));
            }
        });
        assert!(last(&layout, &web).is_some());
        record(&layout, &web).expect("written");
    }
}
