//! Log files, read by position: a window of lines forward or backward from any offset, in any size of file.
//!
//! Nothing is mapped (a truncation would kill the reader) and nothing is read but the window, rounded up to [`BLOCK`].

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// Files are read in blocks that begin at multiples of this, in bytes.
const BLOCK: u64 = 32 * 1024;

/// The longest line that is returned, in bytes. A longer one comes in pieces.
pub const MAX_LINE: usize = 2 * BLOCK as usize;

/// How many rotated files are looked for.
pub(super) const MAX_ROTATED: u32 = 1000;

/// How many numbers in a row may be missing among them: a shift that is under way leaves one, and one more may open behind the look.
pub(super) const MAX_GAP: u32 = 2;

/// A line, or a piece of one, as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it begins, in bytes from the start of its file.
    pub offset: u64,
    /// The service's bytes without the line feed, at most [`MAX_LINE`]. Not fit for a terminal: see [`super::sanitize`].
    pub bytes: Vec<u8>,
    /// What ended it.
    pub end: LineEnd,
}

/// What ended a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnd {
    /// A line feed.
    LineFeed,
    /// Nothing: it was too long, and goes on in the next line.
    Split,
    /// The end of the file: more may come.
    EndOfFile,
}

impl Line {
    /// Where the next line begins, in bytes from the start of the file.
    pub fn next_offset(&self) -> u64 {
        self.offset + self.bytes.len() as u64 + u64::from(self.end == LineEnd::LineFeed)
    }
}

/// An open log file. Stays with the file it opened when that is renamed or removed.
#[derive(Debug)]
pub struct LogFile {
    file: File,
}

impl LogFile {
    /// Opens `path` for reading.
    ///
    /// # Errors
    /// When it cannot be opened, is a symbolic link, or is no regular file; never blocks on a FIFO.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(Self { file })
    }

    /// Its length now, in bytes.
    ///
    /// # Errors
    /// When the system refuses to say.
    pub fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Up to `n_lines` lines from `offset` on, which is where a line begins. The last one may end with the file.
    ///
    /// # Errors
    /// When reading fails. A file that became shorter ends earlier.
    pub fn forward(&self, offset: u64, n_lines: usize) -> io::Result<Vec<Line>> {
        self.between(offset, self.length()?, n_lines)
    }

    /// Up to `n_lines` lines that end at or before `end`, in the file's order; `end` is where a line begins, or the file's length.
    ///
    /// # Errors
    /// When reading fails.
    pub fn backward(&self, end: u64, n_lines: usize) -> io::Result<Vec<Line>> {
        let end = end.min(self.length()?);
        let start = self.nth_line_start_before(end, n_lines)?;
        self.between(start, end, n_lines)
    }

    /// The start of the line that `offset` is in, for jumping to anywhere.
    ///
    /// # Errors
    /// When reading fails.
    pub fn line_start(&self, offset: u64) -> io::Result<u64> {
        let offset = offset.min(self.length()?);
        self.nth_line_start_before(offset.saturating_add(1), 1)
    }

    /// Device and inode: what stays the same when the file is renamed.
    pub(super) fn identity(&self) -> io::Result<(u64, u64)> {
        Ok(identity_of(&self.file.metadata()?))
    }

    /// The file itself, for reading by position and for watching.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Lines break at line feeds, and at a block's end when the whole block has none. Both directions can tell that from the block alone, so
    /// a gigabyte without a line feed is windowed as quickly as anything else.
    fn between(&self, start: u64, end: u64, n_lines: usize) -> io::Result<Vec<Line>> {
        let mut lines = Vec::new();
        let mut pending = Pending::at(start);
        let mut position = start;
        while position < end && lines.len() < n_lines {
            let block = Block::read(&self.file, position / BLOCK * BLOCK, end)?;
            let Some(mut rest) = block.from(position) else { break };
            while let Some(at) = memchr::memchr(b'\n', rest) {
                let (text, behind) = rest.split_at(at);
                lines.push(pending.end(text, LineEnd::LineFeed));
                rest = behind.get(1..).unwrap_or_default();
                if lines.len() == n_lines {
                    return Ok(lines);
                }
            }
            pending.bytes.extend_from_slice(rest);
            if block.breaks_at_its_end() && !pending.bytes.is_empty() {
                lines.push(pending.end(&[], LineEnd::Split));
            }
            position = block.end();
        }
        if lines.len() < n_lines && !pending.bytes.is_empty() {
            lines.push(pending.end(&[], LineEnd::EndOfFile));
        }
        Ok(lines)
    }

    /// Where the `n_lines`-th last of the lines that begin before `end` begins; 0 when there are fewer.
    fn nth_line_start_before(&self, end: u64, n_lines: usize) -> io::Result<u64> {
        let mut n_found = 0;
        let mut block_end = end;
        if n_lines == 0 {
            return Ok(end);
        }
        while block_end > 0 {
            let block = Block::read(&self.file, (block_end - 1) / BLOCK * BLOCK, block_end)?;
            // A line begins behind a block's end that breaks, and behind each line feed; but none begins at `end` itself.
            let starts_behind = block.breaks_at_its_end().then_some(block.end());
            let starts = memchr::memrchr_iter(b'\n', &block.bytes).map(|at| block.offset + at as u64 + 1);
            for start in starts_behind.into_iter().chain(starts).filter(|start| *start < end) {
                n_found += 1;
                if n_found == n_lines {
                    return Ok(start);
                }
            }
            block_end = block.offset;
        }
        Ok(0)
    }
}

