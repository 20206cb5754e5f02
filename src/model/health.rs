//! Health as it is observed: one probe's answer, and what a row of them says.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// How many probe results a service's history keeps, for the sparkline.
pub const HISTORY_LENGTH: usize = 120;

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

/// The newest results of one service, oldest first: latencies for the sparkline, failures marked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HealthHistory {
    samples: VecDeque<Option<Duration>>,
}

impl HealthHistory {
    /// Adds a result and forgets the oldest beyond [`HISTORY_LENGTH`].
    pub fn push(&mut self, report: &ProbeReport) {
        if self.samples.len() == HISTORY_LENGTH {
            self.samples.pop_front();
        }
        self.samples.push_back(match report.verdict {
            ProbeVerdict::Passed => Some(report.took),
            ProbeVerdict::Failed => None,
        });
    }

    /// Oldest first; `None` marks a failure.
    pub fn samples(&self) -> impl DoubleEndedIterator<Item = Option<Duration>> + ExactSizeIterator + '_ {
        self.samples.iter().copied()
    }

    /// The share of passed probes, 0 to 1; `None` before the first.
    pub fn availability(&self) -> Option<f64> {
        let passed = self.samples.iter().flatten().count();
        (!self.samples.is_empty()).then(|| passed as f64 / self.samples.len() as f64)
    }

    /// The latency that 95 % of the passed probes stay at or below.
    pub fn p95(&self) -> Option<Duration> {
        let mut passed: Vec<Duration> = self.samples.iter().flatten().copied().collect();
        passed.sort_unstable();
        let rank = (passed.len() * 95).div_ceil(100);
        passed.get(rank.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{HISTORY_LENGTH, HealthHistory, ProbeReport, ProbeVerdict};
    use std::time::Duration;

    fn report(millis: u64, verdict: ProbeVerdict) -> ProbeReport {
        ProbeReport { verdict, message: String::new(), took: Duration::from_millis(millis) }
    }

    #[test]
    fn history_is_bounded_and_keeps_the_newest() {
        let mut history = HealthHistory::default();
        for millis in 0..200 {
            history.push(&report(millis, ProbeVerdict::Passed));
        }
        assert_eq!(history.samples().len(), HISTORY_LENGTH);
        assert_eq!(history.samples().next_back(), Some(Some(Duration::from_millis(199))));
    }

    #[test]
    fn availability_and_p95_speak_of_what_was_seen() {
        let mut history = HealthHistory::default();
        assert_eq!((history.availability(), history.p95()), (None, None));
        for millis in 1..=19 {
            history.push(&report(millis, ProbeVerdict::Passed));
        }
        history.push(&report(500, ProbeVerdict::Failed));
        assert_eq!(history.availability(), Some(0.95));
        assert_eq!(history.p95(), Some(Duration::from_millis(19)));
    }
}
