//! Every state meets every input, and the outcome is frozen in `tests/golden/machine.snap`: no pair is undecided, and a change of
//! behaviour shows in review.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::{Effect, Input, Machine, Policy, Probing, StopFailure, Tending, step};
use crate::model::{
    Ending, FailureReason, Guardian, Happening, Instance, Launch, LaunchOrigin, Observed, Presence, ProbeOutcome,
    ProbeReport, ProbeVerdict, ProcessIdentity, Role, Serves, ServiceState, StopHow,
};
use crate::testkit::builders::{checked_service, ids, restarted_service};

const MS: Duration = Duration::from_millis(1);

fn instance(pid: u32) -> Instance {
    Instance::Process(ProcessIdentity { pid, start_ticks: 7, boot_id: "boot".to_owned(), pid_namespace: 1 })
}

fn observed(presence: Presence) -> Input {
    observed_since(presence, None)
}

fn observed_since(presence: Presence, entered: Option<Instant>) -> Input {
    Input::Observed(Ok(Observed { presence, entered, intent: None, restarts: 0, last_exit: None, notes: Vec::new() }))
}

fn present(pid: u32, since: Instant) -> Presence {
    Presence::Present { instance: instance(pid), since, guardian: Guardian::Alive }
}

fn arriving(pid: u32, since: Instant, serves: Serves) -> Presence {
    Presence::Arriving { instance: instance(pid), since, serves }
}

fn probed(pid: u32, verdict: ProbeVerdict) -> Input {
    let report = ProbeReport { verdict, message: "the answer".to_owned(), took: MS };
    Input::Probed { instance: instance(pid), outcome: ProbeOutcome::Answered(report) }
}

fn launched(since: Instant, origin: LaunchOrigin) -> Input {
    Input::Launched(Launch { instance: instance(1), since, origin })
}

fn after(machine: Machine, inputs: impl IntoIterator<Item = Input>, now: Instant) -> Machine {
    inputs.into_iter().fold(machine, |machine, input| step(machine, input, now).machine)
}

fn stop(how: StopHow) -> Input {
    Input::StopRequested { how, grace: Duration::from_secs(10) }
}

/// Every state, reached the way it is reached in life.
fn states(now: Instant) -> Vec<(&'static str, Machine)> {
    let spec = restarted_service("a", "b c");
    let policy = Policy::new(&spec, Probing::Continuous, Tending::Yes, now);
    let new = Machine::new(policy, now);
    let start = || Input::StartRequested { on: Vec::new() };
    let stopped = after(new.clone(), [observed(Presence::Absent)], now);
    let launching = after(stopped.clone(), [start()], now);
    let starting = after(launching.clone(), [launched(now, LaunchOrigin::Started)], now);
    let running = after(new.clone(), [observed(present(1, now))], now);
    let healthy = after(running.clone(), [Input::Tick, probed(1, ProbeVerdict::Passed)], now);
    let unhealthy = after(healthy.clone(), vec![probed(1, ProbeVerdict::Failed); 3], now);
    let wanted = after(launching.clone(), [launched(now, LaunchOrigin::Started), probed(1, ProbeVerdict::Passed)], now);
    let mut led = wanted;
    led.lead(Role::Leader, now);
    let consulting = after(led, vec![probed(1, ProbeVerdict::Failed); 3], now);
    let ordered = after(consulting.clone(), [Input::RecoveryCleared { instance: instance(1) }], now);
    let stopping = after(healthy.clone(), [stop(StopHow::Ask)], now);
    let backoff = Presence::RestartPending { attempt: 2, until: now + 2000 * MS, last: Ending::Exited(7) };
    let failed = Presence::Failed { reason: FailureReason::GaveUp { ending: Ending::Exited(7), restarts: 3 } };
    vec![
        ("unknown", new.clone()),
        ("stopped", stopped.clone()),
        ("waiting on b, c", after(stopped.clone(), [Input::StartRequested { on: ids("b c") }], now)),
        ("waiting on b", after(stopped, [Input::StartRequested { on: ids("b") }], now)),
        ("launching", launching.clone()),
        ("launching, to be stopped", after(launching, [stop(StopHow::Ask)], now)),
        ("starting", starting),
        ("running, unknown", running),
        ("running, healthy", healthy.clone()),
        ("running, unhealthy", unhealthy),
        ("running, led, to be restarted", consulting),
        ("running, led, being restarted", ordered),
        ("stopping", stopping.clone()),
        ("stopping, to be started", after(stopping, [start()], now)),
        (
            "stopped by another",
            after(healthy, [observed(Presence::Leaving { instance: instance(1), since: now })], now),
        ),
        ("backoff", after(new.clone(), [observed(backoff)], now)),
        ("failed", after(new, [observed(failed)], now)),
    ]
}

