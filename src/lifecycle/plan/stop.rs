//! Plans that stop: dependents first, and not below what still runs.

use std::collections::HashSet;

use super::board::Board;
use super::steps::{Direction, Members};
use super::{Plan, Refusal, Request, Role, StepAction};
use crate::model::ServiceId;

/// A stop that refuses while dependents outside the targets run, at any depth (R50, A22, A26). A target that does not run hurts nobody
/// by being stopped, so it is never refused (A55).
pub(super) fn guarded(board: &Board<'_>, request: Request) -> Result<Plan, Refusal> {
    let targets = targets(board, &request);
    let acting: HashSet<ServiceId> = targets.iter().cloned().collect();
    let below = targets.iter().filter(|id| board.is_stoppable(id)).cloned().collect();
    let mut dependents = board.running_dependents(&below, &acting);
    for service in &targets {
        if let Some(dependents) = dependents.remove(service) {
            return Err(Refusal::DependentsRunning { service: service.clone(), dependents });
        }
    }
    Ok(plan(board, request, &targets))
}

/// A stop whatever depends on it.
pub(super) fn forced(board: &Board<'_>, request: Request) -> Plan {
    let targets = targets(board, &request);
    plan(board, request, &targets)
}

fn targets(board: &Board<'_>, request: &Request) -> Vec<ServiceId> {
    board.targets(&request.targets, |id| board.is_stoppable(id))
}

fn plan(board: &Board<'_>, request: Request, targets: &[ServiceId]) -> Plan {
    let mut members = Members::default();
    for target in targets {
        members.add(target, StepAction::Stop, Role::Target);
    }
    Plan { steps: members.into_steps(board, Direction::Down), request, left_running: Vec::new(), refused: Vec::new() }
}
