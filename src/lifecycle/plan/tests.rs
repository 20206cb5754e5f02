use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::graph::fixture::{arbitrary_services, id, ids, service};
use crate::lifecycle::fixture::{backoff, failed, running, service_in, snapshot, starting, stopping};
use crate::model::{
    Code, Deployment, Diagnostic, FailureReason, Health, Instance, RemoteSpec, ServiceSpec, ServiceState, Severity,
};

/// The platform of the guide; the services in `up` run.
fn guide(up: &[&str]) -> Snapshot {
    let now = Instant::now();
    let specs = [
        service("orchestrator", &[]).order(10).auto(),
        service("control-center", &["orchestrator"]).order(20),
        service("coredns", &[]).order(15),
        service("mcp-server", &["orchestrator"]).order(40),
        service("api-gateway", &["orchestrator", "control-center", "mcp-server"]).order(45),
    ];
    let in_state = |spec: ServiceSpec| {
        let state = if up.contains(&spec.id.as_str()) { running(now) } else { ServiceState::Stopped };
        service_in(spec, state, now)
    };
    snapshot(specs.into_iter().map(in_state).collect())
}

/// A platform of these services with their states.
fn platform(services: &[(ServiceSpec, ServiceState)]) -> Snapshot {
    let now = Instant::now();
    snapshot(services.iter().map(|(spec, state)| service_in(spec.clone(), state.clone(), now)).collect())
}

fn ask(snapshot: &Snapshot, verb: Verb, targets: Targets) -> Result<Plan, Refusal> {
    let graph = Graph::new(&snapshot.registry);
    plan(&graph, snapshot, Request { verb, targets, actor: Actor::Command })
}

fn named(names: &[&str]) -> Targets {
    Targets::Named(ids(names))
}

/// `action service (role) <- after`, a line for each step.
fn lines(plan: &Plan) -> Vec<String> {
    plan.steps
        .iter()
        .map(|step| {
            let role = if step.role == Role::Target { "" } else { " (needed)" };
            format!("{} {:?} {}{role} <- {:?}", step.wave, step.action, step.service, step.after)
        })
        .collect()
}

#[track_caller]
fn check(snapshot: &Snapshot, verb: Verb, targets: Targets, expected: &[&str]) {
    assert_eq!(lines(&ask(snapshot, verb, targets).unwrap()), expected);
}

#[track_caller]
fn check_refused(snapshot: &Snapshot, verb: Verb, targets: Targets, expected: &str) {
    assert_eq!(ask(snapshot, verb, targets).unwrap_err().to_string(), expected);
}

const FORCED: Verb = Verb::StopForced { how: StopHow::AskThenKill };

#[test]
fn a_start_brings_everything_that_is_needed_each_once_and_first() {
    check(
        &guide(&[]),
        Verb::Start,
        named(&["api-gateway", "api-gateway"]),
        &[
            "0 Start orchestrator (needed) <- []",
            "1 Start control-center (needed) <- [orchestrator]",
            "1 Start mcp-server (needed) <- [orchestrator]",
            "2 Start api-gateway <- [orchestrator, control-center, mcp-server]",
        ],
    );
}

#[test]
fn starting_everything_means_auto_start_and_what_that_needs() {
    check(&guide(&[]), Verb::Start, Targets::All, &["0 Start orchestrator <- []"]);
    let now = Instant::now();
    let needs = platform(&[
        (service("base", &[]), ServiceState::Stopped),
        (service("wanted", &["base"]).auto(), running(now)),
        (service("other", &[]), ServiceState::Stopped),
    ]);
    check(&needs, Verb::Start, Targets::All, &["0 Start base (needed) <- []", "0 Start wanted <- []"]);
}

#[test]
fn a_named_service_that_runs_is_left_alone_and_starts_nothing() {
    check(&guide(&["control-center"]), Verb::Start, named(&["control-center"]), &["0 Start control-center <- []"]);
}

#[test]
fn what_runs_holds_nobody_back_but_what_is_down_below_it_does() {
    check(
        &guide(&["control-center", "mcp-server"]),
        Verb::Start,
        named(&["api-gateway"]),
        &[
            "0 Start orchestrator (needed) <- []",
            "0 Start control-center (needed) <- []",
            "0 Start mcp-server (needed) <- []",
            "1 Start api-gateway <- [orchestrator, control-center, mcp-server]",
        ],
    );
}

