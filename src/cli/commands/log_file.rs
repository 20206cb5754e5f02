//! Reads a service's log by position: its last lines without reading it whole, and what is added to it, across rotations and truncation.
//!
//! Rotated files add `.1`, `.2` and so on, the newest being `.1`. A file is told from its successor by device and inode.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// A line longer than this is cut into several, so that a log without line ends costs no memory.
const LONGEST_LINE: usize = 64 * 1024;

/// Opens a log for reading. `None` when there is none. Neither follows a symbolic link nor hangs on a FIFO that stands in its place.
fn open(path: &Path) -> io::Result<Option<File>> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if file.metadata()?.is_file() { Ok(Some(file)) } else { Err(io::Error::other("it is no regular file")) }
}

fn rotated(path: &Path, n: usize) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{n}"));
    PathBuf::from(name)
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

/// The last `n_lines` lines of a log, going back into rotated files where the newest has fewer, and the reader that goes on from there.
///
/// # Errors
/// When a file is there but cannot be read.
pub(super) fn last_lines(path: &Path, n_lines: usize) -> io::Result<(Vec<String>, Follower)> {
    let current = open(path)?;
    let mut follower = Follower::new(path);
    let mut lines: VecDeque<String> = VecDeque::new();
    if let Some(file) = &current {
        let end = file.metadata()?.len();
        let (found, line_end) = lines_before(file, end, n_lines)?;
        lines = found.into();
        follower.offset = line_end;
    }
    let mut n = 1;
    while lines.len() < n_lines
        && let Some(file) = open(&rotated(path, n))?
    {
        let end = file.metadata()?.len();
        let (found, _) = lines_before(&file, end, n_lines - lines.len())?;
        found.into_iter().rev().for_each(|line| lines.push_front(line));
        n += 1;
    }
    follower.file = current;
    Ok((lines.into(), follower))
}

/// Up to `n_lines` whole lines before `end`, and the position behind the last of them: what follows is a line under way.
fn lines_before(file: &File, end: u64, n_lines: usize) -> io::Result<(Vec<String>, u64)> {
    let mut tail: Vec<u8> = Vec::new();
    let mut start = end;
    let most = LONGEST_LINE.saturating_mul(n_lines.saturating_add(1));
    // One line end more than lines are wanted: the one before the first of them.
    while start > 0 && memchr::memchr_iter(b'\n', &tail).count() <= n_lines && tail.len() <= most {
        // As much again as there is: many lines are then copied few times.
        let size = CHUNK.max(tail.len()).min(usize::try_from(start).unwrap_or(CHUNK));
        start -= size as u64;
        let mut chunk = vec![0; size];
        file.read_exact_at(&mut chunk, start)?;
        chunk.append(&mut tail);
        tail = chunk;
    }
    let Some(last_end) = memchr::memrchr(b'\n', &tail) else { return Ok((Vec::new(), start)) };
    let whole = tail.get(..last_end).unwrap_or_default();
    let mut lines: Vec<String> = whole.rsplit(|byte| *byte == b'\n').take(n_lines).map(text).collect();
    lines.reverse();
    Ok((lines, start + last_end as u64 + 1))
}

fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8_lossy(line.get(..LONGEST_LINE).unwrap_or(line)).into_owned()
}

/// Reads what is added to a log.
#[derive(Debug)]
pub(super) struct Follower {
    path: PathBuf,
    file: Option<File>,
    offset: u64,
    under_way: Vec<u8>,
}

