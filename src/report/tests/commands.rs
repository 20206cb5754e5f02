//! O6 to O11 and O16.

use std::time::{Duration, UNIX_EPOCH};

use super::{check_ordered, normalised};
use crate::engine::handle::{Checked, Inspection};
use crate::engine::operation::{Plan, Progress, Proof, Request, Role, Step, StepAction, Targets, Verb};
use crate::model::{Actor, Code, Diagnostic, Health, ServiceState, Severity, Snapshot};
use crate::preflight::{CheckKind, Finding, Verdict};
use crate::report::{
    CheckReport, PlanReport, ReadinessReport, Row, Style, ValidationReport, dependencies_text, diagnostics_text,
    ensure_header, ensure_line, monitor_header, monitor_line, prometheus, rows,
};
use crate::testkit::fixture::{b10, b10_checks, edit, failed, id, noon, passed, process};

fn finding(check: CheckKind, verdict: Verdict, message: &str) -> Finding {
    Finding { check, verdict, message: message.to_owned(), remedy: None }
}

/// The findings of O8 and O9: Docker is missing, and nothing else.
fn without_docker(snapshot: &Snapshot) -> Vec<Inspection> {
    let inspection = |name: &str| Inspection {
        service: id(name),
        requirements: match name {
            "coredns" => {
                vec![finding(CheckKind::Prerequisites, Verdict::Failed, "Docker is not installed or not running")]
            }
            _ => Vec::new(),
        },
        circumstances: vec![finding(CheckKind::Conflicts, Verdict::Passed, "No conflicts detected")],
    };
    snapshot.services.iter().map(|service| inspection(service.id().as_str())).collect()
}

#[test]
fn services_check_is_o6_word_for_word() {
    let sample = "Operation: server\nRequired services: orchestrator\nAll running: true\n";
    assert_eq!(CheckReport::new("server", &b10()).text(), sample);
}

#[test]
fn an_operation_lists_what_it_needs_and_an_unknown_one_what_is_known() {
    // R106: the five operations of T2, and no other.
    for (operation, expected) in
        [("server", true), ("taskserv", true), ("cluster", true), ("workflow", true), ("batch", true), ("serve", false)]
    {
        assert_eq!(!CheckReport::new(operation, &b10()).required.is_empty(), expected, "{operation}");
    }
    // R107, R108.
    let unknown = CheckReport::new("nothing", &b10());
    assert_eq!(unknown.text(), "Operation: nothing\nRequired services: none\nAll running: true\n");
    let note = unknown.unknown_note().unwrap();
    assert!(note.ends_with("server, taskserv, cluster, workflow, batch"), "{note}");
    let down = edit(b10(), "orchestrator", |service| service.state = ServiceState::Stopped);
    let text = CheckReport::new("batch", &down).text();
    assert!(text.ends_with("All running: false\nNot running: orchestrator\n"), "{text}");
}

#[test]
fn services_dependencies_is_o7_word_for_word() {
    let sample = "\
## orchestrator
- Type: platform
- Category: orchestration
- Required by:
- control-center
- mcp-server
- api-gateway";
    let text = dependencies_text(&b10().registry, Some(&id("orchestrator")), Style::Emoji);
    assert_eq!(normalised(&text), normalised(sample));
    let sample = "\
## control-center
- Type: platform
- Category: ui
- Depends on:
- orchestrator
- Required by:
- api-gateway";
    let text = dependencies_text(&b10().registry, Some(&id("control-center")), Style::Emoji);
    assert_eq!(normalised(&text), normalised(sample), "R111");
}

#[test]
fn the_startup_order_is_o11_with_every_service_once() {
    let text = dependencies_text(&b10().registry, None, Style::Emoji);
    let o11 = "\
orchestrator (order: 10)
├─> control-center (order: 20)
│   └─> api-gateway (order: 45)
└─> mcp-server (order: 40)
coredns (order: 15)
gitea (order: 30)
oci-registry (order: 35)
";
    let (blocks, order) = text.split_once("Startup order:\n").unwrap();
    assert_eq!(order, o11);
    let headings: Vec<&str> = blocks.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let registered: Vec<String> = b10().services.iter().map(|service| service.id().to_string()).collect();
    assert_eq!(headings, registered, "R112: one block each, in registry order");
    assert!(dependencies_text(&b10().registry, None, Style::Ascii).is_ascii());
}

