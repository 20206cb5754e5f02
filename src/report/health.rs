//! O2 and O5: what probes said just now.

use std::fmt::Write as _;

use super::json::HealthSummary;
use super::row::Row;
use super::style::{Icon, Style};
use super::text::safe;
use crate::engine::handle::Checked;
use crate::model::{Health, ProbeOutcome, StateKind};

/// What is said of a running service without a check (R66).
const NO_CHECK: &str = "no health check configured";

/// O2: one line per registered service, and a summary that adds up.
pub fn platform_health(rows: &[Row<'_>], style: Style) -> String {
    let mut text = String::from("Platform Health Check\n\n");
    for row in rows {
        let (icon, said) = health_phrase(row);
        let _ = writeln!(text, "{} {}: {}", icon.draw(style), row.name(), safe(&said));
    }
    let HealthSummary { healthy, unhealthy, not_running, unknown } = HealthSummary::of(rows);
    let _ = write!(text, "\nSummary: {healthy} healthy, {unhealthy} unhealthy, {not_running} not running");
    if unknown > 0 {
        let _ = write!(text, ", {unknown} unknown");
    }
    text.push('\n');
    text
}

/// The groups of the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Healthy,
    Unhealthy,
    NotRunning,
    Unknown,
}

/// Where a service belongs in the summary. What cannot be observed is unknown, not stopped.
pub(super) fn group(row: &Row<'_>) -> Group {
    if row.status() == StateKind::Unknown {
        return Group::Unknown;
    }
    match row.checked {
        Some(Checked::NotRunning) => Group::NotRunning,
        None if !row.service.state.is_alive() => Group::NotRunning,
        None | Some(Checked::NoCheck | Checked::Probed(_)) => match row.health() {
            Health::Healthy => Group::Healthy,
            Health::Unhealthy => Group::Unhealthy,
            Health::Unknown => Group::Unknown,
        },
    }
}

fn health_phrase(row: &Row<'_>) -> (Icon, String) {
    let message = message(row);
    match group(row) {
        Group::Healthy => (Icon::Good, format!("Healthy - {message}")),
        Group::Unhealthy => (Icon::Bad, format!("Unhealthy - {message}")),
        Group::NotRunning => (Icon::Stopped, "Not running".to_owned()),
        Group::Unknown => (Icon::Unknown, format!("Unknown - {message}")),
    }
}

/// The sentence of O5's `Message` line.
pub(super) fn message(row: &Row<'_>) -> String {
    use crate::model::ServiceState;
    match (&row.service.state, row.checked) {
        (ServiceState::Unknown { reason }, _) => reason.clone(),
        (_, Some(Checked::NotRunning)) => "Not running".to_owned(),
        (_, Some(Checked::NoCheck)) => NO_CHECK.to_owned(),
        (_, Some(Checked::Probed(ProbeOutcome::Answered(report)))) => report.message.clone(),
        (_, Some(Checked::Probed(ProbeOutcome::CouldNotRun { reason }))) => {
            format!("the check could not run: {reason}")
        }
        (_, None) => match &row.service.last_probe {
            Some(report) => report.message.clone(),
            None => "not checked yet".to_owned(),
        },
    }
}

/// O5. The duration is left out when nothing was asked.
pub fn service_health(row: &Row<'_>) -> String {
    let health = row.health();
    let mut text = String::new();
    let mut field = |label: &str, value: &str| {
        let _ = writeln!(text, "{label}: {}", safe(value));
    };
    field("Service", row.name());
    field("Status", &health.to_string());
    field("Healthy", if health == Health::Healthy { "true" } else { "false" });
    field("Message", &message(row));
    field("Check type", row.service.spec.health_check.check.type_name());
    if let Some(Checked::Probed(ProbeOutcome::Answered(report))) = row.checked {
        field("Check duration", &format!("{}ms", report.took.as_millis()));
    }
    text
}
