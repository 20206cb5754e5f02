//! What a leader owes to a service whose restarts no shim counts, and how that looks to everybody.

use std::time::{Duration, Instant};

use super::backoff::Budget;
use crate::model::{Debt, Ending, FailureReason, Intent, Observed, Owed, Presence, RestartOnFailure, ServiceSpec};

/// The shortest pause. A person's stop that comes at the same moment has taken back what is owed before this is over.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// What is owed once an unhealthy run of this length is ended: another start after a pause, or nothing more. `boot` is the clock that
/// counts from boot, `seed` a random number.
pub fn next_debt(spec: &ServiceSpec, before: Option<&Debt>, ran_for: Duration, boot: Duration, seed: u64) -> Debt {
    let known = before.map_or_else(Budget::default, |debt| Budget { failures: debt.failures, streak: debt.streak });
    let budget = known.after_run(ran_for, spec.unhealthy_noticed_within());
    let max_restarts = match spec.startup.restart_on_failure {
        RestartOnFailure::Never => 0,
        RestartOnFailure::UpTo { max_restarts } => max_restarts,
    };
    let (owed, after) = if budget.allows(max_restarts) {
        (Owed::StartAt(boot + budget.delay(seed).max(SHORTEST_PAUSE)), budget.restarted())
    } else {
        (Owed::GaveUp, budget)
    };
    Debt { service: spec.id.clone(), owed, failures: after.failures, streak: after.streak }
}

/// What was observed, seen with what is owed: what a leader ended to start it again is wanted, and neither stopped nor failed.
pub fn with_debt(observed: Observed, debt: &Debt, now: Instant, boot: Duration) -> Observed {
    let is_down = matches!(observed.presence, Presence::Absent);
    let (intent, presence) = match &debt.owed {
        Owed::StartAt(due) if is_down => {
            let until = now + due.saturating_sub(boot);
            let presence = Presence::RestartPending { attempt: debt.streak, until, last: Ending::Unhealthy };
            (Some(Intent::Up), presence)
        }
        Owed::GaveUp if is_down => {
            let reason = FailureReason::GaveUp { ending: Ending::Unhealthy, restarts: debt.streak };
            (Some(Intent::Up), Presence::Failed { reason })
        }
        Owed::StartAt(_) | Owed::GaveUp => (Some(Intent::Up), observed.presence),
        Owed::StartAfter(_) | Owed::Nothing => (observed.intent, observed.presence),
    };
    let restarts = observed.restarts.saturating_add(match debt.owed {
        Owed::StartAt(_) => debt.streak.saturating_sub(1),
        Owed::GaveUp | Owed::Nothing => debt.streak,
        Owed::StartAfter(_) => 0,
    });
    Observed { intent, presence, restarts, ..observed }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{next_debt, with_debt};
    use crate::model::{Ending, FailureReason, Intent, Observed, Owed, Presence};
    use crate::testkit::builders::restarted_service;

    const SECOND: Duration = Duration::from_secs(1);

    fn absent() -> Observed {
        let (entered, restarts, last_exit, notes) = (None, 0, None, Vec::new());
        Observed { presence: Presence::Absent, entered, intent: Some(Intent::Down), restarts, last_exit, notes }
    }

    #[test]
    fn each_unhealthy_run_takes_one_restart_and_a_longer_pause_until_there_is_none_left() {
        let spec = restarted_service("web", "");
        let boot = 1_000 * SECOND;
        let mut debt = None;
        for (attempt, pause) in [(1, 1), (2, 2), (3, 4)] {
            let next = next_debt(&spec, debt.as_ref(), 40 * SECOND, boot, 0);
            assert_eq!((&next.owed, next.streak), (&Owed::StartAt(boot + pause * SECOND), attempt));
            let now = Instant::now();
            let seen = with_debt(absent(), &next, now, boot);
            let until = now + pause * SECOND;
            assert_eq!(seen.presence, Presence::RestartPending { attempt, until, last: Ending::Unhealthy });
            assert_eq!(seen.intent, Some(Intent::Up));
            debt = Some(next);
        }
        let last = next_debt(&spec, debt.as_ref(), 40 * SECOND, boot, 0);
        assert_eq!((&last.owed, last.streak), (&Owed::GaveUp, 3));
        let reason = FailureReason::GaveUp { ending: Ending::Unhealthy, restarts: 3 };
        assert_eq!(with_debt(absent(), &last, Instant::now(), boot).presence, Presence::Failed { reason });
        let stable = spec.unhealthy_noticed_within() + 10 * SECOND;
        let anew = next_debt(&spec, debt.as_ref(), stable, boot, 0);
        assert_eq!((&anew.owed, anew.streak), (&Owed::StartAt(boot + SECOND), 1), "a stable run gives the budget back");
    }
}
