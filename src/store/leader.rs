//! The leader's two locks and the note in each that says whose it is. No policy: see [`crate::supervise`].
//!
//! The names begin with a dot, which no service's name does, so that they are the lock of no service.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::Deserialize;

use super::state::push_string;
use super::{directory, lock};
use crate::model::{LeaderKind, ProcessIdentity};

/// The longest note that is read, in bytes.
const MAX_LENGTH: u64 = 16 * 1024;

/// What the holder of a lock says of itself. For people: it decides nothing until it is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it is.
    pub kind: LeaderKind,
    /// Its process.
    pub identity: ProcessIdentity,
    /// The registry it goes by; `None` for the built-in one.
    pub registry: Option<PathBuf>,
}

/// A lock that is held, until it is dropped or the process ends.
#[derive(Debug)]
pub struct Held {
    file: File,
    path: PathBuf,
}

impl Held {
    /// Whether the lock still is the one that counts: its file stands at its path.
    pub fn is_current(&self) -> bool {
        lock::is_at(&self.file, &self.path)
    }
}

/// Takes the lock without waiting, and leaves the note in it; `None` when somebody holds it. The file is never removed.
///
/// Whoever watches the file hears of the note as a modification, and of the end of the holder as the closing of a file that was open
/// for writing.
///
/// # Errors
/// When the file cannot be made, opened or locked. A note that cannot be written is none: the lock is what counts.
pub fn take(path: &Path, note: &Note) -> io::Result<Option<Held>> {
    let file = loop {
        if let Some(file) = lock::try_lock(path)? {
            break file;
        }
        // A look takes the lock for the blink of an eye, and may have been what was met.
        if lock::is_held(path)? {
            return Ok(None);
        }
    };
    let text = note.to_json();
    drop(file.write_all_at(text.as_bytes(), 0).and_then(|()| file.set_len(text.len() as u64)));
    Ok(Some(Held { file, path: path.to_owned() }))
}

/// Makes the lock's file where its directory exists, so that it can be watched. Whoever watches it hears nothing of this.
///
/// # Errors
/// When it is not there and cannot be made.
pub fn prepare(path: &Path) -> io::Result<()> {
    directory::open_regular(path, OFlags::RDONLY | OFlags::CREATE).map(drop)
}

/// What the last holder wrote, whoever holds the lock now; `None` when that cannot be read.
pub fn read_note(path: &Path) -> Option<Note> {
    let mut text = Vec::new();
    directory::open_regular(path, OFlags::RDONLY).ok()?.take(MAX_LENGTH).read_to_end(&mut text).ok()?;
    let shape: Shape = serde_json::from_slice(&text).ok()?;
    Some(Note {
        kind: LeaderKind::parse(&shape.kind)?,
        identity: ProcessIdentity {
            pid: shape.pid,
            start_ticks: shape.start_ticks,
            boot_id: shape.boot_id,
            pid_namespace: shape.pid_namespace,
        },
        registry: shape.registry,
    })
}

#[derive(Deserialize)]
struct Shape {
    kind: String,
    pid: u32,
    start_ticks: u64,
    boot_id: String,
    pid_namespace: u64,
    registry: Option<PathBuf>,
}

impl Note {
    fn to_json(&self) -> String {
        let identity = &self.identity;
        let mut json = format!(
            "{{\"kind\":\"{}\",\"pid\":{},\"start_ticks\":{},\"pid_namespace\":{},\"boot_id\":",
            self.kind, identity.pid, identity.start_ticks, identity.pid_namespace
        );
        let _infallible = push_string(&mut json, &identity.boot_id);
        // A path that is no text is left out: it is for people.
        if let Some(registry) = self.registry.as_ref().and_then(|path| path.to_str()) {
            json.push_str(",\"registry\":");
            let _infallible = push_string(&mut json, registry);
        }
        json.push_str("}\n");
        json
    }
}

#[cfg(test)]
mod tests {
    use super::{Note, read_note, take};
    use crate::model::{LeaderKind, ProcessIdentity};
    use std::os::unix::fs::PermissionsExt as _;

    fn note(registry: Option<&str>) -> Note {
        let identity = ProcessIdentity { pid: 7, start_ticks: 8, boot_id: "b\"".into(), pid_namespace: 9 };
        Note { kind: LeaderKind::Console, identity, registry: registry.map(Into::into) }
    }

    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().expect("directory");
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700)).expect("mode");
        home
    }

    #[test]
    fn one_holds_it_at_a_time_and_the_note_is_of_the_last() {
        let home = home();
        let path = home.path().join(".leader.lock");
        let long = note(Some("/a/rather/long/path/to\n/services.toml"));
        let held = take(&path, &long).expect("takes").expect("free");
        assert!(held.is_current());
        assert_eq!(read_note(&path), Some(long));
        assert!(take(&path, &note(None)).expect("looks").is_none());
        drop(held);
        let held = take(&path, &note(None)).expect("takes").expect("free again");
        assert_eq!(read_note(&path), Some(note(None)), "nothing of the longer note is left");
        std::fs::remove_file(&path).expect("removes");
        assert!(!held.is_current());
        assert!(take(&path, &note(None)).expect("takes").is_some(), "the lock that counts is the file at the path");
    }

    #[test]
    fn a_note_that_cannot_be_understood_is_none() {
        let home = home();
        let path = home.path().join(".leader.lock");
        assert_eq!(read_note(&path), None);
        for text in ["", "{", "{\"kind\":\"king\",\"pid\":1}", "\0\0\0"] {
            std::fs::write(&path, text).expect("writes");
            assert_eq!(read_note(&path), None, "{text:?}");
        }
    }
}
