//! The root of the matter: which dependency keeps a service from being well.

use std::collections::HashSet;
use std::time::Instant;

use super::{restart, until_start_timeout, words};
use crate::model::{Health, ServiceId, ServiceSnapshot, ServiceState, Snapshot};

/// How much a dependency's state stands in the way; the worst is told first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hindrance {
    /// None: it runs and nothing says that it is unwell.
    None,
    /// It is on its way.
    Coming,
    /// It is not well, or comes back by itself.
    Ill,
    /// It is down, and somebody has to act.
    Down,
}

/// What a waiting service waits for, down to the root: `control-center, which waits for orchestrator, which is stopped`.
pub(super) fn chain(on: &[ServiceId], from: &ServiceId, snapshot: &Snapshot, now: Instant) -> String {
    let mut seen = HashSet::from([from.clone()]);
    let mut text = String::new();
    let mut on = on;
    loop {
        let Some(worst) = worst(on, snapshot) else { return text };
        text.push_str(worst.as_str());
        let others: Vec<&str> = on.iter().filter(|id| *id != worst).map(ServiceId::as_str).collect();
        let others = match others.as_slice() {
            [] => String::new(),
            [one] => format!(" (and {one})"),
            [one, rest @ ..] => format!(" (and {one} and {} more)", rest.len()),
        };
        text.push_str(&others);
        let Some(service) = snapshot.service(worst.as_str()) else {
            text.push_str(", which is not registered");
            return text;
        };
        match &service.state {
            ServiceState::Waiting { on: deeper } if seen.insert(worst.clone()) => {
                text.push_str(", which waits for ");
                on = deeper;
            }
            ServiceState::Waiting { .. } => {
                text.push_str(", which waits, too");
                return text;
            }
            ServiceState::Unknown { .. }
            | ServiceState::Stopped
            | ServiceState::Launching { .. }
            | ServiceState::Starting { .. }
            | ServiceState::Running { .. }
            | ServiceState::Stopping { .. }
            | ServiceState::Backoff { .. }
            | ServiceState::Failed { .. } => {
                text.push_str(", which ");
                text.push_str(&condition(service, now));
                return text;
            }
        }
    }
}

/// The deepest dependency that is not well, if one is: `orchestrator, which it needs, failed: exited with code 7`.
pub(super) fn below(service: &ServiceSnapshot, snapshot: &Snapshot, now: Instant) -> Option<String> {
    let mut seen = HashSet::from([service.id().clone()]);
    let mut found: Option<(&ServiceSnapshot, ServiceId)> = None;
    let mut at = service;
    let mut missing = None;
    while let Some(next) = worst(&at.spec.dependencies, snapshot) {
        let Some(below) = snapshot.service(next.as_str()) else {
            missing = Some((next.clone(), at.id().clone()));
            break;
        };
        if hindrance(below) == Hindrance::None || !seen.insert(next.clone()) {
            break;
        }
        found = Some((below.as_ref(), at.id().clone()));
        at = below;
    }
    let needed_by = |by: &ServiceId| if by == service.id() { "it".to_owned() } else { by.to_string() };
    match (missing, found) {
        (Some((name, by)), _) => Some(format!("{name}, which {} needs, is not registered", needed_by(&by))),
        (None, Some((cause, by))) => {
            Some(format!("{}, which {} needs, {}", cause.id(), needed_by(&by), condition(cause, now)))
        }
        (None, None) => None,
    }
}

/// The one that stands most in the way; the first of them in the order given.
fn worst<'a>(ids: &'a [ServiceId], snapshot: &Snapshot) -> Option<&'a ServiceId> {
    let mut worst: Option<(Hindrance, &ServiceId)> = None;
    for id in ids {
        let hindrance = snapshot.service(id.as_str()).map_or(Hindrance::Down, |service| hindrance(service));
        if worst.is_none_or(|(most, _)| hindrance > most) {
            worst = Some((hindrance, id));
        }
    }
    worst.map(|(_, id)| id)
}

fn hindrance(service: &ServiceSnapshot) -> Hindrance {
    match &service.state {
        ServiceState::Stopped
        | ServiceState::Failed { .. }
        | ServiceState::Unknown { .. }
        | ServiceState::Stopping { .. } => Hindrance::Down,
        ServiceState::Backoff { .. } | ServiceState::Running { health: Health::Unhealthy, .. } => Hindrance::Ill,
        ServiceState::Waiting { .. } | ServiceState::Launching { .. } | ServiceState::Starting { .. } => {
            Hindrance::Coming
        }
        ServiceState::Running { health: Health::Healthy | Health::Unknown, .. } => Hindrance::None,
    }
}

/// Whether it keeps those who need it from being well.
pub(super) fn hinders(service: &ServiceSnapshot) -> bool {
    hindrance(service) != Hindrance::None
}

/// A service's state as a sentence says it after "which".
pub(super) fn condition(service: &ServiceSnapshot, now: Instant) -> String {
    match &service.state {
        ServiceState::Unknown { reason } => format!("is in an unknown state: {reason}"),
        ServiceState::Stopped => "is stopped".to_owned(),
        ServiceState::Waiting { .. } => "waits for what it needs".to_owned(),
        ServiceState::Launching { deadline } | ServiceState::Starting { deadline, .. } => {
            format!("is starting ({})", until_start_timeout(*deadline, now))
        }
        ServiceState::Running { health, .. } => match (health, &service.last_probe) {
            (Health::Healthy, _) => "is ready".to_owned(),
            (Health::Unhealthy, Some(probe)) => format!("is unhealthy: {}", probe.message),
            (Health::Unhealthy, None) => "is unhealthy".to_owned(),
            (Health::Unknown, _) => "is not known to be healthy yet".to_owned(),
        },
        ServiceState::Stopping { .. } => "is stopping".to_owned(),
        ServiceState::Backoff { attempt, until, last } => format!(
            "died {} ({last}; {})",
            words::ago(now.saturating_duration_since(service.entered)),
            restart(service, *attempt, *until, now)
        ),
        ServiceState::Failed { reason } => format!("failed: {reason}"),
    }
}