#[test]
fn services_validate_is_o8_behind_the_registry_in_use() {
    let snapshot = b10();
    let report = ValidationReport::new(&snapshot, &without_docker(&snapshot));
    let o8 = "\
Registry: config/services.toml
Total services: 7
Valid: 6
Invalid: 1
Invalid services:
❌ coredns:
- Docker is not installed or not running";
    assert_eq!(normalised(&report.text(Style::Emoji)), normalised(o8));
    assert_eq!(report.valid + report.invalid, report.total, "R9");
    let good = ValidationReport::new(&snapshot, &[]);
    assert!(!good.text(Style::Emoji).contains("Invalid services"), "R116");
    assert_eq!((good.valid, good.invalid), (7, 0));
}

#[test]
fn what_passes_is_a_warning_and_makes_no_service_invalid() {
    let snapshot = b10();
    let mut inspections = without_docker(&snapshot);
    inspections[3].circumstances = vec![
        finding(CheckKind::Prerequisites, Verdict::Failed, "Port 3000 is already in use by nginx (PID 7)"),
        finding(CheckKind::Conflicts, Verdict::Failed, "Conflicting services running: x"),
    ];
    let report = ValidationReport::new(&snapshot, &inspections);
    assert_eq!((report.valid, report.invalid), (6, 1), "R119");
    check_ordered(
        &report.text(Style::Emoji),
        "Warnings:\n🟡 gitea:\n- Port 3000 is already in use by nginx (PID 7)\n- Conflicting services running: x",
    );
}

