//! One service as reports see it: what was observed, and what a probe made for this report said.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use super::history::HealthNumbers;
use super::style::Icon;
use crate::engine::handle::Checked;
use crate::lifecycle::explain::explain;
use crate::model::{Health, ProbeOutcome, ProbeVerdict, Registry, ServiceId, ServiceSnapshot, Snapshot, StateKind};

/// One service of a report.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// What was observed.
    pub service: &'a ServiceSnapshot,
    /// What asking it just now gave; `None` when the report asked nobody.
    pub checked: Option<&'a Checked>,
    snapshot: &'a Snapshot,
    /// When, where its history was read for this report.
    remembered_at: Option<SystemTime>,
}

/// The rows of all services in registry order, each with its answer where `checks` has one.
pub fn rows<'a>(snapshot: &'a Snapshot, checks: &'a [(ServiceId, Checked)]) -> Vec<Row<'a>> {
    let answers: HashMap<&ServiceId, &Checked> = checks.iter().map(|(id, checked)| (id, checked)).collect();
    snapshot.services.iter().map(|service| Row::new(snapshot, service, answers.get(service.id()).copied())).collect()
}

impl<'a> Row<'a> {
    /// The row of one service.
    pub fn new(snapshot: &'a Snapshot, service: &'a ServiceSnapshot, checked: Option<&'a Checked>) -> Self {
        Self { service, checked, snapshot, remembered_at: None }
    }

    /// The row of a service whose history was read: its numbers are taken at that moment.
    #[must_use]
    pub fn with_history(self, at: SystemTime) -> Self {
        Self { remembered_at: Some(at), ..self }
    }

    /// Uptime and latency; `None` where no history was read for this report, or nothing is remembered.
    pub fn numbers(&self) -> Option<HealthNumbers> {
        HealthNumbers::new(&self.service.history, self.remembered_at?)
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        self.service.spec.id.as_str()
    }

    /// Its state.
    pub fn status(&self) -> StateKind {
        self.service.kind()
    }

    /// The icon of its state.
    pub fn icon(&self) -> Icon {
        Icon::of_state(self.status())
    }

    /// Its health: what the answer says, and what the snapshot says where nobody was asked.
    pub fn health(&self) -> Health {
        match self.checked {
            None => self.service.health(),
            Some(Checked::NotRunning | Checked::NoCheck | Checked::Probed(ProbeOutcome::CouldNotRun { .. })) => {
                Health::Unknown
            }
            Some(Checked::Probed(ProbeOutcome::Answered(report))) => match report.verdict {
                ProbeVerdict::Passed => Health::Healthy,
                ProbeVerdict::Failed => Health::Unhealthy,
            },
        }
    }

    /// For how long it has been up; `None` when it is not, and for endpoints, whose start nobody here saw (R62).
    pub fn uptime(&self, now: Instant) -> Option<Duration> {
        self.service.up_since().map(|since| now.saturating_duration_since(since))
    }

    /// What the probe said, where one was made.
    pub fn message(&self) -> Option<&'a str> {
        match self.checked {
            Some(Checked::Probed(ProbeOutcome::Answered(report))) => Some(&report.message),
            Some(Checked::Probed(ProbeOutcome::CouldNotRun { reason })) => Some(reason),
            None | Some(Checked::NotRunning | Checked::NoCheck) => None,
        }
    }

    /// Why it is not as it should be, in one sentence; `None` when it is, or when there is nothing to say.
    pub fn why(&self, now: Instant) -> Option<String> {
        match self.status() {
            StateKind::Running if self.health() != Health::Unhealthy => None,
            StateKind::Running => self
                .message()
                .map(|message| format!("health check failed: {message}"))
                .or_else(|| explain(self.service, self.snapshot, now)),
            // Nobody wants it up, so nothing is wrong.
            StateKind::Stopped => None,
            StateKind::Unknown
            | StateKind::Waiting
            | StateKind::Starting
            | StateKind::Stopping
            | StateKind::Backoff
            | StateKind::Failed => explain(self.service, self.snapshot, now),
        }
    }

    /// The registry in force.
    pub(super) fn registry(&self) -> &'a Registry {
        &self.snapshot.registry
    }
}
