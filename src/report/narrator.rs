//! Tells an operation as it goes: live, but in the plan's order (O12, O15, R44).

use std::collections::{HashMap, HashSet};

use super::line::{Line, Stream};
use super::outcome::{left_alone, nothing_to_do, summary_sentence};
use super::phrases;
use super::style::Style;
use super::turns::{Spoken, Turns};
use crate::engine::operation::{Failure, Plan, Progress, Proof, Role, Step, StepAction, Verb};
use crate::model::{ServiceId, Snapshot};
use crate::preflight::{Finding, Verdict};

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Telling {
    /// Emoji or ASCII.
    pub style: Style,
    /// Tells what dependencies do as well as what targets do.
    pub verbose: bool,
    /// Ends with a summary even when there is only one target (the `platform` group).
    pub always_summary: bool,
}

/// The parts of a report, in the order in which they are told. Each service has one turn in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Check,
    Stop,
    Start,
}

/// Turns progress into the lines that may be printed now.
#[derive(Debug)]
pub struct Narrator {
    telling: Telling,
    verb: Verb,
    /// In the plan's order.
    services: Vec<ServiceId>,
    roles: HashMap<ServiceId, Role>,
    n_targets: usize,
    has_refused: bool,
    /// What a request that concerns nothing was never about.
    left_alone: Option<String>,
    reversed_stops: bool,
    turns: Turns,
    /// The latest phase that something happened in.
    phase: Phase,
    /// Services whose `Starting …` line was told: what follows belongs to it.
    headed: HashSet<ServiceId>,
    /// Services whose health is waited for, or that were started: their readiness is news.
    awaited: HashSet<ServiceId>,
    /// Services whose checks have begun.
    checking: HashSet<ServiceId>,
    /// Services that are restarted but did not run.
    down_before: HashSet<ServiceId>,
    /// Where services are that it would be grave to be mistaken about, for what acts on something that runs.
    places: HashMap<ServiceId, String>,
    /// Services that run and are restarted without being stopped.
    replaced: HashSet<ServiceId>,
    last_told: Option<Phase>,
}

impl Narrator {
    /// Prepares to tell the operation that `plan` describes; `before` is the state it begins in.
    pub fn new(plan: &Plan, before: &Snapshot, telling: Telling) -> Self {
        let services: Vec<ServiceId> = plan.steps.iter().map(|step| step.service.clone()).collect();
        let is_down = |id: &ServiceId| before.service(id.as_str()).is_some_and(|service| !service.state.is_alive());
        let down_before = plan
            .steps
            .iter()
            .filter(|step| step.action == StepAction::Restart && is_down(&step.service))
            .map(|step| step.service.clone())
            .collect();
        let place = |id: &ServiceId| before.service(id.as_str())?.state.instance()?.place();
        let places: HashMap<ServiceId, String> =
            services.iter().filter_map(|id| Some((id.clone(), place(id)?))).collect();
        let runs_and_restarts = |step: &&Step| step.action == StepAction::Restart && places.contains_key(&step.service);
        let replaced = plan.steps.iter().filter(runs_and_restarts).map(|step| step.service.clone()).collect();
        let mut narrator = Self {
            places,
            replaced,
            telling,
            verb: plan.request.verb,
            roles: plan.steps.iter().map(|step| (step.service.clone(), step.role)).collect(),
            n_targets: plan.steps.iter().filter(|step| step.role == Role::Target).count(),
            has_refused: !plan.refused.is_empty(),
            left_alone: left_alone(plan, before),
            // A plan of restarts lists the order of the starts.
            reversed_stops: plan.steps.iter().any(|step| step.action == StepAction::Restart),
            turns: Turns::new(services.len() * 3),
            services,
            phase: Phase::Check,
            headed: HashSet::new(),
            awaited: HashSet::new(),
            checking: HashSet::new(),
            down_before,
            last_told: None,
        };
        // Nobody will speak in the turn of a stop that does not happen.
        let silent: Vec<usize> = narrator.down_before.iter().filter_map(|id| narrator.turn(Phase::Stop, id)).collect();
        narrator.turns.end(silent);
        narrator
    }