/// Every input, with the variants that matter.
fn inputs(now: Instant) -> Vec<(&'static str, Input)> {
    vec![
        ("start", Input::StartRequested { on: Vec::new() }),
        ("restart in place", Input::RestartRequested),
        ("start after b", Input::StartRequested { on: ids("b") }),
        ("b is ready", Input::DependencyReady(ids("b")[0].clone())),
        ("start abandoned", Input::StartAbandoned),
        ("launched", launched(now, LaunchOrigin::Started)),
        ("found running", launched(now, LaunchOrigin::FoundRunning)),
        ("launch failed", Input::LaunchFailed { message: "no such file".to_owned(), remedy: None }),
        ("launch given up", Input::LaunchGivenUp),
        ("launch overtaken", Input::LaunchOvertaken),
        ("stopped elsewhere", Input::StoppedElsewhere),
        ("stop", stop(StopHow::Ask)),
        ("kill", stop(StopHow::Kill)),
        ("is gone", Input::StopReported(Ok(()))),
        ("does not go", Input::StopReported(Err(StopFailure { message: "still running".to_owned(), remedy: None }))),
        ("seen absent", observed(Presence::Absent)),
        ("seen running", observed(present(1, now))),
        ("seen running as another", observed(present(2, now))),
        (
            "seen without guardian",
            observed(Presence::Present { instance: instance(1), since: now, guardian: Guardian::Gone }),
        ),
        ("seen arriving", observed(arriving(1, now, Serves::No))),
        ("seen arriving as another", observed(arriving(2, now, Serves::No))),
        ("seen arriving, serving", observed(arriving(1, now, Serves::Yes))),
        ("seen leaving", observed(Presence::Leaving { instance: instance(1), since: now })),
        (
            "seen waiting for a restart",
            observed(Presence::RestartPending { attempt: 1, until: now + 1000 * MS, last: Ending::Signalled(9) }),
        ),
        (
            "seen failed",
            observed(Presence::Failed {
                reason: FailureReason::Died { ending: Ending::Exited(1), after: Some(12 * MS) },
            }),
        ),
        ("cannot be seen", Input::Observed(Err("engine unreachable".to_owned()))),
        ("probe passed", probed(1, ProbeVerdict::Passed)),
        ("probe failed", probed(1, ProbeVerdict::Failed)),
        ("probe of another", probed(9, ProbeVerdict::Passed)),
        (
            "probe could not run",
            Input::Probed {
                instance: instance(1),
                outcome: ProbeOutcome::CouldNotRun { reason: "too many open files".to_owned() },
            },
        ),
        ("may be restarted", Input::RecoveryCleared { instance: instance(1) }),
        ("another may be restarted", Input::RecoveryCleared { instance: instance(9) }),
        (
            "held back by b",
            Input::RecoveryHeldBack {
                instance: instance(1),
                by: ids("b")[0].clone(),
                condition: "is stopped".to_owned(),
            },
        ),
        ("guardian was told", Input::RecoveryReported(Ok(()))),
        ("guardian was not told", Input::RecoveryReported(Err("no answer".to_owned()))),
        ("woke after a gap", Input::Woke { probe_after: 2_000 * MS }),
        ("tick", Input::Tick),
    ]
}

/// A debug form without what differs from run to run or says nothing: moments and identities.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("Process(ProcessIdentity { pid: ") {
        let (before, from) = rest.split_at(at);
        let number = &from["Process(ProcessIdentity { pid: ".len()..];
        let pid: String = number.chars().take_while(char::is_ascii_digit).collect();
        let end = from.find("})").unwrap() + 2;
        write!(plain, "{before}PID {pid}").unwrap();
        rest = &from[end..];
    }
    plain.push_str(rest);
    let mut without_moments = String::new();
    let mut rest = plain.as_str();
    while let Some(at) = rest.find("Instant {") {
        without_moments.push_str(&rest[..at]);
        without_moments.push('…');
        rest = &rest[at + rest[at..].find('}').unwrap() + 1..];
    }
    without_moments + rest
}

fn print(state: &ServiceState) -> String {
    plain(&format!("{state:?}"))
}

#[test]
fn every_state_decides_every_input() {
    let now = Instant::now();
    let mut table = String::new();
    for (name, machine) in states(now) {
        writeln!(table, "## {name}: {}", print(machine.state())).unwrap();
        for (input_name, input) in inputs(now) {
            let later = now + 40_000 * MS;
            let moment = if input == Input::Tick { later } else { now };
            let outcome = step(machine.clone(), input, moment);
            let is_same = outcome.machine.state() == machine.state();
            let becomes = if is_same { "=".to_owned() } else { print(outcome.machine.state()) };
            let effects: Vec<String> = outcome.effects.iter().map(|effect| plain(&format!("{effect:?}"))).collect();
            writeln!(table, "{input_name:<28} {becomes}").unwrap();
            for effect in effects {
                writeln!(table, "{:<28}   → {effect}", "").unwrap();
            }
        }
        writeln!(table).unwrap();
    }
    insta::with_settings!({ snapshot_path => "../../../tests/golden", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("machine", table);
    });
}

