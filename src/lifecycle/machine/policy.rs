//! What the machine knows of its service's specification and of its engine: how often to ask, how long to wait.

use std::time::{Duration, Instant};

use crate::lifecycle::admission::Checked;
use crate::model::{Check, Mode, RestartOnFailure, ServiceSpec};

/// The shortest delay between two probes of a service that is starting.
const SHORTEST_READINESS_DELAY: Duration = Duration::from_millis(1);

/// The longest delay between two probes of a service that is starting.
const LONGEST_READINESS_DELAY: Duration = Duration::from_millis(250);

/// Whether this engine keeps asking running services how they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Probing {
    /// At every interval: the console.
    Continuous,
    /// Only while a start waits: commands.
    WhileStarting,
}

/// Whether this engine replaces guardians that were killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tending {
    /// Yes: the console, and commands that act.
    Yes,
    /// No: commands that only read.
    No,
}

/// Who restarts a service that is unhealthy, within its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// Its guardian, when the leader tells it: the shim of a binary-mode service, which restarts what dies, too, so that one keeps count.
    Guardian,
    /// The leader itself: a container, whose engine restarts what dies but not what is unhealthy (A70).
    Leader,
    /// Nobody here: it is not wanted (`restart_on_failure`), nothing of it is ours (a remote endpoint), or its engine looks after that
    /// itself (the liveness probes of Kubernetes).
    Nobody,
}

impl Remedy {
    /// Who restarts this service.
    pub fn of(spec: &ServiceSpec) -> Self {
        match (spec.deployment.mode(), spec.startup.restart_on_failure) {
            (_, RestartOnFailure::Never | RestartOnFailure::UpTo { max_restarts: 0 }) => Self::Nobody,
            (Mode::Binary, RestartOnFailure::UpTo { .. }) => Self::Guardian,
            (Mode::Docker | Mode::DockerCompose, RestartOnFailure::UpTo { .. }) => Self::Leader,
            (Mode::Kubernetes | Mode::Remote, RestartOnFailure::UpTo { .. }) => Self::Nobody,
        }
    }
}

/// What the machine knows of its service's specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whether a health check is configured.
    pub checked: Checked,
    /// From the start of one probe to the start of the next, once ready.
    pub interval: Duration,
    /// A fixed spacing of probes until ready.
    pub start_interval: Option<Duration>,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
    /// How long a start may wait for health.
    pub start_timeout: Duration,
    /// How long a stop may take.
    pub stop_timeout: Duration,
    /// Who restarts it when it is unhealthy.
    pub remedy: Remedy,
    /// Whether running services are probed.
    pub probing: Probing,
    /// Whether killed guardians are replaced.
    pub tending: Tending,
    /// Probes of all services with one interval fall on one grid from here, so that an idle console wakes once for all of them.
    pub grid: Instant,
}

impl Policy {
    /// The policy of a service in an engine.
    pub fn new(spec: &ServiceSpec, probing: Probing, tending: Tending, grid: Instant) -> Self {
        Self {
            checked: match spec.health_check.check {
                Check::None => Checked::No,
                Check::Http { .. } | Check::Tcp { .. } | Check::Command { .. } | Check::File { .. } => Checked::Yes,
            },
            interval: spec.health_check.interval,
            start_interval: spec.health_check.start_interval,
            retries: spec.health_check.retries,
            start_timeout: spec.startup.start_timeout,
            stop_timeout: spec.startup.stop_timeout,
            remedy: Remedy::of(spec),
            probing,
            tending,
            grid,
        }
    }

    /// The first moment of the grid after `now`.
    pub(super) fn next_on_grid(&self, now: Instant) -> Instant {
        let interval = self.interval.max(Duration::from_secs(1));
        let passed = now.saturating_duration_since(self.grid).as_nanos() / interval.as_nanos();
        let ticks = u32::try_from(passed + 1).unwrap_or(u32::MAX);
        self.grid.checked_add(interval.saturating_mul(ticks)).unwrap_or(now + interval)
    }

    /// How long to wait before the next probe of a service that has been starting for `elapsed`: a sixteenth of that, so that readiness
    /// is noticed at most a sixteenth late, and a slow start costs few probes.
    pub(super) fn readiness_delay(&self, elapsed: Duration) -> Duration {
        self.start_interval.unwrap_or_else(|| (elapsed / 16).clamp(SHORTEST_READINESS_DELAY, LONGEST_READINESS_DELAY))
    }
}
