//! Plans that restart: the set is fixed before the first stop (R54).

use std::collections::HashSet;

use super::board::Board;
use super::steps::{Direction, Members};
use super::{Plan, Refusal, Request, Role, StepAction, Targets, Verb};
use crate::model::{ServiceId, ServiceState};

/// Restarts targets. Named ones that are stopped are started, with what they need and what does not run (R56, A9); without names exactly
/// the running services restart and the others stay as they are (R52).
///
/// What could not be started again is not stopped: a named one is refused, others are left running and told (R162).
pub(super) fn plan(board: &Board<'_>, request: Request) -> Result<Plan, Refusal> {
    let mut members = Members::default();
    let mut refused = Vec::new();
    let named = matches!(request.targets, Targets::Named(_));
    let mut restarting = Vec::new();
    for target in board.targets(&request.targets, |id| board.is_alive(id)) {
        match board.check_is_here(&target).and_then(|()| board.check_startable(&target)) {
            Ok(()) => {
                members.add(&target, StepAction::Restart, Role::Target);
                restarting.push(target);
            }
            Err(refusal) if named => return Err(refusal),
            Err(refusal) => refused.push((target, refusal)),
        }
    }
    if request.verb == Verb::RestartWithDependents {
        let below: HashSet<ServiceId> = restarting.iter().cloned().collect();
        let dependents: HashSet<ServiceId> = board.running_dependents(&below, &below).into_values().flatten().collect();
        for dependent in board.graph.services().filter(|id| dependents.contains(*id) && !board.is_elsewhere(id)) {
            match board.check_startable(dependent) {
                Ok(()) => {
                    members.add(dependent, StepAction::Restart, Role::Dependency);
                    restarting.push(dependent.clone());
                }
                Err(refusal) => refused.push((dependent.clone(), refusal)),
            }
        }
    }
    if named {
        add_what_is_down(board, &mut members, &restarting);
    }
    let left_running = left_running(board, &members);
    Ok(Plan { steps: members.into_steps(board, Direction::Up), request, left_running, refused })
}

/// For each running service that the plan restarts, the running dependents at any depth that it does not restart. In startup order.
pub(super) fn left_running(board: &Board<'_>, members: &Members) -> Vec<(ServiceId, Vec<ServiceId>)> {
    let restarting = members.acting(StepAction::Restart);
    if restarting.is_empty() {
        return Vec::new();
    }
    let below = restarting.iter().filter(|id| board.is_alive(id)).cloned().collect();
    let mut found: Vec<_> = board.running_dependents(&below, &restarting).into_iter().collect();
    found.sort_by_key(|(id, _)| board.graph.startup_rank(id));
    found
}

/// Adds what the restarting services need and what is not up, down to what is: a dependency that runs is not touched by a restart, and
/// its health must not keep a service that was stopped for a restart from coming back.
fn add_what_is_down(board: &Board<'_>, members: &mut Members, restarting: &[ServiceId]) {
    let mut open: Vec<ServiceId> = restarting.iter().flat_map(|id| board.graph.dependencies(id)).collect();
    let mut seen = HashSet::new();
    while let Some(id) = open.pop() {
        let runs = matches!(board.state(&id), Some(ServiceState::Running { .. }));
        if runs || !seen.insert(id.clone()) {
            continue;
        }
        members.add(&id, StepAction::Start, Role::Dependency);
        open.extend(board.graph.dependencies(&id));
    }
}