#[test]
fn what_waits_for_its_restart_or_is_stopping_is_started_like_what_is_down() {
    let now = Instant::now();
    let board = platform(&[(service("a", &[]), backoff(now)), (service("b", &["a"]), stopping(now))]);
    check(&board, Verb::Start, named(&["b"]), &["0 Start a (needed) <- []", "1 Start b <- [a]"]);
}

#[test]
fn a_forced_platform_start_restarts_the_targets_that_run_and_nothing_else() {
    let board = guide(&["orchestrator", "control-center", "api-gateway"]);
    let made = ask(&board, Verb::StartOrRestart, named(&["control-center", "mcp-server"])).unwrap();
    assert_eq!(
        lines(&made),
        [
            "0 Start orchestrator (needed) <- []",
            "1 Restart control-center <- [orchestrator]",
            "1 Start mcp-server <- [orchestrator]",
        ]
    );
    assert_eq!(made.left_running, [(id("control-center"), ids(&["api-gateway"]))]);
}

#[test]
fn a_start_without_checks_is_for_the_targets_alone() {
    let tangled = platform(&[
        (service("a", &["b", "ghost"]), ServiceState::Stopped),
        (service("b", &["a"]), ServiceState::Stopped),
    ]);
    check(&tangled, Verb::StartUnchecked, named(&["a"]), &["0 Start a <- []"]);
    check(
        &guide(&[]),
        Verb::StartUnchecked,
        named(&["api-gateway", "orchestrator"]),
        &["0 Start orchestrator <- []", "1 Start api-gateway <- [orchestrator]"],
    );
}

#[test]
fn a_stop_is_refused_while_dependents_run_at_any_depth() {
    check_refused(
        &guide(&["orchestrator", "control-center", "mcp-server", "api-gateway"]),
        Verb::Stop,
        named(&["orchestrator"]),
        "cannot stop orchestrator: dependent services running: control-center, mcp-server, api-gateway",
    );
    check_refused(
        &guide(&["orchestrator", "api-gateway"]),
        Verb::Stop,
        named(&["coredns", "control-center", "orchestrator"]),
        "cannot stop orchestrator: dependent services running: api-gateway",
    );
}

#[test]
fn stopped_dependents_and_stopped_targets_refuse_nothing() {
    check(&guide(&["orchestrator"]), Verb::Stop, named(&["orchestrator"]), &["0 Stop orchestrator <- []"]);
    check(&guide(&["api-gateway"]), Verb::Stop, named(&["orchestrator"]), &["0 Stop orchestrator <- []"]);
}

#[test]
fn dependents_that_are_named_too_are_stopped_first_also_through_one_that_is_not() {
    check(
        &guide(&["orchestrator", "api-gateway"]),
        Verb::Stop,
        named(&["orchestrator", "api-gateway"]),
        &["0 Stop api-gateway <- []", "1 Stop orchestrator <- [api-gateway]"],
    );
    let now = Instant::now();
    let chain = platform(&[
        (service("low", &[]), running(now)),
        (service("middle", &["low"]), failed()),
        (service("high", &["middle"]), running(now)),
    ]);
    check(&chain, Verb::Stop, Targets::All, &["0 Stop high <- []", "1 Stop low <- [high]"]);
}

#[test]
fn a_forced_stop_asks_for_no_dependents() {
    check(
        &guide(&["orchestrator", "control-center"]),
        FORCED,
        named(&["orchestrator"]),
        &["0 Stop orchestrator <- []"],
    );
}

#[test]
fn stopping_everything_reaches_what_is_about_to_run() {
    let now = Instant::now();
    let board = platform(&[
        (service("runs", &[]), running(now)),
        (service("dies", &["runs"]), backoff(now)),
        (service("waits", &["dies"]), ServiceState::Waiting { on: ids(&["dies"]) }),
        (service("comes", &[]), ServiceState::Launching { deadline: now }),
        (service("begins", &[]), starting(now)),
        (service("down", &[]), ServiceState::Stopped),
        (service("broken", &[]), failed()),
        (service("hidden", &[]), ServiceState::Unknown { reason: "no answer".to_owned() }),
    ]);
    let made = ask(&board, Verb::Stop, Targets::All).unwrap();
    let stopped: Vec<&str> = made.steps.iter().map(|step| step.service.as_str()).collect();
    assert_eq!(stopped, ["begins", "comes", "waits", "dies", "runs"]);
}

