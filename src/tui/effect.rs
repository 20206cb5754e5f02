//! What has to happen outside, performed by the loop.

use super::event::{LogSession, Ticket};
use super::feed::LogPosition;
use crate::engine::operation::Request;
use crate::model::ServiceId;

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
    /// Leave the console.
    Quit,
}
