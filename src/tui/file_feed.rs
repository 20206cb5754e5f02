//! The log files of services as the console's feed: the newest lines, what comes, and what came before, across rotations.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use tokio::sync::mpsc;

use super::feed::{LogEntry, LogFeed, LogPosition};
use crate::logs::{Follower, Line, LogFile, Tabs, is_start_marker, sanitize};
use crate::model::ServiceId;
use crate::store::Layout;

/// Batches on their way to the console. A reader that is behind keeps the follower waiting, not memory growing.
const BATCHES: usize = 8;

/// From one attempt to read a log that cannot be read to the next.
const RETRY: Duration = Duration::from_secs(2);

/// How many rotated files are looked at.
const MAX_ROTATED: u32 = 100;

/// The files below one layout.
#[derive(Debug, Clone)]
pub struct FileFeed {
    layout: Layout,
}

impl FileFeed {
    /// Files below `layout`. Nothing is opened before it is asked for.
    pub fn new(layout: Layout) -> Self {
        Self { layout }
    }
}

impl LogFeed for FileFeed {
    /// Must be called on a runtime with I/O and time.
    fn follow(&self, service: &ServiceId, n_lines: usize) -> mpsc::Receiver<Vec<LogEntry>> {
        let (batches, receiver) = mpsc::channel(BATCHES);
        let path = self.layout.log_file(service);
        tokio::spawn(async move {
            let gone = batches.clone();
            tokio::select! {
                () = gone.closed() => {}
                () = follow(path, n_lines, batches) => {}
            }
        });
        receiver
    }

    fn earlier(
        &self,
        service: &ServiceId,
        before: LogPosition,
        n_lines: usize,
    ) -> BoxFuture<'static, Result<Vec<LogEntry>, String>> {
        let path = self.layout.log_file(service);
        Box::pin(async move {
            match tokio::task::spawn_blocking(move || earlier(&path, before, n_lines)).await {
                Ok(read) => read.map_err(|error| error.to_string()),
                Err(panic) => Err(panic.to_string()),
            }
        })
    }
}