    /// What may be printed now that `progress` has happened.
    pub fn tell(&mut self, progress: &Progress) -> Vec<Line> {
        let mut told = Vec::new();
        match progress {
            Progress::Finished(summary) => {
                told.extend(self.turns.end_all());
                let mut lines = self.with_gaps(told);
                if self.services.is_empty() {
                    if !self.has_refused {
                        lines.push(Line::result(nothing_to_do(self.verb)));
                    }
                    lines.extend(self.left_alone.as_ref().map(Line::result));
                } else if self.telling.always_summary || self.n_targets > 1 {
                    if self.last_told.is_some() {
                        lines.push(Line::result(""));
                    }
                    lines.push(Line::result(summary_sentence(summary, self.verb)));
                }
                return lines;
            }
            Progress::Checking(service) => {
                let header = Line::result(format!("Running pre-flight checks for {service}..."));
                let shown = if self.is_shown(service) { vec![header] } else { Vec::new() };
                self.pass_over_unchecked(service, &mut told);
                self.say(Phase::Check, service, shown, false, &mut told);
            }
            Progress::Checked { service, findings } => {
                let shown = if self.is_shown(service) { self.findings(findings) } else { Vec::new() };
                let went_well = !findings.iter().any(|finding| finding.verdict == Verdict::Failed);
                self.say(Phase::Check, service, shown, went_well, &mut told);
            }
            Progress::Starting { service, role } => {
                let what = match role {
                    Role::Target => "service",
                    Role::Dependency => "dependency",
                };
                self.headed.insert(service.clone());
                let mut lines = Vec::new();
                if self.down_before.contains(service) {
                    lines.push(Line::result(format!("{service} is not running")));
                }
                lines.push(Line::result(if self.replaced.contains(service) {
                    format!("Replacing {what}: {service}, which keeps running{}", self.place(service))
                } else {
                    format!("Starting {what}: {service}")
                }));
                self.say(Phase::Start, service, lines, false, &mut told);
            }
            Progress::Preparing { service, what } => {
                let lines = vec![self.below(service, Line::result(format!("{}...", phrases::sentence(what))))];
                self.say(Phase::Start, service, lines, false, &mut told);
            }
            Progress::Started { service, instance } => {
                self.awaited.insert(service.clone());
                let lines = vec![self.below(service, phrases::started(service, instance, self.telling.style))];
                self.say(Phase::Start, service, lines, false, &mut told);
            }
            Progress::AlreadyRunning { service, instance } => {
                let line = phrases::already_running(service, instance);
                let shown = if self.is_shown(service) { vec![line] } else { Vec::new() };
                self.say(Phase::Start, service, shown, true, &mut told);
            }
            Progress::WaitingForHealth(service) => {
                self.awaited.insert(service.clone());
                let line = Line::result(format!("Waiting for {service} to become healthy..."));
                let lines = vec![self.below(service, line)];
                self.say(Phase::Start, service, lines, false, &mut told);
            }
            Progress::Ready { service, proof, after: _ } => {
                let is_news = *proof == Proof::Probe && self.awaited.contains(service);
                let line = self.below(service, phrases::healthy(service, self.telling.style));
                self.say(Phase::Start, service, if is_news { vec![line] } else { Vec::new() }, true, &mut told);
            }
            Progress::DependentsLeftRunning { service, dependents } => {
                let names = phrases::names(dependents);
                let lines = vec![Line::result(format!("Dependent services of {service} left running: {names}"))];
                self.say(self.phase, service, lines, false, &mut told);
            }
            Progress::Stopping(service) => {
                self.replaced.remove(service);
                let lines = vec![Line::result(format!("Stopping {service}{}...", self.place(service)))];
                self.say(Phase::Stop, service, lines, false, &mut told);
            }
            Progress::Stopped(service) => {
                self.say(Phase::Stop, service, vec![phrases::stopped(service, self.telling.style)], true, &mut told);
            }
            Progress::NotRunning(service) => {
                let lines = vec![Line::result(format!("{service} is not running"))];
                self.say(Phase::Stop, service, lines, true, &mut told);
            }
            Progress::Failed { service, failure } => {
                let phase = self.phase_of_failure(failure);
                let named = self.n_targets > 1 || self.roles.get(service) == Some(&Role::Dependency);
                let lines = phrases::failure_lines(service, failure, named, self.telling.style);
                self.say(phase, service, lines, true, &mut told);
                self.end_all_of(service, &mut told);
            }
            Progress::Skipped { service, because } => {
                let lines = vec![phrases::skipped(service, because, self.telling.style)];
                self.say(self.phase, service, lines, true, &mut told);
                self.end_all_of(service, &mut told);
            }
        }
        self.with_gaps(told)
    }

