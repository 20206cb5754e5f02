//! What was seen of each endpoint last.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::ask::Answer;
use crate::model::{Check, Deployment, ServiceId, ServiceSpec};

/// From one request to the next for a service that says no interval of its own, having no health check.
const UNCHECKED_INTERVAL: Duration = Duration::from_secs(60);

/// The longest time from one request to the next while nothing answers.
const LONGEST_WHILE_DOWN: Duration = Duration::from_secs(15);

/// What was seen, when, and since when it is so.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    pub(super) answer: Answer,
    /// Since when it answers, or does not.
    pub(super) since: Instant,
    /// When it was asked last.
    pub(super) at: Instant,
}

#[derive(Debug)]
struct Entry {
    /// As the registry says now.
    spec: ServiceSpec,
    sight: Sight,
    /// When it is asked next.
    due: Instant,
    /// Whether anybody has looked since the last hint: whoever is not in any registry any more is asked no more.
    is_looked_at: bool,
}

/// By service. A std lock: held for moments, never across an await.
#[derive(Debug, Default)]
pub(super) struct Known {
    entries: Mutex<BTreeMap<ServiceId, Entry>>,
    /// Somebody may have to be asked sooner than before.
    pub(super) changed: Notify,
}

impl Known {
    /// What was seen of this service as it is registered now. Whoever looks is told of changes from now on.
    pub(super) fn sight(&self, spec: &ServiceSpec) -> Option<Sight> {
        let mut entries = self.entries();
        let entry = entries.get_mut(&spec.id).filter(|entry| is_asked_alike(&entry.spec, spec))?;
        entry.is_looked_at = true;
        if entry.spec.health_check != spec.health_check {
            entry.spec = spec.clone();
            entry.due = entry.sight.at + pause(spec, &entry.sight.answer);
            self.changed.notify_one();
        }
        Some(entry.sight.clone())
    }

    /// Takes an answer in that somebody asked for.
    pub(super) fn learn(&self, spec: &ServiceSpec, answer: Answer, now: Instant) -> Sight {
        let mut entries = self.entries();
        let before = entries.get(&spec.id).filter(|entry| is_asked_alike(&entry.spec, spec));
        let since = before
            .filter(|before| is_up(&before.sight.answer) == is_up(&answer))
            .map_or(now, |before| before.sight.since);
        let due = now + pause(spec, &answer);
        let sight = Sight { answer, since, at: now };
        let entry = Entry { spec: spec.clone(), sight: sight.clone(), due, is_looked_at: true };
        entries.insert(spec.id.clone(), entry);
        self.changed.notify_one();
        sight
    }

    /// Takes an answer in that nobody asked for, unless the service is registered otherwise by now.
    pub(super) fn learn_again(&self, spec: &ServiceSpec, answer: Answer, now: Instant) {
        let mut entries = self.entries();
        if let Some(entry) = entries.get_mut(&spec.id).filter(|entry| is_asked_alike(&entry.spec, spec)) {
            entry.due = now + pause(&entry.spec, &answer);
            let since = if is_up(&entry.sight.answer) == is_up(&answer) { entry.sight.since } else { now };
            entry.sight = Sight { answer, since, at: now };
        }
    }

    /// Who has to be asked by `now`. Whoever nobody looked at since the last hint is forgotten instead.
    pub(super) fn due(&self, now: Instant) -> Vec<(ServiceSpec, Sight)> {
        let mut entries = self.entries();
        entries.retain(|_, entry| entry.is_looked_at || entry.due > now);
        let due = entries.values_mut().filter(|entry| entry.due <= now);
        due.map(|entry| {
            entry.is_looked_at = false;
            // Not a second time before this one has ended, which it does: twice its timeout and a pause are its limit.
            entry.due = now + pause(&entry.spec, &entry.sight.answer) + entry.spec.health_check.timeout * 3;
            (entry.spec.clone(), entry.sight.clone())
        })
        .collect()
    }

    /// When somebody has to be asked next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.entries().values().map(|entry| entry.due).min()
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<ServiceId, Entry>> {
        // What is behind the lock is whole at any moment, so a panic elsewhere does not spoil it.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From one request to the next.
fn pause(spec: &ServiceSpec, answer: &Answer) -> Duration {
    let interval = match spec.health_check.check {
        Check::None => UNCHECKED_INTERVAL,
        Check::Http { .. } | Check::Tcp { .. } | Check::Command { .. } | Check::File { .. } => {
            spec.health_check.interval.max(Duration::from_secs(1))
        }
    };
    if is_up(answer) { interval } else { interval.min(LONGEST_WHILE_DOWN) }
}

pub(super) fn is_up(answer: &Answer) -> bool {
    match answer {
        Answer::Up { .. } => true,
        Answer::Down(_) => false,
    }
}

/// Whether an answer to one is an answer to the other.
fn is_asked_alike(one: &ServiceSpec, other: &ServiceSpec) -> bool {
    match (&one.deployment, &other.deployment) {
        (Deployment::Remote(_), Deployment::Remote(_)) => one.deployment == other.deployment,
        (
            Deployment::Binary(_)
            | Deployment::Docker(_)
            | Deployment::DockerCompose(_)
            | Deployment::Kubernetes(_)
            | Deployment::Remote(_),
            _,
        ) => false,
    }
}
