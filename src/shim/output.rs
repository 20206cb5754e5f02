//! The way of a service's bytes: from its FIFO into its log, moved by the kernel, so that a shim that is killed at any moment has
//! neither taken a byte that it did not write nor written one that it did not take.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags};

use super::log::Log;
use crate::host::process::since_boot;
use crate::model::OnFull;
use crate::store::handover::Handover;
use crate::store::{directory, marker};

/// The capacity of a pipe that nobody changed.
const USUAL_CAPACITY: usize = 64 * 1024;

/// The capacity of the FIFO during a flood, so that the service writes on while the log is rotated. Not more, since the kernel counts the
/// pipes of a user together (`pipe-user-pages-soft` of pipe(7)).
const FLOOD_CAPACITY: usize = 256 * 1024;

/// After so long without a full FIFO a flood is over.
const FLOOD_ENDS: Duration = Duration::from_secs(1);

/// How much is read at once where splice is refused.
const COPIED_AT_ONCE: usize = 4096;

/// A log without a line end is cut this far beyond its limit.
const SLACK: u64 = 64 * 1024;

/// After so many batches the signals are looked at.
const BATCHES_PER_TURN: usize = 16;

/// How long bytes wait in the FIFO when the disk is full, before they are dropped.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How often a full disk is tried again.
pub(super) const RETRY: Duration = Duration::from_millis(500);

/// How old the last look at the log's name may be during a flood, which wakes the shim for every page: a look each time would cost more
/// than moving the bytes.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The FIFO and the log.
pub(super) struct Output {
    fifo: OwnedFd,
    log: Log,
    on_full: OnFull,
    /// Whether splice into this file system was refused, so that bytes are read and written.
    copies: bool,
    /// What was read for that and not written yet; empty as long as the disk takes everything.
    held: Vec<u8>,
    /// The most that the FIFO holds, and so the most that one splice moves.
    capacity: usize,
    /// When the FIFO was last found full, on the clock from boot; `None` outside of floods.
    flooded: Option<Duration>,
    /// When it was last seen, on the clock from boot, that the log still stands at its path.
    looked: Option<Duration>,
    /// Since when, on the clock from boot, the disk takes nothing.
    full_since: Option<Duration>,
    /// Bytes dropped that no marker in the log speaks of yet.
    unmarked: u64,
    /// Bytes dropped in all.
    dropped: u64,
}

/// What became of one batch.
enum Batch {
    Moved,
    /// As much as the FIFO holds.
    MovedAll,
    /// Less than asked for was there, so nothing is now: the next poll says when that changes.
    Emptied,
    Empty,
    DiskFull,
}

impl Output {
    /// Makes the FIFO where it is missing, and opens it and the log.
    ///
    /// # Errors
    /// When one of the two cannot be had; the path is in the error.
    pub(super) fn open(fifo: &Path, log: PathBuf, handover: &Handover, dropped: u64) -> io::Result<Self> {
        Self::with_fifo(open_fifo(fifo)?, log, handover, dropped)
    }

