//! Following a service's log across everything that can happen to the file.

use std::io;
use std::path::{Path, PathBuf};

use super::file::{self, Line, LineEnd, LogFile, MAX_GAP, MAX_LINE, MAX_ROTATED};
use super::inotify::Watch;

/// The most that one batch reads, in bytes: a flood comes in many batches, and whoever draws gets a turn between them.
const BATCH: usize = 256 * 1024;

/// How often is looked for the successor of a file that is shifted again and again meanwhile.
const MAX_LOOKS: u32 = 100;

/// Where following begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// Behind everything that is there; a file that comes later is read from its start.
    End,
    /// At this offset, in bytes; the end, when the file is shorter.
    Offset(u64),
}

/// Yields the lines that come, in order and once. The file may not exist yet, be truncated, rotated, removed and made anew.
///
/// Idle, it costs nothing: it sleeps until the kernel reports a change.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    watch: Watch,
    reading: Option<Reading>,
    /// The last call failed: trying again makes no sense before something has changed.
    has_failed: bool,
}

/// A file that is being read.
#[derive(Debug)]
struct Reading {
    log: LogFile,
    /// Up to where it was read, `partial` included.
    position: u64,
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
}

impl Follower {
    /// Begins to follow `path`. Needs a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// When there is a file that cannot be read, or that is no regular file.
    pub fn open(path: &Path, start: StartAt) -> io::Result<Self> {
        let mut follower = Self { path: path.to_owned(), watch: Watch::new(path), reading: None, has_failed: false };
        if let Some(log) = open_if_there(path)? {
            let length = log.length()?;
            let position = match start {
                StartAt::End => length,
                StartAt::Offset(offset) => offset.min(length),
            };
            follower.begin(log, position);
        }
        Ok(follower)
    }

    /// The last `n_lines` lines (see [`super::tail`]), and a follower that goes on exactly behind them. A last line that has no end yet is
    /// left to the follower.
    ///
    /// # Errors
    /// As [`Follower::open`].
    pub fn with_tail(path: &Path, n_lines: usize) -> io::Result<(Vec<Line>, Self)> {
        let mut follower = Self { path: path.to_owned(), watch: Watch::new(path), reading: None, has_failed: false };
        let Some(log) = open_if_there(path)? else {
            return Ok((file::tail(path, n_lines)?, follower));
        };
        let length = log.length()?;
        let mut position = length;
        if let Some(unfinished) = log.backward(length, 1)?.pop()
            && unfinished.end == LineEnd::EndOfFile
        {
            position = unfinished.offset;
        }
        let lines = file::tail_from(&log, position, path, n_lines)?;
        follower.begin(log, position);
        Ok((lines, follower))
    }

    /// Waits for the next lines; never returns an empty batch. Offsets are those of the file that each line stands in.
    ///
    /// Cancel safe: what was read but not returned is returned by the next call.
    ///
    /// # Errors
    /// When reading fails. The next call waits for a change, then tries again, so that a loop over errors does not spin.
    pub async fn next(&mut self) -> io::Result<Vec<Line>> {
        loop {
            if !self.has_failed {
                let read = self.read_available();
                self.has_failed = read.is_err();
                let lines = read?;
                if !lines.is_empty() {
                    return Ok(lines);
                }
            }
            self.watch.changed().await?;
            self.has_failed = false;
        }
    }

    /// The beginning of a line whose end has not come, for showing a prompt or at the end of following. What comes later is a line of its
    /// own.
    pub fn flush(&mut self) -> Option<Line> {
        self.reading.as_mut()?.flush()
    }

    fn begin(&mut self, log: LogFile, position: u64) {
        // The watch comes first: what is written from here on is either read below or wakes us.
        self.watch.watch_file(log.file());
        self.reading = Some(Reading { log, position, partial: Vec::new() });
    }

    fn read_available(&mut self) -> io::Result<Vec<Line>> {
        loop {
            let Some(reading) = &mut self.reading else {
                match open_if_there(&self.path)? {
                    Some(log) => self.begin(log, 0),
                    None => return Ok(Vec::new()),
                }
                continue;
            };
            let lines = reading.read()?;
            if !lines.is_empty() {
                return Ok(lines);
            }
            let Some(successor) = self.successor()? else { return Ok(Vec::new()) };
            // Between the last read and the look for a successor, the old file may have got its last lines.
            let Some(reading) = &mut self.reading else { continue };
            let mut lines = reading.read()?;
            if lines.is_empty() {
                lines.extend(reading.flush());
                self.begin(successor, 0);
            }
            if !lines.is_empty() {
                return Ok(lines);
            }
        }
    }

