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

#[tokio::test]
async fn what_a_scaled_service_has_printed_comes_in_the_order_of_time_and_goes_on_from_there() {
    // By turns, since both run through the same script at other moments.
    let script = r#"["/static-service", "--end-on-term", "--print", "early", "--after-ms", "1500", "--print", "late"]"#;
    let Some(it) = Fixture::new(script) else { return };
    it.write(&it.definition("app", script, "    scale: 2\n"));
    it.start().await.expect("starts");
    it.until_all_have_said("late");
    let text = |piece| match piece {
        ports::Output::Line(line) => String::from_utf8(line).expect("text"),
        other => panic!("{other:?}"),
    };
    let all = async |n_lines| {
        let mut output = it.backend.output(&it.spec, n_lines, Following::No).expect("a stream");
        let mut lines = Vec::new();
        while let Some(batch) = tokio::time::timeout(DEADLINE, output.recv()).await.expect("it ends") {
            lines.extend(batch.into_iter().map(text));
        }
        lines
    };
    let sorted = |lines: &[String]| {
        let mut lines = lines.to_vec();
        lines.sort_unstable();
        lines
    };
    let lines = all(100).await;
    assert_eq!(sorted(&lines[..2]), ["1 | early", "2 | early"], "{lines:?}");
    assert_eq!(sorted(&lines[2..]), ["1 | late", "2 | late"], "{lines:?}");
    assert_eq!(all(2).await, lines[2..], "the newest of all, not of each");

    let mut followed = it.backend.output(&it.spec, 3, Following::Yes).expect("a stream");
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let batch = tokio::time::timeout(DEADLINE, followed.recv()).await.expect("a batch").expect("it goes on");
        seen.extend(batch.into_iter().map(text));
    }
    assert_eq!(seen, lines[1..]);
    it.stop().await;
    it.start().await.expect("starts again");
    let mut news = Vec::new();
    while news.len() < 6 {
        let batch = tokio::time::timeout(DEADLINE, followed.recv()).await.expect("a batch").expect("it goes on");
        news.extend(batch.into_iter().map(|piece| match piece {
            ports::Output::Started { .. } => "[started]".to_owned(),
            other => text(other),
        }));
    }
    let expected = ["1 | early", "1 | late", "2 | early", "2 | late", "[started]", "[started]"];
    assert_eq!(sorted(&news), expected, "none twice, and none is missing");
    it.stop().await;
}
