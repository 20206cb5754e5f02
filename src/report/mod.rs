//! What a person or a script is told: rows, sentences and JSON shapes, the same for the console and the command.
//!
//! Pure: values in, values out. No terminal, no clock (moments arrive as values), no asking the engine. Every text that came from
//! outside passes [`safe`] on its way into a sentence, so that no service, file or error can send codes to a terminal.

mod dependencies;
pub mod diagnostics;
mod doctor;
mod ensure;
mod events;
mod health;
mod history;
mod json;
mod line;
mod list;
mod moment;
mod monitor;
mod narrator;
mod outcome;
mod phrases;
mod plan;
mod prometheus;
mod readiness;
mod required;
mod row;
mod status;
mod style;
mod supervise;
#[cfg(test)]
mod tests;
mod text;
mod turns;
mod validation;

pub use dependencies::{DependenciesReport, ServiceDependencies, StartupPlace, dependencies_text};
pub use doctor::{Complaint, Diagnosis, DoctorReport, ServiceDiagnosis, doctor};
pub use ensure::{EnsureReport, ensure_header, ensure_line, ensure_refusal};
pub use events::{EventReport, LogLineReport};
pub use health::{platform_health, service_health};
pub use history::{HealthNumbers, HistoryReport, HourReport, SampleReport, WindowReport};
pub use json::{
    BoardReport, FindingReport, HealthReport, HealthSummary, IssueReport, ListReport, OperationCounts, OperationReport,
    OperationServiceReport, PlatformHealthReport, RefusalReport, ServiceReport, ServiceStatusReport,
};
pub use line::{Line, Stream};
pub use list::{board_table, services_list};
pub use monitor::{MonitorReport, monitor_event_line, monitor_header, monitor_line};
pub use narrator::{Narrator, Telling};
pub use outcome::{OutcomeLedger, left_alone, nothing_to_do, refusal_report, summary_sentence};
pub use phrases::{failure_lines, finding_line, left_out_lines, refusal_lines, unknown_service_lines};
pub use plan::{LeftRunning, PlanProblem, PlanReport, PlanStep};
pub use prometheus::prometheus;
pub use readiness::{Readiness, ReadinessReport, ServiceReadiness};
pub use required::{CheckReport, known_operations, not_running, required};
pub use row::{Row, rows};
pub use status::{Issue, issues, platform_status, service_status};
pub use style::{Icon, Style};
pub use supervise::{LeaderReport, SuperviseReport, leader_line};
pub use text::{pad, percent, safe, safe_json, seconds};
pub use validation::{
    DiagnosticReport, FoundReport, RelatedReport, ServiceValidation, ValidationReport, diagnostics_text,
};
