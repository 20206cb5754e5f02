//! What has to happen outside, performed by the loop.

use std::path::PathBuf;
use std::sync::Arc;

use super::event::{LogSession, Ticket};
use super::feed::LogPosition;
use crate::engine::operation::Request;
use crate::model::{Registry, ServiceId};

/// What has to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Ask what a request would do.
    Plan { ticket: Ticket, request: Request },
    /// Begin an operation and report its progress.
    Begin { ticket: Ticket, request: Request },
    /// Give up waiting for an operation.
    CancelOperation(Ticket),
    /// Follow this service's log and no other.
    OpenLog { session: LogSession, service: ServiceId },
    /// Follow no log.
    CloseLog,
    /// Read lines before this position.
    LoadEarlierLog { session: LogSession, service: ServiceId, before: LogPosition },
    /// Read the timeline, and go on with what comes.
    FollowTimeline,
    /// Put this registry in force. Starts, stops and restarts nothing.
    Reload(Load),
    /// Read the registry now.
    LoadRegistry,
    /// Give the terminal to the person's editor, at this service of the file.
    Edit { file: PathBuf, service: Option<ServiceId> },
    /// Write the built-in registry to the person's own file.
    WriteBuiltIn,
    /// Look at the machine and at all services; starts nothing.
    Examine { round: u64 },
    /// Look at what these use of the machine, once.
    MeasureUsage { services: Vec<ServiceId> },
    /// Read the themes again.
    LoadThemes,
    /// Hand this text to the terminal's clipboard. Performed by the loop, which has the terminal.
    Copy(String),
    /// Write these lines to a new file, whose name begins with `name`.
    SaveLines { name: String, text: String, n_lines: usize },
    /// Leave the console.
    Quit,
}

/// A registry that was loaded. Equal to itself alone.
#[derive(Debug, Clone)]
pub(crate) struct Load(pub(crate) Arc<Registry>);

impl PartialEq for Load {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Load {}
