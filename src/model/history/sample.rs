//! One entry of a health history.

use std::time::{Duration, SystemTime};

use crate::model::{ProbeReport, ProbeVerdict};

/// The longest latency that a sample holds; a longer one counts as this one. 28 bits of microseconds.
pub const MAX_LATENCY: Duration = Duration::from_micros((1 << 28) - 1);

/// What was seen of a service at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sample {
    /// When, by the wall clock. Kept to the millisecond on the disk.
    pub at: SystemTime,
    /// What.
    pub seen: Seen,
}

/// What can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seen {
    /// A probe of the running service was answered.
    Answer {
        /// Passed or failed.
        verdict: ProbeVerdict,
        /// How long the attempt took, to the microsecond, at most [`MAX_LATENCY`].
        took: Duration,
        /// Whether it made a healthy service unhealthy, or an unhealthy one healthy: a flap.
        turn: Turn,
    },
    /// How the service stands.
    State {
        /// As what.
        standing: Standing,
        /// Whether it came to be so while somebody looked.
        sighting: Sighting,
    },
}

/// What an answer did to the service's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Turn {
    /// It stayed as it was, or was not known before.
    Same,
    /// It went from healthy to unhealthy or back.
    Turned,
}

/// How a service stands, as far as its uptime is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It runs and has a health check: whether it is up, the answers say.
    Started,
    /// It was started again without a person asking. Says nothing of its uptime; what follows does.
    Restarted,
    /// It runs and has no health check: it is up.
    Running,
    /// It does not run although it is wanted: it is down.
    Down,
    /// Nothing is expected of it, or it cannot be looked at: neither up nor down.
    Idle,
}

/// Whether something came to be while somebody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sighting {
    /// It became so at this moment.
    Became,
    /// It was found so by somebody who begins to look: since when is not known.
    Found,
}

impl Sample {
    /// The sample of a probe's answer.
    pub fn answer(at: SystemTime, report: &ProbeReport, turn: Turn) -> Self {
        // Whole microseconds, so that what is read back equals what was written.
        let micros = u64::try_from(report.took.min(MAX_LATENCY).as_micros()).unwrap_or(u64::MAX);
        Self { at, seen: Seen::Answer { verdict: report.verdict, took: Duration::from_micros(micros), turn } }
    }

    /// The sample of a state.
    pub fn state(at: SystemTime, standing: Standing, sighting: Sighting) -> Self {
        Self { at, seen: Seen::State { standing, sighting } }
    }
}
