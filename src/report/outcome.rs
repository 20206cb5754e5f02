//! How an operation ended: the summary sentence (R43) and the machine-readable ledger.

use std::sync::Arc;

use super::json::{
    FindingReport, OperationCounts, OperationReport, OperationServiceReport, RefusalReport, check_report,
};
use super::line::Line;
use super::phrases::{failure_lines, refusal_lines, verb_word};
use super::style::Style;
use super::text::safe;
use crate::engine::operation::{Plan, Progress, Refusal, Role, Summary, Targets, Verb};
use crate::model::{Instance, Mode, ServiceId, ServiceSnapshot, Snapshot};

/// `Summary: 3 started, 1 already running, 0 failed, 2 skipped`: the counts that matter for the verb.
pub fn summary_sentence(summary: &Summary, verb: Verb) -> String {
    let counts = OperationCounts::of(summary);
    let OperationCounts { started, already_running, stopped, not_running, failed, skipped } = counts;
    match verb {
        Verb::Start | Verb::StartUnchecked => {
            format!("Summary: {started} started, {already_running} already running, {failed} failed, {skipped} skipped")
        }
        Verb::StartOrRestart => format!(
            "Summary: {started} started or restarted, {already_running} already running, {failed} failed, {skipped} skipped"
        ),
        Verb::Stop | Verb::StopForced { .. } => {
            format!("Summary: {stopped} stopped, {not_running} not running, {failed} failed, {skipped} skipped")
        }
        Verb::Restart | Verb::RestartWithDependents => {
            format!("Summary: {started} restarted or started, {failed} failed, {skipped} skipped")
        }
    }
}

/// What is said when a request concerns no service (R51).
pub fn nothing_to_do(verb: Verb) -> &'static str {
    match verb {
        Verb::Start | Verb::StartOrRestart | Verb::StartUnchecked => {
            "Nothing to start: no service has auto_start = true"
        }
        Verb::Stop | Verb::StopForced { .. } => "Nothing to stop: no services are running",
        Verb::Restart | Verb::RestartWithDependents => "Nothing to restart: no services are running",
    }
}

/// What is said beside that where something runs elsewhere, whether it answers or not: a stop of everything is not about it (A29). `None`
/// where there is nothing like that, or where it was named itself.
pub fn left_alone(plan: &Plan, snapshot: &Snapshot) -> Option<String> {
    let is_about_all = match plan.request.verb {
        Verb::Stop | Verb::StopForced { .. } | Verb::Restart | Verb::RestartWithDependents => {
            matches!(plan.request.targets, Targets::All)
        }
        Verb::Start | Verb::StartOrRestart | Verb::StartUnchecked => false,
    };
    let is_left_alone = |service: &&Arc<ServiceSnapshot>| {
        service.spec.deployment.mode() == Mode::Remote && !plan.refused.iter().any(|(id, _)| id == service.id())
    };
    let names: Vec<&str> = snapshot.services.iter().filter(is_left_alone).map(|it| it.id().as_str()).collect();
    (is_about_all && plan.steps.is_empty() && !names.is_empty())
        .then(|| format!("Left alone, since it runs elsewhere: {}", names.join(", ")))
}

/// Collects what happened to each service of an operation, for `--json`.
#[derive(Debug)]
pub struct OutcomeLedger {
    verb: Verb,
    entries: Vec<Entry>,
    refusals: Vec<RefusalReport>,
    is_whole: bool,
}

#[derive(Debug)]
struct Entry {
    service: ServiceId,
    role: Role,
    result: &'static str,
    instance: Option<Instance>,
    ready_after_ms: Option<u128>,
    message: Option<String>,
    findings: Vec<FindingReport>,
}

impl OutcomeLedger {
    /// Prepares for the operation that `plan` describes.
    pub fn new(plan: &Plan) -> Self {
        let entries = plan.steps.iter().map(|step| Entry {
            service: step.service.clone(),
            role: step.role,
            // What was not reached before the end was not begun.
            result: "skipped",
            instance: None,
            ready_after_ms: None,
            message: None,
            findings: Vec::new(),
        });
        let verb = plan.request.verb;
        let refusals = plan.refused.iter().map(|(_, refusal)| one_refusal(refusal, verb)).collect();
        Self { verb, entries: entries.collect(), refusals, is_whole: plan.is_whole() }
    }

