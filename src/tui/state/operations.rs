//! What was asked for and is under way, or has just ended.

use std::time::{Duration, Instant};

use crate::engine::operation::{Failure, Plan, Progress, Proof, Request, Step, Summary};
use crate::model::ServiceId;
use crate::preflight::{Finding, Verdict};
use crate::tui::event::Ticket;
use crate::tui::text;

/// How long a success stays on the screen.
pub(crate) const SUCCESS_STAYS: Duration = Duration::from_secs(6);

/// All operations that are shown, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct OperationsState {
    /// The plan that a person is asked about whatever it is.
    pub(crate) ask_first: Option<Ticket>,
    pub(crate) shown: Vec<Operation>,
    /// Whether the panel with plan and progress of the newest one is open.
    pub(crate) is_panel_open: bool,
    pub(crate) last_ticket: u64,
}

/// One operation.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) ticket: Ticket,
    /// `start gitea`.
    pub(crate) title: String,
    /// The command line that does the same.
    pub(crate) command: String,
    pub(crate) steps: Vec<StepView>,
    /// Things worth knowing: dependents left running.
    pub(crate) notes: Vec<String>,
    pub(crate) began: Instant,
    pub(crate) phase: Phase,
}

/// How far an operation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Asked for, not begun.
    Beginning,
    Running,
    /// The wait was given up, the end has not come.
    Cancelling,
    Finished {
        at: Instant,
        summary: Summary,
    },
    /// The engine refused, or is gone.
    Refused {
        why: String,
    },
}

/// One step of the plan and how it goes.
#[derive(Debug, Clone)]
pub(crate) struct StepView {
    pub(crate) step: Step,
    pub(crate) status: StepStatus,
}

/// How one step goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StepStatus {
    Pending,
    Checking,
    Starting,
    WaitingForHealth,
    Stopping,
    /// Done, with what came of it.
    Done(String),
    /// Did not work: what and why, then further lines.
    Failed(Vec<String>),
    /// Not begun, because this did not work.
    Skipped(ServiceId),
}

impl StepStatus {
    pub(crate) fn is_under_way(&self) -> bool {
        matches!(self, Self::Checking | Self::Starting | Self::WaitingForHealth | Self::Stopping)
    }
}

impl OperationsState {
    pub(crate) fn next_ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    pub(crate) fn find(&mut self, ticket: Ticket) -> Option<&mut Operation> {
        self.shown.iter_mut().find(|operation| operation.ticket == ticket)
    }

    pub(crate) fn newest(&self) -> Option<&Operation> {
        self.shown.last()
    }

    pub(crate) fn n_running(&self) -> usize {
        self.shown.iter().filter(|operation| operation.is_running()).count()
    }

    /// Forgets successes whose time on the screen is over. Says whether anything went.
    pub(crate) fn forget_old(&mut self, now: Instant) -> bool {
        let n_before = self.shown.len();
        self.shown.retain(|operation| operation.leaves_at().is_none_or(|at| now < at));
        if self.shown.is_empty() {
            self.is_panel_open = false;
        }
        self.shown.len() != n_before
    }
}

impl Operation {
    pub(crate) fn new(ticket: Ticket, title: String, command: String, now: Instant) -> Self {
        let phase = Phase::Beginning;
        Self { ticket, title, command, steps: Vec::new(), notes: Vec::new(), began: now, phase }
    }

