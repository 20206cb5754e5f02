//! The output of all pods as one stream.

use std::time::Duration;

use provisioning::engine::ports::{Backend as _, Following, Output, OutputSource as _};
use provisioning::model::{StartHow, StopHow};
use tokio::sync::mpsc;

use super::{Platform, manifest, until};

struct Reading {
    receiver: mpsc::Receiver<Vec<Output>>,
    lines: Vec<String>,
    n_starts: usize,
}

impl Reading {
    /// Reads until a line ends like this.
    async fn until(&mut self, end: &str) {
        let is_there = |lines: &[String]| lines.iter().any(|line| line.ends_with(end));
        while !is_there(&self.lines) {
            let batch = tokio::time::timeout(Duration::from_secs(20), self.receiver.recv()).await;
            let batch = batch.unwrap_or_else(|_| panic!("never {end}: {:?}", self.lines));
            for output in batch.expect("the stream goes on") {
                match output {
                    Output::Line(line) => self.lines.push(String::from_utf8(line).unwrap()),
                    Output::Started { .. } => self.n_starts += 1,
                    Output::NoneYet(_) => {}
                    Output::Problem(why) => panic!("{why}"),
                }
            }
        }
    }
}

async fn reading(
    platform: &Platform,
    replicas: &str,
) -> (Reading, provisioning::backends::kubernetes::KubernetesBackend) {
    platform.write("manifests/20-web.yaml", &manifest(replicas, "registry.example/web:1"));
    let (backend, spec) = (platform.backend(), platform.spec());
    backend.start(&spec, StartHow::AsItIs).await.unwrap();
    until(&backend, &spec, "ready", |it| it.as_ref().is_ok_and(|it| it.notes.is_empty())).await.unwrap();
    let receiver = backend.output(&spec, 100, Following::Yes).unwrap();
    (Reading { receiver, lines: Vec::new(), n_starts: 0 }, backend)
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_several_pods_are_marked_and_those_of_one_are_not() {
    let platform = Platform::new();
    let (mut reading, _backend) = reading(&platform, "replicas: 2").await;
    for pod in platform.double.pods() {
        platform.double.print(&pod, &format!("hello from {pod}"));
        reading.until(&format!("[{pod}] hello from {pod}")).await;
    }
    let alone = Platform::new();
    let (mut reading, _backend) = self::reading(&alone, "replicas: 1").await;
    alone.double.print(&alone.double.pods()[0], "hello");
    reading.until("hello").await;
    assert!(reading.lines.contains(&"hello".to_owned()), "{:?}", reading.lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_followed_across_restarts_and_replacement_and_nothing_is_told_twice() {
    let platform = Platform::new();
    let (mut reading, backend) = reading(&platform, "replicas: 1").await;
    let pod = platform.double.pods()[0].clone();
    platform.double.print(&pod, "of the first run");
    reading.until("of the first run").await;
    platform.double.restart_container(&pod);
    platform.double.print(&pod, "of the second run");
    reading.until("of the second run").await;
    // All connections break; the whole last second would come again.
    platform.double.break_connections();
    platform.double.print(&pod, "after the break");
    reading.until("after the break").await;
    backend.start(&platform.spec(), StartHow::InPlace).await.unwrap();
    super::wait_until("another pod", || platform.double.pods().iter().all(|it| *it != pod));
    let next = platform.double.pods()[0].clone();
    platform.double.print(&next, "of the next pod");
    reading.until("of the next pod").await;
    assert!(reading.n_starts >= 2, "a restart and a replacement");
    let mut once = reading.lines.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), reading.lines.len(), "{:?}", reading.lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_stopped_has_no_output_yet_and_its_next_run_has() {
    let platform = Platform::new();
    let (_, backend) = reading(&platform, "replicas: 1").await;
    let spec = platform.spec();
    backend.stop(&spec, StopHow::Ask, Duration::from_secs(5)).await.unwrap();
    let mut none = backend.output(&spec, 10, Following::No).unwrap();
    let told = none.recv().await.unwrap();
    assert!(matches!(told.as_slice(), [Output::NoneYet(why)] if why.contains("no pod of web")), "{told:?}");
    assert!(none.recv().await.is_none());
    let receiver = backend.output(&spec, 10, Following::Yes).unwrap();
    let mut reading = Reading { receiver, lines: Vec::new(), n_starts: 0 };
    backend.start(&spec, StartHow::AsItIs).await.unwrap();
    super::wait_until("a pod", || !platform.double.pods().is_empty());
    let pod = platform.double.pods()[0].clone();
    reading.until(&format!("starting {pod}")).await;
}

#[test]
fn the_command_prints_the_newest_lines_of_all_pods_in_order() {
    let platform = Platform::new();
    platform.must("platform start web");
    let pods = platform.double.pods();
    for (n, pod) in [0, 1, 0, 1].into_iter().enumerate() {
        platform.double.print(&pods[pod], &format!("line {n}"));
    }
    let told = platform.must("services logs web --lines 3");
    let lines: Vec<&str> = told.lines().filter(|line| line.contains("] line ")).collect();
    let expected: Vec<String> =
        [(1, 1), (2, 0), (3, 1)].iter().map(|(n, pod)| format!("[{}] line {n}", pods[*pod])).collect();
    assert_eq!(lines, expected, "{told}");
}
