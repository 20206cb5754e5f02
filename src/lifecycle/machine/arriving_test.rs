//! What is not up as soon as it exists: its own engine says when it is, and a restart replaces it while it runs.

use std::time::{Duration, Instant};

use super::{Effect, Input, Machine, Policy, Probing, StartEnd, Tending, step};
use crate::lifecycle::admission::Checked;
use crate::model::{
    Guardian, Health, Instance, Launch, LaunchOrigin, Observed, Presence, Serves, ServiceSpec, ServiceState, StateKind,
};
use crate::testkit::builders::{checked_service, service};

const SECOND: Duration = Duration::from_secs(1);

fn deployment(template: u64) -> Instance {
    let [context, namespace, name, uid] = ["kind-dev", "platform", "web", "1"].map(str::to_owned);
    Instance::Deployment { context, namespace, name, uid, template }
}

fn seen(presence: Presence) -> Input {
    let notes = vec!["0 of 2 pods ready".to_owned()];
    Input::Observed(Ok(Observed { presence, entered: None, intent: None, restarts: 0, last_exit: None, notes }))
}

fn arriving(serves: Serves, now: Instant) -> Input {
    seen(Presence::Arriving { instance: deployment(1), since: now, serves })
}

fn up(template: u64, now: Instant) -> Input {
    seen(Presence::Present { instance: deployment(template), since: now, guardian: Guardian::Alive })
}

/// After its launch.
fn launched(spec: &ServiceSpec, now: Instant) -> Machine {
    let machine = Machine::new(Policy::new(spec, Probing::Continuous, Tending::Yes, now), now);
    let launch = Launch { instance: deployment(1), since: now, origin: LaunchOrigin::Started };
    let inputs = [seen(Presence::Absent), Input::StartRequested { on: Vec::new() }, Input::Launched(launch)];
    inputs.into_iter().fold(machine, |machine, input| step(machine, input, now).machine)
}

fn after(machine: Machine, input: Input, now: Instant) -> (Machine, Vec<Effect>) {
    let done = step(machine, input, now);
    (done.machine, done.effects)
}

fn has_probe(effects: &[Effect]) -> bool {
    effects.iter().any(|it| matches!(it, Effect::Probe { .. }))
}

#[test]
fn without_a_check_it_is_ready_by_the_word_of_its_engine_and_not_by_its_launch() {
    let now = Instant::now();
    let machine = launched(&service("web", ""), now);
    assert_eq!(machine.state().kind(), StateKind::Starting);
    let (machine, effects) = after(machine, arriving(Serves::Yes, now), now + SECOND);
    assert_eq!((machine.state().kind(), effects), (StateKind::Starting, Vec::new()), "what it replaces answers");
    let (machine, effects) = after(machine, up(1, now), now + 2 * SECOND);
    assert_eq!(machine.state().kind(), StateKind::Running);
    let ready = |it: &Effect| matches!(it, Effect::StartEnded(StartEnd::Ready { checked: Checked::No, after, .. }) if *after == 2 * SECOND);
    assert!(effects.iter().any(ready), "{effects:?}");
}

#[test]
fn with_a_check_nobody_is_probed_before_it_is_up() {
    let now = Instant::now();
    let machine = launched(&checked_service("web", ""), now);
    let (machine, effects) = after(machine, arriving(Serves::No, now), now);
    assert!(!has_probe(&effects) && machine.next_probe().is_none(), "{effects:?}");
    let (machine, effects) = after(machine, up(1, now), now);
    assert!(has_probe(&effects), "{effects:?}");
    let (machine, effects) = after(machine, up(1, now), now);
    assert!(!has_probe(&effects), "one probe is enough: {effects:?}");
    assert_eq!(machine.state().kind(), StateKind::Starting, "its health decides");
}

#[test]
fn what_does_not_come_up_in_time_is_unwell_until_it_is_up() {
    let now = Instant::now();
    let spec = service("web", "");
    let late = now + spec.startup.start_timeout;
    let (machine, effects) = after(launched(&spec, now), arriving(Serves::No, now), now);
    assert_eq!(effects, []);
    let (machine, effects) = after(machine, Input::Tick, late);
    let says_why = |it: &Effect| matches!(it, Effect::StartEnded(StartEnd::NotReadyInTime { message }) if message == "0 of 2 pods ready");
    assert!(effects.iter().any(says_why), "{effects:?}");
    let (machine, _) = after(machine, arriving(Serves::No, now), late + SECOND);
    assert_eq!((machine.state().kind(), machine.state().health()), (StateKind::Running, Health::Unhealthy));
    let (machine, effects) = after(machine, Input::StartRequested { on: Vec::new() }, late + SECOND);
    assert!(effects.contains(&Effect::Launch), "asking again asks its engine again: {effects:?}");
    assert_eq!(machine.state().kind(), StateKind::Starting);
}

#[test]
fn a_service_that_loses_all_it_has_is_unwell_and_well_again_by_itself() {
    let now = Instant::now();
    let (machine, _) = after(launched(&service("web", ""), now), up(1, now), now);
    let (machine, _) = after(machine, arriving(Serves::No, now), now + SECOND);
    assert_eq!(machine.state().health(), Health::Unhealthy);
    let (machine, _) = after(machine, arriving(Serves::Yes, now), now + 2 * SECOND);
    assert_eq!((machine.state().kind(), machine.state().health()), (StateKind::Running, Health::Unknown));
}

#[test]
fn a_restart_in_place_launches_without_a_stop_and_waits_for_what_comes() {
    let now = Instant::now();
    let (machine, _) = after(launched(&service("web", ""), now), up(1, now), now);
    let (machine, effects) = after(machine, Input::RestartRequested, now);
    assert!(effects.contains(&Effect::Launch), "{effects:?}");
    assert!(!effects.iter().any(|it| matches!(it, Effect::Stop { .. })), "{effects:?}");
    let launch = Launch { instance: deployment(2), since: now, origin: LaunchOrigin::Started };
    let (machine, _) = after(machine, Input::Launched(launch), now);
    let (machine, _) = after(machine, up(2, now), now);
    assert!(matches!(machine.state(), ServiceState::Running { instance, .. } if *instance == deployment(2)));
}

#[test]
fn what_somebody_else_starts_is_starting_until_it_is_up() {
    let now = Instant::now();
    let policy = Policy::new(&service("web", ""), Probing::Continuous, Tending::Yes, now);
    let (machine, _) = after(Machine::new(policy, now), seen(Presence::Absent), now);
    let (machine, _) = after(machine, arriving(Serves::No, now), now);
    assert_eq!(machine.state().kind(), StateKind::Starting);
    let (machine, _) = after(machine, up(1, now), now);
    assert_eq!(machine.state().kind(), StateKind::Running);
}
