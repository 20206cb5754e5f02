//! A plan before it is carried out: what would happen, in which order, and why (`--dry-run`).

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::json::RefusalReport;
use super::outcome::{left_alone, nothing_to_do, one_refusal};
use super::phrases::verb_word;
use super::style::{Icon, Style};
use super::text::{pad, safe};
use crate::engine::handle::Inspection;
use crate::lifecycle::plan::{Plan, Role, Step, StepAction, Targets, Verb};
use crate::model::{ServiceId, ServiceState, Snapshot};
use crate::preflight::{CheckKind, Verdict};

/// `start`, `stop` and `restart` with `--dry-run --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlanReport {
    /// `start`, `stop` or `restart`.
    pub operation: &'static str,
    /// Always true: nothing was done.
    pub dry_run: bool,
    /// Whether nothing is known now that would keep it from working.
    pub would_succeed: bool,
    /// In the order in which they begin. What waits for nothing in between begins together.
    pub steps: Vec<PlanStep>,
    /// Running services that need one that restarts, and are left running.
    pub left_running: Vec<LeftRunning>,
    /// What the pre-flight checks would refuse.
    pub problems: Vec<PlanProblem>,
    /// Who may not act, and why.
    pub refusals: Vec<RefusalReport>,
    /// What a plan that concerns nothing was never about.
    #[serde(skip)]
    left_alone: Option<String>,
}

/// One service's part.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlanStep {
    /// Its name.
    pub name: String,
    /// `start`, `stop`, `restart`, or `none` where there is nothing to do.
    pub action: &'static str,
    /// `target` when it was asked for, else `dependency`.
    pub role: &'static str,
    /// From 1: what has the same number goes on side by side. Null where there is nothing to do.
    pub wave: Option<usize>,
    /// The services of this plan that it waits for.
    pub after: Vec<String>,
    /// Why it is in the plan, and why nothing has to be done where that is so.
    pub why: String,
}

/// Dependents that a restart leaves running.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LeftRunning {
    /// The service that restarts.
    pub name: String,
    /// Who needs it and keeps running.
    pub dependents: Vec<String>,
}

/// Something that the pre-flight checks would refuse.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlanProblem {
    /// Whose start.
    pub name: String,
    /// `prerequisites` or `conflicts`.
    pub check: String,
    /// What was found.
    pub message: String,
    /// What to do; null when nothing is known.
    pub remedy: Option<String>,
}

fn names(ids: &[ServiceId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

impl PlanReport {
    /// The report of a plan, given the state it would begin in and what the pre-flight checks find now.
    pub fn new(plan: &Plan, snapshot: &Snapshot, inspections: &[Inspection]) -> Self {
        let verb = plan.request.verb;
        let mut waves: HashMap<&ServiceId, usize> = HashMap::with_capacity(plan.steps.len());
        let mut steps = Vec::with_capacity(plan.steps.len());
        for step in &plan.steps {
            let action = action(step, snapshot);
            let after: Vec<ServiceId> =
                step.after.iter().filter(|earlier| waves.contains_key(earlier)).cloned().collect();
            let wave = action
                .word()
                .map(|_| after.iter().filter_map(|earlier| waves.get(earlier)).max().copied().unwrap_or(0) + 1);
            if let Some(wave) = wave {
                waves.insert(&step.service, wave);
            }
            steps.push(PlanStep {
                name: step.service.to_string(),
                action: action.word().unwrap_or("none"),
                role: match step.role {
                    Role::Target => "target",
                    Role::Dependency => "dependency",
                },
                wave,
                after: if wave.is_some() { names(&after) } else { Vec::new() },
                why: why(step, action, plan, snapshot),
            });
        }
        let problems = problems(plan, snapshot, inspections);
        let refusals: Vec<RefusalReport> = plan.refused.iter().map(|(_, refusal)| one_refusal(refusal, verb)).collect();
        Self {
            operation: verb_word(verb),
            dry_run: true,
            would_succeed: problems.is_empty() && plan.is_whole(),
            steps,
            left_running: plan
                .left_running
                .iter()
                .map(|(service, dependents)| LeftRunning { name: service.to_string(), dependents: names(dependents) })
                .collect(),
            problems,
            refusals,
            left_alone: left_alone(plan, snapshot),
        }
    }

    /// The plan as a person reads it: waves from top to bottom, what is left alone, what would go wrong.
    pub fn text(&self, verb: Verb, style: Style) -> String {
        let mut text = format!("Plan: {} (dry run: nothing is done)\n", self.operation);
        if self.steps.is_empty() && self.refusals.is_empty() {
            let _ = writeln!(text, "\n{}", nothing_to_do(verb));
        }
        if let Some(left_alone) = &self.left_alone {
            let _ = writeln!(text, "{}", safe(left_alone));
        }
        let widest = self.steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
        let last_wave = self.steps.iter().filter_map(|step| step.wave).max().unwrap_or(0);
        for wave in 1..=last_wave {
            let _ = writeln!(text, "\nWave {wave}:");
            for step in self.steps.iter().filter(|step| step.wave == Some(wave)) {
                let after =
                    if step.after.is_empty() { String::new() } else { format!("; after {}", step.after.join(", ")) };
                let _ = writeln!(text, "  {:<7} {}  {}{after}", step.action, pad(&step.name, widest), step.why);
            }
        }
        if self.operation == "restart" && last_wave > 1 {
            let _ = writeln!(text, "\nWhat runs stops first, from the last wave to the first");
        }
        if self.steps.iter().any(|step| step.wave.is_none()) {
            let _ = writeln!(text, "\nLeft alone:");
        }
        for step in self.steps.iter().filter(|step| step.wave.is_none()) {
            let _ = writeln!(text, "  {}  {}", pad(&step.name, widest), safe(&step.why));
        }
        for left in &self.left_running {
            let _ = writeln!(text, "\n{} is needed by {}, left running", left.name, left.dependents.join(", "));
        }
        if !self.problems.is_empty() {
            let _ = writeln!(text, "\nThe pre-flight checks would refuse:");
        }
        for problem in &self.problems {
            let _ = writeln!(text, "  {} {}: {}", Icon::Bad.draw(style), problem.name, safe(&problem.message));
            if let Some(remedy) = &problem.remedy {
                let _ = writeln!(text, "     Fix: {}", safe(remedy));
            }
        }
        text
    }
}

/// What a step comes to in the state that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Acts {
    Start,
    Stop,
    Restart,
    RunsAlready,
    DoesNotRun,
}

impl Acts {
    fn word(self) -> Option<&'static str> {
        match self {
            Self::Start => Some("start"),
            Self::Stop => Some("stop"),
            Self::Restart => Some("restart"),
            Self::RunsAlready | Self::DoesNotRun => None,
        }
    }
}

