//! Health as it is observed: what a row of probes says, and one probe's answer.

use std::fmt;
use std::time::Duration;

/// What a streak of probe results says of a running service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Health {
    /// No check is configured, or none has answered yet.
    #[default]
    Unknown,
    /// The newest streak is good.
    Healthy,
    /// `retries` failures in a row.
    Unhealthy,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        })
    }
}

/// One attempt, passed or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProbeVerdict {
    /// As the registry expects it.
    Passed,
    /// Anything else.
    Failed,
}

/// The answer of one attempt: M1 to M10 of the requirements.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProbeReport {
    /// Passed or failed.
    pub verdict: ProbeVerdict,
    /// The sentence for people.
    pub message: String,
    /// How long the attempt took.
    pub took: Duration,
}

/// What came of wanting to probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// The service was asked.
    Answered(ProbeReport),
    /// The probe could not run (no descriptor, no process): says nothing about the service.
    CouldNotRun {
        /// Why.
        reason: String,
    },
}
