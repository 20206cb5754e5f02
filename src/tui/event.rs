//! What happens to the console. Every event comes with the moment at which it happened; nothing else knows the time.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Instant;

use crossterm::event::{KeyEvent, MouseEvent};
use jiff::Zoned;
use ratatui::layout::Size;

use super::feed::{LogEntry, LogPosition};
use super::theme::Themes;
use super::timeline_feed::TimelineNews;
use super::update::registry::Occasion;
use crate::engine::operation::{Plan, Progress, Refusal, Request};
use crate::model::{Instance, Leadership, Registry, ServiceId, Snapshot, Usage};
use crate::report::Diagnosis;

/// A moment, by both clocks.
#[derive(Debug, Clone)]
pub struct Moment {
    /// For lengths.
    pub now: Instant,
    /// For people: the local wall clock.
    pub wall: Zoned,
}

/// Numbers an operation from the key press on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(crate) u64);

/// Numbers the openings of logs, so that late lines of an earlier one are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LogSession(pub(crate) u64);

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    KeyPressed(KeyEvent),
    Pasted(String),
    MouseUsed(MouseEvent),
    Resized(Size),
    SnapshotPublished(Arc<Snapshot>),
    /// The plan of a request is known, or why it is refused.
    Planned {
        ticket: Ticket,
        request: Request,
        result: Result<Plan, Refusal>,
    },
    /// An operation began, or was refused at the last moment.
    Begun {
        ticket: Ticket,
        result: Result<Plan, Refusal>,
    },
    Progressed {
        ticket: Ticket,
        progress: Progress,
    },
    LogArrived {
        session: LogSession,
        entries: Vec<LogEntry>,
    },
    /// Lines before `before`; empty at the beginning of the log.
    EarlierLogArrived {
        session: LogSession,
        before: LogPosition,
        result: Result<Vec<LogEntry>, String>,
    },
    /// Entries of the timeline came, or why none can.
    TimelineArrived(TimelineNews),
    /// The registry was read, because it changed or because it was asked for.
    RegistryLoaded {
        registry: Box<Registry>,
        occasion: Occasion,
    },
    /// What a look at the machine and at all services found.
    Examined {
        round: u64,
        found: Box<Diagnosis>,
    },
    /// The built-in registry was written to a file, or why not.
    BuiltInWritten(Result<PathBuf, String>),
    /// The editor has left, and how; it could not be started otherwise.
    EditorLeft {
        editor: String,
        result: Result<ExitStatus, Arc<io::Error>>,
    },
    /// There is no editor that could be opened.
    NoEditor,
    /// Somebody else leads, or nobody does any more.
    LeadershipChanged(Leadership),
    /// It is time to look at what the visible services use.
    UsageDue,
    /// What those of the visible services use that could be asked.
    UsageMeasured(Vec<(ServiceId, Instance, Usage)>),
    /// Lines of a log were written to this file, or why not.
    LinesSaved {
        n_lines: usize,
        result: Result<PathBuf, String>,
    },
    /// The themes were read again.
    ThemesLoaded(Box<Themes>),
    /// The console's own log has new lines.
    OwnLogGrew,
    /// A moment came at which something visible changes by itself.
    TimePassed,
}
