//! O1 and O4: the board as text, and one service in full.

use std::fmt::Write as _;
use std::time::Instant;

use super::history;
use super::row::Row;
use super::style::{Icon, Style};
use super::text::{safe, seconds};
use crate::model::{Category, Deployment, Instance, ServiceId, Severity, StateKind};
use crate::preflight::{CheckKind, Finding, Verdict};

/// Something about a service that has to be put right (R82).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Whether it stands in the way.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// What the registry and the pre-flight checks found wrong with a service, in that order.
pub fn issues(row: &Row<'_>, findings: &[Finding]) -> Vec<Issue> {
    let gaps: Vec<String> = row
        .service
        .spec
        .dependencies
        .iter()
        .filter(|id| row.registry().position(id).is_none())
        .map(|id| format!("Dependency not available: {id}: "))
        .collect();
    let is_said_by_the_registry = |finding: &&Finding| {
        finding.check == CheckKind::Dependencies && gaps.iter().any(|gap| finding.message.starts_with(gap))
    };
    let configured = row.registry().issues_of(row.name()).map(|found| Issue {
        severity: found.severity,
        message: found.message.clone(),
        remedy: found.hint.clone(),
    });
    let checked = findings.iter().filter(|finding| !is_said_by_the_registry(finding)).filter_map(|finding| {
        let severity = match finding.verdict {
            Verdict::Passed => return None,
            Verdict::Failed => Severity::Error,
            Verdict::Warning => Severity::Warning,
        };
        Some(Issue { severity, message: finding.message.clone(), remedy: finding.remedy.clone() })
    });
    let mut all: Vec<Issue> = Vec::new();
    for issue in configured.chain(checked) {
        // The registry and the host may say the same of a missing dependency.
        if !all.iter().any(|known| known.message == issue.message) {
            all.push(issue);
        }
    }
    all
}

/// O1: the services by category, each with state, uptime and health. `verbose` adds why a service is not green.
pub fn platform_status(rows: &[Row<'_>], style: Style, verbose: bool, now: Instant) -> String {
    let n_running = rows.iter().filter(|row| row.status() == StateKind::Running).count();
    let mut text = format!("Platform Services Status\n\nRunning: {n_running}/{}\n", rows.len());
    for category in categories(rows) {
        let heading = category.as_str().to_ascii_uppercase();
        let _ = writeln!(text, "\n=== {heading} ===");
        for row in rows.iter().filter(|row| row.service.spec.category == category) {
            let _ = writeln!(text, "  {}", status_line(row, style, now));
            if let Some(why) = row.why(now).filter(|_| verbose) {
                let _ = writeln!(text, "     {}", safe(&why));
            }
        }
    }
    text
}

/// The categories that have services, in the order of their first service (A8).
fn categories(rows: &[Row<'_>]) -> Vec<Category> {
    let mut seen = Vec::new();
    for row in rows {
        if !seen.contains(&row.service.spec.category) {
            seen.push(row.service.spec.category);
        }
    }
    seen
}

fn status_line(row: &Row<'_>, style: Style, now: Instant) -> String {
    let uptime = row.uptime(now).map(|up| format!(" (uptime: {})", seconds(up))).unwrap_or_default();
    let health = Icon::of_health(row.health()).draw(style);
    format!("{} {} - {}{uptime} {health}", row.icon().draw(style), row.name(), row.status())
}

/// O4, with R83 for what does not run and R82 for `issues`: errors always, warnings when `verbose`.
pub fn service_status(row: &Row<'_>, issues: &[Issue], verbose: bool, now: Instant) -> String {
    let spec = &row.service.spec;
    let mut text = String::new();
    let mut field = |label: &str, value: &str| {
        let _ = writeln!(text, "{label}: {}", safe(value));
    };
    field("Service", row.name());
    field("Type", spec.kind.as_str());
    field("Category", spec.category.as_str());
    field("Status", &row.status().to_string());
    field("Deployment", spec.deployment.mode().as_str());
    field("Health", &row.health().to_string());
    field("Auto-start", if spec.startup.auto_start { "true" } else { "false" });
    if let Some((label, value)) = instance_field(row) {
        field(label, &value);
    }
    if let Some(uptime) = row.uptime(now) {
        field("Uptime", &seconds(uptime));
    }
    field("Dependencies", &bracketed(&spec.dependencies));
    if let Some(why) = row.why(now) {
        field("Why", &why);
    }
    if verbose {
        field("Description", &spec.description);
        field("Restarts", &row.service.restarts.to_string());
        if let Some(numbers) = row.numbers() {
            field("History", &history::numbers_line(&numbers));
        }
        if let Some(exit) = &row.service.last_exit {
            field("Last exit", &exit.ending.to_string());
        }
        for fact in &row.service.facts {
            field(fact.label, &fact.value);
        }
    }
    // There are none while all is as it should be.
    for note in &row.service.notes {
        field("Note", note);
    }
    let shown: Vec<&Issue> = issues.iter().filter(|issue| verbose || issue.severity == Severity::Error).collect();
    if !shown.is_empty() {
        text.push_str("\nIssues:\n");
    }
    for issue in shown {
        let prefix = if issue.severity == Severity::Warning { "warning: " } else { "" };
        let _ = writeln!(text, "  - {prefix}{}", safe(&issue.message));
        if let Some(remedy) = &issue.remedy {
            let _ = writeln!(text, "    Fix: {}", safe(remedy));
        }
    }
    text
}

/// What runs, by the label of its mode (R83).
fn instance_field(row: &Row<'_>) -> Option<(&'static str, String)> {
    let deployment = &row.service.spec.deployment;
    let Some(instance) = row.service.state.instance() else {
        return match deployment {
            // Where it would be if it answered.
            Deployment::Remote(remote) => Some(("Endpoint", remote.shown_endpoint())),
            Deployment::Binary(_)
            | Deployment::Docker(_)
            | Deployment::DockerCompose(_)
            | Deployment::Kubernetes(_) => None,
        };
    };
    Some(match (instance, deployment) {
        (Instance::Process(identity), _) => ("PID", identity.pid.to_string()),
        (Instance::Container { .. }, Deployment::Docker(docker)) => ("Container", docker.container_name.clone()),
        (Instance::Container { id, .. }, _) => ("Container", id.clone()),
        (Instance::Deployment { context, namespace, name, .. }, _) => {
            ("Deployment name", format!("{name} (context {context}, namespace {namespace})"))
        }
        (Instance::Endpoint(url), _) => ("Endpoint", url.clone()),
    })
}

/// `[]`, `[orchestrator, control-center]` (R81).
fn bracketed(ids: &[ServiceId]) -> String {
    format!("[{}]", ids.iter().map(ServiceId::as_str).collect::<Vec<_>>().join(", "))
}
