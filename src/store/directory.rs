//! Our directories: made with mode 0700, verified to be ours, entered without following a symbolic link. Std and rustix only: the
//! shim uses it too.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use super::Layout;
use super::failpoint::failpoint;

/// Why a directory of ours cannot be used.
#[derive(Debug)]
pub struct Unusable {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub problem: Problem,
}

/// What is wrong with a directory.
#[derive(Debug)]
pub enum Problem {
    /// It cannot be made, opened or looked at.
    Io(io::Error),
    /// It is a symbolic link, or no directory at all.
    NotADirectory,
    /// It belongs to this user, who is not us.
    Foreign(u32),
    /// Others than its owner may write to it.
    WritableByOthers,
}

impl Unusable {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        let path = self.path.display();
        match &self.problem {
            Problem::Io(_) => format!("Make sure that you may write to {path}"),
            Problem::NotADirectory => {
                format!("Move {path} away, or set PROVISIONING_SERVICES_DIR to another directory")
            }
            Problem::Foreign(_) => format!("Run this as the owner of {path}, or set PROVISIONING_SERVICES_DIR"),
            Problem::WritableByOthers => format!("Take the right to write from others: chmod go-w {path}"),
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.problem {
            Problem::Io(error) => write!(f, "{path}: {error}"),
            Problem::NotADirectory => write!(f, "{path} is not a directory (symbolic links are not followed)"),
            Problem::Foreign(uid) => write!(f, "{path} belongs to user {uid}"),
            Problem::WritableByOthers => write!(f, "{path} may be written to by others"),
        }
    }
}

impl std::error::Error for Unusable {}

impl From<Unusable> for io::Error {
    /// Keeps the kind: a reader has to tell a directory that is not there, in which nothing can be, from one that it may not read.
    fn from(unusable: Unusable) -> Self {
        let kind = match &unusable.problem {
            Problem::Io(error) => error.kind(),
            Problem::NotADirectory => io::ErrorKind::NotADirectory,
            Problem::Foreign(_) | Problem::WritableByOthers => io::ErrorKind::PermissionDenied,
        };
        Self::new(kind, unusable.to_string())
    }
}

/// Makes and verifies the root and the directories for PIDs, logs and state.
///
/// # Errors
/// [`Unusable`], for the first that is.
pub fn prepare(layout: &Layout) -> Result<(), Unusable> {
    refuse_foreign_root(layout)?;
    let root = layout.root().to_owned();
    for path in [root, layout.pids(), layout.logs(), layout.state()] {
        // Most starts find everything in place: look first, make then.
        match open(&path) {
            Ok(_) => {}
            Err(Unusable { problem: Problem::Io(error), .. }) if error.kind() == io::ErrorKind::NotFound => {
                let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
                made.map_err(|error| Unusable { path: path.clone(), problem: Problem::Io(error) })?;
                open(&path)?;
            }
            Err(unusable) => return Err(unusable),
        }
    }
    Ok(())
}

/// Says what stands in the way of [`prepare`] without making anything.
///
/// # Errors
/// [`Unusable`], for the first that is.
pub fn inspect(layout: &Layout) -> Result<(), Unusable> {
    refuse_foreign_root(layout)?;
    for path in [layout.root().to_owned(), layout.pids(), layout.logs(), layout.state()] {
        match open(&path) {
            Err(Unusable { problem: Problem::Io(error), .. }) if error.kind() == io::ErrorKind::NotFound => {
                let parent = existing_ancestor(&path);
                let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
                if let Err(error) = rustix::fs::access(&parent, access) {
                    return Err(Unusable { path: parent, problem: Problem::Io(error.into()) });
                }
            }
            Err(unusable) => return Err(unusable),
            Ok(_) => {}
        }
    }
    Ok(())
}

/// The superuser would leave files in somebody's home that their owner cannot use.
fn refuse_foreign_root(layout: &Layout) -> Result<(), Unusable> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let path = existing_ancestor(layout.root());
    match std::fs::metadata(&path) {
        Ok(found) if found.uid() != 0 => Err(Unusable { path, problem: Problem::Foreign(found.uid()) }),
        Ok(_) => Ok(()),
        Err(error) => Err(Unusable { path, problem: Problem::Io(error) }),
    }
}

