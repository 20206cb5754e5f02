//! O10: one line per check.

use std::time::SystemTime;

use serde::Serialize;

use super::health::{self, Group};
use super::json::HealthReport;
use super::moment;
use super::row::Row;
use super::style::{Icon, Style};
use super::text::safe;
use crate::model::{Event, Happening};

/// The two lines that come first. Without a name all services are watched.
pub fn monitor_header(name: Option<&str>, interval_seconds: u64) -> String {
    let whom = name.unwrap_or("all services");
    format!("Starting health monitoring for {} (interval: {interval_seconds}s)\nPress Ctrl+C to stop\n\n", safe(whom))
}

/// `2025-10-06 14:30:00 ✅ orchestrator: HTTP health check passed`, in local time (A61).
pub fn monitor_line(row: &Row<'_>, at: SystemTime, style: Style) -> String {
    let icon = match health::group(row) {
        Group::Healthy => Icon::Good,
        Group::Unhealthy => Icon::Bad,
        Group::NotRunning => Icon::Stopped,
        Group::Unknown => Icon::Unknown,
    };
    format!("{} {} {}: {}\n", moment::local(at), icon.draw(style), row.name(), safe(&health::message(row)))
}

/// What is told between two checks: that it ended, and what is done about it. `None` for what the checks say themselves.
pub fn monitor_event_line(event: &Event, style: Style) -> Option<String> {
    let icon = match &event.what {
        Happening::Died { .. }
        | Happening::GaveUp { .. }
        | Happening::Escalated { .. }
        | Happening::BecameUnreachable { .. } => Icon::Failed,
        Happening::HeldBack { .. } => Icon::Warning,
        Happening::Recovering { .. }
        | Happening::RestartScheduled { .. }
        | Happening::Started(_)
        | Happening::Adopted(_) => Icon::Changing,
        Happening::StartRequested
        | Happening::StopRequested
        | Happening::BecameReady { .. }
        | Happening::NotReadyInTime { .. }
        | Happening::BecameHealthy
        | Happening::BecameUnhealthy { .. }
        | Happening::StartFailed { .. }
        | Happening::Stopped
        | Happening::StopFailed { .. } => return None,
    };
    let what = event.what.to_string();
    Some(format!("{} {} {}: {}\n", moment::local(event.at), icon.draw(style), event.service, safe(&what)))
}

/// `services monitor --json`: one such object a line.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MonitorReport {
    /// When the check was begun: RFC 3339, UTC.
    pub at: String,
    /// What it said.
    #[serde(flatten)]
    pub health: HealthReport,
}

impl MonitorReport {
    /// The report of one check.
    pub fn new(row: &Row<'_>, at: SystemTime) -> Self {
        Self { at: moment::utc(at), health: HealthReport::new(row) }
    }
}
