//! The log file: always the one that stands at its path, never one behind a symbolic link.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::OFlags;

use super::rotate;
use crate::store::handover::Rotation;
use crate::store::{directory, state};

/// An open log file.
pub(super) struct Log {
    path: PathBuf,
    file: File,
    size: u64,
    rotation: Rotation,
    /// Where the next rotation is due: the limit, or further on after one that did not work.
    rotate_at: u64,
}

impl Log {
    /// Opens or makes it.
    ///
    /// # Errors
    /// When that is impossible.
    pub(super) fn open(path: PathBuf, rotation: Rotation) -> io::Result<Self> {
        let file = open_or_replace(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size, rotation, rotate_at: rotation.limit })
    }

    /// To splice into, at [`Log::size`]. Not opened for appending, since splice refuses that.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Its length in bytes, which is where the next byte goes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Where the next rotation is due.
    pub(super) fn rotate_at(&self) -> u64 {
        self.rotate_at
    }

    /// Counts bytes that were written at the end.
    pub(super) fn grew(&mut self, n_bytes: u64) {
        self.size += n_bytes;
    }

    /// Looks whether somebody removed, replaced or truncated the file, and goes on with what stands at the path now.
    ///
    /// # Errors
    /// When there is no way to have a file at the path.
    pub(super) fn refresh(&mut self) -> io::Result<()> {
        let open = self.file.metadata()?;
        let is_same = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|named| named.dev() == open.dev() && named.ino() == open.ino());
        if is_same {
            self.size = open.len();
            return Ok(());
        }
        self.file = open_or_replace(&self.path)?;
        self.size = self.file.metadata()?.len();
        self.rotate_at = self.rotation.limit;
        Ok(())
    }

    /// Whether the last byte ends a line; an empty file counts as such.
    pub(super) fn ends_a_line(&self) -> bool {
        let mut last = [0];
        match self.size.checked_sub(1) {
            None => true,
            Some(at) => matches!(self.file.read_at(&mut last, at), Ok(1)) && last == *b"\n",
        }
    }

    /// Writes a line of our own, on a line of its own.
    ///
    /// # Errors
    /// When the disk refuses; nothing of it stands there then.
    pub(super) fn write_marker(&mut self, line: &str) -> io::Result<()> {
        self.refresh()?;
        let text = if self.ends_a_line() { line.to_owned() } else { format!("\n{line}") };
        if let Err(error) = self.file.write_all_at(text.as_bytes(), self.size) {
            // What there was room for would stand in the middle of a line of the service, and once more at each further attempt.
            drop(self.file.set_len(self.size));
            return Err(error);
        }
        self.size += text.len() as u64;
        Ok(())
    }

    /// Makes room: the file becomes `.1`, and an empty one takes its place. When that does not work, the file grows on, and the next
    /// attempt comes one limit later.
    pub(super) fn rotate(&mut self) {
        let fresh = rotate::shift(&self.path, self.rotation.n_kept).and_then(|()| open_or_replace(&self.path));
        match fresh {
            Ok(file) => {
                self.file = file;
                self.size = 0;
                self.rotate_at = self.rotation.limit;
            }
            Err(_) => self.rotate_at = self.size.saturating_add(self.rotation.limit),
        }
    }
}

/// Opens the log for writing. What stands in its place and is no regular file of ours (a link, a directory) is moved aside.
fn open_or_replace(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE;
    let refused = match directory::open_regular(path, flags) {
        Ok(file) if file.metadata()?.nlink() <= 1 => return Ok(file),
        // Another name of it may be somebody's file.
        Ok(_) => {
            std::fs::rename(path, aside(path))?;
            return directory::open_regular(path, flags);
        }
        Err(refused) => refused,
    };
    if refused.kind() == io::ErrorKind::NotFound {
        // The whole directory was removed.
        let parent = directory::split(path)?.0;
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        return directory::open_regular(path, flags);
    }
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => {
            std::fs::rename(path, aside(path))?;
            directory::open_regular(path, flags)
        }
        Ok(_) | Err(_) => Err(refused),
    }
}

/// Where that goes which is no log of ours.
fn aside(path: &Path) -> PathBuf {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".aside-{}", state::unix_millis(SystemTime::now()) / 1000));
    PathBuf::from(aside)
}
