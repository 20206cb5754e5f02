//! Logs of binary-mode services, from their files.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures::future::BoxFuture;
use tokio::sync::mpsc;

use super::feed::{LogEntry, LogFeed, LogPosition};
use crate::logs::{Follower, Line, LogFile, Tabs, is_start_marker, sanitize};
use crate::model::ServiceId;
use crate::store::Layout;

/// Batches on their way to the console.
const BATCHES: usize = 16;

/// Follows `logs/<service>.log`.
#[derive(Debug)]
pub struct FileFeed {
    layout: Layout,
    /// The file that the newest batch of each opened log came from. It stays the same file when it is rotated away, so that what lies
    /// before the first line shown is always found. A short critical section, never held across a wait.
    opened: Arc<Mutex<HashMap<ServiceId, Arc<LogFile>>>>,
}

impl FileFeed {
    /// Of the files of `layout`.
    pub fn new(layout: Layout) -> Self {
        Self { layout, opened: Arc::default() }
    }
}

impl LogFeed for FileFeed {
    fn follow(&self, service: &ServiceId, n_lines: usize) -> mpsc::Receiver<Vec<LogEntry>> {
        let (batches, receiver) = mpsc::channel(BATCHES);
        let path = self.layout.log_file(service);
        let (opened, service) = (Arc::clone(&self.opened), service.clone());
        tokio::spawn(async move {
            let (lines, mut follower) = match Follower::with_tail(&path, n_lines) {
                Ok(both) => both,
                Err(error) => {
                    drop(batches.send(vec![unreadable(&path, &error)]).await);
                    return;
                }
            };
            let file = lines.first().and_then(|first| file_of(&path, first));
            {
                let mut opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
                match file {
                    Some(file) => drop(opened.insert(service, Arc::new(file))),
                    None => drop(opened.remove(&service)),
                }
            }
            if batches.send(entries(&lines)).await.is_err() {
                return;
            }
            loop {
                let next = tokio::select! {
                    next = follower.next() => next,
                    () = batches.closed() => return,
                };
                let (batch, goes_on) = match next {
                    Ok(lines) => (entries(&lines), true),
                    Err(error) => (vec![unreadable(&path, &error)], false),
                };
                if batches.send(batch).await.is_err() || !goes_on {
                    return;
                }
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
        let file = self.opened.lock().unwrap_or_else(PoisonError::into_inner).get(service).cloned();
        Box::pin(async move {
            let Some(file) = file else { return Ok(Vec::new()) };
            file.backward(before.0, n_lines).map(|lines| entries(&lines)).map_err(|error| error.to_string())
        })
    }
}

/// The log's file, if that is where `first` stands: a tail may begin in a file that was rotated away.
fn file_of(path: &Path, first: &Line) -> Option<LogFile> {
    let file = LogFile::open(path).ok()?;
    let found = file.forward(first.offset, 1).ok()?;
    (found.first()?.bytes == first.bytes).then_some(file)
}

fn unreadable(path: &Path, error: &std::io::Error) -> LogEntry {
    LogEntry::Note(format!("{} cannot be read: {error}", path.display()))
}

fn entries(lines: &[Line]) -> Vec<LogEntry> {
    lines
        .iter()
        .map(|line| {
            if is_start_marker(line) {
                LogEntry::Started { at: started_at(&line.bytes) }
            } else {
                let text = sanitize(&line.bytes, Tabs::Keep).into_owned();
                LogEntry::Line { at: LogPosition(line.offset), text }
            }
        })
        .collect()
}

/// The moment at the end of a start marker: `--- name started, PID 7, 2026-01-02T03:04:05Z ---`.
fn started_at(marker: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(marker).ok()?;
    let moment = text.trim_end_matches(['-', ' ']).rsplit(' ').next()?;
    moment.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{FileFeed, started_at};
    use crate::model::ServiceId;
    use crate::store::{Layout, marker};
    use crate::tui::feed::{LogEntry, LogFeed as _, LogPosition};

    #[test]
    fn the_moment_of_a_start_marker_is_read() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let line = marker::started("control-center", 7, at);
        assert_eq!(started_at(line.trim_end().as_bytes()), Some(at));
    }

    fn texts(entries: &[LogEntry]) -> Vec<&str> {
        entries
            .iter()
            .map(|entry| match entry {
                LogEntry::Line { text, .. } => text.as_str(),
                LogEntry::Started { .. } => "started",
                LogEntry::Note(note) => note,
            })
            .collect()
    }

    #[tokio::test]
    async fn the_newest_lines_come_first_then_what_is_written_and_what_lies_before() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let id = ServiceId::new("web").unwrap();
        std::fs::create_dir_all(layout.logs()).unwrap();
        let start = marker::started("web", 7, SystemTime::UNIX_EPOCH);
        std::fs::write(layout.log_file(&id), format!("one\n{start}two\n\u{1b}[31mthree\u{1b}[0m\n")).unwrap();
        let feed = FileFeed::new(layout.clone());
        let mut batches = feed.follow(&id, 2);
        let newest = batches.recv().await.unwrap();
        assert_eq!(texts(&newest), ["two", "three"]);
        let LogEntry::Line { at, .. } = &newest[0] else { panic!("{newest:?}") };
        let earlier = feed.earlier(&id, *at, 10).await.unwrap();
        assert_eq!(texts(&earlier), ["one", "started"]);
        assert_eq!(feed.earlier(&id, LogPosition(0), 10).await.unwrap(), []);
        let mut file = std::fs::OpenOptions::new().append(true).open(layout.log_file(&id)).unwrap();
        std::io::Write::write_all(&mut file, b"four\n").unwrap();
        let next = tokio::time::timeout(Duration::from_secs(10), batches.recv()).await.unwrap().unwrap();
        assert_eq!(texts(&next), ["four"]);
    }
}
