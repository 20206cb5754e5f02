//! Scenarios with fakes and a paused clock: the clock only moves when nothing else can happen, so every wait is for a fact.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::handle::{Attempts, Checked, Handle};
use super::operation::{Failure, Plan, Progress, Refusal, Request, Summary, Targets, Verb};
use super::supervisor::{Options, spawn};
use crate::lifecycle::machine::{Probing, Tending};
use crate::model::{
    Actor, Ending, FailureReason, Guardian, Health, Instance, Intent, Presence, ProbeOutcome, Role, ServiceSpec,
    ServiceState, Snapshot, StateKind, StopHow,
};
use crate::preflight::{CheckKind, Conflict, ConflictKind, PortHolder};
use crate::testkit::builders::{checked_service, id, ids, registry, service};
use crate::testkit::world::{Script, World, died};

const MS: Duration = Duration::from_millis(1);

pub(super) fn engine(world: &Arc<World>, services: impl IntoIterator<Item = ServiceSpec>) -> Handle {
    let options = Options { probing: Probing::Continuous, tending: Tending::Yes, role: Role::Follower };
    spawn(registry(services), world.ports(), options)
}

pub(super) fn request(verb: Verb, names: &str) -> Request {
    let targets = if names.is_empty() { Targets::All } else { Targets::Named(ids(names)) };
    Request { verb, targets, actor: Actor::Command }
}

/// Begins, and follows it to its end.
pub(super) async fn operate(handle: &Handle, verb: Verb, names: &str) -> (Vec<Progress>, Summary) {
    let mut operation = handle.begin(request(verb, names)).await.unwrap().unwrap();
    let mut all = Vec::new();
    loop {
        match operation.progress.recv().await.unwrap() {
            Progress::Finished(summary) => return (all, summary),
            progress => all.push(progress),
        }
    }
}

pub(super) async fn wait_for(handle: &Handle, fact: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let mut snapshots = handle.snapshots();
    let found = tokio::time::timeout(Duration::from_secs(3600), snapshots.wait_for(|snapshot| fact(snapshot))).await;
    match found {
        Ok(snapshot) => snapshot.unwrap().clone(),
        Err(_) => panic!("never so; the last snapshot: {:#?}", handle.snapshot()),
    }
}

pub(super) async fn wait_for_kind(handle: &Handle, name: &str, kind: StateKind) -> Arc<Snapshot> {
    wait_for(handle, |snapshot| snapshot.service(name).is_some_and(|service| service.kind() == kind)).await
}

pub(super) async fn wait_until_alive(handle: &Handle, name: &str) -> Arc<Snapshot> {
    wait_for(handle, |snapshot| snapshot.service(name).is_some_and(|service| service.state.is_alive())).await
}

pub(super) fn platform() -> Vec<ServiceSpec> {
    vec![
        checked_service("orchestrator", ""),
        checked_service("control-center", "orchestrator"),
        checked_service("mcp-server", "orchestrator"),
        checked_service("api-gateway", "orchestrator control-center mcp-server"),
    ]
}

