//! Taking the locks, and saying who holds them.

use std::io;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::host::process::{self, Era};
use crate::model::{Leader, LeaderKind, ProcessIdentity};
use crate::store::directory::{self, Unusable};
use crate::store::leader::{self, Held, Note};
use crate::store::{Layout, lock};

/// What this process says of itself in a lock that it holds.
///
/// # Errors
/// When `/proc` does not show it.
pub(super) fn note(kind: LeaderKind, registry: Option<PathBuf>) -> io::Result<Note> {
    let own = process::stat(std::process::id()).ok_or_else(|| io::Error::other("/proc does not show this process"))?;
    Ok(Note { kind, identity: Era::present()?.identity(&own), registry })
}

/// The right to be the one `supervise` of a home, as long as it is kept.
#[derive(Debug)]
pub struct Claim {
    held: Option<Held>,
    pub(super) note: Note,
    pub(super) layout: Layout,
}

impl Claim {
    /// Whether it still is the claim that counts: nobody removed or replaced the directory.
    pub(super) fn is_current(&self) -> bool {
        self.held.as_ref().is_some_and(Held::is_current)
    }

    /// Gives it up.
    pub(super) fn release(&mut self) {
        self.held = None;
    }

    /// Takes it again; false when that is not possible any more.
    pub(super) fn renew(&mut self) -> bool {
        self.held = leader::take(&self.layout.supervise_lock(), &self.note).ok().flatten();
        self.held.is_some()
    }
}

/// Why there is no claim.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another one is the `supervise` of this home.
    #[error("supervise is already running{}", .0.pid.map(|pid| format!(" (PID {pid})")).unwrap_or_default())]
    AlreadyRunning(Leader),
    /// The directory cannot be used.
    #[error("{0}")]
    Unusable(Unusable),
    /// The lock cannot be had.
    #[error("{}: {error}", path.display())]
    Lock {
        /// The lock's file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

/// Claims to be the `supervise` of a home. Of any number that try at the same moment exactly one succeeds.
///
/// # Errors
/// [`ClaimError`].
pub fn claim(layout: &Layout, registry: Option<PathBuf>) -> Result<Claim, ClaimError> {
    directory::prepare(layout).map_err(ClaimError::Unusable)?;
    let path = layout.supervise_lock();
    let fail = |error| ClaimError::Lock { path: path.clone(), error };
    let note = note(LeaderKind::Supervise, registry).map_err(fail)?;
    match leader::take(&path, &note).map_err(fail)? {
        Some(held) => Ok(Claim { held: Some(held), note, layout: layout.clone() }),
        None => Err(ClaimError::AlreadyRunning(named(&path))),
    }
}

/// Who leads the home; `None` when nobody does, and when it cannot be looked at. Reads only.
pub fn leader(layout: &Layout) -> Option<Leader> {
    held_by(&layout.leader_lock())
}

/// The `supervise` of the home, whether it leads already or waits for a console to give way; `None` when there is none.
pub fn running(layout: &Layout) -> Option<Leader> {
    held_by(&layout.supervise_lock()).map(|found| Leader { kind: Some(LeaderKind::Supervise), ..found })
}

/// Tells the `supervise` of the home to end, through a descriptor that was opened before its process was proven to hold the lock, so
/// that nothing else can be signalled. False when there is none, or when that cannot be proven.
///
/// # Errors
/// When the kernel refuses for a reason other than absence.
pub fn end(layout: &Layout) -> io::Result<bool> {
    let path = layout.supervise_lock();
    let Some(note) = leader::read_note(&path) else { return Ok(false) };
    let Some(pidfd) = Era::present()?.open(&note.identity)?.filter(|_| holds(&path, &note.identity)) else {
        return Ok(false);
    };
    match rustix::process::pidfd_send_signal(&pidfd, Signal::TERM) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn held_by(path: &Path) -> Option<Leader> {
    lock::is_held(path).unwrap_or(false).then(|| named(path))
}

/// What is proven of the holder of a lock. The note may be that of an earlier holder, or a lie.
fn named(path: &Path) -> Leader {
    let is_alive = |note: &Note| Era::present().is_ok_and(|era| era.is_alive(&note.identity));
    match leader::read_note(path).filter(|note| is_alive(note) && holds(path, &note.identity)) {
        Some(note) => Leader { kind: Some(note.kind), pid: Some(note.identity.pid), registry: note.registry },
        None => Leader::default(),
    }
}

/// Whether the process itself took the lock and holds it.
fn holds(path: &Path, identity: &ProcessIdentity) -> bool {
    lock::file_identity(path)
        .is_some_and(|(device, inode)| process::lock_taker(identity.pid, device, inode) == Some(identity.pid))
}