fn action(step: &Step, snapshot: &Snapshot) -> Acts {
    let state = snapshot.service(step.service.as_str()).map(|service| &service.state);
    let is_alive = state.is_some_and(ServiceState::is_alive);
    match step.action {
        StepAction::Start => match state {
            Some(ServiceState::Starting { .. } | ServiceState::Running { .. }) => Acts::RunsAlready,
            _ => Acts::Start,
        },
        StepAction::Restart if is_alive => Acts::Restart,
        StepAction::Restart => Acts::Start,
        StepAction::Stop => match state {
            // Dead, but about to be started: a stop has something to do.
            Some(ServiceState::Waiting { .. } | ServiceState::Launching { .. } | ServiceState::Backoff { .. }) => {
                Acts::Stop
            }
            _ if is_alive => Acts::Stop,
            _ => Acts::DoesNotRun,
        },
    }
}

fn why(step: &Step, action: Acts, plan: &Plan, snapshot: &Snapshot) -> String {
    let service = snapshot.service(step.service.as_str());
    let instance = service.and_then(|service| service.state.instance()).map(|instance| format!(" ({instance})"));
    match (action, step.role, &plan.request.targets) {
        (Acts::RunsAlready, _, _) => format!("runs already{}", instance.unwrap_or_default()),
        (Acts::DoesNotRun, _, _) => "does not run".to_owned(),
        (_, Role::Dependency, _) => {
            let waiting = plan.steps.iter().filter(|other| other.after.contains(&step.service));
            let needed_by: Vec<&str> = waiting.map(|other| other.service.as_str()).collect();
            format!("needed by {}", needed_by.join(", "))
        }
        (Acts::Stop | Acts::Restart, Role::Target, Targets::Named(_)) => {
            let place = service.and_then(|service| service.state.instance()?.place());
            format!("asked for{}", place.map(|place| format!(" ({place})")).unwrap_or_default())
        }
        (Acts::Start, Role::Target, Targets::Named(_)) => "asked for".to_owned(),
        (Acts::Start, Role::Target, Targets::All) => "auto_start = true".to_owned(),
        (Acts::Stop | Acts::Restart, Role::Target, Targets::All) => format!("runs{}", instance.unwrap_or_default()),
    }
}

/// What would be refused. A dependency that cannot start is in the plan itself, so that it is said once.
fn problems(plan: &Plan, snapshot: &Snapshot, inspections: &[Inspection]) -> Vec<PlanProblem> {
    if plan.request.verb == Verb::StartUnchecked {
        return Vec::new();
    }
    let by_name: HashMap<&ServiceId, &Inspection> =
        inspections.iter().map(|inspection| (&inspection.service, inspection)).collect();
    let starts = |step: &&Step| matches!(action(step, snapshot), Acts::Start | Acts::Restart);
    let mut problems = Vec::new();
    for step in plan.steps.iter().filter(starts) {
        let found = by_name
            .get(&step.service)
            .into_iter()
            .flat_map(|found| found.requirements.iter().chain(&found.circumstances));
        for finding in found.filter(|finding| finding.verdict == Verdict::Failed) {
            match finding.check {
                CheckKind::Prerequisites | CheckKind::Conflicts => problems.push(PlanProblem {
                    name: step.service.to_string(),
                    check: finding.check.to_string(),
                    message: finding.message.clone(),
                    remedy: finding.remedy.clone(),
                }),
                CheckKind::Dependencies => {}
            }
        }
    }
    problems
}