#[tokio::test(start_paused = true)]
async fn who_answers_on_the_port_of_a_healthy_service_in_its_place_is_named_and_nothing_is_done_about_it() {
    let world = World::new();
    // Asked at the host of its name.
    let spec = checked_service("localhost", "");
    world.hold_port(1, PortHolder { pid: Some(7), program: Some("python3".to_owned()) });
    let handle = engine(&world, [spec]);
    world.appears("localhost").await;
    let is_told = |snapshot: &Snapshot| {
        let note = "port 1 is held by PID 7 (python3), not by this service";
        snapshot.service("localhost").is_some_and(|service| service.notes.iter().any(|it| it == note))
    };
    wait_for(&handle, is_told).await;
    assert_eq!(handle.snapshot().service("localhost").unwrap().state.health(), Health::Healthy);
    // What was seen is said of nobody else.
    world.shows("localhost", Presence::Failed { reason: died(1) }).await;
    wait_for(&handle, |snapshot| !is_told(snapshot)).await;
    assert_eq!(world.deeds(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_graph_starts_in_order_and_costs_its_critical_path() {
    let world = World::new();
    let handle = engine(&world, platform());
    let began = Instant::now();
    let (_, summary) = operate(&handle, Verb::Start, "api-gateway").await;
    assert!(summary.is_success(), "{summary:?}");
    assert_eq!(summary.started, ids("orchestrator control-center mcp-server api-gateway"));
    assert_eq!(world.deeds(), ["start orchestrator", "start control-center", "start mcp-server", "start api-gateway"]);
    let critical_path = 3 * (2 + 20) * MS;
    assert!(began.elapsed() < critical_path * 135 / 100, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_start_tells_what_happens_in_the_order_of_the_guide() {
    let world = World::new();
    let handle = engine(&world, platform());
    let (progress, _) = operate(&handle, Verb::Start, "control-center").await;
    let told: Vec<String> = progress.iter().map(|progress| format!("{progress:?}")).collect();
    let starts = |prefix: &str| {
        told.iter().position(|line| line.starts_with(prefix)).unwrap_or_else(|| panic!("{prefix}: {told:#?}"))
    };
    let order = [
        starts("Checking(control-center)"),
        starts("Checked { service: control-center"),
        starts("Starting { service: orchestrator, role: Dependency"),
        starts("Started { service: orchestrator"),
        starts("WaitingForHealth(orchestrator)"),
        starts("Ready { service: orchestrator"),
        starts("Starting { service: control-center, role: Target"),
        starts("Started { service: control-center"),
        starts("Ready { service: control-center"),
    ];
    assert!(order.is_sorted(), "{told:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_runs_and_is_well_is_left_alone() {
    let world = World::new();
    world.appears("orchestrator").await;
    let handle = engine(&world, platform());
    let (progress, summary) = operate(&handle, Verb::Start, "orchestrator").await;
    assert_eq!(summary.already_running, ids("orchestrator"));
    assert!(matches!(&progress[..], [Progress::AlreadyRunning { .. }, ..]), "{progress:?}");
    assert_eq!(world.n_launches("orchestrator"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_skips_what_needs_it_and_starts_the_rest() {
    let world = World::new();
    world.script("control-center", Script { launch_fails: Some("exec format error"), ..Script::default() });
    let handle = engine(&world, platform());
    let (progress, summary) = operate(&handle, Verb::Start, "api-gateway mcp-server").await;
    assert_eq!(summary.started, ids("orchestrator mcp-server"));
    assert_eq!(summary.failed, ids("control-center"));
    assert_eq!(summary.skipped, ids("api-gateway"));
    assert!(progress.contains(&Progress::Skipped { service: id("api-gateway"), because: id("control-center") }));
    let snapshot = handle.snapshot();
    assert_eq!(snapshot.service("api-gateway").unwrap().state, ServiceState::Stopped);
    assert!(matches!(snapshot.service("control-center").unwrap().state, ServiceState::Failed { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_failure_reaches_everything_above_it_and_nobody_waits_for_ever() {
    let world = World::new();
    world.script("a", Script { launch_fails: Some("exec format error"), ..Script::default() });
    let chain = ["a", "b", "c", "d"].windows(2).map(|pair| checked_service(pair[1], pair[0]));
    let handle = engine(&world, std::iter::once(checked_service("a", "")).chain(chain));
    let (_, summary) = operate(&handle, Verb::Start, "d").await;
    assert_eq!((summary.failed, summary.skipped), (ids("a"), ids("b c d")));
    for name in ["b", "c", "d"] {
        wait_for_kind(&handle, name, StateKind::Stopped).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_ready_in_time_keeps_running_and_says_why() {
    let world = World::new();
    world.script("orchestrator", Script { ready_after: None, ..Script::default() });
    let handle = engine(&world, platform());
    let (progress, summary) = operate(&handle, Verb::Start, "orchestrator").await;
    assert_eq!(summary.failed, ids("orchestrator"));
    let failure = progress.iter().find_map(|progress| match progress {
        Progress::Failed { failure, .. } => Some(failure.clone()),
        _ => None,
    });
    let Some(Failure::NotReadyInTime { within, message, last_lines }) = failure else {
        panic!("{progress:?}");
    };
    assert_eq!(within, Duration::from_secs(30));
    assert_eq!(message, "TCP connection to orchestrator:1 failed: connection refused");
    assert_eq!(last_lines, ["last words of orchestrator"]);
    assert_eq!(handle.snapshot().service("orchestrator").unwrap().health(), Health::Unhealthy);
    // It was patient, but not wasteful.
    assert!(world.n_probes("orchestrator") < 250, "{}", world.n_probes("orchestrator"));
}

#[tokio::test(start_paused = true)]
async fn a_death_during_the_wait_is_reported_at_once() {
    let world = World::new();
    world.script("orchestrator", Script { ready_after: None, ..Script::default() });
    let handle = engine(&world, platform());
    let mut operation = handle.begin(request(Verb::Start, "orchestrator")).await.unwrap().unwrap();
    wait_until_alive(&handle, "orchestrator").await;
    let died_at = Instant::now();
    world.shows("orchestrator", Presence::Failed { reason: died(7) }).await;
    let failure = loop {
        if let Progress::Failed { failure, .. } = operation.progress.recv().await.unwrap() {
            break failure;
        }
    };
    assert!(
        matches!(failure, Failure::DiedDuringStart { ending: Ending::Exited(7), restart: None, .. }),
        "{failure:?}"
    );
    assert!(died_at.elapsed() < 300 * MS, "{:?}", died_at.elapsed());
}

#[tokio::test(start_paused = true)]
async fn stop_during_start_leaves_nothing_running() {
    for moment in [0, 1, 2, 3, 15] {
        let world = World::new();
        let handle = engine(&world, platform());
        let mut start = handle.begin(request(Verb::Start, "orchestrator")).await.unwrap().unwrap();
        tokio::time::advance(moment * MS).await;
        let (_, summary) = operate(&handle, Verb::Stop, "orchestrator").await;
        assert!(summary.is_success(), "{moment} ms: {summary:?}");
        wait_for_kind(&handle, "orchestrator", StateKind::Stopped).await;
        loop {
            if let Progress::Finished(summary) = start.progress.recv().await.unwrap() {
                assert_eq!(summary.failed, ids("orchestrator"), "{moment} ms");
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_refuses_while_dependents_run_and_force_does_not() {
    let world = World::new();
    let handle = engine(&world, platform());
    operate(&handle, Verb::Start, "control-center").await;
    let refused = handle.begin(request(Verb::Stop, "orchestrator")).await.unwrap();
    assert_eq!(
        refused.err(),
        Some(Refusal::DependentsRunning { service: id("orchestrator"), dependents: ids("control-center") })
    );
    let (_, summary) = operate(&handle, Verb::StopForced { how: StopHow::AskThenKill }, "orchestrator").await;
    assert_eq!(summary.stopped, ids("orchestrator"));
    assert_eq!(handle.snapshot().service("control-center").unwrap().kind(), StateKind::Running);
}

#[tokio::test(start_paused = true)]
async fn stopping_all_goes_in_reverse_and_keeps_what_a_survivor_needs() {
    let world = World::new();
    let handle = engine(&world, platform());
    operate(&handle, Verb::Start, "api-gateway").await;
    world.script("mcp-server", Script { stop_takes: None, ..Script::default() });
    let (_, summary) = operate(&handle, Verb::Stop, "").await;
    assert_eq!(summary.failed, ids("mcp-server"));
    assert_eq!(summary.skipped, ids("orchestrator"), "what still serves somebody is not pulled away: {summary:?}");
    assert_eq!(handle.snapshot().service("mcp-server").unwrap().kind(), StateKind::Running);
    let (_, summary) = operate(&handle, Verb::StopForced { how: StopHow::Kill }, "").await;
    assert!(summary.is_success(), "{summary:?}");
    let stops: Vec<String> = world.deeds().into_iter().filter(|deed| deed.starts_with("stop")).collect();
    assert_eq!(stops, ["stop api-gateway", "stop control-center", "stop mcp-server", "stop orchestrator"]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_stops_in_reverse_then_starts_in_order_with_new_instances() {
    let world = World::new();
    let handle = engine(&world, platform());
    operate(&handle, Verb::Start, "control-center").await;
    let before = handle.snapshot();
    let (_, summary) = operate(&handle, Verb::Restart, "").await;
    assert_eq!(summary.started, ids("orchestrator control-center"));
    assert_eq!(
        world.deeds()[2..],
        ["stop control-center", "stop orchestrator", "start orchestrator", "start control-center"]
    );
    let after = handle.snapshot();
    for name in ["orchestrator", "control-center"] {
        let instance =
            |snapshot: &Snapshot| snapshot.service(name).and_then(|s| s.state.instance()).and_then(Instance::pid);
        assert!(instance(&after).is_some() && instance(&before) != instance(&after));
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_names_the_dependents_it_leaves_running() {
    let world = World::new();
    let handle = engine(&world, platform());
    operate(&handle, Verb::Start, "control-center").await;
    let (progress, _) = operate(&handle, Verb::Restart, "orchestrator").await;
    let left = Progress::DependentsLeftRunning { service: id("orchestrator"), dependents: ids("control-center") };
    assert_eq!(progress.first(), Some(&left));
    assert_eq!(world.n_launches("control-center"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_preflight_starts_nothing_and_reaches_the_dependents() {
    let world = World::new();
    world.script("orchestrator", Script { is_installed: false, ..Script::default() });
    let handle = engine(&world, platform());
    let (progress, summary) = operate(&handle, Verb::Start, "control-center").await;
    assert_eq!(summary.started, []);
    assert!(world.deeds().is_empty(), "{:?}", world.deeds());
    let failure = progress.iter().find_map(|progress| match progress {
        Progress::Failed { service, failure: Failure::Preflight { check, findings } }
            if *service == id("control-center") =>
        {
            Some((*check, findings[0].message.clone()))
        }
        _ => None,
    });
    let (check, message) = failure.unwrap_or_else(|| panic!("{progress:#?}"));
    assert_eq!(check, CheckKind::Dependencies);
    assert!(message.contains("orchestrator") && message.contains("/opt/orchestrator"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn conflicts_count_registered_in_both_directions_and_unregistered() {
    let world = World::new();
    let mut dns = service("coredns", "");
    dns.conflicts = vec!["dnsmasq".to_owned(), "resolver".to_owned()];
    let handle = engine(&world, [dns, service("resolver", "")]);
    operate(&handle, Verb::Start, "coredns").await;
    let (_, summary) = operate(&handle, Verb::Start, "resolver").await;
    assert_eq!(summary.failed, ids("resolver"), "coredns names it");
    operate(&handle, Verb::Stop, "coredns").await;
    world.add_stranger(Conflict { name: "dnsmasq".to_owned(), kind: ConflictKind::Process { pid: 9 } });
    let (_, summary) = operate(&handle, Verb::Start, "coredns").await;
    assert_eq!(summary.failed, ids("coredns"));
    let (_, summary) = operate(&handle, Verb::StartUnchecked, "coredns").await;
    assert_eq!(summary.started, ids("coredns"), "force skips the checks");
}

#[tokio::test(start_paused = true)]
async fn a_port_held_by_a_stranger_refuses_the_start() {
    let world = World::new();
    let mut web = service("web", "");
    web.health_check.check = crate::model::Check::Tcp { host: "localhost".to_owned(), port: 9090 };
    world.hold_port(9090, PortHolder { pid: Some(4711), program: Some("nginx".to_owned()) });
    let handle = engine(&world, [web]);
    let findings = handle.preflight(id("web")).await.unwrap();
    let messages: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
    assert!(messages.contains(&"Port 9090 is already in use by nginx (PID 4711)"), "{messages:?}");
    let (_, summary) = operate(&handle, Verb::Start, "web").await;
    assert_eq!(summary.failed, ids("web"));
    // R187: what a service holds itself is in nobody's way.
    operate(&handle, Verb::StartUnchecked, "web").await;
    let pid = handle.snapshot().service("web").unwrap().state.instance().unwrap().pid();
    world.hold_port(9090, PortHolder { pid, program: Some("web".to_owned()) });
    let findings = handle.preflight(id("web")).await.unwrap();
    assert!(findings.iter().all(|finding| !finding.message.contains("9090")), "{findings:?}");
}

#[tokio::test(start_paused = true)]
async fn what_another_copy_of_the_tool_does_is_shown() {
    let world = World::new();
    let handle = engine(&world, platform());
    handle.settled().await.unwrap();
    world.appears("orchestrator").await;
    let snapshot = wait_for_kind(&handle, "orchestrator", StateKind::Running).await;
    assert_eq!(snapshot.n_running(), 1);
    let until = Instant::now().into_std() + 2000 * MS;
    world.shows("orchestrator", Presence::RestartPending { attempt: 2, until, last: Ending::Exited(7) }).await;
    wait_for_kind(&handle, "orchestrator", StateKind::Backoff).await;
    let reason = FailureReason::GaveUp { ending: Ending::Exited(7), restarts: 3 };
    world.shows("orchestrator", Presence::Failed { reason }).await;
    wait_for_kind(&handle, "orchestrator", StateKind::Failed).await;
    world.hides("orchestrator", Some("engine unreachable")).await;
    wait_for_kind(&handle, "orchestrator", StateKind::Unknown).await;
    world.hides("orchestrator", None).await;
    wait_for_kind(&handle, "orchestrator", StateKind::Failed).await;
}

#[tokio::test(start_paused = true)]
async fn a_guardian_that_was_killed_is_replaced() {
    let world = World::new();
    let instance = world.appears("orchestrator").await;
    let since = Instant::now().into_std();
    world.shows("orchestrator", Presence::Present { instance, since, guardian: Guardian::Gone }).await;
    let handle = engine(&world, platform());
    wait_for_kind(&handle, "orchestrator", StateKind::Running).await;
    handle.settled().await.unwrap();
    while !world.deeds().contains(&"tend orchestrator".to_owned()) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_for_a_start_of_what_lost_its_guardian_is_answered_when_it_has_one_again() {
    let world = World::new();
    let instance = world.appears("orchestrator").await;
    let since = Instant::now().into_std();
    world.shows("orchestrator", Presence::Present { instance, since, guardian: Guardian::Gone }).await;
    // One that looks after nothing by itself.
    let options = Options { probing: Probing::WhileStarting, tending: Tending::No, role: Role::Follower };
    let handle = spawn(registry(vec![service("orchestrator", "")]), world.ports(), options);
    let (_, summary) = operate(&handle, Verb::Start, "orchestrator").await;
    assert_eq!(summary.already_running, ids("orchestrator"));
    assert_eq!(world.deeds(), ["tend orchestrator"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_waits_ends_when_another_copy_of_the_tool_stops_the_service() {
    let world = World::new();
    world.script("orchestrator", Script { ready_after: None, ..Script::default() });
    let handle = engine(&world, platform());
    let mut operation = handle.begin(request(Verb::Start, "control-center")).await.unwrap().unwrap();
    wait_for_kind(&handle, "control-center", StateKind::Waiting).await;
    let began = Instant::now();
    world.is_stopped_elsewhere("control-center").await;
    let snapshot = wait_for_kind(&handle, "control-center", StateKind::Stopped).await;
    assert_eq!(snapshot.service("control-center").unwrap().intent, Some(Intent::Down));
    assert_eq!(began.elapsed(), Duration::ZERO, "it does not wait for what it needs any more");
    let failure = loop {
        match operation.progress.recv().await.unwrap() {
            Progress::Failed { service, failure } if service.as_str() == "control-center" => break failure,
            _ => {}
        }
    };
    assert_eq!(failure, Failure::Superseded);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_another_copy_of_the_tool_was_asked_for_keeps_an_earlier_start_from_launching() {
    let world = World::new();
    world.script("orchestrator", Script { launch_takes: 50 * MS, ..Script::default() });
    let handle = engine(&world, platform());
    let mut operation = handle.begin(request(Verb::Start, "orchestrator")).await.unwrap().unwrap();
    wait_for_kind(&handle, "orchestrator", StateKind::Starting).await;
    world.is_stopped_elsewhere("orchestrator").await;
    let summary = loop {
        if let Progress::Finished(summary) = operation.progress.recv().await.unwrap() {
            break summary;
        }
    };
    assert_eq!((summary.failed, world.deeds()), (ids("orchestrator"), Vec::new()));
    let (_, summary) = operate(&handle, Verb::Start, "orchestrator").await;
    assert_eq!(summary.started, ids("orchestrator"), "a start that comes later is no earlier one");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_comes_while_an_earlier_one_gives_way_to_a_stop_comes_true() {
    let world = World::new();
    world.script("orchestrator", Script { launch_takes: 50 * MS, ..Script::default() });
    let handle = engine(&world, platform());
    let _overtaken = handle.begin(request(Verb::Start, "orchestrator")).await.unwrap().unwrap();
    wait_for_kind(&handle, "orchestrator", StateKind::Starting).await;
    world.is_stopped_elsewhere("orchestrator").await;
    tokio::time::sleep(60 * MS).await;
    assert_eq!(world.n_launches("orchestrator"), 0, "it is giving up");
    let (_, summary) = operate(&handle, Verb::Start, "orchestrator").await;
    assert_eq!((summary.started, world.n_launches("orchestrator")), (ids("orchestrator"), 1));
}

#[tokio::test(start_paused = true)]
async fn health_turns_after_retries_failures_and_comes_back_with_one_success() {
    let world = World::new();
    world.appears("orchestrator").await;
    let handle = engine(&world, platform());
    let health = |health: Health| {
        move |snapshot: &Snapshot| snapshot.service("orchestrator").is_some_and(|s| s.health() == health)
    };
    wait_for(&handle, health(Health::Healthy)).await;
    let sick_since = Instant::now();
    world.set_sick("orchestrator", true);
    wait_for(&handle, health(Health::Unhealthy)).await;
    let took = sick_since.elapsed();
    assert!((Duration::from_secs(20)..=Duration::from_secs(31)).contains(&took), "three intervals: {took:?}");
    world.set_sick("orchestrator", false);
    wait_for(&handle, health(Health::Healthy)).await;
    let timeline = world.timeline().join("\n");
    assert!(timeline.contains("orchestrator: unhealthy: TCP connection"), "{timeline}");
    assert!(timeline.contains("orchestrator: healthy again"), "{timeline}");
}

#[tokio::test(start_paused = true)]
async fn a_one_shot_check_retries_a_second_apart_and_asks_only_what_runs() {
    let world = World::new();
    world.appears("orchestrator").await;
    world.set_sick("orchestrator", true);
    let options = Options { probing: Probing::WhileStarting, tending: Tending::No, role: Role::Follower };
    let handle = spawn(registry(platform()), world.ports(), options);
    handle.settled().await.unwrap();
    assert_eq!(world.n_probes("orchestrator"), 0, "reading commands do not probe by themselves");
    let began = Instant::now();
    let answers = handle.check(ids("orchestrator api-gateway"), Attempts::WithRetries).await.unwrap();
    assert!(
        matches!(&answers[0].1, Checked::Probed(ProbeOutcome::Answered(report)) if report.message.contains("refused"))
    );
    assert_eq!(answers[1].1, Checked::NotRunning);
    assert_eq!(world.n_probes("orchestrator"), 4);
    assert!(began.elapsed() >= Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn cancelling_gives_up_the_wait_and_keeps_what_was_started() {
    let world = World::new();
    world.script("orchestrator", Script { ready_after: None, ..Script::default() });
    let handle = engine(&world, platform());
    let mut operation = handle.begin(request(Verb::Start, "control-center")).await.unwrap().unwrap();
    wait_until_alive(&handle, "orchestrator").await;
    wait_for_kind(&handle, "control-center", StateKind::Waiting).await;
    operation.cancel.cancel();
    let summary = loop {
        if let Progress::Finished(summary) = operation.progress.recv().await.unwrap() {
            break summary;
        }
    };
    assert_eq!(summary.failed, ids("orchestrator control-center"));
    wait_for_kind(&handle, "control-center", StateKind::Stopped).await;
    assert!(handle.snapshot().service("orchestrator").unwrap().state.is_alive());
}

#[tokio::test(start_paused = true)]
async fn a_plan_changes_nothing() {
    let world = World::new();
    let handle = engine(&world, platform());
    let Plan { steps, .. } = handle.plan(request(Verb::Start, "api-gateway")).await.unwrap().unwrap();
    let waves: Vec<(String, usize)> = steps.iter().map(|step| (step.service.to_string(), step.wave)).collect();
    let expected = [("orchestrator", 0), ("control-center", 1), ("mcp-server", 1), ("api-gateway", 2)];
    assert_eq!(waves, expected.map(|(name, wave)| (name.to_owned(), wave)));
    assert!(world.deeds().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_engine_says_why_something_is_not_green() {
    let world = World::new();
    world.script("orchestrator", Script { ready_after: None, ..Script::default() });
    let handle = engine(&world, platform());
    handle.settled().await.unwrap();
    assert_eq!(handle.explain(&id("orchestrator")), None, "what nobody wants may be stopped");
    let operation = handle.begin(request(Verb::Start, "control-center")).await.unwrap().unwrap();
    wait_until_alive(&handle, "orchestrator").await;
    let why = handle.explain(&id("control-center")).unwrap();
    assert!(why.contains("orchestrator"), "the root of it is named: {why}");
    drop(operation);
}

#[tokio::test(start_paused = true)]
async fn a_death_seen_before_the_launch_was_heard_of_is_not_missed() {
    let world = World::new();
    world.script("orchestrator", Script { ready_after: None, launch_takes: 50 * MS, ..Script::default() });
    let handle = engine(&world, platform());
    let mut operation = handle.begin(request(Verb::Start, "orchestrator")).await.unwrap().unwrap();
    wait_for_kind(&handle, "orchestrator", StateKind::Starting).await;
    // The hint comes while the launch is under way, and no other one comes after it.
    world.dies_after_launch("orchestrator", died(7));
    let began = Instant::now();
    loop {
        if let Progress::Failed { failure, .. } = operation.progress.recv().await.unwrap() {
            assert!(matches!(failure, Failure::DiedDuringStart { ending: Ending::Exited(7), .. }), "{failure:?}");
            break;
        }
    }
    assert!(began.elapsed() < 100 * MS, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_port_held_by_a_service_names_that_service_and_a_conflict_says_it_alone() {
    let world = World::new();
    let on_53 = |name: &str, conflicts: &[&str]| {
        let mut spec = service(name, "");
        spec.health_check.check = crate::model::Check::Tcp { host: "localhost".to_owned(), port: 53 };
        spec.conflicts = conflicts.iter().map(|&name| name.to_owned()).collect();
        spec
    };
    let handle = engine(&world, [service("cache", ""), on_53("zone", &["cache"]), on_53("other", &[])]);
    let (_, summary) = operate(&handle, Verb::Start, "cache").await;
    assert_eq!(summary.started, ids("cache"));
    let pid = handle.snapshot().service("cache").unwrap().state.instance().unwrap().pid();
    world.hold_port(53, PortHolder { pid, program: Some("dnsmasq".to_owned()) });
    let failures = async |name: &str| -> Vec<String> {
        let findings = handle.preflight(id(name)).await.unwrap();
        let failed = findings.into_iter().filter(|finding| finding.verdict == crate::preflight::Verdict::Failed);
        failed.map(|finding| finding.message).collect()
    };
    assert_eq!(failures("zone").await, ["Conflicting services running: cache"]);
    assert_eq!(failures("other").await, ["Port 53 is already in use by the service cache"]);
}
