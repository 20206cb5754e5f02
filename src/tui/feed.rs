//! Where the lines of a service's log come from, as far as the console cares.

use std::time::SystemTime;

use futures::future::BoxFuture;
use tokio::sync::mpsc;

use crate::model::ServiceId;

/// How many lines an opened log begins with.
pub const NEWEST_LINES: usize = 500;

/// How many lines are read at once when a person scrolls up.
pub const EARLIER_LINES: usize = 500;

/// Where an entry begins, in the log's own terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogPosition {
    /// Which file, by its inode, since rotation changes names; 0 where a log is no file.
    pub file: u64,
    /// The byte in it.
    pub offset: u64,
}

/// One line, or a mark between lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEntry {
    /// What the service printed, without its line end. Cleaned again before it is drawn.
    Line {
        /// Where it begins.
        at: LogPosition,
        /// Its text.
        text: String,
    },
    /// A line that is not the service's: it was started here, or bytes were dropped.
    Mark {
        /// Where it begins.
        at: LogPosition,
        /// What happened.
        text: String,
        /// When, where that is known.
        when: Option<SystemTime>,
    },
    /// Something the reader should know that stands in no log: why it cannot be read.
    Note(String),
}

/// Opens logs.
pub trait LogFeed: Send + Sync {
    /// The newest `n_lines` as the first batch (an empty one when there are none), then new entries in batches until the receiver is
    /// dropped. Goes on across restarts and rotations. What cannot be read arrives as a [`LogEntry::Note`].
    fn follow(&self, service: &ServiceId, n_lines: usize) -> mpsc::Receiver<Vec<LogEntry>>;

    /// Up to `n_lines` entries that end before `before`, oldest first; empty at the beginning of the log. Cancel safe.
    ///
    /// # Errors
    /// A sentence for people.
    fn earlier(
        &self,
        service: &ServiceId,
        before: LogPosition,
        n_lines: usize,
    ) -> BoxFuture<'static, Result<Vec<LogEntry>, String>>;
}

/// A feed without logs, for consoles that have none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLogs;

impl LogFeed for NoLogs {
    fn follow(&self, _service: &ServiceId, _n_lines: usize) -> mpsc::Receiver<Vec<LogEntry>> {
        mpsc::channel(1).1
    }

    fn earlier(&self, _: &ServiceId, _: LogPosition, _: usize) -> BoxFuture<'static, Result<Vec<LogEntry>, String>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}