/// A line that has begun.
struct Pending {
    offset: u64,
    bytes: Vec<u8>,
}

impl Pending {
    fn at(offset: u64) -> Self {
        Self { offset, bytes: Vec::new() }
    }

    fn end(&mut self, text: &[u8], end: LineEnd) -> Line {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.extend_from_slice(text);
        let line = Line { offset: self.offset, bytes, end };
        self.offset = line.next_offset();
        line
    }
}

struct Block {
    offset: u64,
    bytes: Vec<u8>,
}

impl Block {
    /// The part before `end` of the block at `offset`; shorter where the file ends.
    fn read(file: &File, offset: u64, end: u64) -> io::Result<Self> {
        let length = usize::try_from((end - offset).min(BLOCK)).unwrap_or_default();
        let mut bytes = vec![0; length];
        let n_read = read_at(file, &mut bytes, offset)?;
        bytes.truncate(n_read);
        Ok(Self { offset, bytes })
    }

    fn from(&self, position: u64) -> Option<&[u8]> {
        let skipped = usize::try_from(position - self.offset).ok()?;
        self.bytes.get(skipped..).filter(|rest| !rest.is_empty())
    }

    fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }

    fn breaks_at_its_end(&self) -> bool {
        self.bytes.len() as u64 == BLOCK && memchr::memchr(b'\n', &self.bytes).is_none()
    }
}

/// Reads until `buffer` is full or the file ends; returns how many bytes there were.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut n_read = 0;
    while let Some(rest) = buffer.get_mut(n_read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + n_read as u64) {
            Ok(0) => break,
            Ok(more) => n_read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(n_read)
}

