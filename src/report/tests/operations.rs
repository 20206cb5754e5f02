//! O12 to O15, the order of what is told, and how an operation ends.

use std::time::Duration;

use super::{check_ordered, normalised};
use crate::engine::operation::{
    Failure, Plan, Progress, Proof, Refusal, Request, Role, Step, StepAction, Summary, Targets, Verb,
};
use crate::model::{Actor, Ending, Health, ServiceId, ServiceState, Snapshot, StopHow};
use crate::preflight::{CheckKind, Finding, Verdict};
use crate::report::{Line, Narrator, OutcomeLedger, Stream, Style, Telling, refusal_lines, refusal_report};
use crate::testkit::fixture::{b10, edit, id, noon, process};

/// A plan whose steps are `name` for a target and `(name)` for a dependency, each after the one before.
fn plan(verb: Verb, action: StepAction, names: &[&str]) -> Plan {
    let mut steps: Vec<Step> = Vec::new();
    for (wave, name) in names.iter().enumerate() {
        let role = if name.starts_with('(') { Role::Dependency } else { Role::Target };
        let after = steps.last().map(|step| step.service.clone()).into_iter().collect();
        steps.push(Step { service: id(name.trim_matches(['(', ')'])), action, role, after, wave });
    }
    let request = Request { verb, targets: Targets::All, actor: Actor::Command };
    Plan { request, steps, left_running: Vec::new(), refused: Vec::new() }
}

fn telling(verbose: bool, always_summary: bool) -> Telling {
    Telling { style: Style::Emoji, verbose, always_summary }
}

/// The snapshot in which the services of a restart's plan run, so that they are stopped first.
fn all_up(plan: &Plan) -> Snapshot {
    let mut snapshot = b10();
    for (service, step) in snapshot.services.iter_mut().zip(&plan.steps) {
        let service = std::sync::Arc::make_mut(service);
        let mut spec = (*service.spec).clone();
        spec.id = step.service.clone();
        service.spec = std::sync::Arc::new(spec);
        let health = Health::Healthy;
        service.state = ServiceState::Running { instance: process(99), since: noon(), health };
    }
    snapshot
}

/// Everything that is told, with standard error marked by `!`.
fn told(plan: &Plan, telling: Telling, progress: &[Progress]) -> String {
    let mut narrator = Narrator::new(plan, &all_up(plan), telling);
    progress.iter().flat_map(|progress| marked(&narrator.tell(progress))).collect()
}

fn marked(lines: &[Line]) -> Vec<String> {
    let mark = |line: &Line| if line.stream() == Stream::Errors { "!" } else { "" };
    lines.iter().map(|line| format!("{}{}\n", mark(line), line.text())).collect()
}

fn starting(name: &str, role: Role) -> Progress {
    Progress::Starting { service: id(name), role }
}

fn started(name: &str, pid: u32) -> Progress {
    Progress::Started { service: id(name), instance: process(pid) }
}

fn waiting(name: &str) -> Progress {
    Progress::WaitingForHealth(id(name))
}

fn ready(name: &str) -> Progress {
    Progress::Ready { service: id(name), proof: Proof::Probe, after: Duration::from_millis(21) }
}

fn finding(check: CheckKind, verdict: Verdict, message: &str) -> Finding {
    Finding { check, verdict, message: message.to_owned(), remedy: None }
}

fn good_findings() -> Vec<Finding> {
    let passed = |check, message| finding(check, Verdict::Passed, message);
    vec![
        passed(CheckKind::Prerequisites, "Binary found: /Users/user/.provisioning/bin/provisioning-orchestrator"),
        passed(CheckKind::Conflicts, "No conflicts detected"),
        passed(CheckKind::Dependencies, "All dependencies available"),
    ]
}

fn checked(name: &str, findings: Vec<Finding>) -> [Progress; 2] {
    [Progress::Checking(id(name)), Progress::Checked { service: id(name), findings }]
}

