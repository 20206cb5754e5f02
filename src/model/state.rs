//! What a service is doing, and what was asked of it: two values that are never merged.

use std::fmt;
use std::time::{Duration, Instant};

use super::{Ending, Health, Instance, ServiceId};

/// What the user asked for. `None` in a snapshot means that nobody ever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Intent {
    /// It shall run.
    Up,
    /// It shall not run.
    Down,
}

/// What was observed. Each variant owns the data that exists in it, and no other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ServiceState {
    /// The backend cannot say, or has not said yet.
    Unknown {
        /// Why, as a fragment: `docker mode is not supported yet`.
        reason: String,
    },
    /// Nothing runs, and nothing failed.
    Stopped,
    /// A start was asked for, and dependencies are not ready yet.
    Waiting {
        /// The dependencies it waits for, in registry order; never empty.
        on: Vec<ServiceId>,
    },
    /// The backend was told to start it and has not answered yet.
    Launching {
        /// When the start counts as failed.
        deadline: Instant,
    },
    /// It runs, and a start waits for its health.
    Starting {
        /// What runs.
        instance: Instance,
        /// When it came to be.
        since: Instant,
        /// When the start counts as failed.
        deadline: Instant,
    },
    /// It runs.
    Running {
        /// What runs.
        instance: Instance,
        /// When it came to be.
        since: Instant,
        /// What the newest streak of probes says.
        health: Health,
    },
    /// It was told to stop and is not gone yet.
    Stopping {
        /// What still runs.
        instance: Instance,
        /// When it came to be.
        since: Instant,
        /// When the stop counts as failed.
        deadline: Instant,
    },
    /// It died and will be started again.
    Backoff {
        /// The coming attempt, from 1.
        attempt: u32,
        /// When it comes.
        until: Instant,
        /// How the last run ended.
        last: Ending,
    },
    /// It is wanted, does not run, and nothing will start it again by itself.
    Failed {
        /// Why.
        reason: FailureReason,
    },
}

/// Why a service is down although it was wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FailureReason {
    /// The backend could not start it: the sentence says what and why.
    CouldNotStart(String),
    /// It runs elsewhere, if it does, and cannot be reached: the words say why, and what to do where that is known.
    Unreachable(String),
    /// It died by itself and is not restarted.
    Died {
        /// How.
        ending: Ending,
        /// How long it had run, where that is known.
        after: Option<Duration>,
    },
    /// It died again and again.
    GaveUp {
        /// How the last run ended.
        ending: Ending,
        /// How often it was started again.
        restarts: u32,
    },
}

impl fmt::Display for FailureReason {
    /// As a sentence says it after the service's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CouldNotStart(why) => write!(f, "could not be started: {why}"),
            Self::Unreachable(why) => write!(f, "cannot be reached: {why}"),
            Self::Died { ending, after: Some(after) } => write!(f, "{ending} after {}", Brief(*after)),
            Self::Died { ending, after: None } => write!(f, "{ending}"),
            Self::GaveUp { ending, restarts } => {
                let times = if *restarts == 1 { "once" } else { "times" };
                if *restarts == 1 {
                    write!(f, "{ending}; restarted {times}, then given up")
                } else {
                    write!(f, "{ending}; restarted {restarts} {times}, then given up")
                }
            }
        }
    }
}

/// Prints a duration with one unit: `12 ms`, `3 s`, `5 min`, `2 h`.
struct Brief(Duration);

impl fmt::Display for Brief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0 => write!(f, "{} ms", self.0.as_millis()),
            s @ 1..120 => write!(f, "{s} s"),
            s @ 120..7200 => write!(f, "{} min", s / 60),
            s => write!(f, "{} h", s / 3600),
        }
    }
}

/// A state without its data, for words, icons, filters and tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StateKind {
    /// See [`ServiceState::Unknown`].
    Unknown,
    /// See [`ServiceState::Stopped`].
    Stopped,
    /// See [`ServiceState::Waiting`].
    Waiting,
    /// See [`ServiceState::Launching`] and [`ServiceState::Starting`].
    Starting,
    /// See [`ServiceState::Running`].
    Running,
    /// See [`ServiceState::Stopping`].
    Stopping,
    /// See [`ServiceState::Backoff`].
    Backoff,
    /// See [`ServiceState::Failed`].
    Failed,
}

impl fmt::Display for StateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unknown => "unknown",
            Self::Stopped => "stopped",
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Backoff => "restarting",
            Self::Failed => "failed",
        })
    }
}

impl ServiceState {
    /// The state without its data.
    pub fn kind(&self) -> StateKind {
        match self {
            Self::Unknown { .. } => StateKind::Unknown,
            Self::Stopped => StateKind::Stopped,
            Self::Waiting { .. } => StateKind::Waiting,
            Self::Launching { .. } | Self::Starting { .. } => StateKind::Starting,
            Self::Running { .. } => StateKind::Running,
            Self::Stopping { .. } => StateKind::Stopping,
            Self::Backoff { .. } => StateKind::Backoff,
            Self::Failed { .. } => StateKind::Failed,
        }
    }

    /// What runs, if something does.
    pub fn instance(&self) -> Option<&Instance> {
        match self {
            Self::Starting { instance, .. } | Self::Running { instance, .. } | Self::Stopping { instance, .. } => {
                Some(instance)
            }
            Self::Unknown { .. }
            | Self::Stopped
            | Self::Waiting { .. }
            | Self::Launching { .. }
            | Self::Backoff { .. }
            | Self::Failed { .. } => None,
        }
    }

    /// When what runs came to be.
    pub fn since(&self) -> Option<Instant> {
        match self {
            Self::Starting { since, .. } | Self::Running { since, .. } | Self::Stopping { since, .. } => Some(*since),
            Self::Unknown { .. }
            | Self::Stopped
            | Self::Waiting { .. }
            | Self::Launching { .. }
            | Self::Backoff { .. }
            | Self::Failed { .. } => None,
        }
    }

    /// What the newest streak of probes says; unknown unless it runs.
    pub fn health(&self) -> Health {
        match self {
            Self::Running { health, .. } => *health,
            Self::Unknown { .. }
            | Self::Stopped
            | Self::Waiting { .. }
            | Self::Launching { .. }
            | Self::Starting { .. }
            | Self::Stopping { .. }
            | Self::Backoff { .. }
            | Self::Failed { .. } => Health::Unknown,
        }
    }

    /// Whether something of it lives: its dependents count as running, and a second start would be a duplicate.
    pub fn is_alive(&self) -> bool {
        self.instance().is_some()
    }
}
