//! Every recorded Deployment, with its pods where those were recorded, and every recorded stream of both, event by event. What they are
//! judged to be is frozen in `tests/golden/kubernetes.snap`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::{Judgement, Serving, Standing, judge};
use crate::backends::kubernetes::objects::{Deployment, Pod, moment};
use crate::model::Ending;

fn fixture(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/kubernetes/{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

fn deployment(name: &str) -> Deployment {
    serde_json::from_value(fixture(name)["response"]["body"].clone()).unwrap()
}

fn pods(name: &str) -> Vec<Pod> {
    serde_json::from_value(fixture(name)["response"]["body"]["items"].clone()).unwrap()
}

/// The newest moment that is named in them, and a little more: what was recorded is judged as if it were now.
fn just_after(pods: &[Pod]) -> SystemTime {
    let named = pods.iter().flat_map(|pod| &pod.status.container_statuses).flat_map(|it| {
        let running = it.state.running.as_ref().and_then(|it| it.started_at.as_deref());
        let ends =
            [&it.state, &it.last_state].map(|it| it.terminated.as_ref().and_then(|it| it.finished_at.as_deref()));
        [running, ends[0], ends[1]]
    });
    named.flatten().filter_map(moment).max().unwrap_or(SystemTime::UNIX_EPOCH) + Duration::from_millis(500)
}

/// At a time when everything that was started again has proven itself.
fn much_later(pods: &[Pod]) -> SystemTime {
    just_after(pods) + Duration::from_secs(3600)
}

fn judged(deployment_name: &str, pods_name: Option<&str>) -> Judgement {
    let pods = pods_name.map(pods).unwrap_or_default();
    judge(&deployment(deployment_name), &pods.iter().collect::<Vec<_>>(), just_after(&pods))
}

fn print(judgement: &Judgement) -> String {
    let standing = match &judgement.standing {
        Standing::Looping { attempt, last, .. } => format!("Looping, attempt {attempt}, it {last}"),
        other => format!("{other:?}"),
    };
    let mut text = format!("{standing} | {}", judgement.sentence);
    for trouble in &judgement.troubles {
        write!(text, "\n    {trouble}").unwrap();
    }
    text
}

/// Which pods belong to which recorded Deployment.
fn pods_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "deployment-available" | "deployment-scaled-not-observed" | "deployment-restart-not-observed" => {
            "pods-list-running"
        }
        "deployment-scaled-terminating" => "pods-list-terminating",
        "deployment-crash-loop" => "pods-list-crash-loop",
        "deployment-missing-image" => "pods-list-image-backoff",
        "deployment-never-ready" => "pods-list-not-ready",
        "deployment-deadline-exceeded" => "pods-list-unschedulable",
        "deployment-node-lost" => "pods-list-node-lost",
        _ => return None,
    })
}

#[test]
fn every_recorded_deployment_has_its_verdict() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kubernetes");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .collect();
    names.sort();
    let mut table = String::from("# Deployments\n\n");
    for name in names.iter().filter(|it| it.starts_with("deployment-") && *it != "deployment-missing") {
        let with = pods_of(name).map(|pods| format!(" with {pods}")).unwrap_or_default();
        writeln!(table, "{name}{with}\n  {}", print(&judged(name, pods_of(name)))).unwrap();
    }
    writeln!(table, "pod-security-deployment\n  {}", print(&judged("pod-security-deployment", None))).unwrap();
    table.push_str("\n# Pods of a Deployment that wants as many and has none available\n\n");
    for name in names.iter().filter(|it| it.starts_with("pods-list-")) {
        let pods = pods(name);
        let mut lone = deployment("deployment-progressing-first");
        lone.spec.replicas = Some(u32::try_from(pods.len()).unwrap());
        let judgement = judge(&lone, &pods.iter().collect::<Vec<_>>(), just_after(&pods));
        writeln!(table, "{name}\n  {}", print(&judgement)).unwrap();
    }
    table.push_str("\n# Streams\n");
    for name in ["first-rollout", "stop", "start", "restart", "crash-loop"] {
        writeln!(table, "\n## {name}\n").unwrap();
        let mut last = String::new();
        for (at, judgement) in stream(name) {
            let text = print(&judgement);
            if text != last {
                writeln!(table, "{at:>6} ms  {text}").unwrap();
            }
            last = text;
        }
    }
    insta::with_settings!({ snapshot_path => "../../../tests/golden", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("kubernetes", table);
    });
}

/// Both recorded streams of one happening, event by event, judged after each.
fn stream(name: &str) -> Vec<(u64, Judgement)> {
    let mut events: Vec<(u64, Value)> = Vec::new();
    for kind in ["deployment", "pods"] {
        let recorded = fixture(&format!("watch-{kind}-{name}"));
        for line in recorded["response"]["lines"].as_array().unwrap() {
            events.push((line["at_ms"].as_u64().unwrap(), line["json"].clone()));
        }
    }
    events.sort_by_key(|(at, _)| *at);
    let (mut present, mut pods): (Option<Deployment>, BTreeMap<String, Pod>) = (None, BTreeMap::new());
    let mut judged = Vec::new();
    for (at, event) in events {
        let object = event["object"].clone();
        match (object["kind"].as_str().unwrap(), event["type"].as_str().unwrap()) {
            ("Deployment", _) => {
                let mut new: Deployment = serde_json::from_value(object).unwrap();
                // Later lines were recorded without the specification.
                if new.spec.replicas.is_none() {
                    new.spec = present.as_ref().map(|it| it.spec.clone()).unwrap_or_default();
                }
                present = Some(new);
            }
            ("Pod", "DELETED") => drop(pods.remove(object["metadata"]["name"].as_str().unwrap())),
            ("Pod", _) => {
                let pod: Pod = serde_json::from_value(object).unwrap();
                pods.insert(pod.metadata.name.clone(), pod);
            }
            other => panic!("{other:?}"),
        }
        if let Some(deployment) = &present {
            let all: Vec<Pod> = pods.values().cloned().collect();
            judged.push((at, judge(deployment, &all.iter().collect::<Vec<_>>(), just_after(&all))));
        }
    }
    judged
}

