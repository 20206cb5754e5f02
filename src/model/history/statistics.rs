//! What a stretch of history says in numbers.

use std::time::{Duration, SystemTime};

use super::hour::{HOUR, HOURS_KEPT, Hour, hour_of};
use super::latencies::Latencies;

/// Over how long numbers are taken. Whole hours of the wall clock: the one that is under way, and those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    n_hours: u32,
}

impl Window {
    /// The hour under way and the 23 before it.
    pub const DAY: Self = Self { n_hours: 24 };
    /// The hour under way and the 167 before it.
    pub const WEEK: Self = Self { n_hours: HOURS_KEPT };

    /// The hours that cover `length`, at least one and at most a week.
    pub fn covering(length: Duration) -> Self {
        let n_hours = length.as_secs().div_ceil(HOUR.as_secs());
        Self { n_hours: u32::try_from(n_hours).unwrap_or(u32::MAX).clamp(1, HOURS_KEPT) }
    }

    /// Its length, in hours.
    pub fn n_hours(self) -> u32 {
        self.n_hours
    }

    /// Whether an hour belongs to it at that moment.
    pub fn contains(self, hour: u32, now: SystemTime) -> bool {
        let newest = hour_of(now);
        hour <= newest && hour.saturating_add(self.n_hours) > newest
    }
}

/// Numbers of one window.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statistics {
    /// How long it was known to be up: from a passed probe to the next answer; while it runs, where there is no health check.
    pub up: Duration,
    /// How long it was known to be down: from a failed probe to the next answer; while it does not run although it is wanted.
    pub down: Duration,
    /// Probes that passed.
    pub n_passed: u64,
    /// Probes that failed.
    pub n_failed: u64,
    /// How often healthy became unhealthy or unhealthy healthy, by the service's `retries`.
    pub n_flaps: u32,
    /// How often it was started again without a person asking.
    pub n_restarts: u32,
    /// The latency that 95 % of the passed probes stay at or below: at most an eighth more than the exact one. `None` before the first.
    pub p95: Option<Duration>,
}

impl Statistics {
    /// The sum of these hours.
    pub fn of<'a>(hours: impl IntoIterator<Item = &'a Hour>) -> Self {
        let mut sum = Self::default();
        let mut latencies = Latencies::default();
        for hour in hours {
            sum.up += Duration::from_millis(u64::from(hour.up_millis));
            sum.down += Duration::from_millis(u64::from(hour.down_millis));
            sum.n_passed += hour.latencies.count();
            sum.n_failed += u64::from(hour.n_failed);
            sum.n_flaps += u32::from(hour.n_flaps);
            sum.n_restarts += u32::from(hour.n_restarts);
            latencies.merge(&hour.latencies);
        }
        sum.p95 = latencies.p95();
        sum
    }

    /// How long it was known to be either.
    pub fn observed(&self) -> Duration {
        self.up + self.down
    }

    /// The share of the observed time in which it was up, 0 to 1. Times in which nobody looked, or nothing was expected, count for nothing.
    /// `None` when nothing was observed.
    pub fn uptime(&self) -> Option<f64> {
        let observed = self.observed();
        (!observed.is_zero()).then(|| self.up.as_secs_f64() / observed.as_secs_f64())
    }
}