#[test]
fn with_nothing_running_there_is_nothing_to_stop_or_restart() {
    for verb in [Verb::Stop, FORCED, Verb::Restart, Verb::RestartWithDependents] {
        check(&guide(&[]), verb, Targets::All, &[]);
    }
}

#[test]
fn a_restart_leaves_running_dependents_running_and_names_them() {
    let made = ask(&guide(&["orchestrator", "control-center", "api-gateway"]), Verb::Restart, named(&["orchestrator"]))
        .unwrap();
    assert_eq!(lines(&made), ["0 Restart orchestrator <- []"]);
    assert_eq!(made.left_running, [(id("orchestrator"), ids(&["control-center", "api-gateway"]))]);
}

#[test]
fn a_restart_of_what_is_stopped_starts_it_with_what_is_down_below() {
    let made = ask(&guide(&["orchestrator"]), Verb::Restart, named(&["api-gateway"])).unwrap();
    assert_eq!(
        lines(&made),
        [
            "0 Start control-center (needed) <- []",
            "0 Start mcp-server (needed) <- []",
            "1 Restart api-gateway <- [control-center, mcp-server]",
        ]
    );
    assert!(made.left_running.is_empty());
}

#[test]
fn restarting_everything_means_exactly_what_runs() {
    check(
        &guide(&["api-gateway", "control-center"]),
        Verb::Restart,
        Targets::All,
        &["0 Restart control-center <- []", "1 Restart api-gateway <- [control-center]"],
    );
}

#[test]
fn a_restart_with_dependents_takes_the_running_ones_along() {
    let made = ask(
        &guide(&["orchestrator", "control-center", "coredns", "api-gateway"]),
        Verb::RestartWithDependents,
        named(&["control-center"]),
    )
    .unwrap();
    assert_eq!(
        lines(&made),
        [
            "0 Restart control-center <- []",
            "0 Start mcp-server (needed) <- []",
            "1 Restart api-gateway (needed) <- [control-center, mcp-server]",
        ]
    );
    assert!(made.left_running.is_empty());
}

#[test]
fn starting_in_or_above_a_circle_is_refused_with_the_circle() {
    let board = platform(&[
        (service("top", &["a"]), ServiceState::Stopped),
        (service("a", &["b"]), ServiceState::Stopped),
        (service("b", &["a"]), ServiceState::Stopped),
        (service("self", &["self"]), ServiceState::Stopped),
    ]);
    for verb in [Verb::Start, Verb::StartOrRestart, Verb::Restart, Verb::RestartWithDependents] {
        check_refused(&board, verb, named(&["top"]), "circular dependency: a -> b -> a");
        check_refused(&board, verb, named(&["self"]), "circular dependency: self -> self");
    }
    check(&board, Verb::Stop, named(&["self"]), &["0 Stop self <- []"]);
}

#[test]
fn a_missing_dependency_at_any_depth_refuses_the_start() {
    let board = platform(&[
        (service("top", &["middle"]), ServiceState::Stopped),
        (service("middle", &["ghost"]), ServiceState::Stopped),
    ]);
    check_refused(&board, Verb::Start, named(&["top"]), "middle depends on ghost, which is not registered");
}

#[test]
fn one_bad_service_does_not_keep_the_rest_from_acting() {
    let now = Instant::now();
    let board = platform(&[
        (service("bad", &["ghost"]).auto(), running(now)),
        (service("good", &[]).auto(), running(now)),
        (service("round", &["round"]).auto(), ServiceState::Stopped),
    ]);
    let started = ask(&board, Verb::Start, Targets::All).unwrap();
    assert_eq!(lines(&started), ["0 Start good <- []"]);
    assert_eq!(started.refused.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["bad", "round"]);
    let restarted = ask(&board, Verb::Restart, Targets::All).unwrap();
    assert_eq!(lines(&restarted), ["0 Restart good <- []"]);
    assert_eq!(restarted.refused.len(), 1, "what could not come back is not stopped");
    assert_eq!(ask(&board, Verb::Stop, Targets::All).unwrap().steps.len(), 2, "but it can be stopped");
}

