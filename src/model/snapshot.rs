//! What the faces see: an immutable picture of all services at one moment.

use std::sync::Arc;
use std::time::Instant;

use super::{
    ExitRecord, Fact, Health, HealthHistory, Instance, Intent, ProbeReport, Registry, ServiceId, ServiceSpec,
    ServiceState, StateKind,
};

/// All services at one moment. A higher generation is a later moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Rises by one with each change that is published.
    pub generation: u64,
    /// The registry in force, with its diagnostics and where it came from.
    pub registry: Arc<Registry>,
    /// In registry order. Unchanged services keep their `Arc` from one generation to the next.
    pub services: Vec<Arc<ServiceSnapshot>>,
    /// Whether the engine that published this acts on its own.
    pub role: Role,
}

/// Whether an engine acts on its own. Any number of engines look at one home, and all do what a person asks; at most one leads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Role {
    /// It restarts unhealthy services, starts again what waits for a dependency, replaces killed guardians, and keeps the history.
    Leader,
    /// It does only what a person asks, and what belongs to that.
    #[default]
    Follower,
}

/// One service at one moment.
#[derive(Debug, Clone)]
pub struct ServiceSnapshot {
    /// What the registry says.
    pub spec: Arc<ServiceSpec>,
    /// What was asked; `None` when nobody ever asked.
    pub intent: Option<Intent>,
    /// What was observed.
    pub state: ServiceState,
    /// The newest probe's answer to this instance.
    pub last_probe: Option<ProbeReport>,
    /// The newest results, for the sparkline.
    pub history: Arc<HealthHistory>,
    /// How often it was restarted by itself since a person last started it.
    pub restarts: u32,
    /// The newest end of a run that is known.
    pub last_exit: Option<ExitRecord>,
    /// When it entered the kind of state it is in.
    pub entered: Instant,
    /// When the next probe comes, if one is planned.
    pub next_probe: Option<Instant>,
    /// What a start fetches before it can begin, such as an image, and how far that is: `pulling nginx:1.27 (12 of 48 MB)`.
    pub preparing: Option<String>,
    /// Things worth knowing that are not wrong states: bytes of log dropped, a state file set aside, a process that left its group.
    pub notes: Vec<String>,
    /// What its mode alone can tell of it, for people.
    pub facts: Vec<Fact>,
}

impl ServiceSnapshot {
    /// Its name.
    pub fn id(&self) -> &ServiceId {
        &self.spec.id
    }

    /// Its state without data.
    pub fn kind(&self) -> StateKind {
        self.state.kind()
    }

    /// Since when it is up; `None` when it is not, and for endpoints, whose start nobody here saw (R62).
    pub fn up_since(&self) -> Option<Instant> {
        match self.state.instance()? {
            Instance::Endpoint(_) => None,
            Instance::Process(_) | Instance::Container { .. } | Instance::Deployment { .. } => self.state.since(),
        }
    }

    /// Its health.
    pub fn health(&self) -> Health {
        self.state.health()
    }
}

impl Snapshot {
    /// The service of that name.
    pub fn service(&self, id: &str) -> Option<&Arc<ServiceSnapshot>> {
        self.services.iter().find(|service| service.id().as_str() == id)
    }

    /// How many services are in that state.
    pub fn count(&self, kind: StateKind) -> usize {
        self.services.iter().filter(|service| service.kind() == kind).count()
    }

    /// How many services have something alive: what `Running: 3/7` counts.
    pub fn n_running(&self) -> usize {
        self.services.iter().filter(|service| service.state.is_alive()).count()
    }
}