fn finished(change: impl FnOnce(&mut Summary)) -> Progress {
    let mut summary = Summary::default();
    change(&mut summary);
    Progress::Finished(summary)
}

fn ids(names: &[&str]) -> Vec<ServiceId> {
    names.iter().map(|name| id(name)).collect()
}

#[test]
fn a_start_with_a_dependency_is_told_as_o12() {
    let plan = plan(Verb::Start, StepAction::Start, &["(orchestrator)", "control-center"]);
    let [checking, found] = checked("control-center", good_findings());
    let progress = [
        checking,
        found,
        starting("orchestrator", Role::Dependency),
        started("orchestrator", 12345),
        waiting("orchestrator"),
        ready("orchestrator"),
        starting("control-center", Role::Target),
        started("control-center", 12346),
        waiting("control-center"),
        ready("control-center"),
        finished(|summary| summary.started = ids(&["orchestrator", "control-center"])),
    ];
    let text = told(&plan, telling(false, false), &progress);
    let sample = "\
Starting dependency: orchestrator
✅ Started orchestrator with PID 12345
Waiting for orchestrator to become healthy...
✅ Service orchestrator is healthy
Starting service: control-center
✅ Started control-center with PID 12346
✅ Service control-center is healthy";
    check_ordered(&text, sample);
    assert!(!text.contains("Summary"), "one target needs no summary:\n{text}");
    insta::assert_snapshot!(text, @r"
    Running pre-flight checks for control-center...
      ✅ Binary found: /Users/user/.provisioning/bin/provisioning-orchestrator
      ✅ No conflicts detected
      ✅ All dependencies available

    Starting dependency: orchestrator
      ✅ Started orchestrator with PID 12345
      Waiting for orchestrator to become healthy...
      ✅ Service orchestrator is healthy
    Starting service: control-center
      ✅ Started control-center with PID 12346
      Waiting for control-center to become healthy...
      ✅ Service control-center is healthy
    ");
}

#[test]
fn the_check_process_is_told_as_o15() {
    let plan = plan(Verb::Start, StepAction::Start, &["orchestrator"]);
    let [checking, found] = checked("orchestrator", good_findings());
    let text = told(&plan, telling(false, false), &[checking, found, starting("orchestrator", Role::Target)]);
    let sample = "\
Running pre-flight checks for orchestrator...
✅ Binary found: /Users/user/.provisioning/bin/provisioning-orchestrator
✅ No conflicts detected
✅ All dependencies available
Starting service: orchestrator";
    assert_eq!(normalised(&text), normalised(sample));
}

#[test]
fn a_running_conflict_is_told_as_o13_on_standard_error() {
    let plan = plan(Verb::Start, StepAction::Start, &["coredns"]);
    let conflict = finding(CheckKind::Conflicts, Verdict::Failed, "Conflicting services running: dnsmasq");
    let findings = vec![
        finding(CheckKind::Prerequisites, Verdict::Passed, "Docker is running"),
        conflict.clone(),
        finding(CheckKind::Dependencies, Verdict::Passed, "All dependencies available"),
    ];
    let [checking, found] = checked("coredns", findings);
    let failure = Failure::Preflight { check: CheckKind::Conflicts, findings: vec![conflict] };
    let failed = Progress::Failed { service: id("coredns"), failure };
    let progress = [checking, found, failed, finished(|summary| summary.failed = ids(&["coredns"]))];
    insta::assert_snapshot!(told(&plan, telling(false, false), &progress), @r"
    Running pre-flight checks for coredns...
      ✅ Docker is running
    !❌ Pre-flight check failed: conflicts
    !  Conflicting services running: dnsmasq
    ");
}

#[test]
fn a_refused_stop_is_told_as_o14_on_standard_error() {
    let dependents = ids(&["control-center", "mcp-server", "api-gateway"]);
    let refusal = Refusal::DependentsRunning { service: id("orchestrator"), dependents };
    let lines = refusal_lines(&refusal, Verb::Stop, Style::Emoji);
    let text: String = lines.iter().map(|line| format!("{}\n", line.text())).collect();
    let sample = "\
❌ Cannot stop orchestrator:
Dependent services running: control-center, mcp-server, api-gateway
Use --force to stop anyway";
    assert_eq!(normalised(&text), normalised(sample));
    assert!(lines.iter().all(|line| line.stream() == Stream::Errors));
}

#[test]
fn the_other_refusals_name_what_is_wrong() {
    let text = |refusal: &Refusal, verb| -> Vec<String> {
        refusal_lines(refusal, verb, Style::Ascii).iter().map(|line| line.text().to_owned()).collect()
    };
    let cycle = Refusal::Cycle { service: id("a"), path: ids(&["a", "b", "a"]) };
    assert_eq!(text(&cycle, Verb::Start), ["[!!] Cannot start a:", "  Circular dependency: a -> b -> a"]);
    let missing = Refusal::MissingDependency { service: id("a"), dependency: id("b") };
    assert_eq!(text(&missing, Verb::Restart), ["[!!] Cannot restart a:", "  It depends on b, which is not registered"]);
    let unknown = Refusal::UnknownService { name: id("giteo"), near: ids(&["gitea"]) };
    assert_eq!(text(&unknown, Verb::Start), ["Unknown service: giteo", "  Did you mean gitea?"]);
}

#[test]
fn services_that_start_side_by_side_are_told_one_after_the_other() {
    let plan = plan(Verb::Start, StepAction::Start, &["a", "b"]);
    let mut narrator = Narrator::new(&plan, &all_up(&plan), telling(false, true));
    let mut tell = |progress: Progress| marked(&narrator.tell(&progress)).concat();
    assert_eq!(tell(starting("b", Role::Target)), "");
    assert_eq!(tell(starting("a", Role::Target)), "Starting service: a\n");
    assert_eq!(tell(started("b", 2)), "");
    assert_eq!(tell(started("a", 1)), "  ✅ Started a with PID 1\n");
    assert_eq!(tell(ready("b")), "");
    let at_once = tell(ready("a"));
    assert_eq!(
        at_once,
        "  ✅ Service a is healthy\nStarting service: b\n  ✅ Started b with PID 2\n  ✅ Service b is healthy\n"
    );
    assert_eq!(
        tell(finished(|summary| summary.started = ids(&["a", "b"]))),
        "\nSummary: 2 started, 0 already running, 0 failed, 0 skipped\n"
    );
}

#[test]
fn what_ran_already_is_said_of_targets_and_of_dependencies_only_on_request() {
    let plan = plan(Verb::Start, StepAction::Start, &["(orchestrator)", "control-center"]);
    let running = |name: &str, pid| Progress::AlreadyRunning { service: id(name), instance: process(pid) };
    let progress =
        [running("orchestrator", 1), ready("orchestrator"), running("control-center", 2), ready("control-center")];
    assert_eq!(told(&plan, telling(false, false), &progress), "control-center is already running (PID 2)\n");
    check_ordered(
        &told(&plan, telling(true, false), &progress),
        "orchestrator is already running (PID 1)\ncontrol-center is already running (PID 2)",
    );
}

#[test]
fn a_restart_stops_in_reverse_and_starts_in_order() {
    let plan = plan(Verb::Restart, StepAction::Restart, &["a", "b"]);
    let progress = [
        Progress::DependentsLeftRunning { service: id("a"), dependents: ids(&["z"]) },
        Progress::Stopping(id("b")),
        Progress::Stopped(id("b")),
        Progress::Stopping(id("a")),
        Progress::Stopped(id("a")),
        starting("a", Role::Target),
        started("a", 1),
        ready("a"),
        starting("b", Role::Target),
        started("b", 2),
        ready("b"),
        finished(|summary| summary.started = ids(&["a", "b"])),
    ];
    insta::assert_snapshot!(told(&plan, telling(false, false), &progress), @r"
    Dependent services of a left running: z

    Stopping b...
    ✅ Stopped b
    Stopping a...
    ✅ Stopped a

    Starting service: a
      ✅ Started a with PID 1
      ✅ Service a is healthy
    Starting service: b
      ✅ Started b with PID 2
      ✅ Service b is healthy

    Summary: 2 restarted or started, 0 failed, 0 skipped
    ");
}

#[test]
fn a_restart_says_who_did_not_run_and_waits_for_no_stop_of_it() {
    let plan = plan(Verb::Restart, StepAction::Restart, &["a", "b"]);
    let before = edit(all_up(&plan), "b", |b| b.state = ServiceState::Stopped);
    let mut narrator = Narrator::new(&plan, &before, telling(false, false));
    let mut tell = |progress: Progress| marked(&narrator.tell(&progress)).concat();
    assert_eq!(tell(Progress::Stopping(id("a"))), "Stopping a...\n");
    assert_eq!(tell(Progress::Stopped(id("a"))), "✅ Stopped a\n");
    assert_eq!(tell(starting("b", Role::Target)), "");
    let at_once = tell(Progress::Failed { service: id("a"), failure: Failure::Superseded });
    assert!(at_once.ends_with("b is not running\nStarting service: b\n"), "{at_once}");
}

#[test]
fn checks_are_told_at_once_when_nothing_before_them_is_checked() {
    let plan = plan(Verb::Start, StepAction::Start, &["(a)", "b", "c"]);
    let mut narrator = Narrator::new(&plan, &all_up(&plan), telling(false, false));
    let mut tell = |progress: &Progress| marked(&narrator.tell(progress)).concat();
    let ([b_begins, b_ends], [c_begins, c_ends]) = (checked("b", good_findings()), checked("c", good_findings()));
    assert_eq!(tell(&b_begins), "Running pre-flight checks for b...\n");
    assert_eq!(tell(&c_begins), "");
    let text = tell(&b_ends);
    assert!(text.starts_with("  ✅ Binary found") && text.ends_with("Running pre-flight checks for c...\n"), "{text}");
    assert!(tell(&c_ends).ends_with("  ✅ All dependencies available\n"));
}

#[test]
fn a_service_that_dies_or_is_too_slow_says_so_with_its_last_lines() {
    let plan = plan(Verb::Start, StepAction::Start, &["a", "b", "c"]);
    let died = Failure::DiedDuringStart {
        ending: Ending::Exited(7),
        after: Some(Duration::from_millis(12)),
        last_lines: vec!["bo\u{1b}[31mom \u{7}".to_owned()],
        restart: Some((1, Duration::from_secs(1))),
    };
    let slow = Failure::NotReadyInTime {
        within: Duration::from_secs(3),
        message: "HTTP request to http://localhost:9090/health failed: connection refused".to_owned(),
        last_lines: Vec::new(),
    };
    let progress = [
        starting("a", Role::Target),
        started("a", 1),
        Progress::Failed { service: id("a"), failure: died },
        starting("b", Role::Target),
        Progress::Failed { service: id("b"), failure: slow },
        Progress::Skipped { service: id("c"), because: id("b") },
        finished(|summary| {
            summary.failed = ids(&["a", "b"]);
            summary.skipped = ids(&["c"]);
        }),
    ];
    insta::assert_snapshot!(told(&plan, telling(false, true), &progress), @r"
    Starting service: a
      ✅ Started a with PID 1
    !❌ Service a exited with code 7 during startup
    !  It had run for 12 ms
    !  It will be started again in 1.0 s (attempt 1)
    !  Last lines of its log:
    !    boom ␇
    Starting service: b
    !❌ Service b did not become healthy within 3s (start_timeout): HTTP request to http://localhost:9090/health failed: connection refused
    !  It keeps running. Wait longer, or increase start_timeout
    !⚪ Skipped c: b failed

    Summary: 0 started, 0 already running, 2 failed, 1 skipped
    ");
}

#[test]
fn stopping_is_told_in_the_plans_order_and_nothing_to_stop_is_no_error() {
    let verb = Verb::StopForced { how: StopHow::Kill };
    let two = plan(verb, StepAction::Stop, &["b", "a"]);
    let progress = [
        Progress::Stopping(id("b")),
        Progress::NotRunning(id("a")),
        Progress::Stopped(id("b")),
        finished(|summary| {
            summary.stopped = ids(&["b"]);
            summary.not_running = ids(&["a"]);
        }),
    ];
    insta::assert_snapshot!(told(&two, telling(false, true), &progress), @r"
    Stopping b...
    ✅ Stopped b
    a is not running

    Summary: 1 stopped, 1 not running, 0 failed, 0 skipped
    ");
    let nobody = plan(Verb::Stop, StepAction::Stop, &[]);
    let text = told(&nobody, telling(false, true), &[finished(|_| ())]);
    assert_eq!(text, "Nothing to stop: no services are running\n");
}

#[test]
fn nothing_held_back_is_lost_when_the_operation_ends_early() {
    let plan = plan(Verb::Start, StepAction::Start, &["a", "b"]);
    let progress = [starting("b", Role::Target), started("b", 2), finished(|_| ())];
    check_ordered(&told(&plan, telling(false, false), &progress), "Starting service: b\n✅ Started b with PID 2");
}

#[test]
fn checks_that_come_after_another_start_began_wait_for_their_turn() {
    let plan = plan(Verb::Start, StepAction::Start, &["a", "b"]);
    let [checking, found] = checked("b", good_findings());
    let progress = [
        starting("a", Role::Target),
        checking,
        found,
        started("a", 1),
        ready("a"),
        starting("b", Role::Target),
        started("b", 2),
        ready("b"),
    ];
    check_ordered(
        &told(&plan, telling(false, false), &progress),
        "Starting service: a\n✅ Started a with PID 1\n✅ Service a is healthy
         Running pre-flight checks for b...\n✅ No conflicts detected\nStarting service: b",
    );
}

#[test]
fn the_ledger_says_what_became_of_each_service() {
    let plan = plan(Verb::Start, StepAction::Start, &["(a)", "b", "c"]);
    let mut ledger = OutcomeLedger::new(&plan);
    let launch = Failure::Launch { message: "permission denied".to_owned(), remedy: Some("chmod +x".to_owned()) };
    for progress in [
        started("a", 1),
        ready("a"),
        Progress::Failed { service: id("b"), failure: launch },
        Progress::Skipped { service: id("c"), because: id("b") },
    ] {
        ledger.note(&progress);
    }
    let summary = Summary { started: ids(&["a"]), failed: ids(&["b"]), skipped: ids(&["c"]), ..Summary::default() };
    let json = serde_json::to_value(ledger.report(&summary, false)).unwrap();
    assert_eq!(json["success"], false);
    assert_eq!(json["services"][0]["result"], "started");
    assert_eq!(json["services"][0]["role"], "dependency");
    assert_eq!((&json["services"][0]["pid"], &json["services"][0]["ready_after_ms"]), (&1.into(), &21.into()));
    assert_eq!(json["services"][1]["result"], "failed");
    assert_eq!(json["services"][1]["message"], "Could not start b: permission denied\nFix: chmod +x");
    assert_eq!(json["services"][2]["message"], "b failed");
    assert_eq!(json["summary"]["failed"], 1);
    let refusal = Refusal::DependentsRunning { service: id("a"), dependents: ids(&["b"]) };
    let json = serde_json::to_value(refusal_report(&refusal, Verb::Stop)).unwrap();
    assert_eq!(
        (&json["refusals"][0]["reason"], &json["refusals"][0]["services"][0]),
        (&"dependents_running".into(), &"b".into())
    );
}