#[test]
fn an_unknown_name_refuses_everything_and_suggests_what_looks_alike() {
    let board = guide(&["orchestrator", "control-center"]);
    for verb in [Verb::Start, Verb::StartUnchecked, Verb::Stop, FORCED, Verb::Restart] {
        let refusal = ask(&board, verb, named(&["orchestrator", "Orchestator"])).unwrap_err();
        let Refusal::UnknownService { name, near } = refusal else { panic!("{refusal}") };
        assert_eq!((name, near.first()), (id("Orchestator"), Some(&id("orchestrator"))));
    }
    let Err(Refusal::UnknownService { near, .. }) = ask(&board, Verb::Start, named(&["zzz"])) else { panic!() };
    assert!(near.is_empty());
}

#[test]
fn a_name_that_the_file_has_but_that_was_set_aside_says_why() {
    let mut board = guide(&[]);
    let mut registry = board.registry.as_ref().clone();
    registry.set_aside.push("gitea".to_owned());
    registry.diagnostics.push(Diagnostic {
        code: Code::MissingKey,
        severity: Severity::Error,
        service: Some("gitea".to_owned()),
        message: "`type` is missing".to_owned(),
        place: None,
        label: None,
        related: Vec::new(),
        hint: None,
    });
    board.registry = Arc::new(registry);
    check_refused(&board, Verb::Start, named(&["gitea"]), "gitea was set aside: error: `type` is missing");
}

fn arbitrary_board() -> impl Strategy<Value = Snapshot> {
    arbitrary_services().prop_flat_map(|specs| {
        let states = prop::collection::vec(0..6_u8, specs.len());
        states.prop_map(move |states| {
            let now = Instant::now();
            let services = specs.iter().cloned().zip(states).map(|(spec, state)| {
                let state = match state {
                    0 => ServiceState::Stopped,
                    1 => backoff(now),
                    2 => failed(),
                    3 => stopping(now),
                    _ => running(now),
                };
                service_in(spec, state, now)
            });
            snapshot(services.collect())
        })
    })
}

fn arbitrary_request() -> impl Strategy<Value = (Verb, Option<Vec<f64>>)> {
    let verb = prop_oneof![
        Just(Verb::Start),
        Just(Verb::StartOrRestart),
        Just(Verb::StartUnchecked),
        Just(Verb::Stop),
        Just(FORCED),
        Just(Verb::Restart),
        Just(Verb::RestartWithDependents),
    ];
    (verb, prop::option::of(prop::collection::vec(0.0..1.0_f64, 0..4)))
}

fn targets_of(board: &Snapshot, drawn: Option<Vec<f64>>) -> Targets {
    let pick = |share: f64| board.services.get((share * board.services.len() as f64) as usize);
    drawn.map_or(Targets::All, |shares| {
        Targets::Named(shares.into_iter().filter_map(pick).map(|service| service.id().clone()).collect())
    })
}

