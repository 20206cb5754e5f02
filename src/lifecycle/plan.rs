//! From a request to a plan: which services act, in which order, or why nothing may happen.

mod board;
mod restart;
mod start;
mod steps;
mod stop;
#[cfg(test)]
mod tests;

use crate::graph::Graph;
use crate::model::{Actor, ServiceId, Snapshot, StopHow};
use board::Board;

/// What is asked of several services at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub verb: Verb,
    /// To whom.
    pub targets: Targets,
    /// Who asks.
    pub actor: Actor,
}

/// What to do, with the choices that the four meanings of `--force` make (A4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Start with pre-flight checks, dependencies first; what runs is left alone.
    Start,
    /// As `Start`, but a target that runs is restarted (`platform start --force`).
    StartOrRestart,
    /// Start the targets alone, without checks and without dependencies; what runs is left alone (`services start --force`).
    StartUnchecked,
    /// Stop, refusing while dependents outside the targets run.
    Stop,
    /// Stop whatever depends on it, as hard as `how` says (`stop --force`).
    StopForced {
        /// How hard.
        how: StopHow,
    },
    /// Restart the targets; running dependents are named and left running (A9). What is stopped is started.
    Restart,
    /// Restart the targets and every running service that depends on them.
    RestartWithDependents,
}

/// To whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// Start: every auto-start service. Stop and restart: every running service.
    All,
    /// These.
    Named(Vec<ServiceId>),
}

/// What will happen, in the order of execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What was asked.
    pub request: Request,
    /// In startup order for starts, in stop order for stops; restarts stop in reverse of this order and start in it.
    pub steps: Vec<Step>,
    /// Running dependents that a restart leaves running, by restarted service (R55).
    pub left_running: Vec<(ServiceId, Vec<ServiceId>)>,
    /// Services that nobody named and that may not act, with the reason: one of them does not keep the others of
    /// [`Targets::All`] from acting. In registry order; they are in no step.
    pub refused: Vec<(ServiceId, Refusal)>,
}

/// One service's part in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which service.
    pub service: ServiceId,
    /// What happens to it.
    pub action: StepAction,
    /// Whether it was asked for.
    pub role: Role,
    /// The services of this plan that have to be done before.
    pub after: Vec<ServiceId>,
    /// The wave it belongs to, from 0: one more than the latest of `after`.
    pub wave: usize,
}

/// What happens to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepAction {
    /// It is started, or, when it runs already, waited for and left alone.
    Start,
    /// It is stopped, or, when nothing runs, left alone.
    Stop,
    /// It is stopped if it runs, then started.
    Restart,
}

/// Why a service is in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It was asked for.
    Target,
    /// A target needs it, or is needed by it.
    Dependency,
}

/// Why nothing may happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Dependents run (O14).
    #[error("cannot stop {service}: dependent services running: {}", names(dependents))]
    DependentsRunning {
        /// The service that was to be stopped.
        service: ServiceId,
        /// Running dependents at any depth that are not to be stopped too, in registry order.
        dependents: Vec<ServiceId>,
    },
    /// It is in a circle, or above one (M18).
    #[error("circular dependency: {}", path_text(path))]
    Cycle {
        /// The service that was to be started.
        service: ServiceId,
        /// The circle, its first service repeated at the end.
        path: Vec<ServiceId>,
    },
    /// Something it needs is not registered.
    #[error("{service} depends on {dependency}, which is not registered")]
    MissingDependency {
        /// The service whose dependency is missing.
        service: ServiceId,
        /// The name that is not registered.
        dependency: ServiceId,
    },
    /// It runs where this tool can neither stop nor restart it (A29).
    #[error("{service} runs at {place}, where it cannot be stopped from here")]
    RunsElsewhere {
        /// The service that was to be stopped or restarted.
        service: ServiceId,
        /// Its endpoint.
        place: String,
    },
    /// In the registry's file, but not usable.
    #[error("{name} was set aside: {reason}")]
    SetAside {
        /// As given.
        name: ServiceId,
        /// What is wrong with it in the file.
        reason: String,
    },
    /// Not in the registry (M21).
    #[error("unknown service: {name}")]
    UnknownService {
        /// As given.
        name: ServiceId,
        /// Registered names that look alike, best first.
        near: Vec<ServiceId>,
    },
}

impl Refusal {
    /// Whether a plan that leaves out a service for this, which nobody named, has done less than was asked: what runs elsewhere was
    /// never meant by "everything".
    pub fn is_shortcoming(&self) -> bool {
        match self {
            Self::RunsElsewhere { .. } => false,
            Self::DependentsRunning { .. }
            | Self::Cycle { .. }
            | Self::MissingDependency { .. }
            | Self::SetAside { .. }
            | Self::UnknownService { .. } => true,
        }
    }
}

impl Plan {
    /// Whether everybody who was meant is in it.
    pub fn is_whole(&self) -> bool {
        !self.refused.iter().any(|(_, refusal)| refusal.is_shortcoming())
    }
}

/// Turns a request into a plan. "Running" means [`crate::model::ServiceState::is_alive`].
///
/// # Errors
/// [`Refusal`], for the first target in the order given that may not act; names that are not registered come before everything else.
/// Nothing has happened then. Of [`Targets::All`], services that may not act are left out, see [`Plan::refused`].
pub fn plan(graph: &Graph, snapshot: &Snapshot, request: Request) -> Result<Plan, Refusal> {
    let board = Board::new(graph, snapshot);
    if let Targets::Named(names) = &request.targets {
        board.check_names(names, request.verb)?;
    }
    match request.verb {
        Verb::Start | Verb::StartOrRestart => start::checked(&board, request),
        Verb::StartUnchecked => Ok(start::unchecked(&board, request)),
        Verb::Stop => stop::guarded(&board, request),
        Verb::StopForced { .. } => stop::forced(&board, request),
        Verb::Restart | Verb::RestartWithDependents => restart::plan(&board, request),
    }
}

fn names(ids: &[ServiceId]) -> String {
    ids.iter().map(ServiceId::as_str).collect::<Vec<_>>().join(", ")
}

fn path_text(ids: &[ServiceId]) -> String {
    ids.iter().map(ServiceId::as_str).collect::<Vec<_>>().join(" -> ")
}
