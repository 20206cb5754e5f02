//! Snapshots for tests of plans and explanations.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::graph::fixture::registry;
use crate::model::{
    Ending, FailureReason, Health, HealthHistory, Instance, ProcessIdentity, Role, ServiceSnapshot, ServiceSpec,
    ServiceState, Snapshot,
};

/// Something that runs.
pub(crate) fn instance() -> Instance {
    Instance::Process(ProcessIdentity { pid: 4711, start_ticks: 1, boot_id: "boot".to_owned(), pid_namespace: 1 })
}

/// It runs and is well.
pub(crate) fn running(now: Instant) -> ServiceState {
    ServiceState::Running { instance: instance(), since: now, health: Health::Healthy }
}

/// It runs and is to be gone within 8 s.
pub(crate) fn stopping(now: Instant) -> ServiceState {
    ServiceState::Stopping { instance: instance(), since: now, deadline: now + Duration::from_secs(8) }
}

/// It runs and is to be ready within 42 s.
pub(crate) fn starting(now: Instant) -> ServiceState {
    ServiceState::Starting { instance: instance(), since: now, deadline: now + Duration::from_secs(42) }
}

/// It died with code 7 and comes back in 4 s, for the second time.
pub(crate) fn backoff(now: Instant) -> ServiceState {
    ServiceState::Backoff { attempt: 2, until: now + Duration::from_secs(4), last: Ending::Exited(7) }
}

/// It died with code 7 after 3 s.
pub(crate) fn failed() -> ServiceState {
    ServiceState::Failed {
        reason: FailureReason::Died { ending: Ending::Exited(7), after: Some(Duration::from_secs(3)) },
    }
}

/// A service in a state that it entered 3 s ago.
pub(crate) fn service_in(spec: ServiceSpec, state: ServiceState, now: Instant) -> ServiceSnapshot {
    ServiceSnapshot {
        spec: Arc::new(spec),
        intent: None,
        state,
        last_probe: None,
        preparing: None,
        history: Arc::new(HealthHistory::default()),
        restarts: 0,
        last_exit: None,
        entered: now.checked_sub(Duration::from_secs(3)).unwrap(),
        next_probe: None,
        notes: Vec::new(),
        facts: Vec::new(),
    }
}

/// A snapshot of these services, in this order.
pub(crate) fn snapshot(services: Vec<ServiceSnapshot>) -> Snapshot {
    let specs: Vec<ServiceSpec> = services.iter().map(|service| service.spec.as_ref().clone()).collect();
    Snapshot {
        generation: 1,
        registry: Arc::new(registry(&specs)),
        services: services.into_iter().map(Arc::new).collect(),
        role: Role::Follower,
    }
}
