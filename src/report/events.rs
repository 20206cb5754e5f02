//! What is told one line at a time: entries of the timeline, and lines of logs as JSON.

use std::time::SystemTime;

use serde::Serialize;

use super::moment;
use super::text::safe;

/// `events --json`: one such object a line.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EventReport {
    /// When: RFC 3339, UTC.
    pub at: String,
    /// To whom.
    pub service: String,
    /// Who caused it: `console`, `command`, `recovery` or `outside`.
    pub actor: String,
    /// What, as a sentence says it after the service's name.
    pub what: String,
    #[serde(skip)]
    moment: SystemTime,
}

impl EventReport {
    /// The report of one entry.
    pub fn new(at: SystemTime, service: String, actor: String, what: String) -> Self {
        Self { at: moment::utc(at), service, actor, what, moment: at }
    }

    /// `2025-10-06 14:30:00 orchestrator: started with PID 12345 (command)`, in local time.
    pub fn line(&self) -> String {
        let (service, what, actor) = (safe(&self.service), safe(&self.what), safe(&self.actor));
        format!("{} {service}: {what} ({actor})\n", moment::local(self.moment))
    }
}

/// `platform logs --json` and `services logs --json`: one such object a line.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LogLineReport {
    /// Whose log it stands in.
    pub service: String,
    /// The line as the service wrote it, without its end. What is no UTF-8 is replaced; control codes are written as JSON writes them.
    pub line: String,
}

impl LogLineReport {
    /// The report of one line.
    pub fn new(service: &str, line: &[u8]) -> Self {
        Self { service: service.to_owned(), line: String::from_utf8_lossy(line).into_owned() }
    }
}
