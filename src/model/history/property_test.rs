//! The histories of random lives keep their promises.

use proptest::prelude::*;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::*;
use crate::model::{ProbeReport, ProbeVerdict};

const EVERY: Duration = Duration::from_secs(10);

fn noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_759_752_000)
}

/// Steps of a life: how long after the one before, and what.
fn step() -> impl Strategy<Value = (u64, Seen)> {
    let millis = prop_oneof![8 => 1_000..12_000_u64, 2 => 12_000..100_000_u64, 1 => 100_000..90_000_000_u64];
    let standing = prop_oneof![
        Just(Standing::Started),
        Just(Standing::Restarted),
        Just(Standing::Running),
        Just(Standing::Down),
        Just(Standing::Idle)
    ];
    let sighting = prop_oneof![3 => Just(Sighting::Became), 1 => Just(Sighting::Found)];
    let turn = prop_oneof![4 => Just(Turn::Same), 1 => Just(Turn::Turned)];
    let verdict = prop_oneof![5 => Just(ProbeVerdict::Passed), 1 => Just(ProbeVerdict::Failed)];
    let answer = (verdict, 1..300_000_000_u64, turn).prop_map(|(verdict, micros, turn)| Seen::Answer {
        verdict,
        took: Duration::from_micros(micros).min(MAX_LATENCY),
        turn,
    });
    let state = (standing, sighting).prop_map(|(standing, sighting)| Seen::State { standing, sighting });
    (millis, prop_oneof![6 => answer, 1 => state])
}

fn life(steps: &[(u64, Seen)]) -> Vec<Sample> {
    let mut at = noon();
    steps
        .iter()
        .map(|(millis, seen)| {
            at += Duration::from_millis(*millis);
            Sample { at, seen: *seen }
        })
        .collect()
}

fn history(samples: &[Sample]) -> HealthHistory {
    let mut history = HealthHistory::default();
    history.pace(EVERY);
    samples.iter().for_each(|sample| history.push(*sample));
    history
}

fn exact_p95(samples: &[Sample]) -> Option<Duration> {
    let mut passed: Vec<Duration> = samples
        .iter()
        .filter_map(|sample| match sample.seen {
            Seen::Answer { verdict: ProbeVerdict::Passed, took, .. } => Some(took),
            Seen::Answer { .. } | Seen::State { .. } => None,
        })
        .collect();
    passed.sort_unstable();
    passed.get((passed.len() * 95).div_ceil(100).checked_sub(1)?).copied()
}

proptest! {
    #[test]
    fn no_number_is_impossible(steps in prop::collection::vec(step(), 1..300)) {
        let samples = life(&steps);
        let history = history(&samples);
        let now = samples.last().unwrap().at;
        for hour in history.hours() {
            prop_assert!(hour.observed() <= HOUR, "{hour:?}");
        }
        for window in [Window::DAY, Window::WEEK] {
            let numbers = history.statistics(window, now);
            prop_assert!(numbers.observed() <= HOUR * window.n_hours());
            prop_assert!(numbers.uptime().is_none_or(|share| (0.0..=1.0).contains(&share)));
            prop_assert!(numbers.p95.is_none_or(|p95| p95 <= MAX_LATENCY));
        }
        prop_assert!(history.samples().len() <= HISTORY_LENGTH);
    }

    #[test]
    fn p95_is_never_too_small_and_at_most_an_eighth_too_large(
        micros in prop::collection::vec(1..60_000_000_u64, 1..400)
    ) {
        let steps: Vec<_> = micros
            .iter()
            .map(|micros| {
                let took = Duration::from_micros(*micros);
                (1_000, Seen::Answer { verdict: ProbeVerdict::Passed, took, turn: Turn::Same })
            })
            .collect();
        let samples = life(&steps);
        let p95 = history(&samples).statistics(Window::DAY, samples.last().unwrap().at).p95.unwrap();
        let exact = exact_p95(&samples).unwrap();
        prop_assert!(p95 >= exact && p95 <= exact + exact / 8 + Duration::from_micros(16), "{p95:?} for {exact:?}");
    }

    #[test]
    fn time_in_which_nobody_looked_is_neither_up_nor_down(
        before in prop::collection::vec(step(), 1..40),
        gap in 60_u64..36_000,
    ) {
        // A gap after an answer, and another answer after it.
        let answer = |verdict| Seen::Answer { verdict, took: Duration::from_millis(5), turn: Turn::Same };
        for verdict in [ProbeVerdict::Passed, ProbeVerdict::Failed] {
            let mut steps = before.clone();
            steps.push((5_000, answer(verdict)));
            let at_gap = life(&steps);
            let known = Statistics::of(history(&at_gap).hours());
            steps.push((gap * 1_000, answer(ProbeVerdict::Passed)));
            let samples = life(&steps);
            let numbers = Statistics::of(history(&samples).hours());
            // One interval, for that is how far an answer speaks. A week is forgotten as it goes by.
            prop_assert!(numbers.observed() <= known.observed() + EVERY);
            prop_assert!(history(&samples).cells().iter().rev().nth(1) == Some(&Cell::Gap));
        }
    }

    #[test]
    fn counts_are_those_of_the_samples(steps in prop::collection::vec((1_000..12_000_u64, step()), 1..300)) {
        let steps: Vec<_> = steps.into_iter().map(|(millis, (_, seen))| (millis, seen)).collect();
        let samples = life(&steps);
        let numbers = history(&samples).statistics(Window::WEEK, samples.last().unwrap().at);
        let count = |wanted: fn(&Seen) -> bool| samples.iter().filter(|sample| wanted(&sample.seen)).count();
        let failed = count(|seen| matches!(seen, Seen::Answer { verdict: ProbeVerdict::Failed, .. }));
        let passed = count(|seen| matches!(seen, Seen::Answer { verdict: ProbeVerdict::Passed, .. }));
        let flaps = count(|seen| matches!(seen, Seen::Answer { turn: Turn::Turned, .. }));
        let restarts = count(|seen| matches!(seen, Seen::State { standing: Standing::Restarted, .. }));
        prop_assert_eq!(
            [numbers.n_failed, numbers.n_passed, u64::from(numbers.n_flaps), u64::from(numbers.n_restarts)],
            [failed, passed, flaps, restarts].map(|n| n as u64)
        );
    }

    #[test]
    fn a_clock_that_jumps_breaks_nothing(jumps in prop::collection::vec((any::<u32>(), step()), 1..60)) {
        let mut history = HealthHistory::default();
        history.pace(EVERY);
        for (seconds, (_, seen)) in jumps {
            let at = UNIX_EPOCH + Duration::from_secs(u64::from(seconds));
            history.push(Sample { at, seen });
            for window in [Window::DAY, Window::WEEK] {
                prop_assert!(history.statistics(window, at).observed() <= HOUR * window.n_hours());
            }
            let _ = history.cells();
        }
    }
}