    /// Takes note of what happened.
    pub fn note(&mut self, progress: &Progress) {
        match progress {
            Progress::Checked { service, findings } => {
                self.update(service, |entry| entry.findings = findings.iter().map(check_report).collect());
            }
            Progress::Started { service, instance } => {
                self.update(service, |entry| {
                    entry.result = "started";
                    entry.instance = Some(instance.clone());
                });
            }
            Progress::AlreadyRunning { service, instance } => {
                self.update(service, |entry| {
                    entry.result = "already_running";
                    entry.instance = Some(instance.clone());
                });
            }
            Progress::Ready { service, after, proof: _ } => {
                self.update(service, |entry| entry.ready_after_ms = Some(after.as_millis()));
            }
            Progress::Stopped(service) => self.update(service, |entry| entry.result = "stopped"),
            Progress::NotRunning(service) => self.update(service, |entry| entry.result = "not_running"),
            Progress::Failed { service, failure } => {
                let message = plain_text(&failure_lines(service, failure, false, Style::Ascii));
                self.update(service, |entry| {
                    entry.result = "failed";
                    entry.message = Some(message);
                });
            }
            Progress::Skipped { service, because } => {
                self.update(service, |entry| {
                    entry.result = "skipped";
                    entry.message = Some(format!("{because} failed"));
                });
            }
            Progress::Checking(_)
            | Progress::Starting { .. }
            | Progress::Preparing { .. }
            | Progress::WaitingForHealth(_)
            | Progress::Stopping(_)
            | Progress::DependentsLeftRunning { .. }
            | Progress::Finished(_) => {}
        }
    }

    fn update(&mut self, service: &ServiceId, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.service == *service) {
            change(entry);
        }
    }

    /// The whole operation, as JSON says it.
    pub fn report(self, summary: &Summary, was_interrupted: bool) -> OperationReport {
        let services = self.entries.into_iter().map(|entry| OperationServiceReport {
            name: entry.service.to_string(),
            role: match entry.role {
                Role::Target => "target",
                Role::Dependency => "dependency",
            },
            result: entry.result,
            pid: entry.instance.as_ref().and_then(Instance::pid),
            instance: entry.instance.map(|instance| safe(&instance.to_string()).into_owned()),
            ready_after_ms: entry.ready_after_ms,
            message: entry.message,
            findings: entry.findings,
        });
        OperationReport {
            operation: verb_word(self.verb),
            success: summary.is_success() && self.is_whole && !was_interrupted,
            interrupted: was_interrupted,
            services: services.collect(),
            summary: OperationCounts::of(summary),
            refusals: self.refusals,
        }
    }
}

/// A request that was refused, as JSON says it.
pub fn refusal_report(refusal: &Refusal, verb: Verb) -> OperationReport {
    OperationReport {
        operation: verb_word(verb),
        success: false,
        interrupted: false,
        services: Vec::new(),
        summary: OperationCounts::default(),
        refusals: vec![one_refusal(refusal, verb)],
    }
}

pub(super) fn one_refusal(refusal: &Refusal, verb: Verb) -> RefusalReport {
    let (reason, service, services) = match refusal {
        Refusal::DependentsRunning { service, dependents } => ("dependents_running", service, dependents.clone()),
        Refusal::RunsElsewhere { service, place: _ } => ("runs_elsewhere", service, Vec::new()),
        Refusal::Cycle { service, path } => ("cycle", service, path.clone()),
        Refusal::MissingDependency { service, dependency } => ("missing_dependency", service, vec![dependency.clone()]),
        Refusal::SetAside { name, reason: _ } => ("set_aside", name, Vec::new()),
        Refusal::UnknownService { name, near } => ("unknown_service", name, near.clone()),
    };
    RefusalReport {
        reason,
        service: service.to_string(),
        services: services.iter().map(ToString::to_string).collect(),
        message: plain_text(&refusal_lines(refusal, verb, Style::Ascii)),
    }
}

/// Lines for people as one text for scripts: without icons and indentation.
fn plain_text(lines: &[Line]) -> String {
    let plain = |line: &Line| line.text().trim_start().trim_start_matches("[!!] ").to_owned();
    lines.iter().map(plain).collect::<Vec<_>>().join("\n")
}