#[test]
fn a_service_that_was_set_aside_counts_as_invalid_and_keeps_the_sum_right() {
    let mut snapshot = b10();
    let mut registry = (*snapshot.registry).clone();
    registry.set_aside = vec!["bro\u{1b}ken".to_owned()];
    registry.diagnostics.push(Diagnostic {
        code: Code::MissingKey,
        severity: Severity::Error,
        service: Some("bro\u{1b}ken".to_owned()),
        message: "`category` is missing".to_owned(),
        place: None,
        label: None,
        related: Vec::new(),
        hint: Some("add it".to_owned()),
    });
    snapshot.registry = std::sync::Arc::new(registry);
    let report = ValidationReport::new(&snapshot, &[]);
    assert_eq!((report.total, report.valid, report.invalid), (8, 7, 1));
    let text = report.text(Style::Emoji) + &diagnostics_text(&snapshot.registry, false);
    check_ordered(&text, "- `category` is missing\nFix: add it\nerror[missing-key]: `category` is missing");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn services_readiness_is_o9_word_for_word() {
    let snapshot = b10();
    let report = ReadinessReport::new(&snapshot, &without_docker(&snapshot), None);
    let o9 = "\
Platform Readiness Report
Total services: 7
Running: 3
Ready to start: 6
Services:
🟢 orchestrator - platform - orchestration
🟢 control-center - platform - ui
🔴 coredns - infrastructure - dns
Issues: 1
🟡 gitea - infrastructure - git
🟡 oci-registry - infrastructure - registry
🟢 mcp-server - platform - api
🟡 api-gateway - platform - api";
    assert_eq!(normalised(&report.text(Style::Emoji, false)), normalised(o9));
    let verbose = report.text(Style::Emoji, true);
    check_ordered(&verbose, "Issues: 1\n- Docker is not installed or not running");
}

#[test]
fn services_monitor_is_o10_in_the_readers_time() {
    assert_eq!(
        normalised(&monitor_header(Some("orchestrator"), 30)),
        ["Starting health monitoring for orchestrator (interval: 30s)", "Press Ctrl+C to stop"]
    );
    let line = |name: &str, checked: &Checked| {
        let snapshot = b10();
        let line = monitor_line(
            &Row::new(&snapshot, snapshot.service(name).unwrap(), Some(checked)),
            UNIX_EPOCH + Duration::from_secs(1_759_753_800),
            Style::Emoji,
        );
        line.split_at("2025-10-06 14:30:00".len()).1.to_owned()
    };
    assert_eq!(
        line("orchestrator", &passed("HTTP health check passed", 15)),
        " ✅ orchestrator: HTTP health check passed\n"
    );
    assert_eq!(line("orchestrator", &failed("no\u{7}\n")).lines().count(), 1);
    assert!(line("orchestrator", &failed("refused")).starts_with(" ❌ "), "R127");
    assert_eq!(line("gitea", &Checked::NotRunning), " ⚪ gitea: Not running\n", "R127");
}

#[test]
fn what_an_operation_needed_is_told_as_o16() {
    let roles = [(id("orchestrator"), Role::Target), (id("gitea"), Role::Dependency)];
    let ready =
        |name: &str| Progress::Ready { service: id(name), proof: Proof::Probe, after: Duration::from_millis(1) };
    let told = |name: &str, verbose| {
        ensure_line(&ready(name), &roles, verbose, Style::Emoji).map(|line| line.text().to_owned())
    };
    assert_eq!(ensure_header().text(), "Starting required services...");
    assert_eq!(told("orchestrator", false).as_deref(), Some("✅ Orchestrator started"));
    assert_eq!(told("gitea", false), None);
    assert_eq!(told("gitea", true).as_deref(), Some("✅ Gitea started"));
}

fn step(name: &str, action: StepAction, role: Role, after: &[&str]) -> Step {
    Step { service: id(name), action, role, after: after.iter().map(|name| id(name)).collect(), wave: 0 }
}

#[test]
fn a_plan_says_what_would_happen_in_which_order_and_why() {
    let steps = vec![
        step("orchestrator", StepAction::Start, Role::Dependency, &[]),
        step("coredns", StepAction::Start, Role::Dependency, &[]),
        step("api-gateway", StepAction::Start, Role::Target, &["orchestrator", "coredns"]),
    ];
    let request =
        Request { verb: Verb::Start, targets: Targets::Named(vec![id("api-gateway")]), actor: Actor::Command };
    let plan = Plan { request, steps, left_running: Vec::new(), refused: Vec::new() };
    let snapshot = b10();
    let report = PlanReport::new(&plan, &snapshot, &without_docker(&snapshot));
    let text = report.text(Verb::Start, Style::Emoji);
    assert_eq!(
        text,
        "\
Plan: start (dry run: nothing is done)

Wave 1:
  start   coredns       needed by api-gateway

Wave 2:
  start   api-gateway   asked for; after coredns

Left alone:
  orchestrator  runs already (PID 12345)

The pre-flight checks would refuse:
  ❌ coredns: Docker is not installed or not running
"
    );
    assert!(!report.would_succeed);
    assert!(PlanReport::new(&plan, &snapshot, &[]).would_succeed);
}

#[test]
fn a_restart_says_what_it_leaves_running() {
    let steps = vec![step("orchestrator", StepAction::Restart, Role::Target, &[])];
    let request = Request { verb: Verb::Restart, targets: Targets::All, actor: Actor::Command };
    let left_running = vec![(id("orchestrator"), vec![id("control-center"), id("mcp-server")])];
    let plan = Plan { request, steps, left_running, refused: Vec::new() };
    let text = PlanReport::new(&plan, &b10(), &[]).text(Verb::Restart, Style::Emoji);
    check_ordered(
        &text,
        "restart orchestrator runs (PID 12345)\norchestrator is needed by control-center, mcp-server, left running",
    );
}

#[test]
fn the_metrics_count_what_the_board_counts() {
    let snapshot = edit(b10(), "gitea", |gitea| {
        gitea.state = ServiceState::Running { instance: process(1), since: noon(), health: Health::Unhealthy };
    });
    let text = prometheus(&rows(&snapshot, &b10_checks()), &snapshot.registry, noon());
    assert!(text.contains("provisioning_services_running 4\n"), "{text}");
}
