//! O16: what an operation needs is started before it begins.

use serde::Serialize;

use super::json::OperationReport;
use super::line::Line;
use super::style::{Icon, Style};
use crate::engine::operation::{Progress, Role};
use crate::model::ServiceId;

/// `services ensure OPERATION --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EnsureReport {
    /// The operation, as given.
    pub operation: String,
    /// Whether everything it needs runs now.
    pub success: bool,
    /// The services that name it in `required_for`.
    pub required: Vec<String>,
    /// Required, not running, and not to be started unasked (`auto_start = false`). Nothing was started then.
    pub not_auto_start: Vec<String>,
    /// What was started; null when everything ran already, or when nothing was begun.
    pub start: Option<OperationReport>,
}

/// The line that comes before everything else, when something has to be started.
pub fn ensure_header() -> Line {
    Line::result("Starting required services...")
}

/// What is told of a start for an operation: `✅ Orchestrator started`, the only place where a name begins with a capital (A12).
pub fn ensure_line(progress: &Progress, roles: &[(ServiceId, Role)], verbose: bool, style: Style) -> Option<Line> {
    let Progress::Ready { service, .. } = progress else { return None };
    let is_target = roles.iter().any(|(id, role)| id == service && *role == Role::Target);
    let mut letters = service.as_str().chars();
    let capital: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    (is_target || verbose).then(|| Line::result(format!("{} {capital} started", Icon::Good.draw(style))))
}

/// R173: what is needed, does not run, and is only started by name.
pub fn ensure_refusal(operation: &str, service: &ServiceId, program: &str, style: Style) -> Vec<Line> {
    let bad = Icon::Bad.draw(style);
    vec![
        Line::error(format!("{bad} {service} is required for {operation}, does not run, and has auto_start = false")),
        Line::error(format!("Start it with: {program} services start {service}")).indented(),
    ]
}
