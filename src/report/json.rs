//! The JSON shapes of `--json` (R204, A40). Field names are stable: fields may be added, none is renamed or removed.
//!
//! Own types, so that the core may change without changing what scripts read. Texts from outside are JSON strings as they came: JSON
//! escapes control codes itself.

use std::time::Instant;

use serde::Serialize;

use super::health::{self, Group};
use super::history::HealthNumbers;
use super::row::Row;
use super::status::Issue;
use super::supervise::LeaderReport;
use crate::engine::handle::Checked;
use crate::engine::operation::Summary;
use crate::model::{Health, Instance, Leader, ProbeOutcome, Registry, StateKind};
use crate::preflight::{Finding, Verdict};

/// One service on the board.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ServiceReport {
    /// Its name.
    pub name: String,
    /// `platform`, `infrastructure` or `utility`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// One of the seven categories.
    pub category: &'static str,
    /// One line for people.
    pub description: String,
    /// `stopped`, `waiting`, `starting`, `running`, `stopping`, `restarting`, `failed` or `unknown`.
    pub status: String,
    /// `healthy`, `unhealthy` or `unknown`.
    pub health: String,
    /// `up` or `down`; null when nobody ever asked.
    pub wanted: Option<&'static str>,
    /// `binary`, `docker`, `docker-compose`, `kubernetes` or `remote`.
    pub deployment_mode: &'static str,
    /// Whether `platform start` without names starts it.
    pub auto_start: bool,
    /// Null when no process of this host runs.
    pub pid: Option<u32>,
    /// What runs, in words; null when nothing does.
    pub instance: Option<String>,
    /// Null when it is not up, or when nobody saw it start.
    pub uptime_seconds: Option<u64>,
    /// The services it needs.
    pub dependencies: Vec<String>,
    /// How often it was restarted by itself since it was last started by somebody.
    pub restarts: u32,
    /// What the probe of this report said; null when none was made.
    pub message: Option<String>,
    /// Why it is not as it should be; null when it is.
    pub why: Option<String>,
    /// Uptime and latency of the past; null where no report of the past was asked for, or nothing is remembered.
    pub history: Option<HealthNumbers>,
    /// What its mode alone can tell of it, for people: how an endpoint answers.
    pub facts: Vec<FactReport>,
}

/// Something worth knowing of a service.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FactReport {
    /// What it is about.
    pub label: &'static str,
    /// What is so.
    pub value: String,
}

impl ServiceReport {
    /// The report of a row.
    pub fn new(row: &Row<'_>, now: Instant) -> Self {
        let spec = &row.service.spec;
        let instance = row.service.state.instance();
        Self {
            name: row.name().to_owned(),
            kind: spec.kind.as_str(),
            category: spec.category.as_str(),
            description: spec.description.clone(),
            status: row.status().to_string(),
            health: row.health().to_string(),
            wanted: row.service.intent.map(|intent| match intent {
                crate::model::Intent::Up => "up",
                crate::model::Intent::Down => "down",
            }),
            deployment_mode: spec.deployment.mode().as_str(),
            auto_start: spec.startup.auto_start,
            pid: instance.and_then(Instance::pid),
            instance: instance.map(ToString::to_string),
            uptime_seconds: row.uptime(now).map(|uptime| uptime.as_secs()),
            dependencies: spec.dependencies.iter().map(ToString::to_string).collect(),
            restarts: row.service.restarts,
            message: row.message().map(str::to_owned),
            why: row.why(now),
            history: row.numbers(),
            facts: row
                .service
                .facts
                .iter()
                .map(|fact| FactReport { label: fact.label, value: fact.value.clone() })
                .collect(),
        }
    }
}

/// `platform status --json` and `--once --format json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BoardReport {
    /// The registry file, or `built-in registry`.
    pub registry: String,
    /// How many services run.
    pub running: usize,
    /// How many are registered.
    pub total: usize,
    /// In registry order.
    pub services: Vec<ServiceReport>,
    /// Names of the file that cannot be used.
    pub set_aside: Vec<String>,
}

impl BoardReport {
    /// The report of all rows.
    pub fn new(rows: &[Row<'_>], registry: &Registry, now: Instant) -> Self {
        Self {
            registry: registry.source.to_string(),
            running: rows.iter().filter(|row| row.status() == StateKind::Running).count(),
            total: rows.len(),
            services: rows.iter().map(|row| ServiceReport::new(row, now)).collect(),
            set_aside: registry.set_aside.clone(),
        }
    }
}

/// `services list --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ListReport {
    /// In registry order. No probe is made for a list: `message` is null.
    pub services: Vec<ServiceReport>,
}

impl ListReport {
    /// The report of the listed rows.
    pub fn new(rows: &[Row<'_>], now: Instant) -> Self {
        Self { services: rows.iter().map(|row| ServiceReport::new(row, now)).collect() }
    }
}

/// Something to put right.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct IssueReport {
    /// `error` or `warning`.
    pub severity: String,
    /// What is wrong.
    pub message: String,
    /// What to do; null when nothing is known.
    pub remedy: Option<String>,
}

impl IssueReport {
    /// The report of an issue.
    pub fn new(issue: &Issue) -> Self {
        Self { severity: issue.severity.to_string(), message: issue.message.clone(), remedy: issue.remedy.clone() }
    }
}

/// `services status NAME --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ServiceStatusReport {
    /// What the board says.
    pub service: ServiceReport,
    /// What has to be put right; warnings included.
    pub issues: Vec<IssueReport>,
    /// Who acts on its own; null when nobody does.
    pub leader: Option<LeaderReport>,
}

