//! The timeline, `state/events.jsonl`: what happened to which service and who caused it, one JSON object a line, bounded.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rustix::fs::OFlags;

use super::state::{push_string, unix_millis};
use super::{Layout, directory};
use crate::model::Event;

/// From this size on, in bytes, the file becomes `events.jsonl.1`, and the one before is forgotten.
const MAX_LENGTH: u64 = 1024 * 1024;

/// Appends to the timeline. Several programs may do so at once: each entry is one write to a file opened for appending.
#[derive(Debug)]
pub struct Timeline {
    layout: Layout,
    path: PathBuf,
    /// Kept open, since an engine that starts a graph records in bursts. A std lock: held for one short write, never across an await.
    file: Mutex<Option<File>>,
}

impl Timeline {
    /// The timeline below `layout`. Nothing is made before the first entry.
    pub fn new(layout: &Layout) -> Self {
        Self { layout: layout.clone(), path: layout.events(), file: Mutex::new(None) }
    }

    /// Appends one entry. Uses nothing that a shim may not.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append(&self, event: &Event) -> io::Result<()> {
        let line = line(event).map_err(io::Error::other)?;
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = match slot.take() {
            Some(file) => file,
            None => self.open()?,
        };
        let metadata = file.metadata()?;
        // No name: it was removed. Two: the other one may be somebody's file, and is not written to.
        let has_its_name = std::os::unix::fs::MetadataExt::nlink(&metadata) == 1;
        if metadata.len() >= MAX_LENGTH || !has_its_name {
            self.rotate()?;
            file = self.open()?;
        }
        file.write_all(line.as_bytes())?;
        *slot = Some(file);
        Ok(())
    }

    fn open(&self) -> io::Result<File> {
        let open = || directory::open_regular(&self.path, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE);
        open().or_else(|error| match std::fs::symlink_metadata(self.layout.state()) {
            // The first start of all is asked for before anything was made.
            Err(absent) if absent.kind() == io::ErrorKind::NotFound => {
                directory::prepare(&self.layout)?;
                open()
            }
            Ok(_) | Err(_) => Err(error),
        })
    }

    /// Looks at the file by its name first: another program may have rotated it already, while we still held the old one open.
    fn rotate(&self) -> io::Result<()> {
        match std::fs::symlink_metadata(&self.path) {
            Ok(named) if named.len() >= MAX_LENGTH || std::os::unix::fs::MetadataExt::nlink(&named) > 1 => {
                let mut old = self.path.clone().into_os_string();
                old.push(".1");
                std::fs::rename(&self.path, old)
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// An entry as the file holds it, by hand: shims write entries too, and are free of serde.
fn line(event: &Event) -> Result<String, std::fmt::Error> {
    let mut line = format!("{{\"at_ms\":{},\"service\":", unix_millis(event.at));
    push_string(&mut line, event.service.as_str())?;
    line.push_str(",\"actor\":");
    push_string(&mut line, &event.actor.to_string())?;
    line.push_str(",\"what\":");
    push_string(&mut line, &event.what.to_string())?;
    line.push_str("}\n");
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::{MAX_LENGTH, Timeline};
    use crate::model::{Actor, Event, Happening, ServiceId};
    use crate::store::{Layout, directory};
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn entries_are_lines_and_the_file_stays_bounded() {
        let home = tempfile::tempdir().expect("directory");
        let layout = Layout::new(home.path().join("services"));
        directory::prepare(&layout).expect("prepare");
        let timeline = Timeline::new(&layout);
        let mut event = Event {
            at: UNIX_EPOCH + Duration::from_secs(1),
            service: ServiceId::new("a").expect("name"),
            what: Happening::StartFailed { reason: "bad\nline \u{1b}[2J".into() },
            actor: Actor::Command,
        };
        timeline.append(&event).expect("append");
        let text = std::fs::read_to_string(layout.events()).expect("read");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains('\u{1b}') && text.contains("\"at_ms\":1000"), "{text}");
        event.what = Happening::StartFailed { reason: "x".repeat(100_000) };
        for _ in 0..30 {
            timeline.append(&event).expect("append");
        }
        let old = layout.events().with_extension("jsonl.1");
        for path in [layout.events(), old] {
            let length = std::fs::metadata(&path).expect("both files").len();
            assert!(length < MAX_LENGTH + 200_000, "{} has {length} bytes", path.display());
        }
    }
}