#[test]
fn conditions_and_counts_of_the_time_before_are_not_believed() {
    for name in ["deployment-start-not-observed", "deployment-restart-not-observed", "deployment-just-created"] {
        let judgement = judged(name, None);
        assert!(matches!(judgement.standing, Standing::Arriving(_)), "{name}: {judgement:?}");
        assert!(judgement.sentence.contains("has not seen the newest change"), "{name}: {judgement:?}");
    }
    let stopping = judged("deployment-scaled-not-observed", Some("pods-list-running"));
    assert!(matches!(&stopping.standing, Standing::Stopping { pods } if pods.len() == 2), "{stopping:?}");
}

#[test]
fn a_stop_is_not_over_while_containers_run() {
    let stopping = judged("deployment-scaled-terminating", Some("pods-list-terminating"));
    assert!(matches!(&stopping.standing, Standing::Stopping { pods } if pods.len() == 2), "{stopping:?}");
    assert_eq!(judged("deployment-at-zero", None).standing, Standing::Stopped);
    let all = stream("stop");
    let first_stopped = all.iter().position(|(_, it)| it.standing == Standing::Stopped).unwrap();
    assert_eq!(first_stopped, all.len() - 1, "only the last event, in which the last pod goes, ends it: {all:#?}");
}

#[test]
fn a_rollout_is_complete_when_all_counts_are_and_stays_served_meanwhile() {
    let first = stream("first-rollout");
    let ready = first.iter().position(|(_, it)| it.standing == Standing::Ready).unwrap();
    assert!(
        first[..ready].iter().all(|(_, it)| it.standing == Standing::Arriving(Serving::None)
            || it.standing == Standing::Arriving(Serving::Some)),
        "{first:#?}"
    );
    assert_eq!(judged("deployment-surge", None).standing, Standing::Arriving(Serving::Some));
    assert_eq!(judged("deployment-restart-progressing", None).standing, Standing::Arriving(Serving::Some));
    assert_eq!(judged("deployment-ready-not-available", None).standing, Standing::Arriving(Serving::None));
    assert_eq!(judged("deployment-available", None).standing, Standing::Ready);
    assert_eq!(judged("deployment-restart-done", None).standing, Standing::Ready);
    let restart = stream("restart");
    assert!(restart.iter().all(|(_, it)| it.standing != Standing::Arriving(Serving::None)), "{restart:#?}");
}

#[test]
fn a_container_that_dies_again_and_again_is_not_believed_for_the_second_it_lives() {
    let looping = judged("deployment-crash-loop", Some("pods-list-crash-loop"));
    assert!(matches!(looping.standing, Standing::Looping { attempt: 2, last: Ending::Exited(3), .. }), "{looping:?}");
    // Running again, ready and available by all counts.
    let mut pods = pods("pods-list-crash-loop");
    let mut deployment = deployment("deployment-available");
    deployment.spec.replicas = Some(1);
    (deployment.status.replicas, deployment.status.updated_replicas) = (1, 1);
    (deployment.status.ready_replicas, deployment.status.available_replicas) = (1, 1);
    let status = &mut pods[0].status.container_statuses[0];
    status.state = serde_json::from_str(r#"{"running": {"startedAt": "2026-11-22T16:22:10Z"}}"#).unwrap();
    status.ready = true;
    let all: Vec<&Pod> = pods.iter().collect();
    let young = judge(&deployment, &all, just_after(&pods));
    assert_eq!(young.standing, Standing::Arriving(Serving::None), "{young:?}");
    assert!(young.again_in.is_some_and(|it| it < Duration::from_secs(11)), "{young:?}");
    assert_eq!(judge(&deployment, &all, much_later(&pods)).standing, Standing::Ready);
}

#[test]
fn the_reason_of_a_stuck_rollout_is_told_where_it_is() {
    for (name, pods, words) in [
        ("deployment-missing-image", Some("pods-list-image-backoff"), "cannot be pulled (ImagePullBackOff)"),
        (
            "deployment-deadline-exceeded",
            Some("pods-list-unschedulable"),
            "Pending, no node takes it: 0/1 nodes are available",
        ),
        ("pod-security-deployment", None, "pods cannot be created"),
    ] {
        let judgement = judged(name, pods);
        let Standing::Stuck { reason } = &judgement.standing else { panic!("{name}: {judgement:?}") };
        assert!(reason.contains(words), "{name}: {judgement:?}");
    }
    let refused = judged("deployment-replica-failure", None);
    assert!(refused.troubles[0].contains("exceeded quota"), "{refused:?}");
    let exceeded = judged("deployment-deadline-exceeded", Some("pods-list-unschedulable"));
    assert!(exceeded.troubles.iter().any(|it| it.contains("ProgressDeadlineExceeded")), "{exceeded:?}");
    let lost = judged("deployment-node-lost", Some("pods-list-node-lost"));
    assert!(lost.troubles.iter().all(|it| it.contains("its node") && it.contains("does not answer")), "{lost:?}");
    assert_eq!(judged("deployment-deadline-recovered", None).standing, Standing::Ready);
}
