//! When an unhealthy service is restarted, and when it is not.

use std::time::{Duration, Instant};

use super::{Effect, Input, Machine, Policy, Probing, Tending, step};
use crate::model::{
    Guardian, Happening, Health, Instance, Intent, Observed, Presence, ProbeOutcome, ProbeReport, ProbeVerdict,
    ProcessIdentity, Role, ServiceSpec,
};
use crate::testkit::builders::{checked_service, id, restarted_service};

const SECOND: Duration = Duration::from_secs(1);

fn instance() -> Instance {
    Instance::Process(ProcessIdentity { pid: 1, start_ticks: 7, boot_id: "boot".to_owned(), pid_namespace: 1 })
}

/// A service that was found running, wanted up, and the moment.
struct Case {
    machine: Machine,
    now: Instant,
    told: Vec<Happening>,
}

impl Case {
    /// It runs for an hour already.
    fn of(spec: &ServiceSpec, role: Role) -> Self {
        let began = Instant::now();
        Self::since(spec, role, began, began + 3_600 * SECOND)
    }

    fn since(spec: &ServiceSpec, role: Role, since: Instant, now: Instant) -> Self {
        let policy = Policy::new(spec, Probing::Continuous, Tending::Yes, now);
        let mut case = Self { machine: Machine::new(policy, now), now, told: Vec::new() };
        case.machine.lead(role, now);
        let presence = Presence::Present { instance: instance(), since, guardian: Guardian::Alive };
        case.observed(presence, Intent::Up);
        case
    }

    fn observed(&mut self, presence: Presence, intent: Intent) {
        let (entered, restarts, last_exit, notes) = (None, 0, None, Vec::new());
        let observed = Observed { presence, entered, intent: Some(intent), restarts, last_exit, notes };
        drop(self.feed(Input::Observed(Ok(observed))));
    }

    fn feed(&mut self, input: Input) -> Vec<Effect> {
        let outcome = step(self.machine.clone(), input, self.now);
        self.machine = outcome.machine;
        self.told.extend(
            outcome.effects.iter().filter_map(|e| if let Effect::Tell(what) = e { Some(what.clone()) } else { None }),
        );
        outcome.effects
    }

    /// One probe after each interval, `+` passes and `-` fails; the number of the first one after which it would be restarted, from 1.
    fn probes(&mut self, results: &str) -> Option<usize> {
        results
            .chars()
            .position(|result| {
                self.now += 10 * SECOND;
                drop(self.feed(Input::Tick));
                self.answer(result)
            })
            .map(|index| index + 1)
    }

    /// The answer of the probe that is under way; whether it would be restarted.
    fn answer(&mut self, result: char) -> bool {
        let verdict = if result == '+' { ProbeVerdict::Passed } else { ProbeVerdict::Failed };
        let report = ProbeReport { verdict, message: "HTTP 500".to_owned(), took: Duration::ZERO };
        let effects = self.feed(Input::Probed { instance: instance(), outcome: ProbeOutcome::Answered(report) });
        effects.contains(&Effect::Consult { instance: instance() })
    }
}

fn web() -> ServiceSpec {
    restarted_service("web", "")
}

#[test]
fn retries_failures_in_a_row_are_answered_and_flapping_is_not() {
    assert_eq!(Case::of(&web(), Role::Leader).probes("+---"), Some(4));
    assert_eq!(Case::of(&web(), Role::Leader).probes("---"), Some(3));
    assert_eq!(Case::of(&web(), Role::Leader).probes("+--+--+-+-+--+-+--+--+--"), None);
    let mut eager = web();
    eager.health_check.retries = 0;
    assert_eq!(Case::of(&eager, Role::Leader).probes("+-"), Some(2));
}

#[test]
fn only_a_leader_restarts_and_only_what_is_to_be_restarted() {
    assert_eq!(Case::of(&web(), Role::Follower).probes("-----"), None);
    assert_eq!(Case::of(&checked_service("web", ""), Role::Leader).probes("-----"), None);
    let mut promoted = Case::of(&web(), Role::Follower);
    assert_eq!(promoted.probes("-----"), None);
    promoted.machine.lead(Role::Leader, promoted.now);
    assert_eq!(promoted.probes("-"), Some(1), "what the follower saw counts");
}