/// Sends the newest lines, then what comes, until nobody listens.
async fn follow(path: PathBuf, n_lines: usize, batches: mpsc::Sender<Vec<LogEntry>>) {
    let mut has_complained = false;
    loop {
        let at = path.clone();
        // Long lines at the end of a large file are read in one go.
        let opened = tokio::task::spawn_blocking(move || open(&at, n_lines)).await;
        let error = match opened {
            Ok(Ok((newest, follower))) => {
                if batches.send(newest).await.is_err() {
                    return;
                }
                match follow_on(&path, follower, &batches).await {
                    Ok(()) => return,
                    Err(error) => error.to_string(),
                }
            }
            Ok(Err(error)) => error.to_string(),
            Err(panic) => panic.to_string(),
        };
        if !has_complained {
            has_complained = true;
            let note = LogEntry::Note(format!("the log cannot be read: {error}"));
            if batches.send(vec![note]).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

fn open(path: &Path, n_lines: usize) -> io::Result<(Vec<LogEntry>, Follower)> {
    let (lines, follower) = Follower::with_tail(path, n_lines)?;
    // The tail may reach back into rotated files: each time the offset falls, a newer file begins.
    let n_newer = |index: usize| {
        let falls = lines.windows(2).skip(index).filter(|pair| pair[1].offset <= pair[0].offset);
        u32::try_from(falls.count()).unwrap_or(u32::MAX)
    };
    let mut file = inode(path, n_newer(0));
    let mut entries = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        if index > 0 && lines.get(index - 1).is_some_and(|before| line.offset <= before.offset) {
            file = inode(path, n_newer(index));
        }
        entries.push(entry(line, file));
    }
    Ok((entries, follower))
}

/// Ends well when nobody listens.
async fn follow_on(path: &Path, mut follower: Follower, batches: &mpsc::Sender<Vec<LogEntry>>) -> io::Result<()> {
    loop {
        let lines = follower.next().await?;
        let file = inode(path, 0);
        if batches.send(lines.iter().map(|line| entry(line, file)).collect()).await.is_err() {
            return Ok(());
        }
    }
}

/// Lines before a place, which is found by its inode however often the file was renamed since.
fn earlier(path: &Path, before: LogPosition, n_lines: usize) -> io::Result<Vec<LogEntry>> {
    let Some(number) = (0..=MAX_ROTATED).find(|number| inode(path, *number) == before.file) else {
        return Ok(Vec::new());
    };
    let here = read_back(path, number, Some(before.offset), n_lines)?;
    if here.is_empty() { read_back(path, number + 1, None, n_lines) } else { Ok(here) }
}

/// Lines that end at `end`, or at the file's end. A file that is not there has none.
fn read_back(path: &Path, number: u32, end: Option<u64>, n_lines: usize) -> io::Result<Vec<LogEntry>> {
    let log = match LogFile::open(&numbered(path, number)) {
        Ok(log) => log,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let file = inode(path, number);
    let lines = log.backward(end.unwrap_or(u64::MAX), n_lines)?;
    Ok(lines.iter().map(|line| entry(line, file)).collect())
}

/// The log itself for 0, then the rotated ones, the newest first (see [`Layout::log_file`]).
fn numbered(path: &Path, number: u32) -> PathBuf {
    match number {
        0 => path.to_owned(),
        number => {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        }
    }
}

/// 0 where there is no such file, which no file has.
fn inode(path: &Path, number: u32) -> u64 {
    numbered(path, number).symlink_metadata().map_or(0, |metadata| metadata.ino())
}

fn entry(line: &Line, file: u64) -> LogEntry {
    let at = LogPosition { file, offset: line.offset };
    let text = sanitize(&line.bytes, Tabs::Expand).into_owned();
    if is_start_marker(line) || text.contains(" bytes dropped, the disk was full, ") {
        let inner = text.trim_start_matches("--- ").trim_end_matches(" ---");
        if let Some((what, when)) = inner.rsplit_once(", ") {
            let when = when.parse::<jiff::Timestamp>().ok().map(SystemTime::from);
            return LogEntry::Mark { at, text: what.to_owned(), when };
        }
    }
    LogEntry::Line { at, text }
}

#[cfg(test)]
mod tests {
    use super::FileFeed;
    use crate::model::ServiceId;
    use crate::store::{Layout, marker};
    use crate::tui::feed::{LogEntry, LogFeed as _, LogPosition};
    use std::fs;
    use std::io::Write as _;
    use std::time::{Duration, UNIX_EPOCH};

    struct Fixture {
        _dir: tempfile::TempDir,
        layout: Layout,
        id: ServiceId,
    }

    fn fixture() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        fs::create_dir(layout.logs()).unwrap();
        Fixture { _dir: dir, layout, id: ServiceId::new("api").unwrap() }
    }

    fn texts(entries: &[LogEntry]) -> Vec<String> {
        entries
            .iter()
            .map(|entry| match entry {
                LogEntry::Line { text, .. } => text.clone(),
                LogEntry::Mark { text, .. } => format!("[{text}]"),
                LogEntry::Note(text) => format!("({text})"),
            })
            .collect()
    }

    fn first(entries: &[LogEntry]) -> LogPosition {
        match &entries[0] {
            LogEntry::Line { at, .. } | LogEntry::Mark { at, .. } => *at,
            LogEntry::Note(text) => panic!("{text}"),
        }
    }

    async fn next(receiver: &mut tokio::sync::mpsc::Receiver<Vec<LogEntry>>) -> Vec<LogEntry> {
        let wait = tokio::time::timeout(Duration::from_secs(10), receiver.recv());
        wait.await.expect("a batch in time").expect("a feed that goes on")
    }

    #[tokio::test]
    async fn the_newest_lines_come_first_then_what_is_written() {
        let it = fixture();
        let path = it.layout.log_file(&it.id);
        let start = marker::started("api", 7, UNIX_EPOCH);
        fs::write(&path, format!("old\n{start}\u{1b}[31mred\u{1b}[0m\n")).unwrap();
        let mut batches = FileFeed::new(it.layout.clone()).follow(&it.id, 2);
        assert_eq!(texts(&next(&mut batches).await), ["[api started, PID 7]", "red"]);
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"new\n").unwrap();
        assert_eq!(texts(&next(&mut batches).await), ["new"]);
    }

    #[tokio::test]
    async fn a_log_that_is_not_there_yet_is_empty_and_then_followed() {
        let it = fixture();
        let mut batches = FileFeed::new(it.layout.clone()).follow(&it.id, 10);
        assert_eq!(next(&mut batches).await, []);
        fs::write(it.layout.log_file(&it.id), "first\n").unwrap();
        assert_eq!(texts(&next(&mut batches).await), ["first"]);
    }

    #[tokio::test]
    async fn earlier_lines_reach_back_through_rotated_files_to_the_beginning() {
        let it = fixture();
        let path = it.layout.log_file(&it.id);
        let rotated = path.with_extension("log.1");
        fs::write(&rotated, "a\nb\nc\n").unwrap();
        fs::write(&path, "d\ne\n").unwrap();
        let feed = FileFeed::new(it.layout.clone());
        let newest = next(&mut feed.follow(&it.id, 3)).await;
        assert_eq!(texts(&newest), ["c", "d", "e"]);
        let before = feed.earlier(&it.id, first(&newest), 1).await.unwrap();
        assert_eq!(texts(&before), ["b"]);
        let before = feed.earlier(&it.id, first(&before), 5).await.unwrap();
        assert_eq!(texts(&before), ["a"]);
        assert_eq!(feed.earlier(&it.id, first(&before), 5).await.unwrap(), []);

        let newest = next(&mut feed.follow(&it.id, 2)).await;
        assert_eq!(texts(&newest), ["d", "e"]);
        let before = feed.earlier(&it.id, first(&newest), 2).await.unwrap();
        assert_eq!(texts(&before), ["b", "c"]);
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_read_says_so_once() {
        let it = fixture();
        fs::create_dir(it.layout.log_file(&it.id)).unwrap();
        let mut batches = FileFeed::new(it.layout.clone()).follow(&it.id, 2);
        let LogEntry::Note(why) = next(&mut batches).await.remove(0) else { panic!("no note") };
        assert!(why.contains("cannot be read"), "{why}");
    }
}