#[test]
fn readiness_is_looked_for_at_once_and_then_a_sixteenth_of_the_time_passed_later() {
    let now = Instant::now();
    let (_, starting) = states(now).into_iter().find(|(name, _)| *name == "starting").unwrap();
    let delay_after = |elapsed: Duration| {
        let at = now + elapsed;
        let machine = step(starting.clone(), probed(1, ProbeVerdict::Failed), at).machine;
        machine.next_probe().unwrap() - at
    };
    assert_eq!(delay_after(Duration::ZERO), MS);
    assert_eq!(delay_after(20 * MS), Duration::from_micros(1250));
    assert_eq!(delay_after(10_000 * MS), 250 * MS);
}

#[test]
fn probes_of_services_with_one_interval_fall_on_one_grid() {
    let grid = Instant::now();
    let policy = Policy::new(&checked_service("a", ""), Probing::Continuous, Tending::Yes, grid);
    for late in [0, 1, 4_999, 9_999] {
        let now = grid + late * MS;
        let running = after(
            Machine::new(policy.clone(), now),
            [observed(present(1, now)), Input::Tick, probed(1, ProbeVerdict::Passed)],
            now,
        );
        assert_eq!(running.next_probe(), Some(grid + 10_000 * MS));
    }
}

#[test]
fn what_happened_before_anybody_looked_is_told_with_its_own_time() {
    let then = Instant::now();
    let now = then + 25_000 * MS;
    let policy = Policy::new(&checked_service("a", ""), Probing::Continuous, Tending::Yes, now);
    let seen = |presence, entered| after(Machine::new(policy.clone(), now), [observed_since(presence, entered)], now);
    let failed = || Presence::Failed { reason: FailureReason::GaveUp { ending: Ending::Exited(7), restarts: 3 } };
    assert_eq!(seen(failed(), Some(then)).entered(), then);
    assert_eq!(seen(failed(), None).entered(), now);
    assert_eq!(seen(failed(), Some(now + 1000 * MS)).entered(), now, "a set clock is not believed");
    let leaving = seen(Presence::Leaving { instance: instance(1), since: then }, Some(then));
    let ServiceState::Stopping { deadline, .. } = leaving.state() else { panic!("{:?}", leaving.state()) };
    assert_eq!(*deadline, then + policy.stop_timeout, "it counts from when the stop was asked");
    let waiting = Presence::RestartPending { attempt: 1, until: now + 1000 * MS, last: Ending::Exited(1) };
    assert_eq!(seen(waiting, Some(then)).entered(), then);
}

/// What a step tells the timeline.
fn told(machine: &Machine, input: Input, now: Instant) -> Vec<Happening> {
    let effects = step(machine.clone(), input, now).effects;
    effects.into_iter().filter_map(|effect| if let Effect::Tell(what) = effect { Some(what) } else { None }).collect()
}

#[test]
fn a_death_is_told_once_however_often_its_pause_is_looked_at() {
    let now = Instant::now();
    let (_, running) = states(now).into_iter().find(|(name, _)| *name == "running, healthy").unwrap();
    let waiting = |until| observed(Presence::RestartPending { attempt: 1, until, last: Ending::Exited(1) });
    let until = now + 4_000 * MS;
    assert_eq!(told(&running, waiting(until), now).len(), 2, "that it died, and when it comes back");
    let paused = after(running, [waiting(until)], now);
    // Each look reads the moment from another clock.
    assert_eq!(told(&paused, waiting(until + Duration::from_micros(3)), now), []);
    // The guardian was still clearing up when it was first looked at.
    let later = told(&paused, waiting(until + 1_000 * MS), now);
    assert!(matches!(later.as_slice(), [Happening::RestartScheduled { attempt: 1, .. }]), "{later:?}");
    let next = observed(Presence::RestartPending { attempt: 2, until, last: Ending::Exited(1) });
    assert_eq!(told(&paused, next, now).len(), 2);
}

#[test]
fn a_failure_that_is_seen_again_keeps_its_time() {
    let then = Instant::now();
    let policy = Policy::new(&checked_service("a", ""), Probing::Continuous, Tending::Yes, then);
    let failed = || Presence::Failed { reason: FailureReason::GaveUp { ending: Ending::Exited(7), restarts: 3 } };
    let machine = after(Machine::new(policy, then), [observed_since(failed(), Some(then))], then);
    let later = then + 5_000 * MS;
    let machine = after(machine, [observed_since(failed(), Some(then)), observed_since(failed(), Some(later))], later);
    assert_eq!(machine.entered(), then);
}
