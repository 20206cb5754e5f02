//! O1 to O5.

use super::{check_ordered, normalised};
use crate::engine::handle::Checked;
use crate::model::{
    Code, Diagnostic, FailureReason, Health, ProbeOutcome, RegistrySource, ServiceState, Severity, Snapshot,
};
use crate::preflight::{CheckKind, Finding, Verdict};
use crate::report::{
    BoardReport, HealthReport, PlatformHealthReport, Row, ServiceStatusReport, Style, board_table, issues,
    platform_health, platform_status, rows, service_health, service_status, services_list,
};
use crate::testkit::fixture::{b10, b10_checks, edit, failed, id, noon, passed};

#[test]
fn platform_status_is_o1_word_for_word() {
    let (snapshot, checks) = (b10(), b10_checks());
    let text = platform_status(&rows(&snapshot, &checks), Style::Emoji, false, noon());
    let sample = "\
Platform Services Status
Running: 3/7
=== ORCHESTRATION ===
🟢 orchestrator - running (uptime: 3600s) ✅
=== UI ===
🟢 control-center - running (uptime: 3550s) ✅
=== DNS ===
⚪ coredns - stopped ❓
=== GIT ===
⚪ gitea - stopped ❓
=== REGISTRY ===
⚪ oci-registry - stopped ❓
=== API ===
🟢 mcp-server - running (uptime: 3540s) ✅
⚪ api-gateway - stopped ❓";
    assert_eq!(normalised(&text), normalised(sample));
}

