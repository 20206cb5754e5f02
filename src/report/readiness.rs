//! O9: what runs, what could be started now, and what stands in the way of the rest.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::json::IssueReport;
use super::row::Row;
use super::status::{Issue, issues};
use super::style::{Icon, Style};
use super::supervise::LeaderReport;
use super::text::safe;
use crate::engine::handle::Inspection;
use crate::model::{Leader, ServiceId, Severity, Snapshot, StateKind};
use crate::preflight::Finding;

/// `services readiness --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReadinessReport {
    /// How many services are registered and usable.
    pub total: usize,
    /// How many run.
    pub running: usize,
    /// How many nothing stands in the way of, those that run included (A20).
    pub ready_to_start: usize,
    /// In registry order.
    pub services: Vec<ServiceReadiness>,
    /// Names of the file that cannot be used.
    pub set_aside: Vec<String>,
    /// Who acts on its own; null when nobody does.
    pub leader: Option<LeaderReport>,
}

/// One service of the report.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ServiceReadiness {
    /// Its name.
    pub name: String,
    /// `platform`, `infrastructure` or `utility`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// One of the seven categories.
    pub category: &'static str,
    /// `running`, `ready` or `not_ready`.
    pub readiness: Readiness,
    /// What stands in the way. Warnings do not, and are not counted.
    pub issues: Vec<IssueReport>,
}

/// The three answers, by the icons of R122.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// It runs.
    Running,
    /// It does not run, and could be started.
    Ready,
    /// Something stands in the way.
    NotReady,
}

impl ReadinessReport {
    /// The report of all services. Everything that would refuse a start at this moment counts.
    pub fn new(snapshot: &Snapshot, inspections: &[Inspection], leader: Option<&Leader>) -> Self {
        let by_name: HashMap<&ServiceId, &Inspection> =
            inspections.iter().map(|inspection| (&inspection.service, inspection)).collect();
        let known = snapshot.services.iter().filter(|service| by_name.contains_key(service.id()));
        let services: Vec<ServiceReadiness> = known
            .map(|service| {
                let findings: Vec<Finding> = by_name
                    .get(service.id())
                    .map(|found| [found.requirements.as_slice(), found.circumstances.as_slice()].concat())
                    .unwrap_or_default();
                let row = Row::new(snapshot, service, None);
                let in_the_way: Vec<Issue> =
                    issues(&row, &findings).into_iter().filter(|issue| issue.severity == Severity::Error).collect();
                ServiceReadiness {
                    name: row.name().to_owned(),
                    kind: service.spec.kind.as_str(),
                    category: service.spec.category.as_str(),
                    readiness: match (row.status(), in_the_way.is_empty()) {
                        (StateKind::Running, _) => Readiness::Running,
                        (_, true) => Readiness::Ready,
                        (_, false) => Readiness::NotReady,
                    },
                    issues: in_the_way.iter().map(IssueReport::new).collect(),
                }
            })
            .collect();
        let is_running = |service: &&ServiceReadiness| service.readiness == Readiness::Running;
        Self {
            total: services.len(),
            running: services.iter().filter(is_running).count(),
            ready_to_start: services.iter().filter(|service| service.issues.is_empty()).count(),
            services,
            set_aside: snapshot.registry.set_aside.clone(),
            leader: leader.map(LeaderReport::new),
        }
    }

    /// O9; `verbose` adds the issues' texts (R123).
    pub fn text(&self, style: Style, verbose: bool) -> String {
        let mut text = String::from("Platform Readiness Report\n\n");
        let _ = writeln!(
            text,
            "Total services: {}\nRunning: {}\nReady to start: {}\n\nServices:",
            self.total, self.running, self.ready_to_start
        );
        for service in &self.services {
            let icon = match service.readiness {
                Readiness::Running => Icon::Running,
                Readiness::Ready => Icon::Changing,
                Readiness::NotReady => Icon::Failed,
            };
            let _ = writeln!(text, "  {} {} - {} - {}", icon.draw(style), service.name, service.kind, service.category);
            if !service.issues.is_empty() {
                let _ = writeln!(text, "     Issues: {}", service.issues.len());
            }
            for issue in service.issues.iter().filter(|_| verbose) {
                let _ = writeln!(text, "       - {}", safe(&issue.message));
                if let Some(remedy) = &issue.remedy {
                    let _ = writeln!(text, "         Fix: {}", safe(remedy));
                }
            }
        }
        text
    }
}
