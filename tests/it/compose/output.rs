//! What the containers print.

use provisioning::engine::ports::{self, Following, OutputSource as _};

use super::*;

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

fn counting(first: &str, last: &str) -> String {
    format!(r#"["/static-service", "--end-on-term", "--print", "{first}", "--print", "{last}"]"#)
}

#[tokio::test]
async fn output_is_followed_from_before_the_first_start_across_restarts_and_recreation() {
    let Some(it) = Fixture::new(&counting("one", "two")) else { return };
    let mut output = it.backend.output(&it.spec, 100, Following::Yes).expect("a stream");
    let none = read_to(&mut output, "(No log yet: there is no container of app)").await;
    assert_eq!(none.len(), 1);
    it.start().await.expect("starts");
    assert_eq!(read_to(&mut output, "two").await, ["one", "two"]);
    it.stop().await;
    it.start().await.expect("starts again");
    assert_eq!(read_to(&mut output, "two").await, ["[started]", "one", "two"]);
    it.stop().await;
    it.write(&it.definition("app", &counting("three", "four"), ""));
    it.start().await.expect("starts anew");
    assert_eq!(read_to(&mut output, "four").await, ["[started]", "three", "four"]);

    let mut newest = it.another_backend().output(&it.spec, 1, Following::No).expect("a stream");
    assert_eq!(read_to(&mut newest, "four").await, ["four"]);
    assert!(newest.recv().await.is_none(), "it ends where nothing follows");
    it.stop().await;
}

#[tokio::test]
async fn each_line_of_a_scaled_service_tells_which_container_it_is_of() {
    let Some(it) = Fixture::new(GOOD) else { return };
    it.write(&it.definition("app", GOOD, "    scale: 2\n"));
    it.start().await.expect("starts");
    it.until_all_have_said("ready");
    let mut output = it.backend.output(&it.spec, 100, Following::No).expect("a stream");
    let mut lines = Vec::new();
    while let Some(batch) = output.recv().await {
        for piece in batch {
            if let ports::Output::Line(line) = piece {
                lines.push(String::from_utf8(line).expect("text"));
            }
        }
    }
    lines.sort();
    assert_eq!(lines, ["1 | ready", "2 | ready"]);
    it.stop().await;
}
