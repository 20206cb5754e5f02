//! Gaps: times in which this program did not run, because the machine was suspended, or the program (or the virtual machine below it) was
//! stopped. What failed across one says nothing about a service, and nothing that was due in it may come as a storm.
//!
//! The wall clock is never asked: it may be set at any time, by years.

use std::time::{Duration, Instant};

/// Two clocks, read at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// Stands still while the machine is suspended.
    pub awake: Instant,
    /// Goes on meanwhile; from boot.
    pub boot: Duration,
}

/// Nothing is this late because of load alone, as a rule; and where it is, patience does no harm.
pub const TOLERANCE: Duration = Duration::from_secs(3);

/// How long this program did not run between two readings, the later of which is `now`. `due` is the first moment after `before` at which
/// it would have been heard of at the latest: a timer, or the deadline of a probe. `None` when nothing of that kind shows.
pub fn between(before: Clocks, now: Clocks, due: Option<Instant>) -> Option<Duration> {
    let awake = now.awake.saturating_duration_since(before.awake);
    let suspended = now.boot.saturating_sub(before.boot).saturating_sub(awake);
    let late = due.map_or(Duration::ZERO, |due| now.awake.saturating_duration_since(due));
    Some(suspended.max(late)).filter(|gap| *gap > TOLERANCE)
}

/// When a service is asked again after a gap: each at its own moment within its interval, ten seconds at most, and none at once, since the
/// network may need a moment, too. `seed` differs from service to service.
pub fn pause_after(interval: Duration, seed: u64) -> Duration {
    let span = interval.clamp(Duration::from_secs(1), Duration::from_secs(10));
    let part = u32::try_from(seed % 1024).unwrap_or(0);
    span / 4 + span * 3 / 4 * part / 1024
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Clocks, between, pause_after};

    const SECOND: Duration = Duration::from_secs(1);

    fn clocks(began: Instant, awake: u32, boot: u32) -> Clocks {
        Clocks { awake: began + SECOND * awake, boot: SECOND * boot }
    }

    #[test]
    fn a_suspended_machine_shows_by_its_two_clocks_alone() {
        let began = Instant::now();
        let before = clocks(began, 10, 1_010);
        assert_eq!(between(before, clocks(began, 40, 1_040), None), None, "a quiet half minute is no gap");
        let eight_hours = 8 * 3_600;
        let woken = clocks(began, 12, 1_012 + eight_hours);
        assert_eq!(between(before, woken, None), Some(SECOND * eight_hours));
        assert_eq!(between(before, clocks(began, 40, 1_041), None), None, "readings a moment apart are no gap");
        assert_eq!(
            between(before, clocks(began, 40, 900), None),
            None,
            "a clock of tests that runs ahead is none either"
        );
    }

    #[test]
    fn a_stopped_program_shows_by_what_it_is_late_for() {
        let began = Instant::now();
        let (before, after) = (clocks(began, 0, 0), clocks(began, 600, 600));
        assert_eq!(between(before, after, Some(began + SECOND * 10)), Some(SECOND * 590));
        assert_eq!(between(before, after, Some(began + SECOND * 599)), None, "a second late is load");
        assert_eq!(between(before, after, Some(began + SECOND * 601)), None);
        assert_eq!(between(before, after, None), None, "nothing was due");
    }

    #[test]
    fn services_are_asked_again_one_after_the_other_and_soon() {
        let pauses: Vec<Duration> = (0..2_000).map(|seed| pause_after(SECOND * 30, seed)).collect();
        assert!(pauses.iter().all(|pause| (SECOND * 5 / 2..SECOND * 10).contains(pause)));
        let distinct: std::collections::HashSet<_> = pauses.iter().collect();
        assert!(distinct.len() > 500);
        assert!(pause_after(SECOND, 1_023) < SECOND);
    }
}