impl Follower {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: None, offset: 0, under_way: Vec::new() }
    }

    /// The whole lines that were added since the last call. Files that were rotated away in between are read to their end first.
    ///
    /// # Errors
    /// When a file is there but cannot be read; the next call goes on.
    pub(super) fn added(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        self.read_rest(&mut lines)?;
        let Some(newest) = open(&self.path)? else { return Ok(lines) };
        let known = self.file.as_ref().map(identity).transpose()?;
        if known == Some(identity(&newest)?) {
            return Ok(lines);
        }
        // What was added to the old file between its end above and its rotation.
        self.read_rest(&mut lines)?;
        for file in self.rotated_since(known)? {
            self.switch_to(file, &mut lines)?;
        }
        self.switch_to(newest, &mut lines)?;
        Ok(lines)
    }

    /// Whole files that came and were rotated away since the known one, oldest first. None when the known one is gone altogether.
    fn rotated_since(&self, known: Option<(u64, u64)>) -> io::Result<Vec<File>> {
        let Some(known) = known else { return Ok(Vec::new()) };
        let mut since = Vec::new();
        let mut n = 1;
        while let Some(file) = open(&rotated(&self.path, n))? {
            if identity(&file)? == known {
                since.reverse();
                return Ok(since);
            }
            since.push(file);
            n += 1;
        }
        Ok(Vec::new())
    }

    fn switch_to(&mut self, file: File, lines: &mut Vec<String>) -> io::Result<()> {
        if !self.under_way.is_empty() {
            lines.push(text(&std::mem::take(&mut self.under_way)));
        }
        self.file = Some(file);
        self.offset = 0;
        self.read_rest(lines)
    }

    fn read_rest(&mut self, lines: &mut Vec<String>) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        if file.metadata()?.len() < self.offset {
            // Truncated: what is there now is new.
            self.offset = 0;
            self.under_way.clear();
        }
        let mut chunk = vec![0; CHUNK];
        loop {
            let n_read = file.read_at(&mut chunk, self.offset)?;
            if n_read == 0 {
                return Ok(());
            }
            self.offset += n_read as u64;
            self.under_way.extend_from_slice(chunk.get(..n_read).unwrap_or_default());
            if let Some(last_end) = memchr::memrchr(b'\n', &self.under_way) {
                let rest = self.under_way.split_off(last_end + 1);
                self.under_way.truncate(last_end);
                lines.extend(self.under_way.split(|byte| *byte == b'\n').map(text));
                self.under_way = rest;
            }
            if self.under_way.len() > LONGEST_LINE {
                lines.push(text(&std::mem::take(&mut self.under_way)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{last_lines, rotated};
    use std::fs::{self, OpenOptions};
    use std::io::Write as _;
    use std::path::Path;

    fn append(path: &Path, text: &str) {
        OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn the_last_lines_are_found_without_reading_everything_and_across_rotations() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        let numbered: String = (0..100_000).map(|n| format!("line {n}\n")).collect();
        append(&rotated(&log, 1), &numbered);
        append(&log, "new 1\nnew 2\nunder way");
        let (lines, _) = last_lines(&log, 3).unwrap();
        assert_eq!(lines, ["line 99999", "new 1", "new 2"]);
        assert_eq!(last_lines(&log, 1).unwrap().0, ["new 2"]);
        assert!(last_lines(&log, 0).unwrap().0.is_empty());
        assert_eq!(last_lines(&log, usize::MAX).unwrap().0.len(), 100_002);
        assert_eq!(last_lines(&log, 200_000).unwrap().0.len(), 100_002);
    }

    #[test]
    fn following_begins_where_the_last_lines_ended_and_survives_rotation_and_truncation() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        append(&log, "old\nunder ");
        let (lines, mut follower) = last_lines(&log, 10).unwrap();
        assert_eq!(lines, ["old"]);
        append(&log, "way\n");
        assert_eq!(follower.added().unwrap(), ["under way"]);
        assert!(follower.added().unwrap().is_empty());
        append(&log, "last of the first\n");
        fs::rename(&log, rotated(&log, 2)).unwrap();
        append(&rotated(&log, 1), "whole second\n");
        append(&log, "third\n");
        assert_eq!(follower.added().unwrap(), ["last of the first", "whole second", "third"]);
        fs::write(&log, "x\n").unwrap();
        assert_eq!(follower.added().unwrap(), ["x"]);
    }

    #[test]
    fn a_log_that_is_not_there_yet_is_followed_once_it_comes() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        let (lines, mut follower) = last_lines(&log, 10).unwrap();
        assert!(lines.is_empty() && follower.added().unwrap().is_empty());
        append(&log, "first\n");
        assert_eq!(follower.added().unwrap(), ["first"]);
    }

    #[test]
    fn a_link_in_the_place_of_a_log_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        std::os::unix::fs::symlink("/etc/passwd", &log).unwrap();
        assert!(last_lines(&log, 10).is_err());
    }

    #[test]
    fn a_log_without_line_ends_is_cut_and_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        let (_, mut follower) = last_lines(&log, 10).unwrap();
        append(&log, &"x".repeat(1_000_000));
        let lines = follower.added().unwrap();
        assert!(lines.len() > 5 && lines.iter().all(|line| line.len() <= super::LONGEST_LINE));
    }
}
