//! Plans that stop: dependents first, and not below what still runs.

use std::collections::HashSet;

use super::board::Board;
use super::steps::{Direction, Members};
use super::{Plan, Refusal, Request, Role, StepAction, Targets};
use crate::model::ServiceId;

/// A stop that refuses while dependents outside the targets run, at any depth (R50, A22, A26). A target that does not run hurts nobody
/// by being stopped, so it is never refused (A55).
pub(super) fn guarded(board: &Board<'_>, request: Request) -> Result<Plan, Refusal> {
    let (targets, refused) = targets(board, &request)?;
    // Whoever stops everything also means what is below a service that runs elsewhere.
    let mut acting: HashSet<ServiceId> = targets.iter().cloned().collect();
    acting.extend(refused.iter().map(|(id, _)| id.clone()));
    let below = targets.iter().filter(|id| board.is_stoppable(id)).cloned().collect();
    let mut dependents = board.running_dependents(&below, &acting);
    for service in &targets {
        if let Some(dependents) = dependents.remove(service) {
            return Err(Refusal::DependentsRunning { service: service.clone(), dependents });
        }
    }
    Ok(plan(board, request, &targets, refused))
}

/// A stop whatever depends on it.
pub(super) fn forced(board: &Board<'_>, request: Request) -> Result<Plan, Refusal> {
    let (targets, refused) = targets(board, &request)?;
    Ok(plan(board, request, &targets, refused))
}

/// Who is stopped, and who is left out for running elsewhere (A29).
type Sorted = (Vec<ServiceId>, Vec<(ServiceId, Refusal)>);

fn targets(board: &Board<'_>, request: &Request) -> Result<Sorted, Refusal> {
    let mut stopped = Vec::new();
    let mut refused = Vec::new();
    for target in board.targets(&request.targets, |id| board.is_stoppable(id)) {
        match (board.check_is_here(&target), &request.targets) {
            (Ok(()), _) => stopped.push(target),
            (Err(refusal), Targets::Named(_)) => return Err(refusal),
            (Err(refusal), Targets::All) => refused.push((target, refusal)),
        }
    }
    Ok((stopped, refused))
}

fn plan(board: &Board<'_>, request: Request, targets: &[ServiceId], refused: Vec<(ServiceId, Refusal)>) -> Plan {
    let mut members = Members::default();
    for target in targets {
        members.add(target, StepAction::Stop, Role::Target);
    }
    Plan { steps: members.into_steps(board, Direction::Down), request, left_running: Vec::new(), refused }
}
