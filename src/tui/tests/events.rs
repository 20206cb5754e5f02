//! The timeline in the console: what is seen of it, and what keys do there.

use std::io::Write as _;
use std::time::Duration;

use insta::assert_snapshot;

use super::fixture::{Console, demo, many, styles, wall};
use crate::store::TimelineEntry;
use crate::tui::action::Pane;
use crate::tui::effect::Effect;
use crate::tui::event::Event;
use crate::tui::icons::IconSet;
use crate::tui::state::Scroll;
use crate::tui::theme::ColourDepth;
use crate::tui::timeline_feed::{TimelineNews, follow};

const SAID: [(&str, &str, &str); 10] = [
    ("orchestrator", "console", "start requested"),
    ("orchestrator", "console", "started with PID 12345"),
    ("orchestrator", "console", "ready after 214 ms"),
    ("gitea", "outside", "exited with code 1"),
    ("gitea", "recovery", "restart 1 in 1.0 s"),
    ("gitea", "recovery", "given up after 3 restarts"),
    ("api-gateway", "recovery", "unhealthy: HTTP request to http://localhost:9070/health failed: connection refused"),
    ("api-gateway", "outside", "healthy again"),
    ("control-center", "command", "stop requested"),
    ("control-center", "command", "stopped"),
];

/// `n` entries, one in 7 minutes, the newest just now.
fn entries(n: u32) -> Vec<TimelineEntry> {
    let newest: std::time::SystemTime = wall().timestamp().into();
    (0..n)
        .map(|i| {
            let (service, actor, what) = SAID[i as usize % SAID.len()];
            let at = newest - Duration::from_secs(420) * (n - 1 - i);
            TimelineEntry { at, service: service.into(), actor: actor.into(), what: what.into() }
        })
        .collect()
}

fn with_events(mut console: Console, n: u32) -> Console {
    console.press("5");
    console.event(Event::TimelineArrived(TimelineNews::Entries(entries(n))));
    console
}

#[test]
fn the_events_in_80_columns() {
    assert_snapshot!(with_events(Console::demo(80, 24), 300).screen());
}

#[test]
fn the_events_as_large_as_they_go_in_80_columns_without_emoji() {
    let mut console = with_events(Console::new((80, 24), IconSet::Ascii, demo), 300);
    console.press("z");
    let screen = console.screen();
    assert!(screen.is_ascii(), "{screen}");
    assert_snapshot!(screen);
}

#[test]
fn the_events_on_the_normal_screen() {
    assert_snapshot!(with_events(Console::demo(120, 40), 300).screen());
}

#[test]
fn the_events_on_the_wide_screen() {
    assert_snapshot!(with_events(Console::demo(200, 50), 300).screen());
}

#[test]
fn the_styles_of_events() {
    let mut console = with_events(Console::demo(80, 24), 10);
    console.press("z");
    assert_snapshot!(styles(&console.buffer(ColourDepth::Sixteen)));
}

#[test]
fn long_names_and_hostile_sentences_break_no_column() {
    let mut console = Console::new((80, 24), IconSet::Emoji, many(3));
    console.press("5z");
    let entry = TimelineEntry {
        service: "n".repeat(64),
        actor: "\u{1b}]0;x\u{7}somebody-else".into(),
        what: format!("could not be started: \u{1b}[2J\u{9b}31m日本語\u{202e} {}", "word ".repeat(30)),
        ..entries(1).remove(0)
    };
    console.event(Event::TimelineArrived(TimelineNews::Entries(vec![entry])));
    let screen = console.screen();
    assert!(!screen.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{screen:?}");
    assert_snapshot!(screen);
}

#[test]
fn the_timeline_is_read_from_the_first_look_on_and_once() {
    let mut console = Console::demo(80, 24);
    assert!(!console.press("j4").contains(&Effect::FollowTimeline));
    assert!(console.press("5").contains(&Effect::FollowTimeline));
    assert!(!console.press("1<Tab>5").contains(&Effect::FollowTimeline));
}

#[test]
fn scrolling_pauses_counts_what_comes_and_escape_follows_again() {
    let mut console = with_events(Console::demo(80, 24), 100);
    assert_eq!((console.state.focus, console.state.events.scroll), (Pane::Events, Scroll::Following));
    console.press("kkk");
    let Scroll::Paused { top, n_new: 0 } = console.state.events.scroll else { panic!("not paused") };
    console.event(Event::TimelineArrived(TimelineNews::Entries(entries(4))));
    assert_eq!(console.state.events.scroll, Scroll::Paused { top, n_new: 4 }, "what is looked at stays");
    assert!(console.screen().contains("paused, 4 new"));
    console.press("<Esc>");
    assert_eq!(console.state.events.scroll, Scroll::Following);
    console.press("gG");
    assert_eq!(console.state.events.scroll, Scroll::Following);
    console.press("f");
    assert!(matches!(console.state.events.scroll, Scroll::Paused { .. }));
}

#[test]
fn one_key_shows_the_selected_service_alone_and_all_again() {
    let mut console = with_events(Console::demo(120, 40), 50);
    console.press("v");
    let screen = console.screen();
    assert!(screen.contains("15 events of orchestrator"), "{screen}");
    console.press("1j5");
    assert!(console.screen().contains("10 events of control-center"), "{}", console.screen());
    console.press("v");
    assert!(console.screen().contains("50 events of all services"));
}

#[test]
fn an_empty_and_an_unreadable_timeline_say_so() {
    let mut console = Console::demo(80, 24);
    console.press("5");
    assert!(console.screen().contains("Reading the timeline"));
    console.event(Event::TimelineArrived(TimelineNews::Entries(Vec::new())));
    assert!(console.screen().contains("Nothing has happened yet"));
    console.event(Event::TimelineArrived(TimelineNews::Unreadable("permission denied".into())));
    assert!(console.screen().contains("The timeline cannot be read: permission denied"));
    console.event(Event::TimelineArrived(TimelineNews::Entries(entries(1))));
    assert!(console.screen().contains("start requested"));
}

#[tokio::test]
async fn what_others_write_arrives_as_it_is_written() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("events.jsonl");
    let line = |what: &str| format!("{{\"at_ms\":1000,\"service\":\"a\",\"actor\":\"command\",\"what\":\"{what}\"}}\n");
    std::fs::write(&path, line("one") + "torn\n").unwrap();
    let mut news = follow(path.clone());
    let mut next = async || match tokio::time::timeout(Duration::from_secs(20), news.recv()).await.unwrap().unwrap() {
        TimelineNews::Entries(entries) => entries.into_iter().map(|entry| entry.what).collect::<Vec<_>>(),
        TimelineNews::Unreadable(why) => panic!("{why}"),
    };
    assert_eq!(next().await, ["one"]);
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(line("two").as_bytes()).unwrap();
    assert_eq!(next().await, ["two"]);
    std::fs::rename(&path, home.path().join("events.jsonl.1")).unwrap();
    std::fs::write(&path, line("three")).unwrap();
    assert_eq!(next().await, ["three"]);
}
