use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::explain;
use crate::graph::fixture::{ids, service};
use crate::lifecycle::fixture::{backoff, failed, instance, running, service_in, snapshot, starting, stopping};
use crate::model::history::Turn;
use crate::model::{
    Check, Deployment, Ending, FailureReason, Health, HealthHistory, Intent, ProbeReport, ProbeVerdict, RemoteSpec,
    RestartOnFailure, Sample, ServiceSnapshot, ServiceState,
};

const REFUSED: &str = "HTTP request to http://localhost:9080/health failed: connection refused";

fn report(verdict: ProbeVerdict) -> ProbeReport {
    ProbeReport { verdict, message: REFUSED.to_owned(), took: Duration::from_millis(1) }
}

fn unwell(now: Instant, n_failures: usize) -> ServiceSnapshot {
    let state = ServiceState::Running { instance: instance(), since: now, health: Health::Unhealthy };
    let mut service = service_in(service("app", &["base"]), state, now);
    let mut history = HealthHistory::default();
    let verdicts = std::iter::once(ProbeVerdict::Passed).chain(vec![ProbeVerdict::Failed; n_failures]);
    verdicts.for_each(|verdict| history.push(Sample::answer(SystemTime::UNIX_EPOCH, &report(verdict), Turn::Same)));
    service.history = Arc::new(history);
    service.last_probe = Some(report(ProbeVerdict::Failed));
    service
}

/// The sentence for `app`, which needs `base`, which needs `root`; both others are as given.
fn sentence(app: ServiceSnapshot, base: ServiceState, root: ServiceState, now: Instant) -> Option<String> {
    let board = snapshot(vec![
        app,
        service_in(service("base", &["root"]), base, now),
        service_in(service("root", &[]), root, now),
    ]);
    explain(&board.services[0], &board, now)
}

#[track_caller]
fn check(app: ServiceSnapshot, expected: Option<&str>) {
    let now = app.entered + Duration::from_secs(3);
    assert_eq!(sentence(app, running(now), running(now), now).as_deref(), expected);
}

fn app(state: ServiceState, now: Instant) -> ServiceSnapshot {
    service_in(service("app", &["base"]), state, now)
}

#[test]
fn what_is_as_it_should_be_needs_no_sentence() {
    let now = Instant::now();
    check(app(running(now), now), None);
    check(app(ServiceState::Stopped, now), None);
    check(ServiceSnapshot { intent: Some(Intent::Down), ..app(ServiceState::Stopped, now) }, None);
    let mut unchecked = service("app", &[]);
    unchecked.health_check.check = Check::None;
    let state = ServiceState::Running { instance: instance(), since: now, health: Health::Unknown };
    check(service_in(unchecked, state, now), None);
}

#[test]
fn each_state_that_is_not_green_has_its_sentence() {
    let now = Instant::now();
    let second = Duration::from_secs(1);
    let unknown_health = ServiceState::Running { instance: instance(), since: now, health: Health::Unknown };
    let mut still_starting = app(starting(now), now);
    still_starting.last_probe = Some(report(ProbeVerdict::Failed));
    let mut no_restarts = app(failed(), now);
    let mut spec = no_restarts.spec.as_ref().clone();
    spec.startup.restart_on_failure = RestartOnFailure::Never;
    no_restarts.spec = Arc::new(spec);
    let with_reason = |reason| app(ServiceState::Failed { reason }, now);
    let cases = [
        (
            app(ServiceState::Unknown { reason: "docker does not answer".to_owned() }, now),
            "state unknown: docker does not answer",
        ),
        (
            ServiceSnapshot { intent: Some(Intent::Up), ..app(ServiceState::Stopped, now) },
            "stopped, though it was asked to run",
        ),
        (app(ServiceState::Waiting { on: ids(&["base"]) }, now), "waiting for base, which is ready; 3 s so far"),
        (app(ServiceState::Launching { deadline: now + 60 * second }, now), "being started (60 s until start_timeout)"),
        (app(ServiceState::Launching { deadline: now }, now), "being started (start_timeout has passed)"),
        (app(starting(now), now), "starting, no probe has answered yet (42 s until start_timeout)"),
        (
            still_starting,
            "starting, not healthy yet: HTTP request to http://localhost:9080/health failed: connection refused \
             (42 s until start_timeout)",
        ),
        (app(unknown_health.clone(), now), "running, no probe has answered yet"),
        (
            ServiceSnapshot {
                last_probe: Some(report(ProbeVerdict::Failed)),
                next_probe: Some(now + Duration::from_millis(1500)),
                ..app(unknown_health, now)
            },
            "running, not known to be healthy: HTTP request to http://localhost:9080/health failed: connection refused; \
             next probe in 2 s",
        ),
        (
            ServiceSnapshot { intent: Some(Intent::Down), ..app(running(now), now) },
            "still running, though it was asked to stop",
        ),
        (
            unwell(now, 13),
            "unhealthy for 2 min: HTTP request to http://localhost:9080/health failed: connection refused",
        ),
        (unwell(now, 1), "unhealthy: HTTP request to http://localhost:9080/health failed: connection refused"),
        (
            unwell(now, 500),
            "unhealthy for more than 19 min: HTTP request to http://localhost:9080/health failed: connection refused",
        ),
        (app(stopping(now), now), "stopping (8 s until stop_timeout)"),
        (app(backoff(now), now), "died 3 s ago (exited with code 7); restart 2 of 5 in 4 s"),
        (
            app(ServiceState::Backoff { attempt: 1, until: now, last: Ending::Signalled(9) }, now),
            "died 3 s ago (was killed by SIGKILL); restart 1 of 5 now",
        ),
        (app(failed(), now), "failed 3 s ago: exited with code 7 after 3 s; nothing will restart it"),
        (no_restarts, "failed 3 s ago: exited with code 7 after 3 s; restart_on_failure is off"),
        (
            with_reason(FailureReason::CouldNotStart("/bin/app: no such file".to_owned())),
            "failed 3 s ago: could not be started: /bin/app: no such file",
        ),
        (
            with_reason(FailureReason::GaveUp { ending: Ending::Exited(1), restarts: 5 }),
            "failed 3 s ago: exited with code 1; restarted 5 times, then given up",
        ),
    ];
    for (service, expected) in cases {
        check(service, Some(expected));
    }
}