proptest! {
    #[test]
    fn every_plan_keeps_its_promises(board in arbitrary_board(), (verb, drawn) in arbitrary_request()) {
        let graph = Graph::new(&board.registry);
        let targets = targets_of(&board, drawn);
        let Ok(made) = ask(&board, verb, targets.clone()) else { return Ok(()) };
        let alive = |id: &ServiceId| board.service(id.as_str()).is_some_and(|service| service.state.is_alive());
        let place = |id: &ServiceId| made.steps.iter().position(|step| step.service == *id);
        let members: HashSet<&ServiceId> = made.steps.iter().map(|step| &step.service).collect();
        prop_assert_eq!(members.len(), made.steps.len(), "each service once");
        let stops = matches!(verb, Verb::Stop | Verb::StopForced { .. });
        for (at, step) in made.steps.iter().enumerate() {
            let wave = step.after.iter().map(|id| made.steps[place(id).unwrap()].wave + 1).max().unwrap_or(0);
            prop_assert_eq!(step.wave, wave);
            for earlier in &step.after {
                prop_assert!(place(earlier).unwrap() < at, "{} waits for a later {}", step.service, earlier);
            }
            let before = if stops { graph.all_dependents(&step.service) } else { graph.all_dependencies(&step.service) };
            for member in before.iter().filter(|id| members.contains(id) && graph.cycle_below(id).is_none()) {
                if graph.cycle_below(&step.service).is_none() {
                    prop_assert!(place(member).unwrap() < at, "{} comes before {}", step.service, member);
                }
            }
            match verb {
                Verb::Start | Verb::StartOrRestart => {
                    prop_assert!(graph.cycle_below(&step.service).is_none() || alive(&step.service));
                    let left_alone = step.role == Role::Target && alive(&step.service) && step.action == StepAction::Start;
                    if !left_alone {
                        prop_assert!(before.iter().all(|id| members.contains(id)), "all that {} needs", step.service);
                    }
                }
                Verb::Stop => prop_assert!(
                    !alive(&step.service) || before.iter().all(|id| !alive(id) || members.contains(id)),
                    "nothing goes on running above {}", step.service
                ),
                Verb::StartUnchecked | Verb::StopForced { .. } => prop_assert_eq!(step.role, Role::Target),
                Verb::Restart | Verb::RestartWithDependents => {
                    prop_assert!(graph.cycle_below(&step.service).is_none(), "what restarts can come back");
                    prop_assert!(targets != Targets::All || alive(&step.service));
                }
            }
        }
        for (service, dependents) in &made.left_running {
            prop_assert!(alive(service) && !dependents.is_empty());
            prop_assert!(dependents.iter().all(|id| alive(id) && graph.all_dependents(service).contains(id)));
        }
        if verb == Verb::RestartWithDependents {
            prop_assert!(made.left_running.iter().flat_map(|(_, ids)| ids).all(|id| made.refused.iter().any(|(bad, _)| bad == id)));
        }
        if let Targets::Named(names) = &targets {
            prop_assert!(names.iter().all(|name| members.contains(name)));
        }
    }

    #[test]
    fn stops_are_starts_in_reverse(specs in arbitrary_services()) {
        let now = Instant::now();
        let board = snapshot(specs.into_iter().map(|spec| service_in(spec, running(now), now)).collect());
        let all = Targets::Named(board.services.iter().map(|service| service.id().clone()).collect());
        let up: Vec<ServiceId> = ask(&board, Verb::StartUnchecked, all).unwrap().steps.into_iter().map(|step| step.service).collect();
        let mut down: Vec<ServiceId> = ask(&board, Verb::Stop, Targets::All).unwrap().steps.into_iter().map(|step| step.service).collect();
        down.reverse();
        prop_assert_eq!(up, down);
    }

    #[test]
    fn a_stop_is_refused_exactly_when_something_above_goes_on_running(board in arbitrary_board(), drawn in prop::collection::vec(0.0..1.0_f64, 1..4)) {
        let Targets::Named(names) = targets_of(&board, Some(drawn)) else { unreachable!() };
        let graph = Graph::new(&board.registry);
        let state = |id: &ServiceId| &board.service(id.as_str()).unwrap().state;
        let outside = |id: &ServiceId| -> Vec<ServiceId> {
            graph.all_dependents(id).into_iter().filter(|up| state(up).is_alive() && !names.contains(up)).collect()
        };
        let stoppable = |id: &ServiceId| state(id).is_alive() || matches!(state(id), ServiceState::Backoff { .. });
        let expected = names.iter().find(|id| stoppable(id) && !outside(id).is_empty());
        match ask(&board, Verb::Stop, Targets::Named(names.clone())) {
            Ok(_) => prop_assert_eq!(expected, None),
            Err(Refusal::DependentsRunning { service, dependents }) => {
                prop_assert_eq!(Some(&service), expected);
                prop_assert_eq!(dependents, outside(&service));
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}

#[test]
fn ten_thousand_services_are_planned_without_a_pause() {
    let now = Instant::now();
    let names: Vec<String> = (0..10_000).map(|n| format!("s{n}")).collect();
    let specs = (0..10_000_usize).map(|n| {
        let needs: Vec<&str> = (1..=3).filter_map(|k| (n / k).checked_sub(k)).map(|at| names[at].as_str()).collect();
        service(&names[n], &needs).auto()
    });
    let board = snapshot(specs.map(|spec| service_in(spec, running(now), now)).collect());
    let graph = Graph::new(&board.registry);
    for verb in [Verb::Start, Verb::Stop, Verb::Restart] {
        let request = Request { verb, targets: Targets::All, actor: Actor::Command };
        assert_eq!(plan(&graph, &board, request).unwrap().steps.len(), 10_000);
    }
    // A quarter of a second unoptimized on a quiet machine; anything that walks the graph once for each service takes minutes.
    assert!(now.elapsed().as_secs() < 10, "{:?}", now.elapsed());
}

/// A database here, something elsewhere that needs it, and an application that needs both.
fn with_elsewhere(state: ServiceState) -> Snapshot {
    let now = Instant::now();
    let mut elsewhere = service("auth", &["db"]);
    elsewhere.deployment = Deployment::Remote(RemoteSpec {
        endpoint: "https://me:pw@auth.example.com".to_owned(),
        tls_enabled: true,
        auth_token_path: None,
        ca_path: None,
    });
    platform(&[(service("db", &[]), running(now)), (elsewhere, state), (service("app", &["auth", "db"]), running(now))])
}

fn answering(now: Instant) -> ServiceState {
    let instance = Instance::Endpoint("https://auth.example.com".to_owned());
    ServiceState::Running { instance, since: now, health: Health::Unknown }
}

#[test]
fn what_runs_elsewhere_is_neither_stopped_nor_restarted() {
    let elsewhere = Refusal::RunsElsewhere { service: id("auth"), place: "https://***@auth.example.com".to_owned() };
    let unreachable = ServiceState::Failed { reason: FailureReason::Unreachable("refused".to_owned()) };
    for state in [answering(Instant::now()), unreachable, ServiceState::Stopped] {
        let snapshot = with_elsewhere(state);
        for verb in [Verb::Stop, Verb::StopForced { how: StopHow::Kill }, Verb::Restart, Verb::RestartWithDependents] {
            assert_eq!(ask(&snapshot, verb, named(&["app", "auth"])), Err(elsewhere.clone()), "{verb:?}");
        }
    }
}

#[test]
fn everything_means_everything_here() {
    let snapshot = with_elsewhere(answering(Instant::now()));
    for verb in [Verb::Stop, Verb::StopForced { how: StopHow::Kill }] {
        let plan = ask(&snapshot, verb, Targets::All).unwrap();
        assert_eq!(lines(&plan), ["0 Stop app <- []", "1 Stop db <- [app]"]);
        assert!(plan.is_whole() && plan.refused.len() == 1, "{plan:?}");
    }
    let plan = ask(&snapshot, Verb::Restart, Targets::All).unwrap();
    assert_eq!(lines(&plan), ["0 Restart db <- []", "1 Restart app <- [db]"]);
    assert!(plan.is_whole());
    let plan = ask(&snapshot, Verb::RestartWithDependents, named(&["db"])).unwrap();
    assert_eq!(lines(&plan), ["0 Restart db <- []", "1 Restart app (needed) <- [db]"]);
    // Whoever names what it needs is told that it runs.
    let refused = ask(&snapshot, Verb::Stop, named(&["app", "db"]));
    assert_eq!(refused, Err(Refusal::DependentsRunning { service: id("db"), dependents: ids(&["auth"]) }));
    check(&snapshot, Verb::StartOrRestart, named(&["auth"]), &["0 Start auth <- []"]);
}

#[test]
fn a_process_of_before_the_registry_said_elsewhere_can_be_stopped() {
    let snapshot = with_elsewhere(running(Instant::now()));
    check(&snapshot, Verb::StopForced { how: StopHow::Ask }, named(&["auth"]), &["0 Stop auth <- []"]);
    let snapshot = with_elsewhere(backoff(Instant::now()));
    check(&snapshot, Verb::StopForced { how: StopHow::Ask }, named(&["auth"]), &["0 Stop auth <- []"]);
}