fn answered(verdict: ProbeVerdict, millis: u64) -> Seen {
    let report = ProbeReport { verdict, message: String::new(), took: Duration::from_millis(millis) };
    Sample::answer(noon(), &report, Turn::Same).seen
}

fn state(standing: Standing, sighting: Sighting) -> Seen {
    Seen::State { standing, sighting }
}

#[track_caller]
fn check(steps: &[(u64, Seen)], up_seconds: u64, down_seconds: u64) {
    let steps: Vec<(u64, Seen)> = steps.iter().map(|(seconds, seen)| (seconds * 1000, *seen)).collect();
    let samples = life(&steps);
    let numbers = history(&samples).statistics(Window::DAY, samples.last().unwrap().at);
    assert_eq!((numbers.up.as_secs(), numbers.down.as_secs()), (up_seconds, down_seconds));
}

#[test]
fn an_answer_speaks_until_the_next_one() {
    use ProbeVerdict::{Failed, Passed};
    check(&[(0, answered(Passed, 5)), (10, answered(Failed, 5)), (10, answered(Passed, 5))], 10, 10);
    check(&[(0, answered(Passed, 5)), (3_600, answered(Passed, 5)), (10, answered(Passed, 5))], 20, 0);
}

#[test]
fn what_is_wanted_and_does_not_run_is_down_and_what_was_stopped_is_not() {
    use Sighting::{Became, Found};
    use Standing::{Down, Idle, Running, Started};
    check(&[(0, state(Down, Became)), (7_200, state(Started, Became))], 0, 7_200);
    check(&[(0, state(Idle, Became)), (7_200, state(Started, Became))], 0, 0);
    check(&[(0, state(Running, Became)), (7_200, state(Down, Became)), (60, state(Running, Became))], 7_200, 60);
    // Nobody looked for two hours: it is known to have been down only where it still was.
    check(&[(0, state(Down, Became)), (7_200, state(Down, Found))], 0, 7_200);
    check(&[(0, state(Down, Became)), (7_200, state(Started, Found))], 0, 0);
    check(&[(0, state(Running, Became)), (7_200, state(Running, Found))], 7_200, 0);
    check(&[(0, state(Running, Became)), (7_200, state(Idle, Found))], 0, 0);
}

#[test]
fn the_newest_failures_in_a_row_are_counted() {
    use ProbeVerdict::{Failed, Passed};
    let steps =
        [(0, answered(Failed, 5)), (1, answered(Passed, 5)), (1, answered(Failed, 5)), (1, answered(Failed, 5))];
    assert_eq!(history(&life(&steps)).n_failed_in_a_row(), 2);
}

#[test]
fn single_samples_are_bounded_and_the_newest_stay() {
    let steps: Vec<_> = (1..=200).map(|millis| (10_000, answered(ProbeVerdict::Passed, millis))).collect();
    let history = history(&life(&steps));
    assert_eq!(history.samples().len(), HISTORY_LENGTH);
    assert_eq!(history.cells().last(), Some(&Cell::Passed(Duration::from_millis(200))));
}