#[test]
fn a_wait_is_followed_down_to_its_root() {
    let now = Instant::now();
    let waiting = |on: &[&str]| ServiceState::Waiting { on: ids(on) };
    let chained = |root: ServiceState| sentence(app(waiting(&["base"]), now), waiting(&["root"]), root, now).unwrap();
    assert_eq!(
        chained(starting(now)),
        "waiting for base, which waits for root, which is starting (42 s until start_timeout); 3 s so far"
    );
    assert_eq!(
        chained(backoff(now)),
        "waiting for base, which waits for root, which died 3 s ago (exited with code 7; restart 2 of 5 in 4 s); 3 s so far"
    );
    assert_eq!(
        chained(failed()),
        "waiting for base, which waits for root, which failed: exited with code 7 after 3 s; 3 s so far"
    );
}

#[test]
fn of_several_the_one_that_needs_somebody_is_named_first() {
    let now = Instant::now();
    let waiting = app(ServiceState::Waiting { on: ids(&["base", "root", "ghost"]) }, now);
    assert_eq!(
        sentence(waiting, starting(now), ServiceState::Stopped, now).unwrap(),
        "waiting for root (and base and 1 more), which is stopped; 3 s so far"
    );
}

#[test]
fn services_that_wait_for_each_other_end_the_sentence() {
    let now = Instant::now();
    let on = |name: &str| ServiceState::Waiting { on: ids(&[name]) };
    assert_eq!(
        sentence(app(on("base"), now), on("app"), running(now), now).unwrap(),
        "waiting for base, which waits for app, which waits, too; 3 s so far"
    );
}

#[test]
fn an_illness_names_the_dependency_that_is_down() {
    let now = Instant::now();
    let said = |base, root| sentence(unwell(now, 1), base, root, now).unwrap();
    assert!(said(failed(), running(now)).contains("; base, which it needs, failed: exited with code 7 after 3 s"));
    let ill = ServiceState::Running { instance: instance(), since: now, health: Health::Unhealthy };
    assert!(said(ill, ServiceState::Stopped).contains("; root, which base needs, is stopped"));
    assert!(said(running(now), ServiceState::Stopped).ends_with("connection refused"), "base is well without root");
}

#[test]
fn a_stopped_service_speaks_when_somebody_waits_for_it() {
    let now = Instant::now();
    let board = snapshot(vec![
        service_in(service("root", &["ghost"]), ServiceState::Stopped, now),
        service_in(service("base", &["root"]), ServiceState::Waiting { on: ids(&["root"]) }, now),
    ]);
    assert_eq!(
        explain(&board.services[0], &board, now).unwrap(),
        "stopped; base waits for it; ghost, which it needs, is not registered"
    );
}

#[test]
fn text_from_outside_stays_on_one_line_and_reaches_no_terminal() {
    let now = Instant::now();
    let state = ServiceState::Unknown { reason: "bad\u{1b}[2J\r\n\u{9b}text\n".to_owned() };
    check(app(state, now), Some("state unknown: bad [2J text"));
}

#[test]
fn what_is_unhealthy_says_who_restarts_it_or_why_nobody_does() {
    let now = Instant::now();
    let gave_up = FailureReason::GaveUp { ending: Ending::Unhealthy, restarts: 3 };
    let failed_so = app(ServiceState::Failed { reason: gave_up }, now);
    let sentence_of = |app, base| sentence(app, base, running(now), now).unwrap();
    let given_up = sentence_of(failed_so, running(now));
    assert_eq!(given_up, "failed 3 s ago: was unhealthy; restarted 3 times, then given up; a start begins anew");
    let pause = ServiceState::Backoff { attempt: 1, until: now, last: Ending::Unhealthy };
    assert_eq!(sentence_of(app(pause, now), running(now)), "stopped 3 s ago (was unhealthy); restart 1 of 5 now");
    let held_back = sentence_of(unwell(now, 1), failed());
    assert!(
        held_back.ends_with(
            "base, which it needs, failed: exited with code 7 after 3 s; it is not restarted while that is so"
        ),
        "{held_back}"
    );
    let mut elsewhere = unwell(now, 1);
    let mut spec = elsewhere.spec.as_ref().clone();
    let endpoint = "http://localhost:9080".to_owned();
    spec.deployment =
        Deployment::Remote(RemoteSpec { endpoint, tls_enabled: false, auth_token_path: None, ca_path: None });
    elsewhere.spec = Arc::new(spec);
    let said = sentence_of(elsewhere, running(now));
    assert!(said.ends_with("; nothing here can restart a remote endpoint"), "{said}");
}
