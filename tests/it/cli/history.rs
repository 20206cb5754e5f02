//! `services history`, and the numbers of the past in other reports: read from what a leader kept.

use std::time::{Duration, SystemTime};

use provisioning::model::history::{Sample, Seen, Sighting, Standing, Turn};
use provisioning::model::{ProbeVerdict, ServiceId};
use provisioning::store::Layout;
use provisioning::store::history::Histories;

use super::{Home, b10, check};

/// Two hours of probes of the orchestrator that end now: the newest 6 minutes fail, and nobody looked in the middle half hour.
fn keep_two_hours(home: &Home) {
    let layout = Layout::new(home.path(".provisioning/services"));
    let histories = Histories::new(&layout);
    let orchestrator = ServiceId::new("orchestrator").unwrap();
    let every = Duration::from_secs(10);
    let now = SystemTime::now();
    let append = |sample: &Sample| histories.append(&orchestrator, sample, every).unwrap();
    let begin = now - every * 720;
    append(&Sample { at: begin, seen: Seen::State { standing: Standing::Started, sighting: Sighting::Found } });
    for i in (0..720_u32).filter(|i| !(270..450).contains(i)) {
        let verdict = if i >= 684 { ProbeVerdict::Failed } else { ProbeVerdict::Passed };
        let turn = if i == 686 { Turn::Turned } else { Turn::Same };
        append(&Sample {
            at: begin + every * i,
            seen: Seen::Answer { verdict, took: Duration::from_millis(15), turn },
        });
    }
}

#[test]
fn the_history_tells_uptime_latency_and_flaps_and_gaps_are_no_failures() {
    let home = b10();
    check(
        &home.types("services history orchestrator"),
        0,
        "Service: orchestrator\nNothing is remembered of the last 24 hours",
        "",
    );
    assert!(!home.path(".provisioning").exists(), "who only reads writes nothing");
    keep_two_hours(&home);
    let report = home.types("services history orchestrator --json");
    let report: serde_json::Value = serde_json::from_str(&report.out).unwrap();
    let total = &report["total"];
    // 90 minutes are known, 6 of them bad: 93.3 %.
    let uptime = total["uptime_percent"].as_f64().unwrap();
    assert!((93.0..93.7).contains(&uptime), "{total:#}");
    assert_eq!((total["probes"].as_u64(), total["failed_probes"].as_u64()), (Some(540), Some(36)));
    assert_eq!((total["flaps"].as_u64(), total["p95_ms"].as_f64()), (Some(1), Some(15.0)));
    assert!((2..=3).contains(&report["hours"].as_array().unwrap().len()), "{report:#}");
    assert_eq!(report["samples"], serde_json::json!([]));
    let text = home.types("services history orchestrator").out;
    assert!(text.contains("Uptime: 93.") && text.contains("are known") && text.contains("Flaps: 1"), "{text}");
    let text = home.types("services history orchestrator --since 7d --samples").out;
    assert_eq!(text.lines().filter(|line| line.contains("  failed ")).count(), 36, "{text}");
    assert!(text.contains("unhealthy from here on"), "{text}");
    for (since, why) in [("8d", "no more than 7d are remembered"), ("soon", "such as 90m, 24h or 7d"), ("0h", "7d")] {
        let answer = home.types(&format!("services history orchestrator --since {since}"));
        assert!(answer.code == Some(2) && answer.err.contains(why), "{answer:#?}");
    }
    check(&home.types("services history orchestratr"), 2, "", "Did you mean orchestrator?");
}

#[test]
fn status_and_health_reports_carry_the_numbers_of_the_past() {
    let home = b10();
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert!(parse(&home.types("services status orchestrator --json").out)["service"]["history"].is_null());
    keep_two_hours(&home);
    let status = parse(&home.types("services status orchestrator --json").out);
    let day = &status["service"]["history"]["last_24_hours"];
    assert_eq!((day["flaps"].as_u64(), day["p95_ms"].as_f64()), (Some(1), Some(15.0)), "{status:#}");
    let health = parse(&home.types("services health orchestrator --json").out);
    assert_eq!(health["history"]["last_7_days"]["failed_probes"], 36, "{health:#}");
    let board = parse(&home.types("--once --format json").out);
    let of_board =
        board["services"].as_array().unwrap().iter().find(|service| service["name"] == "orchestrator").unwrap();
    assert_eq!(of_board["history"]["last_24_hours"]["failed_probes"], 36, "{board:#}");
    let metrics = home.types("--once --format prometheus").out;
    assert!(metrics.contains("provisioning_service_flaps_24h{service=\"orchestrator\"} 1\n"), "{metrics}");
    assert!(!metrics.contains("_24h{service=\"gitea\"}"), "nothing is claimed of what nobody saw: {metrics}");
    let verbose = home.types("services status orchestrator --verbose").out;
    assert!(verbose.contains("History: 24 h 93."), "{verbose}");
}