    pub(crate) fn take_plan(&mut self, plan: Plan) {
        self.phase = Phase::Running;
        self.notes.extend(plan.refused.iter().map(|(_, why)| format!("left out: {}", text::clean(&why.to_string()))));
        self.steps = plan.steps.into_iter().map(|step| StepView { step, status: StepStatus::Pending }).collect();
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Beginning | Phase::Running | Phase::Cancelling)
    }

    pub(crate) fn has_failed(&self) -> bool {
        match &self.phase {
            Phase::Finished { summary, .. } => !summary.is_success(),
            Phase::Refused { .. } => true,
            Phase::Beginning | Phase::Running | Phase::Cancelling => false,
        }
    }

    /// When it leaves the screen by itself; failures stay until they are dismissed.
    pub(crate) fn leaves_at(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Finished { at, summary } if summary.is_success() => Some(*at + SUCCESS_STAYS),
            Phase::Finished { .. } | Phase::Refused { .. } | Phase::Beginning | Phase::Running | Phase::Cancelling => {
                None
            }
        }
    }

    pub(crate) fn n_done(&self) -> usize {
        let is_over = |step: &&StepView| !matches!(step.status, StepStatus::Pending) && !step.status.is_under_way();
        self.steps.iter().filter(is_over).count()
    }

    /// Takes one report of the engine in.
    pub(crate) fn fold(&mut self, progress: Progress, now: Instant) {
        let (service, status) = match progress {
            Progress::Checking(service) => (service, StepStatus::Checking),
            Progress::Checked { service, findings } => {
                let warnings = findings.iter().filter(|finding| finding.verdict == Verdict::Warning).map(sentence);
                let warnings: Vec<String> = warnings.collect();
                self.notes.extend(warnings);
                (service, StepStatus::Pending)
            }
            Progress::Starting { service, .. } => (service, StepStatus::Starting),
            Progress::Preparing { service, .. } | Progress::Started { service, .. } => (service, StepStatus::Starting),
            Progress::AlreadyRunning { service, instance } => {
                (service, StepStatus::Done(format!("already running with {instance}")))
            }
            Progress::WaitingForHealth(service) => (service, StepStatus::WaitingForHealth),
            Progress::Ready { service, proof, after } => {
                let what = match proof {
                    Proof::Probe => format!("ready after {}", text::latency(after)),
                    Proof::NoCheck => "started, has no health check".to_owned(),
                };
                (service, StepStatus::Done(what))
            }
            Progress::Stopping(service) => (service, StepStatus::Stopping),
            Progress::Stopped(service) => (service, StepStatus::Done("stopped".to_owned())),
            Progress::NotRunning(service) => (service, StepStatus::Done("was not running".to_owned())),
            Progress::DependentsLeftRunning { service, dependents } => {
                let names: Vec<&str> = dependents.iter().map(ServiceId::as_str).collect();
                self.notes.push(format!("{} left running, which depends on {service}", names.join(", ")));
                return;
            }
            Progress::Failed { service, failure } => (service, StepStatus::Failed(failure_lines(&failure))),
            Progress::Skipped { service, because } => (service, StepStatus::Skipped(because)),
            Progress::Finished(summary) => {
                self.phase = Phase::Finished { at: now, summary };
                return;
            }
        };
        if let Some(step) = self.steps.iter_mut().find(|step| step.step.service == service) {
            step.status = status;
        }
    }
}

fn sentence(finding: &Finding) -> String {
    match &finding.remedy {
        Some(remedy) => text::clean(&format!("{} ({remedy})", finding.message)).into_owned(),
        None => text::clean(&finding.message).into_owned(),
    }
}

/// What went wrong, the reason first, then what helps and the service's last lines.
fn failure_lines(failure: &Failure) -> Vec<String> {
    let with_remedy = |message: &str, remedy: &Option<String>| {
        let remedy = remedy.iter().map(|remedy| format!("fix: {remedy}"));
        std::iter::once(message.to_owned()).chain(remedy).collect::<Vec<_>>()
    };
    let lines = match failure {
        Failure::Preflight { check, findings } => {
            let found = findings.iter().map(sentence);
            std::iter::once(format!("pre-flight check of {check} failed")).chain(found).collect()
        }
        Failure::Launch { message, remedy } => with_remedy(message, remedy),
        Failure::DiedDuringStart { ending, after, last_lines, restart } => {
            let after = after.map(|after| format!(" after {}", text::latency(after))).unwrap_or_default();
            let restart = restart
                .map(|(attempt, delay)| format!("restart {attempt} comes by itself in {}", text::latency(delay)));
            let last = last_lines.iter().map(|line| format!("| {line}"));
            std::iter::once(format!("{ending}{after} while starting")).chain(restart).chain(last).collect()
        }
        Failure::NotReadyInTime { within, message, last_lines } => {
            let last = last_lines.iter().map(|line| format!("| {line}"));
            let reason = format!("runs, but not healthy within {}: {message}", text::written(*within));
            std::iter::once(reason).chain(last).collect()
        }
        Failure::Stop { message, remedy } => with_remedy(message, remedy),
        Failure::Superseded => vec!["a newer request took over".to_owned()],
        Failure::Cancelled => vec!["the wait was given up".to_owned()],
    };
    lines.iter().map(|line| text::clean(line).into_owned()).collect()
}

/// What a request is called on the screen.
pub(crate) fn title_of(request: &Request) -> String {
    use crate::engine::operation::{Targets, Verb};
    let verb = match request.verb {
        Verb::Start => "start",
        Verb::StartOrRestart => "start or restart",
        Verb::StartUnchecked => "force start",
        Verb::Stop => "stop",
        Verb::StopForced { .. } => "force stop",
        Verb::Restart => "restart",
        Verb::RestartWithDependents => "restart with dependents",
    };
    match &request.targets {
        Targets::All => format!("{verb} all"),
        Targets::Named(ids) => {
            let names: Vec<&str> = ids.iter().map(ServiceId::as_str).collect();
            format!("{verb} {}", names.join(", "))
        }
    }
}