fn existing_ancestor(path: &Path) -> PathBuf {
    path.ancestors().find(|ancestor| ancestor.symlink_metadata().is_ok()).unwrap_or(Path::new("/")).to_owned()
}

/// Opens a directory of ours, verified.
///
/// # Errors
/// [`Unusable`].
pub fn open(path: &Path) -> Result<OwnedFd, Unusable> {
    let fail = |problem| Unusable { path: path.to_owned(), problem };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(directory) => directory,
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => return Err(fail(Problem::NotADirectory)),
        Err(error) => return Err(fail(Problem::Io(error.into()))),
    };
    let found = rustix::fs::fstat(&directory).map_err(|error| fail(Problem::Io(error.into())))?;
    if found.st_uid != rustix::process::geteuid().as_raw() {
        return Err(fail(Problem::Foreign(found.st_uid)));
    }
    if found.st_mode & 0o022 != 0 {
        return Err(fail(Problem::WritableByOthers));
    }
    Ok(directory)
}

/// Whether what was just written must survive a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A reader sees it; a crash of the machine may bring back what was there before.
    Visible,
    /// It is on the disk when the call returns.
    Durable,
}

/// Replaces a file: written aside, then renamed, so that a reader sees the old content or the new one. Mode 0600.
///
/// Only for files with one writer at a time (the holder of the service's lock), which makes the name aside a fixed one that no
/// crash can multiply.
///
/// # Errors
/// When the directory is not ours or the disk refuses; the old file is intact then.
pub fn replace(path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
    let (directory, name) = split(path)?;
    let directory = open(directory)?;
    let mut aside = std::ffi::OsString::from(".");
    aside.push(name);
    aside.push(".new");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let mut file = match rustix::fs::openat(&directory, &aside, flags, mode) {
        Err(rustix::io::Errno::EXIST) => {
            rustix::fs::unlinkat(&directory, &aside, AtFlags::empty())?;
            File::from(rustix::fs::openat(&directory, &aside, flags, mode)?)
        }
        opened => File::from(opened?),
    };
    failpoint!("replace-made-aside");
    let written = file.write_all(content).and_then(|()| match durability {
        Durability::Visible => Ok(()),
        Durability::Durable => file.sync_all(),
    });
    failpoint!("replace-written-aside");
    let renamed = written.and_then(|()| Ok(rustix::fs::renameat(&directory, &aside, &directory, name)?));
    if renamed.is_err() {
        // Best effort: the next writer removes it too.
        let _left = rustix::fs::unlinkat(&directory, &aside, AtFlags::empty());
    } else if durability == Durability::Durable {
        rustix::fs::fsync(&directory)?;
    }
    renamed
}

/// Removes a file, without following a link; success when there is none.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    match rustix::fs::unlinkat(CWD, path, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Opens a regular file of ours in one of our directories: no link is followed, nothing blocks.
///
/// # Errors
/// When it is not there, or is not a regular file of ours.
pub fn open_regular(path: &Path, flags: OFlags) -> io::Result<File> {
    let (directory, name) = split(path)?;
    let directory = open(directory)?;
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = rustix::fs::openat(&directory, name, flags, Mode::RUSR | Mode::WUSR)?;
    let found = rustix::fs::fstat(&file)?;
    if rustix::fs::FileType::from_raw_mode(found.st_mode) != rustix::fs::FileType::RegularFile {
        return Err(io::Error::other(format!("{} is not a regular file", path.display())));
    }
    if found.st_uid != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!("{} belongs to user {}", path.display(), found.st_uid)));
    }
    Ok(File::from(file))
}

/// The directory and the name of a path of ours.
///
/// # Errors
/// When it has none, which no path of a [`Layout`] has.
pub fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent, name)),
        (None, _) | (_, None) => Err(io::Error::other(format!("{} names no file", path.display()))),
    }
}