    /// The file that came after the one being read: the next newer of the rotated ones, so that nothing is lost when rotation is faster
    /// than we are, else the one that has the name now. `None` while the one being read has the name, or nobody has.
    ///
    /// Files are shifted while this looks, the oldest first, each by one and upwards only. So a file that has the same place before and
    /// after its neighbour was opened had that neighbour all the time; a place that is empty belongs to a shift that is under way, or was
    /// interrupted, and the neighbour is the next one below.
    fn successor(&self) -> io::Result<Option<LogFile>> {
        let Some(reading) = &self.reading else { return Ok(None) };
        let identity = reading.log.identity()?;
        for _ in 0..MAX_LOOKS {
            let place = match self.place(identity) {
                Some(0) => return Ok(None),
                Some(place) => place,
                // Removed, or moved to where nobody looks: nothing says what came between.
                None => return open_if_there(&self.path),
            };
            let below = (0..place).rev().find_map(|number| {
                let log = open_if_there(&self.at(number)).transpose()?;
                Some((number, log))
            });
            let Some((neighbour, log)) = below else { return Ok(None) };
            let log = log?;
            let is_still_next = self.is_at(place, identity)
                && self.is_at(neighbour, log.identity()?)
                && (neighbour + 1..place).all(|number| self.at(number).symlink_metadata().is_err());
            if is_still_next {
                return Ok(Some(log));
            }
        }
        // Whoever shifts that often is heard again.
        Ok(None)
    }

    /// The number of the rotated file that this is; 0 for the one that has the name.
    fn place(&self, identity: (u64, u64)) -> Option<u32> {
        let mut gap = 0;
        for number in 0..=MAX_ROTATED {
            match self.at(number).symlink_metadata() {
                Ok(metadata) if file::identity_of(&metadata) == identity => return Some(number),
                Ok(_) => gap = 0,
                Err(_) if gap == MAX_GAP => return None,
                Err(_) => gap += 1,
            }
        }
        None
    }

    fn at(&self, number: u32) -> PathBuf {
        if number == 0 { self.path.clone() } else { file::rotated(&self.path, number) }
    }

    fn is_at(&self, number: u32, identity: (u64, u64)) -> bool {
        let metadata = self.at(number).symlink_metadata();
        metadata.is_ok_and(|metadata| file::identity_of(&metadata) == identity)
    }
}

fn open_if_there(path: &Path) -> io::Result<Option<LogFile>> {
    match LogFile::open(path) {
        Ok(log) => Ok(Some(log)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Reading {
    /// The lines that are there now, at most a batch; empty at the end of the file.
    fn read(&mut self) -> io::Result<Vec<Line>> {
        let mut lines = Vec::new();
        let length = self.log.length()?;
        if length < self.position {
            // Truncated: what was there is gone, what comes begins anew.
            lines.extend(self.flush());
            self.position = 0;
        }
        let missing = usize::try_from(length - self.position).unwrap_or(usize::MAX).min(BATCH);
        let mut buffer = vec![0; missing];
        let n_read = file::read_at(self.log.file(), &mut buffer, self.position)?;
        buffer.truncate(n_read);
        for piece in buffer.split_inclusive(|byte| *byte == b'\n') {
            self.take(piece, &mut lines);
        }
        Ok(lines)
    }

    /// Takes in bytes of one line, its line feed included where it has come.
    fn take(&mut self, piece: &[u8], lines: &mut Vec<Line>) {
        let (text, has_end) = match piece.strip_suffix(b"\n") {
            Some(text) => (text, true),
            None => (piece, false),
        };
        let mut rest = text;
        while self.partial.len() + rest.len() > MAX_LINE {
            let (now, later) = rest.split_at(MAX_LINE - self.partial.len());
            self.partial.extend_from_slice(now);
            self.position += now.len() as u64;
            lines.push(self.end(LineEnd::Split));
            rest = later;
        }
        self.partial.extend_from_slice(rest);
        self.position += rest.len() as u64;
        if has_end {
            lines.push(self.end(LineEnd::LineFeed));
            self.position += 1;
        }
    }

    fn end(&mut self, end: LineEnd) -> Line {
        let bytes = std::mem::take(&mut self.partial);
        Line { offset: self.position - bytes.len() as u64, bytes, end }
    }

    fn flush(&mut self) -> Option<Line> {
        (!self.partial.is_empty()).then(|| self.end(LineEnd::EndOfFile))
    }
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