    /// The same for an orphan, whose FIFO is what it writes to, whatever stands at the path today.
    ///
    /// # Errors
    /// As [`Output::open`].
    pub(super) fn open_orphan(
        pid: u32,
        fifo: &Path,
        log: PathBuf,
        handover: &Handover,
        dropped: u64,
    ) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        // A service may have sent its output elsewhere: then the FIFO at the path is the best there is.
        let own = rustix::fs::openat(CWD, format!("/proc/{pid}/fd/1"), flags, Mode::empty())
            .ok()
            .filter(|found| is_our_fifo(found).unwrap_or(false));
        let fifo = match own {
            Some(found) => found,
            None => open_fifo(fifo)?,
        };
        Self::with_fifo(fifo, log, handover, dropped)
    }

    fn with_fifo(fifo: OwnedFd, log: PathBuf, handover: &Handover, dropped: u64) -> io::Result<Self> {
        let log = Log::open(log.clone(), handover.rotation)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", log.display())))?;
        let capacity = rustix::pipe::fcntl_getpipe_size(&fifo)?;
        Ok(Self {
            fifo,
            log,
            on_full: handover.on_full,
            copies: false,
            held: Vec::new(),
            capacity,
            flooded: None,
            looked: None,
            full_since: None,
            unmarked: 0,
            dropped,
        })
    }

    /// The service's end: a descriptor of its own that blocks, and that reads as well as writes, so that the death of this shim
    /// never makes a write fail.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub(super) fn open_for_service(&self) -> io::Result<File> {
        // By descriptor, not by path: it must be the very FIFO that is read here.
        let path = format!("/proc/self/fd/{}", self.fifo.as_raw_fd());
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY;
        Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// To wait on; `None` while bytes are left in the FIFO for a full disk, when waiting would be a busy loop.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        let holds_back = self.full_since.is_some() && !self.is_out_of_patience();
        (!holds_back).then(|| self.fifo.as_fd())
    }

    fn is_out_of_patience(&self) -> bool {
        self.on_full == OnFull::Drop
            && self.full_since.is_some_and(|since| since_boot().saturating_sub(since) >= PATIENCE)
    }

    /// When [`Output::pump`] has to be called without bytes having arrived, on the clock from boot.
    pub(super) fn timer(&self) -> Option<Duration> {
        self.full_since.map(|_| since_boot() + RETRY)
    }

    /// Bytes dropped since the service was started by somebody.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Writes the line that separates runs. Best effort: a full disk must not keep a service down.
    pub(super) fn mark_start(&mut self, service: &str, pid: u32) {
        if self.log.write_marker(&marker::started(service, pid, SystemTime::now())).is_err() {
            self.full_since.get_or_insert_with(since_boot);
        }
    }

    /// Moves what has arrived, up to a bound that keeps signals from waiting.
    pub(super) fn pump(&mut self) {
        for turn in 0..BATCHES_PER_TURN {
            // The file is looked at when bytes arrive, and not more often than once a turn.
            let looked = if turn == 0 { self.look() } else { Ok(()) };
            let batch = match looked.and_then(|()| self.settle_marker()).and_then(|()| self.batch()) {
                Ok(batch) => batch,
                // Whatever keeps the log from being written is treated as a full disk: wait, then drop and count.
                Err(_) => Batch::DiskFull,
            };
            match batch {
                Batch::Moved => self.full_since = None,
                Batch::MovedAll => {
                    self.full_since = None;
                    self.flood();
                }
                Batch::Emptied | Batch::Empty => {
                    self.full_since = None;
                    self.end_flood();
                    return;
                }
                Batch::DiskFull => {
                    self.full_since.get_or_insert_with(since_boot);
                    if self.is_out_of_patience() {
                        self.drop_waiting();
                    }
                    return;
                }
            }
        }
    }

    /// What becomes of output that the disk does not take.
    pub(super) fn on_full(&self) -> OnFull {
        self.on_full
    }

    /// Moves what is left at the end of a service, as far as the disk takes it: all writers are gone, so this ends. Whether that was all.
    pub(super) fn move_rest(&mut self) -> bool {
        while self.has_waiting() {
            self.pump();
            if self.full_since.is_some() {
                return false;
            }
        }
        true
    }

    /// Moves everything that is left, and drops what the disk does not take.
    pub(super) fn finish(&mut self) {
        while !self.move_rest() {
            self.drop_waiting();
        }
        // The line that says what was dropped before; nothing comes after this that would bring it.
        self.pump();
    }

    fn has_waiting(&self) -> bool {
        let mut poll = [rustix::event::PollFd::new(&self.fifo, rustix::event::PollFlags::IN)];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        !self.held.is_empty() || matches!(rustix::event::poll(&mut poll, Some(&now)), Ok(1..))
    }

    /// Lets a FIFO hold more that was found full.
    fn flood(&mut self) {
        let is_new = self.flooded.replace(since_boot()).is_none();
        if is_new && self.capacity < FLOOD_CAPACITY {
            // Refused when this user's pipes hold much already: then it is as fast as it is.
            self.capacity = rustix::pipe::fcntl_setpipe_size(&self.fifo, FLOOD_CAPACITY).unwrap_or(self.capacity);
        }
    }

    /// Gives back what a flood that is over needed.
    fn end_flood(&mut self) {
        if self.flooded.is_some_and(|flooded| since_boot().saturating_sub(flooded) >= FLOOD_ENDS) {
            self.flooded = None;
            self.capacity = rustix::pipe::fcntl_setpipe_size(&self.fifo, USUAL_CAPACITY).unwrap_or(self.capacity);
        }
    }

    /// Looks at the log's name; during a flood, unless that was done a moment ago.
    fn look(&mut self) -> io::Result<()> {
        let now = since_boot();
        // A line that comes alone must find the file that stands there now, however soon it comes.
        if self.flooded.is_none() || self.looked.is_none_or(|looked| now.saturating_sub(looked) >= LOOK_AGAIN) {
            self.looked = None;
            self.log.refresh()?;
            self.looked = Some(now);
        }
        Ok(())
    }

    fn settle_marker(&mut self) -> io::Result<()> {
        if self.unmarked > 0 {
            self.log.write_marker(&marker::dropped(self.unmarked, SystemTime::now()))?;
            self.unmarked = 0;
        }
        Ok(())
    }

    fn batch_size(&self) -> u64 {
        self.capacity as u64
    }

    fn batch(&mut self) -> io::Result<Batch> {
        if !self.held.is_empty() {
            return self.copy(0);
        }
        let (size, limit) = (self.log.size(), self.log.rotate_at());
        if size < limit {
            return self.transfer(self.batch_size().min(limit - size));
        }
        if self.log.ends_a_line() || size >= limit + SLACK {
            self.log.rotate();
            let room = self.log.rotate_at().saturating_sub(self.log.size()).max(1);
            return self.transfer(self.batch_size().min(room));
        }
        match self.waiting_line()? {
            0 => Ok(Batch::Empty),
            n_bytes => self.transfer(n_bytes.min(limit + SLACK - size)),
        }
    }

    /// How many of the waiting bytes belong to the present line, its end included, found on a copy so that they go on waiting.
    fn waiting_line(&self) -> io::Result<u64> {
        let (copy_out, copy_in) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        match rustix::pipe::tee(&self.fifo, &copy_in, USUAL_CAPACITY, SpliceFlags::NONBLOCK) {
            Ok(_) => {}
            Err(Errno::AGAIN) => return Ok(0),
            Err(error) => return Err(error.into()),
        }
        drop(copy_in);
        let mut copy = File::from(copy_out);
        let mut buffer = [0; 2048];
        let mut n_bytes = 0;
        loop {
            let read = copy.read(&mut buffer)?;
            let chunk = buffer.get(..read).unwrap_or_default();
            if let Some(at) = chunk.iter().position(|&byte| byte == b'\n') {
                return Ok(n_bytes + at as u64 + 1);
            }
            n_bytes += read as u64;
            if read == 0 {
                return Ok(n_bytes);
            }
        }
    }

    fn transfer(&mut self, n_bytes: u64) -> io::Result<Batch> {
        if self.copies {
            return self.copy(n_bytes);
        }
        let mut offset = self.log.size();
        let length = usize::try_from(n_bytes).unwrap_or(usize::MAX);
        let moved = rustix::io::retry_on_intr(|| {
            rustix::pipe::splice(
                &self.fifo,
                None,
                self.log.file(),
                Some(&mut offset),
                length,
                SpliceFlags::NONBLOCK | SpliceFlags::MOVE,
            )
        });
        match moved {
            Ok(0) | Err(Errno::AGAIN) => Ok(Batch::Empty),
            Ok(moved) => {
                self.log.grew(moved as u64);
                Ok(match moved {
                    moved if moved >= self.capacity => Batch::MovedAll,
                    moved if moved >= length => Batch::Moved,
                    _ => Batch::Emptied,
                })
            }
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                self.copies = true;
                self.copy(n_bytes)
            }
            Err(Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::IO) => Ok(Batch::DiskFull),
            Err(error) => Err(error.into()),
        }
    }

    /// For file systems that refuse splice: a shim that is killed between the two steps loses what it had read.
    fn copy(&mut self, n_bytes: u64) -> io::Result<Batch> {
        if self.held.is_empty() {
            let length = usize::try_from(n_bytes).unwrap_or(usize::MAX).min(COPIED_AT_ONCE);
            self.held.resize(length, 0);
            let read = rustix::io::retry_on_intr(|| rustix::io::read(&self.fifo, self.held.as_mut_slice()));
            self.held.truncate(*read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) | Err(Errno::AGAIN) => return Ok(Batch::Empty),
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // They are out of the FIFO and cannot go back: what is not written is held until it is, or dropped like what waits there.
        while !self.held.is_empty() {
            match self.log.file().write_at(&self.held, self.log.size()) {
                Ok(0) => return Ok(Batch::DiskFull),
                Ok(written) => {
                    self.log.grew(written as u64);
                    self.held.drain(..written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Batch::Moved)
    }

    /// Takes everything that waits out of the FIFO, so that the service is not blocked for good.
    fn drop_waiting(&mut self) {
        let mut dropped = std::mem::take(&mut self.held).len();
        if let Ok(null) = rustix::fs::open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
            // As much as a pipe holds; what arrives meanwhile is dropped the next time.
            let flags = SpliceFlags::NONBLOCK;
            dropped += rustix::pipe::splice(&self.fifo, None, &null, None, self.capacity, flags).unwrap_or(0);
        }
        self.unmarked += dropped as u64;
        self.dropped += dropped as u64;
    }
}

/// Opens the FIFO at `path`, made where it is missing. What stands in its place and is no FIFO of ours is an error.
fn open_fifo(path: &Path) -> io::Result<OwnedFd> {
    let explain = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let (parent, name) = directory::split(path)?;
    let parent = directory::open(parent)?;
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match rustix::fs::openat(&parent, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => {
            match rustix::fs::mknodat(&parent, name, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(explain(error.into())),
            }
            rustix::fs::openat(&parent, name, flags, Mode::empty())
        }
        opened => opened,
    };
    let fifo = opened.map_err(|error| explain(error.into()))?;
    if is_our_fifo(&fifo)? { Ok(fifo) } else { Err(explain(io::Error::other("not a FIFO of ours"))) }
}

fn is_our_fifo(descriptor: &OwnedFd) -> io::Result<bool> {
    let found = rustix::fs::fstat(descriptor)?;
    Ok(FileType::from_raw_mode(found.st_mode) == FileType::Fifo && found.st_uid == rustix::process::geteuid().as_raw())
}