    /// ` (context kind-dev, namespace platform)`, or nothing.
    fn place(&self, service: &ServiceId) -> String {
        self.places.get(service).map(|place| format!(" ({place})")).unwrap_or_default()
    }

    /// Whether the checks, and the mere presence, of a service are told.
    fn is_shown(&self, service: &ServiceId) -> bool {
        self.telling.verbose || self.roles.get(service) != Some(&Role::Dependency)
    }

    /// Good findings and warnings up to the first check that failed: that one ends the start (R168) and is told as its failure.
    fn findings(&self, findings: &[Finding]) -> Vec<Line> {
        let failed = findings.iter().filter(|finding| finding.verdict == Verdict::Failed).map(|finding| finding.check);
        let first_failed = failed.min();
        findings
            .iter()
            .filter(|finding| first_failed.is_none_or(|failed| finding.check < failed))
            .map(|finding| phrases::finding_line(finding, self.telling.style).indented())
            .collect()
    }

    /// Indents a line when its service's `Starting …` line stands above.
    fn below(&self, service: &ServiceId, line: Line) -> Line {
        if self.headed.contains(service) { line.indented() } else { line }
    }

    fn phase_of_failure(&self, failure: &Failure) -> Phase {
        match failure {
            Failure::Preflight { .. } => Phase::Check,
            Failure::Stop { .. } => Phase::Stop,
            Failure::Launch { .. } | Failure::DiedDuringStart { .. } | Failure::NotReadyInTime { .. } => Phase::Start,
            Failure::Superseded | Failure::Cancelled => self.phase,
        }
    }

    /// Says `lines` in the turn of `service` in `phase`. Once a phase has begun, earlier ones are over: the checks of a service whose
    /// turn to start comes late then belong to its start.
    fn say(&mut self, phase: Phase, service: &ServiceId, lines: Vec<Line>, ends: bool, told: &mut Vec<Spoken>) {
        let is_late_check = phase == Phase::Check && self.phase > Phase::Check;
        let phase = if is_late_check { self.phase } else { phase };
        if phase > self.phase {
            self.phase = phase;
            told.extend(self.turns.end(0..self.services.len() * phase as usize));
        }
        // A service that the plan does not know speaks at once.
        let turn = self.turn(phase, service).unwrap_or(0);
        told.extend(self.turns.say(turn, lines));
        if ends && !is_late_check {
            told.extend(self.turns.end([turn]));
        }
    }

    /// Checks begin in the plan's order, so a service before this one whose checks have not begun is not checked at all.
    fn pass_over_unchecked(&mut self, service: &ServiceId, told: &mut Vec<Spoken>) {
        self.checking.insert(service.clone());
        let passed_over: Vec<usize> = self
            .services
            .iter()
            .take_while(|id| *id != service)
            .filter(|id| !self.checking.contains(*id))
            .filter_map(|id| self.turn(Phase::Check, id))
            .collect();
        told.extend(self.turns.end(passed_over));
    }

    /// Ends all turns of a service that nothing more will happen to.
    fn end_all_of(&mut self, service: &ServiceId, told: &mut Vec<Spoken>) {
        let all = [Phase::Check, Phase::Stop, Phase::Start].map(|phase| self.turn(phase, service));
        told.extend(self.turns.end(all.into_iter().flatten()));
    }

    fn turn(&self, phase: Phase, service: &ServiceId) -> Option<usize> {
        let n = self.services.len();
        let position = self.services.iter().position(|id| id == service)?;
        let position = if phase == Phase::Stop && self.reversed_stops { n - 1 - position } else { position };
        Some(n * phase as usize + position)
    }

    /// An empty line between parts (A1). Standard error gets none: it is read for itself.
    fn with_gaps(&mut self, told: Vec<Spoken>) -> Vec<Line> {
        let mut lines = Vec::with_capacity(told.len());
        for (turn, line) in told {
            let phase = match turn / self.services.len().max(1) {
                0 => Phase::Check,
                1 => Phase::Stop,
                _ => Phase::Start,
            };
            if line.stream() == Stream::Results && self.last_told.is_some_and(|last| last != phase) {
                lines.push(Line::result(""));
            }
            self.last_told = Some(phase);
            lines.push(line);
        }
        lines
    }
}