#[test]
fn platform_status_reads_well_and_has_an_ascii_form() {
    let (snapshot, checks) = (b10(), b10_checks());
    let snapshot = edit(snapshot, "gitea", |gitea| {
        gitea.state = ServiceState::Failed { reason: FailureReason::CouldNotStart("no".to_owned()) };
    });
    let text = platform_status(&rows(&snapshot, &checks), Style::Ascii, false, noon());
    insta::assert_snapshot!(text, @r"
    Platform Services Status

    Running: 3/7

    === ORCHESTRATION ===
      [up] orchestrator - running (uptime: 3600s) [ok]

    === UI ===
      [up] control-center - running (uptime: 3550s) [ok]

    === DNS ===
      [--] coredns - stopped [??]

    === GIT ===
      [!!] gitea - failed [??]

    === REGISTRY ===
      [--] oci-registry - stopped [??]

    === API ===
      [up] mcp-server - running (uptime: 3540s) [ok]
      [--] api-gateway - stopped [??]
    ");
}

#[test]
fn a_running_service_whose_probe_fails_is_running_with_a_cross() {
    let snapshot = b10();
    let checks = [(id("orchestrator"), failed("HTTP status 500 does not match expected 200"))];
    let text = platform_status(&rows(&snapshot, &checks), Style::Emoji, true, noon());
    check_ordered(
        &text,
        "🟢 orchestrator - running (uptime: 3600s) ❌
         health check failed: HTTP status 500 does not match expected 200",
    );
}

#[test]
fn platform_health_has_the_lines_of_o2_and_adds_up() {
    let (snapshot, checks) = (b10(), b10_checks());
    let text = platform_health(&rows(&snapshot, &checks), Style::Emoji);
    let sample = "\
Platform Health Check
✅ orchestrator: Healthy - HTTP health check passed
✅ control-center: Healthy - HTTP status 200 matches expected
⚪ coredns: Not running
✅ mcp-server: Healthy - HTTP health check passed
Summary: 3 healthy, 0 unhealthy, 4 not running";
    check_ordered(&text, sample);
    assert_eq!(normalised(&text).len(), 9, "one line per registered service:\n{text}");
}

#[test]
fn unknown_is_counted_only_when_there_is_any() {
    let snapshot = edit(b10(), "gitea", |gitea| {
        gitea.state = ServiceState::Unknown { reason: "docker mode is not supported yet".to_owned() };
    });
    let mut checks = b10_checks();
    checks[0].1 = Checked::NoCheck;
    checks[1].1 = failed("TCP connection to localhost:1 failed: connection refused");
    checks[5].1 = Checked::Probed(ProbeOutcome::CouldNotRun { reason: "too many open files".to_owned() });
    let text = platform_health(&rows(&snapshot, &checks), Style::Emoji);
    check_ordered(
        &text,
        "❓ orchestrator: Unknown - no health check configured
         ❌ control-center: Unhealthy - TCP connection to localhost:1 failed: connection refused
         ❓ gitea: Unknown - docker mode is not supported yet
         ❓ mcp-server: Unknown - the check could not run: too many open files
         Summary: 0 healthy, 1 unhealthy, 3 not running, 3 unknown",
    );
}

#[test]
fn services_list_has_the_lines_of_o3_in_aligned_columns() {
    let control_center_down = edit(b10(), "control-center", |service| service.state = ServiceState::Stopped);
    let text = services_list(&rows(&control_center_down, &[]));
    let sample = "\
name type category status deployment_mode auto_start
orchestrator platform orchestration running binary true
control-center platform ui stopped binary false
coredns infrastructure dns stopped docker false";
    check_ordered(&text, sample);
    let column = text.lines().next().unwrap().find("status").unwrap();
    for line in text.lines().skip(1) {
        assert!(line[..column].ends_with("  ") && !line[column..].starts_with(' '), "{text}");
        assert!(!line.ends_with(' '), "{line:?}");
    }
    assert_eq!(text.lines().count(), 8);
}

#[test]
fn an_empty_list_is_the_header() {
    assert_eq!(services_list(&[]), "name  type  category  status  deployment_mode  auto_start\n");
}

fn status_of(snapshot: &Snapshot, name: &str, checked: &Checked, findings: &[Finding], verbose: bool) -> String {
    let row = Row::new(snapshot, snapshot.service(name).unwrap(), Some(checked));
    service_status(&row, &issues(&row, findings), verbose, noon())
}

#[test]
fn services_status_is_o4_and_nothing_else_when_all_is_well() {
    let good = Finding {
        check: CheckKind::Conflicts,
        verdict: Verdict::Passed,
        message: "No conflicts detected".to_owned(),
        remedy: None,
    };
    let text = status_of(&b10(), "orchestrator", &passed("HTTP health check passed", 15), &[good], false);
    let sample = "\
Service: orchestrator
Type: platform
Category: orchestration
Status: running
Deployment: binary
Health: healthy
Auto-start: true
PID: 12345
Uptime: 3600s
Dependencies: []";
    assert_eq!(normalised(&text), normalised(sample));
}

#[test]
fn a_stopped_service_has_no_pid_and_names_what_has_to_be_put_right() {
    let missing = Finding {
        check: CheckKind::Prerequisites,
        verdict: Verdict::Failed,
        message: "Binary not found: /x/provisioning-api-gateway".to_owned(),
        remedy: Some("check binary_path in config".to_owned()),
    };
    let warned = Finding { verdict: Verdict::Warning, message: "only a warning".to_owned(), ..missing.clone() };
    let text = status_of(&b10(), "api-gateway", &Checked::NotRunning, &[missing, warned], false);
    insta::assert_snapshot!(text, @r"
    Service: api-gateway
    Type: platform
    Category: api
    Status: stopped
    Deployment: binary
    Health: unknown
    Auto-start: false
    Dependencies: [orchestrator, control-center, mcp-server]

    Issues:
      - Binary not found: /x/provisioning-api-gateway
        Fix: check binary_path in config
    ");
}

#[test]
fn what_the_registry_found_is_an_issue_once() {
    let mut snapshot = b10();
    let said = "depends on nobody, which is not registered";
    let mut registry = (*snapshot.registry).clone();
    registry.diagnostics.push(Diagnostic {
        code: Code::UnknownDependency,
        severity: Severity::Error,
        service: Some("gitea".to_owned()),
        message: said.to_owned(),
        place: None,
        label: None,
        related: Vec::new(),
        hint: None,
    });
    snapshot.registry = std::sync::Arc::new(registry);
    let same =
        Finding { check: CheckKind::Dependencies, verdict: Verdict::Failed, message: said.to_owned(), remedy: None };
    let text = status_of(&snapshot, "gitea", &Checked::NotRunning, &[same], false);
    assert_eq!(text.matches(said).count(), 1, "{text}");
    assert!(!status_of(&snapshot, "coredns", &Checked::NotRunning, &[], false).contains("Issues"));
}

#[test]
fn text_from_outside_cannot_reach_the_terminal() {
    let hostile = "\u{1b}]0;owned\u{7}\u{9b}2J\nfake line";
    let snapshot = edit(b10(), "orchestrator", |service| service.notes = vec![hostile.to_owned()]);
    let checks = [(id("orchestrator"), failed(hostile))];
    let rows = rows(&snapshot, &checks);
    let texts = [
        platform_status(&rows, Style::Emoji, true, noon()),
        platform_health(&rows, Style::Emoji),
        service_health(&rows[0]),
        service_status(&rows[0], &issues(&rows[0], &[]), true, noon()),
    ];
    for text in texts {
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(!text.lines().any(|line| line.trim() == "fake line"), "{text}");
    }
}

#[test]
fn services_health_is_o5() {
    let snapshot = b10();
    let checked = passed("HTTP health check passed", 15);
    let text = service_health(&Row::new(&snapshot, snapshot.service("orchestrator").unwrap(), Some(&checked)));
    let sample = "\
Service: orchestrator
Status: healthy
Healthy: true
Message: HTTP health check passed
Check type: http
Check duration: 15ms";
    assert_eq!(normalised(&text), normalised(sample));
}

#[test]
fn health_of_what_does_not_run_is_unknown_and_took_no_time() {
    let snapshot = b10();
    let gitea = Row::new(&snapshot, snapshot.service("gitea").unwrap(), Some(&Checked::NotRunning));
    insta::assert_snapshot!(service_health(&gitea), @r"
    Service: gitea
    Status: unknown
    Healthy: false
    Message: Not running
    Check type: http
    ");
}

#[test]
fn the_table_of_the_board_has_a_dash_where_there_is_nothing_to_say() {
    let (snapshot, checks) = (b10(), b10_checks());
    let text = board_table(&rows(&snapshot, &checks), noon());
    check_ordered(
        &text,
        "name category status health uptime pid restarts deployment_mode
         orchestrator orchestration running healthy 3600s 12345 0 binary
         coredns dns stopped unknown - - 0 docker",
    );
}

#[test]
fn json_field_names_are_stable() {
    let (snapshot, checks) = (b10(), b10_checks());
    let rows = rows(&snapshot, &checks);
    let mut board = BoardReport::new(&rows, &snapshot.registry, noon());
    board.services.truncate(1);
    insta::assert_snapshot!(serde_json::to_string_pretty(&board).unwrap(), @r#"
    {
      "registry": "config/services.toml",
      "running": 3,
      "total": 7,
      "services": [
        {
          "name": "orchestrator",
          "type": "platform",
          "category": "orchestration",
          "description": "The orchestrator of the fixture",
          "status": "running",
          "health": "healthy",
          "wanted": "up",
          "deployment_mode": "binary",
          "auto_start": true,
          "pid": 12345,
          "instance": "PID 12345",
          "uptime_seconds": 3600,
          "dependencies": [],
          "restarts": 0,
          "message": "HTTP health check passed",
          "why": null,
          "history": null,
          "facts": []
        }
      ],
      "set_aside": []
    }
    "#);
    insta::assert_snapshot!(serde_json::to_string(&HealthReport::new(&rows[0])).unwrap(), @r#"{"service":"orchestrator","status":"healthy","healthy":true,"running":true,"message":"HTTP health check passed","check_type":"http","check_duration_ms":15,"history":null}"#);
    let health = serde_json::to_value(PlatformHealthReport::new(&rows)).unwrap();
    assert_eq!(health["summary"], serde_json::json!({"healthy": 3, "unhealthy": 0, "not_running": 4, "unknown": 0}));
    let status = serde_json::to_value(ServiceStatusReport::new(&rows[3], &[], None, noon())).unwrap();
    assert_eq!((&status["service"]["pid"], &status["issues"]), (&serde_json::Value::Null, &serde_json::json!([])));
}

#[test]
fn health_without_an_answer_is_what_the_snapshot_says() {
    let snapshot = edit(b10(), "orchestrator", |service| {
        let ServiceState::Running { health, .. } = &mut service.state else { panic!("runs") };
        *health = Health::Unhealthy;
    });
    assert_eq!(rows(&snapshot, &[])[0].health(), Health::Unhealthy);
    assert_eq!(snapshot.registry.source, RegistrySource::File("config/services.toml".into()));
}
