//! From the members of a plan to its steps: order, what each waits for, waves.

use std::collections::{HashMap, HashSet};

use super::board::Board;
use super::{Role, Step, StepAction};
use crate::model::ServiceId;

/// The services of a plan while it is being made.
#[derive(Debug, Default)]
pub(super) struct Members {
    parts: HashMap<ServiceId, (StepAction, Role)>,
    settled: HashSet<ServiceId>,
}

/// Which way a plan walks through the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// Dependencies first: starts and restarts.
    Up,
    /// Dependents first: stops.
    Down,
}

impl Members {
    /// Adds a service; one that is there already keeps its part, so targets come before what they need.
    pub(super) fn add(&mut self, id: &ServiceId, action: StepAction, role: Role) {
        if !self.parts.contains_key(id) {
            self.parts.insert(id.clone(), (action, role));
        }
    }

    /// Adds a service that will be left alone, so that nothing has to be done before it: what needs it waits for what is below, too.
    pub(super) fn add_settled(&mut self, id: &ServiceId, action: StepAction, role: Role) {
        self.add(id, action, role);
        self.settled.insert(id.clone());
    }

    /// Whether the service is a member.
    pub(super) fn contains(&self, id: &ServiceId) -> bool {
        self.parts.contains_key(id)
    }

    /// The members with that action.
    pub(super) fn acting(&self, action: StepAction) -> HashSet<ServiceId> {
        self.parts.iter().filter(|(_, part)| part.0 == action).map(|(id, _)| id.clone()).collect()
    }

    /// The steps in the order of execution.
    pub(super) fn into_steps(self, board: &Board<'_>, direction: Direction) -> Vec<Step> {
        let mut order: Vec<&ServiceId> =
            board.graph.startup_order().iter().filter(|id| self.parts.contains_key(*id)).collect();
        if direction == Direction::Down {
            order.reverse();
        }
        let places: HashMap<&ServiceId, usize> = order.iter().enumerate().map(|(place, id)| (*id, place)).collect();
        let mut steps: Vec<Step> = Vec::with_capacity(order.len());
        for (place, id) in order.iter().enumerate() {
            let Some((action, role)) = self.parts.get(*id).copied() else { continue };
            // In a circle no order is right; it is cut where the order of the plan cuts it.
            let mut after: Vec<usize> = if self.settled.contains(*id) {
                Vec::new()
            } else {
                self.nearest(board, id, direction).iter().filter_map(|near| places.get(near).copied()).collect()
            };
            after.retain(|earlier| *earlier < place);
            after.sort_unstable();
            let wave = after.iter().filter_map(|earlier| steps.get(*earlier)).map(|step| step.wave + 1).max();
            let after = after.iter().filter_map(|earlier| order.get(*earlier)).map(|id| (*id).clone()).collect();
            steps.push(Step { service: (*id).clone(), action, role, after, wave: wave.unwrap_or(0) });
        }
        steps
    }

    /// The members next to `id`, also through services that are no members, or that are left alone and so hold nothing back.
    fn nearest(&self, board: &Board<'_>, id: &ServiceId, direction: Direction) -> Vec<ServiceId> {
        let next = |id: &ServiceId| match direction {
            Direction::Up => board.graph.dependencies(id),
            Direction::Down => board.graph.dependents(id),
        };
        let mut seen = HashSet::from([id.clone()]);
        let mut open = next(id);
        let mut found = Vec::new();
        while let Some(near) = open.pop() {
            if !seen.insert(near.clone()) {
                continue;
            }
            let member = self.parts.contains_key(&near);
            if !member || self.settled.contains(&near) {
                open.extend(next(&near));
            }
            if member {
                found.push(near);
            }
        }
        found
    }
}
