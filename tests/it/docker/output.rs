//! What containers print.

use provisioning::engine::ports::{self, Backend as _, Following, LogSource as _, OutputSource as _};
use provisioning::logs::{AllLogs, FileLogs};
use provisioning::model::{Presence, StartHow, StopHow};
use provisioning::store::Layout;

use super::Fixture;
use crate::process::DEADLINE;
use crate::support::engine::must;

/// Reads until a line is there.
async fn read_to(receiver: &mut tokio::sync::mpsc::Receiver<Vec<ports::Output>>, last: &str) -> Vec<String> {
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line| line != last) {
        let batch = tokio::time::timeout(DEADLINE, receiver.recv()).await;
        let batch = batch.unwrap_or_else(|_| panic!("never {last}: {lines:?}")).expect("the stream goes on");
        lines.extend(batch.into_iter().map(|piece| match piece {
            ports::Output::Line(bytes) => String::from_utf8(bytes).expect("text"),
            ports::Output::Started { .. } => "[started]".to_owned(),
            ports::Output::NoneYet(why) => format!("({why})"),
            ports::Output::Problem(why) => format!("!{why}"),
        }));
    }
    lines
}

#[tokio::test]
async fn output_is_followed_across_restarts_and_recreation_without_a_lost_or_doubled_line() {
    let script = ["--end-on-term", "--print", "one", "--complain", "two", "--after-ms", "20", "--print", "three"];
    let Some(mut it) = Fixture::new(&script) else { return };
    let mut followed = it.backend.output(&it.spec, 10, Following::Yes).expect("a stream");
    it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    let sorted = |mut lines: Vec<String>| {
        // The engine does not promise an order between the two streams.
        lines.retain(|line| !line.starts_with('('));
        lines.sort_unstable();
        lines
    };
    assert_eq!(sorted(read_to(&mut followed, "three").await), ["one", "three", "two"]);
    it.backend.stop(&it.spec, StopHow::Ask, DEADLINE).await.expect("stops");
    it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    assert_eq!(sorted(read_to(&mut followed, "three").await), ["[started]", "one", "three", "two"]);
    it.backend.stop(&it.spec, StopHow::Ask, DEADLINE).await.expect("stops");
    it.docker_spec().restart_policy = Some("no".to_owned());
    must(&["rm", &it.name]);
    it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    assert_eq!(sorted(read_to(&mut followed, "three").await), ["[started]", "one", "three", "two"]);

    let mut newest = it.backend.output(&it.spec, 1, Following::No).expect("a stream");
    assert_eq!(read_to(&mut newest, "three").await, ["three"]);
    assert_eq!(newest.recv().await, None, "it ends");
}

#[tokio::test]
async fn of_a_failed_start_the_last_words_are_quoted() {
    let Some(it) = Fixture::new(&["--print", "bad config", "--after-ms", "20", "--exit", "7"]) else { return };
    let logs = AllLogs::new(
        FileLogs::new(Layout::new(it.home.path().join("services"))),
        std::sync::Arc::new(it.another_backend()),
    );
    it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    it.until("failed", |presence| matches!(presence, Presence::Failed { .. })).await;
    assert_eq!(logs.last_lines(&it.spec, 10).await, ["bad config"]);
}
