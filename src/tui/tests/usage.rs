//! What services use is asked for what is on the screen, at a slow pace, and drawn when it has changed.

use std::time::Duration;

use super::fixture::{Console, change, many, process};
use crate::model::{ServiceState, Usage};
use crate::testkit::builders::id;
use crate::tui::effect::Effect;
use crate::tui::event::Event;
use crate::tui::icons::IconSet;
use crate::tui::state::Redraw;

fn asked(effects: &[Effect]) -> Option<Vec<String>> {
    effects.iter().find_map(|effect| match effect {
        Effect::MeasureUsage { services } => Some(services.iter().map(ToString::to_string).collect()),
        _ => None,
    })
}

/// A console that has not looked yet.
fn fresh(mut console: Console) -> Console {
    console.state.usage = Default::default();
    console
}

fn used(millis: u64, mib: u64) -> Usage {
    Usage { processor: Duration::from_millis(millis), memory: mib * 1024 * 1024 }
}

#[test]
fn on_a_wide_screen_every_visible_service_that_runs_is_asked_about_and_nobody_else() {
    let mut console = fresh(Console::demo(200, 50));
    let names = asked(&console.event(Event::UsageDue)).expect("asked");
    assert!(names.contains(&"orchestrator".to_owned()) && !names.contains(&"coredns".to_owned()), "{names:?}");
    assert_eq!(asked(&console.event(Event::UsageDue)), None, "one look at a time");
    console.event(Event::UsageMeasured(Vec::new()));
    assert!(console.state.usage.due.is_some_and(|due| due > console.state.moment.now));

    let mut console = fresh(Console::demo(120, 40));
    let names = asked(&console.event(Event::UsageDue)).expect("asked");
    assert_eq!(names, ["orchestrator"], "only the details have room for it");
}

#[test]
fn where_nothing_runs_nothing_is_asked_and_nothing_wakes() {
    let mut console = Console::new((200, 50), IconSet::Emoji, many(5));
    for n in 0..5 {
        let name = console.state.snapshot.services[n].id().to_string();
        console.publish(|snapshot| change(snapshot, &name, |service| service.state = ServiceState::Stopped));
    }
    let mut console = fresh(console);
    assert_eq!(asked(&console.event(Event::UsageDue)), None);
    assert_eq!(console.state.usage.due, None);
}

#[test]
fn what_looks_the_same_is_not_drawn_again() {
    let mut console = fresh(Console::demo(200, 50));
    console.event(Event::UsageDue);
    let instance = console.state.selected().and_then(|it| it.state.instance()).cloned().expect("it runs");
    assert_ne!(instance, process(0));
    let measure = |console: &mut Console, millis, mib| {
        console.advance(Duration::from_secs(1));
        console.state.redraw = Redraw::No;
        console.event(Event::UsageMeasured(vec![(id("orchestrator"), instance.clone(), used(millis, mib))]));
        console.state.redraw
    };
    assert_eq!(measure(&mut console, 1_000, 42), Redraw::Now);
    assert_eq!(measure(&mut console, 1_010, 42), Redraw::Now);
    assert!(console.screen().contains("CPU 1.0 %") && console.screen().contains("42 MiB"), "{}", console.screen());
    assert_eq!(measure(&mut console, 1_020, 42), Redraw::No);
    assert_eq!(measure(&mut console, 1_070, 42), Redraw::Now);
}

#[test]
fn the_board_says_the_mode_first_and_shows_no_columns_of_dashes() {
    let row = |console: &Console| {
        let screen = console.screen();
        let row = screen.lines().find(|row| row.contains("orchestrator   ")).unwrap_or_default().to_owned();
        row.split('│').nth(1).unwrap_or_default().to_owned()
    };
    let mut console = Console::demo(140, 40);
    assert!(row(&console).ends_with("15ms binary"), "{}", row(&console));

    console = fresh(Console::demo(200, 50));
    assert!(row(&console).ends_with("15ms binary"), "nothing is known yet: {}", row(&console));
    let instance = console.state.selected().and_then(|it| it.state.instance()).cloned().expect("it runs");
    for millis in [1_000, 1_030] {
        console.advance(Duration::from_secs(1));
        console.event(Event::UsageMeasured(vec![(id("orchestrator"), instance.clone(), used(millis, 42))]));
    }
    assert!(row(&console).ends_with("15ms binary  3.0 %   42 MiB"), "{}", row(&console));
}
