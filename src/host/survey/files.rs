//! The directory of logs and state, and its file system.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::SpliceFlags;

use crate::preflight::{Space, StatePlace, Trial};
use crate::store::{Layout, directory};

pub(super) fn state(layout: &Layout) -> StatePlace {
    let problem = directory::inspect(layout).err().map(|unusable| (unusable.to_string(), unusable.remedy()));
    StatePlace { path: layout.root().to_owned(), problem }
}

pub(super) fn space(path: &Path) -> Result<Space, String> {
    let found = rustix::fs::statvfs(existing(path)).map_err(|error| error.to_string())?;
    Ok(Space {
        free: found.f_bavail.saturating_mul(found.f_frsize),
        // File systems that make inodes as they need them count none.
        free_files: (found.f_files > 0).then_some(found.f_favail),
    })
}

/// Moves a byte from a pipe into a file without a name in `logs`, the way a shim does.
pub(super) fn splice(logs: &Path) -> Trial {
    match nameless(existing(logs)) {
        Ok(file) => match move_a_byte(&file) {
            Ok(()) => Trial::Works,
            Err(error) => Trial::Refused(error.to_string()),
        },
        Err(error) => Trial::NotTried(error.to_string()),
    }
}

fn move_a_byte(file: &File) -> Result<(), Errno> {
    let (reader, writer) = rustix::pipe::pipe()?;
    rustix::io::write(&writer, b".")?;
    let mut at = 0;
    match rustix::pipe::splice(&reader, None, file, Some(&mut at), 1, SpliceFlags::NONBLOCK)? {
        1 => Ok(()),
        _ => Err(Errno::IO),
    }
}

/// A file that is gone when it is closed. Where the file system knows none, one that is unlinked as soon as it is open.
fn nameless(directory: &Path) -> io::Result<File> {
    let mode = Mode::RUSR | Mode::WUSR;
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::openat(CWD, directory, flags | OFlags::TMPFILE, mode) {
        Ok(file) => return Ok(file.into()),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    let path = directory.join(format!(".doctor-{}", std::process::id()));
    let file = rustix::fs::openat(CWD, &path, flags | OFlags::CREATE | OFlags::EXCL, mode)?;
    rustix::fs::unlink(&path)?;
    Ok(file.into())
}

/// When the newest file in these directories was written.
pub(super) fn newest(directories: &[PathBuf]) -> Option<SystemTime> {
    let entries = directories.iter().filter_map(|directory| std::fs::read_dir(directory).ok()).flatten().flatten();
    entries.filter_map(|entry| entry.metadata().and_then(|found| found.modified()).ok()).max()
}

/// The path, or the nearest directory above it that is there: where it would be made.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{newest, space, splice, state};
    use crate::preflight::Trial;
    use crate::store::Layout;

    #[test]
    fn looking_leaves_nothing_behind_and_needs_nothing_to_be_there() {
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::new(home.path().join("not/there/yet"));
        assert_eq!(state(&layout).problem, None);
        assert!(space(layout.root()).unwrap().free > 0);
        assert_eq!(splice(&layout.logs()), Trial::Works);
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_in_the_way_is_a_problem_with_a_remedy() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("services");
        std::fs::write(&root, "").unwrap();
        let (problem, remedy) = state(&Layout::new(&root)).problem.unwrap();
        assert!(problem.contains("is not a directory") && remedy.contains("Move"), "{problem} {remedy}");
    }

    #[test]
    fn the_newest_file_is_found() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(newest(&[home.path().join("none")]), None);
        let file = std::fs::File::create(home.path().join("a")).unwrap();
        std::fs::write(home.path().join("b"), "").unwrap();
        let later = SystemTime::now() + Duration::from_secs(3600);
        file.set_modified(later).unwrap();
        let apart = newest(&[home.path().to_owned()]).unwrap().duration_since(SystemTime::now()).unwrap();
        assert!(apart > Duration::from_secs(3500), "{apart:?}");
    }
}