pub(super) fn identity_of(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// The `number`-th rotated file of `path`; the newest is 1.
pub(super) fn rotated(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

/// The last `n_lines` lines of a service, oldest first, going back into rotated files (`.1`, `.2` …) as far as needed. Empty when there is no
/// log yet.
///
/// # Errors
/// When the newest file exists and cannot be read. Rotated files that cannot be read end the look back.
pub fn tail(path: &Path, n_lines: usize) -> io::Result<Vec<Line>> {
    let newest = match LogFile::open(path) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    match newest {
        Some(file) => tail_from(&file, file.length()?, path, n_lines),
        None => older_lines(path, None, n_lines),
    }
}

/// [`tail`] of what stands before `end` in `file`, which is the newest one of `path`.
pub(super) fn tail_from(file: &LogFile, end: u64, path: &Path, n_lines: usize) -> io::Result<Vec<Line>> {
    let newest = file.backward(end, n_lines)?;
    let mut lines = older_lines(path, Some(file.identity()?), n_lines - newest.len().min(n_lines))?;
    lines.extend(newest);
    Ok(lines)
}

/// The last lines of the rotated files. `seen` may have been rotated just now, and is not read twice, nor is one that is shifted meanwhile.
fn older_lines(path: &Path, seen: Option<(u64, u64)>, n_lines: usize) -> io::Result<Vec<Line>> {
    let mut parts = Vec::new();
    let mut read = Vec::new();
    let mut n_missing = n_lines;
    let mut gap = 0;
    for number in 1..=MAX_ROTATED {
        if n_missing == 0 || gap > MAX_GAP {
            break;
        }
        let Ok(file) = LogFile::open(&rotated(path, number)) else {
            gap += 1;
            continue;
        };
        gap = 0;
        let identity = file.identity()?;
        if seen == Some(identity) {
            // What was read so far is newer than what was seen.
            parts.clear();
            n_missing = n_lines;
        } else if !read.contains(&identity) {
            read.push(identity);
            let part = file.backward(u64::MAX, n_missing)?;
            n_missing -= part.len();
            parts.push(part);
        }
    }
    Ok(parts.into_iter().rev().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, Line, LineEnd, LogFile, MAX_LINE, rotated, tail};
    use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
    use std::fs;
    use std::io::{Seek, SeekFrom, Write};
    use std::path::PathBuf;

    struct Fixture {
        _dir: tempfile::TempDir,
        path: PathBuf,
    }

    fn log(content: &[u8]) -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        fs::write(&path, content).unwrap();
        Fixture { _dir: dir, path }
    }

    fn texts(lines: &[Line]) -> Vec<String> {
        lines.iter().map(|line| String::from_utf8_lossy(&line.bytes).into_owned()).collect()
    }

    #[test]
    fn the_last_lines_are_found_also_without_a_final_line_feed() {
        let fixture = log(b"one\ntwo\n\nfour");
        assert_eq!(texts(&tail(&fixture.path, 2).unwrap()), ["", "four"]);
        assert_eq!(texts(&tail(&fixture.path, 99).unwrap()), ["one", "two", "", "four"]);
        assert_eq!(tail(&fixture.path, 1).unwrap()[0].end, LineEnd::EndOfFile);
        assert!(tail(&fixture.path, 0).unwrap().is_empty());
        fs::write(&fixture.path, "one\ntwo\n").unwrap();
        assert_eq!(texts(&tail(&fixture.path, 1).unwrap()), ["two"]);
        fs::write(&fixture.path, "").unwrap();
        assert!(tail(&fixture.path, 5).unwrap().is_empty());
        fs::remove_file(&fixture.path).unwrap();
        assert!(tail(&fixture.path, 5).unwrap().is_empty());
    }

    #[test]
    fn the_look_back_goes_on_in_rotated_files() {
        let fixture = log(b"five\n");
        fs::write(rotated(&fixture.path, 1), "three\nfour\n").unwrap();
        fs::write(rotated(&fixture.path, 2), "one\ntwo\n").unwrap();
        assert_eq!(texts(&tail(&fixture.path, 4).unwrap()), ["two", "three", "four", "five"]);
        assert_eq!(texts(&tail(&fixture.path, 1).unwrap()), ["five"]);
        assert_eq!(tail(&fixture.path, 100).unwrap().len(), 5);
        fs::remove_file(&fixture.path).unwrap();
        assert_eq!(texts(&tail(&fixture.path, 1).unwrap()), ["four"]);
        // In the middle of a shift.
        fs::rename(rotated(&fixture.path, 1), rotated(&fixture.path, 3)).unwrap();
        fs::rename(rotated(&fixture.path, 2), rotated(&fixture.path, 5)).unwrap();
        fs::write(&fixture.path, "five\n").unwrap();
        assert_eq!(texts(&tail(&fixture.path, 4).unwrap()), ["two", "three", "four", "five"]);
    }

    #[test]
    fn symbolic_links_and_other_things_are_not_read() {
        let fixture = log(b"secret\n");
        let link = fixture.path.with_extension("link");
        std::os::unix::fs::symlink(&fixture.path, &link).unwrap();
        assert!(tail(&link, 1).is_err());
        assert!(tail(fixture.path.parent().unwrap(), 1).is_err());
    }

    #[test]
    fn the_window_of_a_huge_file_costs_only_itself() {
        // 10 GB, of which all but the end is a hole: zeros without a line feed.
        let fixture = log(b"");
        let mut file = fs::OpenOptions::new().write(true).open(&fixture.path).unwrap();
        file.seek(SeekFrom::Start(10_000_000_000)).unwrap();
        file.write_all(b"\nlast but one\nlast\n").unwrap();
        let lines = tail(&fixture.path, 3).unwrap();
        assert_eq!(texts(&lines[1..]), ["last but one", "last"]);
        assert!(lines[0].bytes.len() <= MAX_LINE);
        let log = LogFile::open(&fixture.path).unwrap();
        assert_eq!(log.line_start(5_000_000_123).unwrap() % BLOCK, 0);
        let window = log.forward(log.line_start(5_000_000_123).unwrap(), 3).unwrap();
        assert!(window.len() == 3 && window.iter().all(|line| line.end == LineEnd::Split));
    }

    fn contents() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => prop::collection::vec(prop::sample::select(b"ab\n".to_vec()), 0..40),
            1 => (0..3 * BLOCK as usize).prop_map(|length| vec![b'x'; length]),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        #[test]
        fn forward_and_backward_agree_and_lose_nothing(content in contents(), step in 1_usize..7) {
            let fixture = log(&content);
            let log = LogFile::open(&fixture.path).unwrap();
            let all = log.forward(0, usize::MAX).unwrap();

            let mut joined = Vec::new();
            for line in &all {
                prop_assert!(line.bytes.len() <= MAX_LINE);
                prop_assert_eq!(line.offset, joined.len() as u64);
                joined.extend_from_slice(&line.bytes);
                if line.end == LineEnd::LineFeed {
                    joined.push(b'\n');
                }
                prop_assert_eq!(log.line_start(line.offset).unwrap(), line.offset);
            }
            prop_assert!(joined == content);

            let mut backward = Vec::new();
            let mut end = content.len() as u64;
            loop {
                let mut part = log.backward(end, step).unwrap();
                let Some(first) = part.first() else { break };
                end = first.offset;
                part.reverse();
                backward.extend(part);
            }
            backward.reverse();
            let offsets = |lines: &[Line]| lines.iter().map(|line| (line.offset, line.bytes.len())).collect::<Vec<_>>();
            prop_assert_eq!(offsets(&backward), offsets(&all));
        }
    }
}
