//! Operations: what was asked, what will happen, how it goes, how it ended.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use crate::lifecycle::plan::{Plan, Refusal, Request, Role, Step, StepAction, Targets, Verb};
use crate::model::{Ending, Instance, ServiceId};
use crate::preflight::{CheckKind, Finding};

/// A running operation, as the one who asked for it sees it.
#[derive(Debug)]
pub struct Operation {
    /// What will happen, in order.
    pub plan: Plan,
    /// What happens, in the order in which it happens: services without order between them interleave. Ends with
    /// [`Progress::Finished`].
    pub progress: mpsc::Receiver<Progress>,
    /// Gives up waiting: what was started stays started, what was not yet begun is not begun.
    pub cancel: CancellationToken,
}

/// One thing that happened in an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Pre-flight checks of a target run.
    Checking(ServiceId),
    /// Pre-flight checks ended; all findings in order, good ones included. The start goes on when none failed.
    Checked {
        /// Whose.
        service: ServiceId,
        /// What was found.
        findings: Vec<Finding>,
    },
    /// It is being started.
    Starting {
        /// Which.
        service: ServiceId,
        /// Whether it was asked for or is needed by what was.
        role: Role,
    },
    /// Something is fetched first, such as an image; comes once for each start. How it goes on is in the snapshots, see
    /// [`crate::model::ServiceSnapshot::preparing`].
    Preparing {
        /// Which.
        service: ServiceId,
        /// What is fetched, as a fragment.
        what: String,
    },
    /// It runs since now.
    Started {
        /// Which.
        service: ServiceId,
        /// As what.
        instance: Instance,
    },
    /// It ran already and was left alone.
    AlreadyRunning {
        /// Which.
        service: ServiceId,
        /// As what.
        instance: Instance,
    },
    /// Its health is being waited for.
    WaitingForHealth(ServiceId),
    /// It is ready: healthy, or without a check.
    Ready {
        /// Which.
        service: ServiceId,
        /// Whether a probe said so, or no check is configured.
        proof: Proof,
        /// From the launch to the first good probe.
        after: Duration,
    },
    /// It is being stopped.
    Stopping(ServiceId),
    /// All of it is gone.
    Stopped(ServiceId),
    /// It did not run, so there was nothing to stop.
    NotRunning(ServiceId),
    /// Dependents that run and are left running by a restart (R55).
    DependentsLeftRunning {
        /// The service that restarts.
        service: ServiceId,
        /// Who depends on it and runs.
        dependents: Vec<ServiceId>,
    },
    /// It did not work.
    Failed {
        /// Which.
        service: ServiceId,
        /// Why.
        failure: Failure,
    },
    /// Not begun, because something it needs did not work.
    Skipped {
        /// Which.
        service: ServiceId,
        /// What did not work.
        because: ServiceId,
    },
    /// The end. Nothing comes after it.
    Finished(Summary),
}

/// What makes a service ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A probe passed.
    Probe,
    /// No check is configured, so nothing was waited for (R152).
    NoCheck,
}

/// Why one service of an operation did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// A pre-flight check failed; its findings came with [`Progress::Checked`] for targets.
    Preflight {
        /// The first check that failed.
        check: CheckKind,
        /// The failed findings.
        findings: Vec<Finding>,
    },
    /// The backend could not start it.
    Launch {
        /// What and why.
        message: String,
        /// What to do.
        remedy: Option<String>,
    },
    /// It ended while its health was waited for (M11).
    DiedDuringStart {
        /// How.
        ending: Ending,
        /// How long it ran, where that is known.
        after: Option<Duration>,
        /// Its last lines.
        last_lines: Vec<String>,
        /// The coming restart by itself, if there is one: attempt and delay.
        restart: Option<(u32, Duration)>,
    },
    /// It runs but did not become healthy (M12).
    NotReadyInTime {
        /// `start_timeout`.
        within: Duration,
        /// The last probe's answer.
        message: String,
        /// Its last lines.
        last_lines: Vec<String>,
    },
    /// It did not stop within the grace time, or could not be stopped.
    Stop {
        /// What still lives, or why not.
        message: String,
        /// What to do.
        remedy: Option<String>,
    },
    /// Somebody asked for something else meanwhile, and the newer request wins.
    Superseded,
    /// The wait was given up.
    Cancelled,
}

/// How an operation ended, each list in the plan's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Started by this operation and ready.
    pub started: Vec<ServiceId>,
    /// Ran already.
    pub already_running: Vec<ServiceId>,
    /// Stopped by this operation.
    pub stopped: Vec<ServiceId>,
    /// Did not run.
    pub not_running: Vec<ServiceId>,
    /// Did not work.
    pub failed: Vec<ServiceId>,
    /// Not begun, because something they need did not work.
    pub skipped: Vec<ServiceId>,
}

impl Summary {
    /// Whether everything that was asked for is so now.
    pub fn is_success(&self) -> bool {
        self.failed.is_empty() && self.skipped.is_empty()
    }
}
