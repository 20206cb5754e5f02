//! Plans that start: `platform start`, `services start`, and their forced forms.

use super::board::Board;
use super::steps::{Direction, Members};
use super::{Plan, Refusal, Request, Role, StepAction, Targets, Verb, restart};
use crate::model::ServiceId;

/// A start with checks: targets with everything they need, each once (R37, R40, R90).
///
/// A named target that runs is left alone, and so is what it needs (R92). Without names the whole platform is meant: what is down
/// below a running service is started too (A24).
pub(super) fn checked(board: &Board<'_>, request: Request) -> Result<Plan, Refusal> {
    let mut members = Members::default();
    let mut refused = Vec::new();
    let mut with_dependencies = Vec::new();
    for target in board.targets(&request.targets, |id| board.is_auto_start(id)) {
        let restarts = request.verb == Verb::StartOrRestart && board.is_alive(&target) && !board.is_elsewhere(&target);
        let runs = board.is_up(&target) && !restarts;
        if runs && matches!(request.targets, Targets::Named(_)) {
            members.add_settled(&target, StepAction::Start, Role::Target);
            continue;
        }
        match (board.check_startable(&target), &request.targets) {
            (Ok(()), _) => {}
            (Err(refusal), Targets::Named(_)) => return Err(refusal),
            (Err(refusal), Targets::All) => {
                refused.push((target, refusal));
                continue;
            }
        }
        match (restarts, runs) {
            (true, _) => members.add(&target, StepAction::Restart, Role::Target),
            (false, true) => members.add_settled(&target, StepAction::Start, Role::Target),
            (false, false) => members.add(&target, StepAction::Start, Role::Target),
        }
        with_dependencies.push(target);
    }
    add_dependencies(board, &mut members, &with_dependencies);
    let left_running = restart::left_running(board, &members);
    Ok(Plan { steps: members.into_steps(board, Direction::Up), request, left_running, refused })
}

/// The targets alone, whatever they need and whatever is wrong with it (`services start --force`).
pub(super) fn unchecked(board: &Board<'_>, request: Request) -> Plan {
    let mut members = Members::default();
    for target in board.targets(&request.targets, |id| board.is_auto_start(id)) {
        if board.is_up(&target) {
            members.add_settled(&target, StepAction::Start, Role::Target);
        } else {
            members.add(&target, StepAction::Start, Role::Target);
        }
    }
    Plan { steps: members.into_steps(board, Direction::Up), request, left_running: Vec::new(), refused: Vec::new() }
}

/// Adds what `targets` need, at any depth. Walks the graph once, however many targets share what is below.
fn add_dependencies(board: &Board<'_>, members: &mut Members, targets: &[ServiceId]) {
    let mut open: Vec<ServiceId> = targets.iter().flat_map(|target| board.graph.dependencies(target)).collect();
    let mut seen = std::collections::HashSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        if !members.contains(&id) {
            if board.is_up(&id) {
                members.add_settled(&id, StepAction::Start, Role::Dependency);
            } else {
                members.add(&id, StepAction::Start, Role::Dependency);
            }
        }
        open.extend(board.graph.dependencies(&id));
    }
}