impl ServiceStatusReport {
    /// The report of one row.
    pub fn new(row: &Row<'_>, issues: &[Issue], leader: Option<&Leader>, now: Instant) -> Self {
        Self {
            service: ServiceReport::new(row, now),
            issues: issues.iter().map(IssueReport::new).collect(),
            leader: leader.map(LeaderReport::new),
        }
    }
}

/// `services health NAME --json`, and one entry of `platform health --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HealthReport {
    /// Its name.
    pub service: String,
    /// `healthy`, `unhealthy` or `unknown`.
    pub status: String,
    /// Whether it is healthy.
    pub healthy: bool,
    /// Whether it runs.
    pub running: bool,
    /// What the probe said, or why there was none.
    pub message: String,
    /// `http`, `tcp`, `command`, `file` or `none`.
    pub check_type: &'static str,
    /// How long the deciding attempt took; null when nothing was asked.
    pub check_duration_ms: Option<u128>,
    /// Uptime and latency of the past; null where no report of the past was asked for, or nothing is remembered.
    pub history: Option<HealthNumbers>,
}

impl HealthReport {
    /// The report of one row.
    pub fn new(row: &Row<'_>) -> Self {
        let health = row.health();
        Self {
            service: row.name().to_owned(),
            status: health.to_string(),
            healthy: health == Health::Healthy,
            running: row.service.state.is_alive(),
            message: health::message(row),
            check_type: row.service.spec.health_check.check.type_name(),
            check_duration_ms: match row.checked {
                Some(Checked::Probed(ProbeOutcome::Answered(report))) => Some(report.took.as_millis()),
                _ => None,
            },
            history: row.numbers(),
        }
    }
}

/// The numbers of O2's last line; they add up to the number of services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HealthSummary {
    /// Running, and the probe passed.
    pub healthy: usize,
    /// Running, and the probe failed.
    pub unhealthy: usize,
    /// Not running.
    pub not_running: usize,
    /// No check is configured, or nobody can say.
    pub unknown: usize,
}

impl HealthSummary {
    /// Counts the rows.
    pub fn of(rows: &[Row<'_>]) -> Self {
        let mut summary = Self::default();
        for row in rows {
            match health::group(row) {
                Group::Healthy => summary.healthy += 1,
                Group::Unhealthy => summary.unhealthy += 1,
                Group::NotRunning => summary.not_running += 1,
                Group::Unknown => summary.unknown += 1,
            }
        }
        summary
    }
}

/// `platform health --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlatformHealthReport {
    /// In registry order.
    pub services: Vec<HealthReport>,
    /// The counts.
    pub summary: HealthSummary,
}

impl PlatformHealthReport {
    /// The report of all rows.
    pub fn new(rows: &[Row<'_>]) -> Self {
        Self { services: rows.iter().map(HealthReport::new).collect(), summary: HealthSummary::of(rows) }
    }
}

/// One pre-flight finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FindingReport {
    /// `prerequisites`, `conflicts` or `dependencies`.
    pub check: String,
    /// `passed`, `failed` or `warning`.
    pub verdict: &'static str,
    /// What was found.
    pub message: String,
    /// What to do; null when nothing is known.
    pub remedy: Option<String>,
}

pub(super) fn check_report(finding: &Finding) -> FindingReport {
    FindingReport {
        check: finding.check.to_string(),
        verdict: match finding.verdict {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::Warning => "warning",
        },
        message: finding.message.clone(),
        remedy: finding.remedy.clone(),
    }
}

/// What happened to one service of an operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OperationServiceReport {
    /// Its name.
    pub name: String,
    /// `target` when it was named, `dependency` when a target needs it (or needs to be stopped before it).
    pub role: &'static str,
    /// `started`, `already_running`, `stopped`, `not_running`, `failed` or `skipped`.
    pub result: &'static str,
    /// Null when no process of this host runs.
    pub pid: Option<u32>,
    /// What runs, in words; null when nothing does.
    pub instance: Option<String>,
    /// From the launch to the first good probe; null when it was not waited for.
    pub ready_after_ms: Option<u128>,
    /// Why it failed or was skipped.
    pub message: Option<String>,
    /// What the pre-flight checks found.
    pub findings: Vec<FindingReport>,
}

/// The counts of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OperationCounts {
    /// Started and ready.
    pub started: usize,
    /// Ran already.
    pub already_running: usize,
    /// Stopped.
    pub stopped: usize,
    /// Did not run.
    pub not_running: usize,
    /// Did not work.
    pub failed: usize,
    /// Not begun.
    pub skipped: usize,
}

impl OperationCounts {
    /// Counts a summary.
    pub fn of(summary: &Summary) -> Self {
        Self {
            started: summary.started.len(),
            already_running: summary.already_running.len(),
            stopped: summary.stopped.len(),
            not_running: summary.not_running.len(),
            failed: summary.failed.len(),
            skipped: summary.skipped.len(),
        }
    }
}

/// Why a service may not act.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RefusalReport {
    /// `dependents_running`, `cycle`, `missing_dependency`, `runs_elsewhere`, `set_aside` or `unknown_service`.
    pub reason: &'static str,
    /// Whom it concerns.
    pub service: String,
    /// The dependents, the circle, the missing dependency, or names that look alike.
    pub services: Vec<String>,
    /// The same in words.
    pub message: String,
}

/// `start`, `stop` and `restart` with `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OperationReport {
    /// `start`, `stop` or `restart`.
    pub operation: &'static str,
    /// Whether everything that was asked for is so now.
    pub success: bool,
    /// Whether waiting was given up (Ctrl+C, `--timeout`); what was started keeps running.
    pub interrupted: bool,
    /// In the plan's order.
    pub services: Vec<OperationServiceReport>,
    /// The counts.
    pub summary: OperationCounts,
    /// Who may not act, and why. With no name given, the others act all the same.
    pub refusals: Vec<RefusalReport>,
}
