//! When a service that died, or had to be stopped because it was unhealthy, is started again, and how often. Std only: the shim uses it too.

use std::time::Duration;

/// A run counts as stable when it lasted this much longer than it takes to notice that something is wrong with it. An exit is noticed at
/// once. After a stable run the next failure is answered at once, and the count of restarts begins anew.
pub const STABLE_RUN: Duration = Duration::from_secs(10);

/// The longest delay, before jitter.
pub const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// How much of a delay jitter may add at most: one part in this many.
const JITTER: u32 = 10;

/// What is left of a service's restarts: one count for runs that ended by themselves and for runs that were unhealthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Budget {
    /// Unstable runs in a row: what the next delay follows from.
    pub failures: u32,
    /// Restarts since the last stable run: what `max_restarts` limits.
    pub streak: u32,
}

impl Budget {
    /// As after a failed run of this length, whose failure may have been going on for `noticed_within` before it was acted on.
    #[must_use]
    pub fn after_run(self, ran_for: Duration, noticed_within: Duration) -> Self {
        if ran_for >= STABLE_RUN.saturating_add(noticed_within) {
            Self::default()
        } else {
            Self { failures: self.failures.saturating_add(1), ..self }
        }
    }

    /// Whether it may be started again.
    pub fn allows(self, max_restarts: u32) -> bool {
        self.streak < max_restarts
    }

    /// The number of the coming restart, from 1.
    pub fn attempt(self) -> u32 {
        self.streak.saturating_add(1)
    }

    /// As after one more restart.
    #[must_use]
    pub fn restarted(self) -> Self {
        Self { streak: self.streak.saturating_add(1), ..self }
    }

    /// The delay before the next restart, with jitter from a random `seed`: services that failed together do not come back together.
    pub fn delay(self, seed: u64) -> Duration {
        let delay = delay(self.failures);
        let part = u32::try_from(seed % 1024).unwrap_or(0);
        delay + delay * part / (1024 * JITTER)
    }
}

/// The delay before a restart, before jitter: none after a stable run, then 1, 2, 4 … s up to [`LONGEST_DELAY`].
///
/// `failures` is the number of unstable runs in a row, the one that just ended included; 0 after a stable run.
pub fn delay(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(exponent) => Duration::from_secs(1_u64.checked_shl(exponent).unwrap_or(u64::MAX)).min(LONGEST_DELAY),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Budget, LONGEST_DELAY, STABLE_RUN, delay};

    #[test]
    fn delays_double_up_to_the_longest() {
        let seconds: Vec<u64> = (0..9).map(|failures| delay(failures).as_secs()).collect();
        assert_eq!(seconds, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(delay(u32::MAX), LONGEST_DELAY);
    }

    #[test]
    fn jitter_makes_a_delay_up_to_a_tenth_longer_and_never_shorter() {
        for failures in 0..9 {
            let budget = Budget { failures, streak: 0 };
            let delays: Vec<Duration> = (0..2048).map(|seed| budget.delay(seed)).collect();
            assert_eq!(delays.iter().min(), Some(&delay(failures)));
            assert!(delays.iter().all(|one| *one <= delay(failures) * 11 / 10));
            let distinct: std::collections::HashSet<_> = delays.iter().collect();
            assert!(failures == 0 || distinct.len() > 100, "{} delays", distinct.len());
        }
    }

    #[test]
    fn only_a_stable_run_gives_the_budget_back() {
        let spent = Budget { failures: 4, streak: 3 };
        assert!(!spent.allows(3));
        assert_eq!(spent.after_run(STABLE_RUN - Duration::from_millis(1), Duration::ZERO).streak, 3);
        assert_eq!(spent.after_run(STABLE_RUN, Duration::ZERO), Budget::default());
        let noticed_within = Duration::from_secs(90);
        assert_eq!(spent.after_run(Duration::from_secs(95), noticed_within).failures, 5, "it was unhealthy all along");
        assert_eq!(spent.after_run(Duration::from_secs(100), noticed_within), Budget::default());
    }
}
