//! Lock files: `flock` on a file that is never unlinked by us, with the inode compared after locking. Std and rustix only.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;

use super::directory;

/// Takes the lock without waiting; `None` when somebody holds it. Held as long as any copy of the descriptor is open, in any
/// process, which is what lets a service inherit it.
///
/// # Errors
/// When the file cannot be made or opened.
pub fn try_lock(path: &Path) -> io::Result<Option<File>> {
    loop {
        let file = directory::open_regular(path, OFlags::RDWR | OFlags::CREATE)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // Somebody may have removed the file between the opening and the locking: then the lock that counts is another one.
        let locked = file.metadata()?;
        match std::fs::symlink_metadata(path) {
            Ok(named) if named.dev() == locked.dev() && named.ino() == locked.ino() => return Ok(Some(file)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether somebody holds the lock. Takes a shared one for the blink of an eye, so a starter that meets it must try again.
///
/// # Errors
/// When the file cannot be opened for a reason other than absence.
pub fn is_held(path: &Path) -> io::Result<bool> {
    let file = match directory::open_regular(path, OFlags::RDONLY) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Whether the file that is held still stands at `path`.
pub fn is_at(held: &File, path: &Path) -> bool {
    match (held.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(held), Ok(named)) => named.dev() == held.dev() && named.ino() == held.ino(),
        _ => false,
    }
}

/// Device and inode of the lock file, by which `/proc` names it; `None` when there is none.
pub fn file_identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}