#[test]
fn a_start_has_its_time_unless_it_was_well_before() {
    let now = Instant::now();
    let young = || Case::since(&web(), Role::Leader, now, now);
    // Probes after 10 and 20 s are within start_timeout, 30 s; those after 30, 40 and 50 s count.
    assert_eq!(young().probes("-------"), Some(5));
    assert_eq!(young().probes("+---"), Some(4));
}

#[test]
fn what_a_person_stops_meanwhile_is_not_restarted() {
    let cleared = || Input::RecoveryCleared { instance: instance() };
    let recovers = |effects: Vec<Effect>| effects.contains(&Effect::Recover { instance: instance() });
    let mut case = Case::of(&web(), Role::Leader);
    case.probes("---");
    assert!(recovers(case.feed(cleared())));
    assert!(!recovers(case.feed(cleared())), "ordered once");

    let mut stopped_here = Case::of(&web(), Role::Leader);
    stopped_here.probes("---");
    let grace = 10 * SECOND;
    drop(stopped_here.feed(Input::StopRequested { how: crate::model::StopHow::Ask, grace }));
    assert!(!recovers(stopped_here.feed(cleared())));

    let mut stopped_elsewhere = Case::of(&web(), Role::Leader);
    stopped_elsewhere.probes("---");
    let since = stopped_elsewhere.now;
    let presence = Presence::Present { instance: instance(), since, guardian: Guardian::Alive };
    stopped_elsewhere.observed(presence, Intent::Down);
    assert!(!recovers(stopped_elsewhere.feed(cleared())));

    let mut demoted = Case::of(&web(), Role::Leader);
    demoted.probes("---");
    demoted.machine.lead(Role::Follower, demoted.now);
    assert!(!recovers(demoted.feed(cleared())), "another leads now");

    let mut well_again = Case::of(&web(), Role::Leader);
    well_again.probes("---");
    well_again.probes("+");
    assert!(!recovers(well_again.feed(cleared())));
}

#[test]
fn who_is_held_back_gets_its_retries_anew_and_that_is_told_once() {
    let mut case = Case::of(&web(), Role::Leader);
    let held = || Input::RecoveryHeldBack { instance: instance(), by: id("db"), condition: "is stopped".to_owned() };
    for _ in 0..3 {
        assert_eq!(case.probes("---"), Some(3));
        drop(case.feed(held()));
    }
    let n_told = case.told.iter().filter(|what| matches!(what, Happening::HeldBack { .. })).count();
    assert_eq!(n_told, 1, "{:?}", case.told);
    case.probes("+---");
    drop(case.feed(held()));
    let n_told = case.told.iter().filter(|what| matches!(what, Happening::HeldBack { .. })).count();
    assert_eq!(n_told, 2, "it was well in between");
}

#[test]
fn a_gap_is_not_counted_as_failures_and_what_was_asked_before_it_says_nothing() {
    let probe_after = 4 * SECOND;
    let mut case = Case::of(&web(), Role::Leader);
    assert_eq!(case.probes("+--"), None);
    case.now += 10 * SECOND;
    drop(case.feed(Input::Tick));
    case.now += 28_800 * SECOND;
    drop(case.feed(Input::Woke { probe_after }));
    assert!(!case.answer('-'), "it was asked before the gap");
    assert_eq!(case.machine.state().health(), Health::Healthy);
    assert_eq!(case.probes("--"), None);
    assert_eq!(case.probes("-"), Some(1), "after the gap the count begins anew");

    let mut idle = Case::of(&web(), Role::Leader);
    idle.probes("+");
    idle.now += 28_800 * SECOND;
    drop(idle.feed(Input::Woke { probe_after }));
    assert_eq!(idle.machine.next_probe(), Some(idle.now + probe_after), "not all at once, and not at once");
    assert!(!idle.feed(Input::Tick).contains(&Effect::Probe { instance: instance() }));
}
