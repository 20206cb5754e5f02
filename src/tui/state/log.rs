//! The followed log: the lines at hand, and where the person looks.

use std::collections::VecDeque;

use crate::model::ServiceId;
use crate::tui::event::LogSession;
use crate::tui::feed::{LogEntry, LogPosition};
use crate::tui::text;

/// Lines kept in memory; the file has the others.
const MAX_ENTRIES: usize = 10_000;
/// Bytes kept in memory.
const MAX_BYTES: usize = 4 << 20;
/// The longest line that is kept whole, in bytes.
const MAX_LINE: usize = 4096;

/// The log of one service.
#[derive(Debug, Clone)]
pub(crate) struct LogState {
    pub(crate) service: Option<ServiceId>,
    pub(crate) session: LogSession,
    pub(crate) entries: VecDeque<LogEntry>,
    n_bytes: usize,
    pub(crate) scroll: Scroll,
    pub(crate) is_wrapped: bool,
    /// Whether the first batch has come.
    pub(crate) is_loaded: bool,
    pub(crate) is_loading_earlier: bool,
    /// Whether the first line at hand is the first there is.
    pub(crate) is_at_beginning: bool,
}

/// Where the person looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scroll {
    /// At the newest lines.
    Following,
    /// At this entry as the top one; `n_new` came since.
    Paused { top: usize, n_new: usize },
}

impl Default for LogState {
    fn default() -> Self {
        Self {
            service: None,
            session: LogSession(0),
            entries: VecDeque::new(),
            n_bytes: 0,
            scroll: Scroll::Following,
            is_wrapped: true,
            is_loaded: false,
            is_loading_earlier: false,
            is_at_beginning: false,
        }
    }
}

impl LogState {
    /// Begins with another service's log, in a new session.
    pub(crate) fn open(&mut self, service: Option<ServiceId>) {
        *self =
            Self { service, session: LogSession(self.session.0 + 1), is_wrapped: self.is_wrapped, ..Self::default() };
    }

    /// Adds newer entries at the end.
    pub(crate) fn append(&mut self, entries: Vec<LogEntry>) {
        let n_entries = entries.len();
        for entry in entries {
            let entry = cleaned(entry);
            self.n_bytes += size(&entry);
            self.entries.push_back(entry);
        }
        if let Scroll::Paused { n_new, .. } = &mut self.scroll {
            *n_new += n_entries;
        }
        let mut n_forgotten = 0;
        while self.entries.len() > MAX_ENTRIES || (self.n_bytes > MAX_BYTES && self.entries.len() > 1) {
            if let Some(entry) = self.entries.pop_front() {
                self.n_bytes -= size(&entry);
                n_forgotten += 1;
            }
        }
        if n_forgotten > 0 {
            self.is_at_beginning = false;
            if let Scroll::Paused { top, .. } = &mut self.scroll {
                *top = top.saturating_sub(n_forgotten);
            }
        }
    }

    /// Adds older entries at the beginning; what is looked at stays where it is.
    pub(crate) fn prepend(&mut self, entries: Vec<LogEntry>) {
        let n_entries = entries.len();
        for entry in entries.into_iter().rev() {
            let entry = cleaned(entry);
            self.n_bytes += size(&entry);
            self.entries.push_front(entry);
        }
        if let Scroll::Paused { top, .. } = &mut self.scroll {
            *top += n_entries;
        }
    }

    /// Where the oldest line at hand begins.
    pub(crate) fn first_position(&self) -> Option<LogPosition> {
        self.entries.iter().find_map(|entry| match entry {
            LogEntry::Line { at, .. } | LogEntry::Mark { at, .. } => Some(*at),
            LogEntry::Note(_) => None,
        })
    }

    /// Whether there is room for older lines.
    pub(crate) fn has_room(&self) -> bool {
        self.entries.len() < MAX_ENTRIES && self.n_bytes < MAX_BYTES
    }

    /// How many rows an entry takes at that width.
    pub(crate) fn n_rows(&self, entry: &LogEntry, columns: usize) -> usize {
        match entry {
            LogEntry::Line { text, .. } if self.is_wrapped => rows_of(text, columns),
            LogEntry::Line { .. } | LogEntry::Mark { .. } | LogEntry::Note(_) => 1,
        }
    }

    /// The first entry of the last screenful: what is at the top while following.
    pub(crate) fn last_top(&self, columns: usize, height: usize) -> usize {
        let mut n_rows = 0;
        for (index, entry) in self.entries.iter().enumerate().rev() {
            n_rows += self.n_rows(entry, columns);
            if n_rows > height {
                return (index + 1).min(self.entries.len().saturating_sub(1));
            }
        }
        0
    }

    /// The entry at the top of the window.
    pub(crate) fn top(&self, columns: usize, height: usize) -> usize {
        match self.scroll {
            Scroll::Following => self.last_top(columns, height),
            Scroll::Paused { top, .. } => top.min(self.last_top(columns, height)),
        }
    }

    /// Moves by `n` entries; up pauses, the end follows again.
    pub(crate) fn move_by(&mut self, n: isize, columns: usize, height: usize) {
        let last_top = self.last_top(columns, height);
        let there = self.top(columns, height).saturating_add_signed(n);
        let n_new = match self.scroll {
            Scroll::Following => 0,
            Scroll::Paused { n_new, .. } => n_new,
        };
        self.scroll = if there >= last_top && n > 0 {
            Scroll::Following
        } else {
            Scroll::Paused { top: there.min(last_top), n_new }
        };
    }
}

/// The rows of a wrapped line, the mark of continued rows included.
fn rows_of(text: &str, columns: usize) -> usize {
    if text::width(text) <= columns { 1 } else { wrapped(text, columns).len() }
}

/// The pieces of a wrapped line: rows after the first are two columns shorter, for the mark.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let room = if pieces.is_empty() { columns } else { columns.saturating_sub(2) }.max(2);
        let piece = match text::head(rest, room) {
            "" => rest,
            piece => piece,
        };
        pieces.push(piece);
        rest = rest.get(piece.len()..).unwrap_or_default();
    }
    if pieces.is_empty() {
        pieces.push("");
    }
    pieces
}

fn cleaned(entry: LogEntry) -> LogEntry {
    match entry {
        LogEntry::Line { at, text } => {
            let end = (0..=text.len().min(MAX_LINE)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            let mut clean = text::clean(text.get(..end).unwrap_or_default()).into_owned();
            if end < text.len() {
                clean.push_str(&format!(" [{} more bytes]", text.len() - end));
            }
            LogEntry::Line { at, text: clean }
        }
        LogEntry::Note(text) => LogEntry::Note(text::clean(&text).into_owned()),
        LogEntry::Mark { at, text, when } => LogEntry::Mark { at, text: text::clean(&text).into_owned(), when },
    }
}

fn size(entry: &LogEntry) -> usize {
    match entry {
        LogEntry::Line { text, .. } | LogEntry::Mark { text, .. } | LogEntry::Note(text) => text.len() + 40,
    }
}
