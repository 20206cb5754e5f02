//! What a person sees, as pictures in text; a second dump shows the styles.

use std::time::Duration;

use insta::assert_snapshot;

use super::fixture::{Console, demo, many, rows, styles, with_problems};
use crate::engine::operation::{Plan, Progress, Refusal, Request, Role, Step, StepAction, Summary, Targets, Verb};
use crate::model::{Actor, ServiceId, StopHow};
use crate::testkit::builders::{id, ids};
use crate::tui::event::{Event, Ticket};
use crate::tui::icons::IconSet;
use crate::tui::text::width;
use crate::tui::theme::ColourDepth;

#[test]
fn the_narrow_screen_shows_board_and_why_and_log() {
    assert_snapshot!(Console::demo(80, 24).screen());
}

#[test]
fn the_normal_screen() {
    assert_snapshot!(Console::demo(120, 40).screen());
}

#[test]
fn the_wide_screen_has_three_columns() {
    assert_snapshot!(Console::demo(200, 50).screen());
}

#[test]
fn too_small_a_screen_says_how_large_it_should_be() {
    assert_snapshot!(Console::demo(50, 12).screen());
}

#[test]
fn a_failed_service_in_80_columns() {
    let mut console = Console::demo(80, 24);
    console.press("jjj3");
    assert_snapshot!(console.screen());
}

#[test]
fn many_services_and_long_names_scroll_and_never_break_a_column() {
    let mut console = Console::new((80, 24), IconSet::Emoji, many(45));
    console.press("Gkk");
    assert_snapshot!(console.screen());
}

#[test]
fn problems_of_the_registry_are_on_the_board() {
    let console = Console::new((120, 40), IconSet::Emoji, with_problems);
    assert_snapshot!(console.screen());
}

#[test]
fn without_emoji_everything_is_ascii() {
    let mut console = Console::new((100, 32), IconSet::Ascii, demo);
    console.log(12);
    let screen = console.screen();
    assert!(screen.is_ascii(), "{screen}");
    assert_snapshot!(screen);
}

#[test]
fn the_help_is_printed_from_the_keys() {
    let mut console = Console::demo(80, 24);
    console.press("?");
    assert_snapshot!(console.screen());
}

#[test]
fn the_filter_narrows_the_board() {
    let mut console = Console::demo(80, 24);
    console.press("/is:run !cat:ui");
    assert_snapshot!(console.screen());
}

#[test]
fn a_start_draws_a_line_through_the_log() {
    let mut console = Console::demo(80, 24);
    let session = console.state.log.session;
    let text = "orchestrator started, PID 12345".to_owned();
    let when = Some(super::fixture::wall().timestamp().into());
    let mark = crate::tui::feed::LogEntry::Mark { at: super::fixture::position(9_000), text, when };
    console.event(Event::LogArrived { session, entries: vec![mark] });
    let screen = console.screen();
    assert!(screen.contains("─── orchestrator started, PID 12345 · 14:30:05 ──"), "{screen}");
}

#[test]
fn the_styles_of_the_normal_screen() {
    assert_snapshot!(styles(&Console::demo(100, 30).buffer(ColourDepth::Sixteen)));
}

fn step(name: &str, after: &str, wave: usize, role: Role) -> Step {
    Step { service: id(name), action: StepAction::Start, role, after: ids(after), wave }
}

fn start_of_gateway() -> Plan {
    Plan {
        request: Request { verb: Verb::Start, targets: Targets::Named(ids("api-gateway")), actor: Actor::Console },
        steps: vec![
            step("orchestrator", "", 0, Role::Dependency),
            step("control-center", "orchestrator", 1, Role::Dependency),
            step("mcp-server", "orchestrator", 1, Role::Dependency),
            step("api-gateway", "control-center mcp-server", 2, Role::Target),
        ],
        left_running: Vec::new(),
        refused: Vec::new(),
    }
}

fn begun(console: &mut Console) -> Ticket {
    let plan = start_of_gateway();
    console.press("Gs");
    let ticket = Ticket(console.state.operations.last_ticket);
    console.event(Event::Planned { ticket, request: plan.request.clone(), result: Ok(plan.clone()) });
    let ticket = Ticket(console.state.operations.last_ticket);
    console.event(Event::Begun { ticket, result: Ok(plan) });
    ticket
}

fn progress(console: &mut Console, ticket: Ticket, progress: Progress) {
    console.event(Event::Progressed { ticket, progress });
}

#[test]
fn plan_and_progress_are_seen_while_something_starts() {
    let mut console = Console::demo(80, 24);
    let ticket = begun(&mut console);
    let orchestrator = super::fixture::process(12345);
    progress(&mut console, ticket, Progress::AlreadyRunning { service: id("orchestrator"), instance: orchestrator });
    progress(&mut console, ticket, Progress::Starting { service: id("control-center"), role: Role::Dependency });
    progress(&mut console, ticket, Progress::WaitingForHealth(id("mcp-server")));
    console.advance(Duration::from_secs(2));
    assert_snapshot!(console.screen());
}

#[test]
fn a_success_stays_for_a_moment_and_leaves_by_itself() {
    let mut console = Console::demo(120, 30);
    let ticket = begun(&mut console);
    console.advance(Duration::from_millis(1_200));
    let summary = Summary { started: ids("control-center mcp-server api-gateway"), ..Summary::default() };
    progress(&mut console, ticket, Progress::Finished(summary));
    let screen = console.screen();
    assert!(screen.contains("3 started · in 1.2s"), "{screen}");
    assert!(screen.contains("$ provisioning services start api-gateway"), "{screen}");
    console.advance(Duration::from_secs(7));
    assert!(!console.screen().contains("3 started"));
}

#[test]
fn a_failure_is_explained_and_stays() {
    use crate::engine::operation::Failure;
    use crate::model::Ending;
    let mut console = Console::demo(120, 40);
    let ticket = begun(&mut console);
    let failure = Failure::DiedDuringStart {
        ending: Ending::Exited(3),
        after: Some(Duration::from_millis(420)),
        last_lines: vec!["bind: address in use \u{1b}[31m".to_owned()],
        restart: None,
    };
    progress(&mut console, ticket, Progress::Failed { service: id("mcp-server"), failure });
    progress(&mut console, ticket, Progress::Skipped { service: id("api-gateway"), because: id("mcp-server") });
    let summary = Summary { failed: ids("mcp-server"), skipped: ids("api-gateway"), ..Summary::default() };
    progress(&mut console, ticket, Progress::Finished(summary));
    console.advance(Duration::from_secs(60));
    assert_snapshot!(console.screen());
}

#[test]
fn a_refused_stop_shows_who_needs_it() {
    let mut console = Console::demo(80, 24);
    let request = Request { verb: Verb::Stop, targets: Targets::Named(ids("orchestrator")), actor: Actor::Console };
    let result =
        Err(Refusal::DependentsRunning { service: id("orchestrator"), dependents: ids("control-center mcp-server") });
    console.event(Event::Planned { ticket: Ticket(1), request, result });
    assert_snapshot!(console.screen());
}

#[test]
fn a_forced_stop_says_what_breaks() {
    let mut console = Console::demo(80, 24);
    let verb = Verb::StopForced { how: StopHow::AskThenKill };
    let request = Request { verb, targets: Targets::Named(ids("orchestrator")), actor: Actor::Console };
    let step = Step {
        service: id("orchestrator"),
        action: StepAction::Stop,
        role: Role::Target,
        after: Vec::<ServiceId>::new(),
        wave: 0,
    };
    let plan = Plan { request: request.clone(), steps: vec![step], left_running: Vec::new(), refused: Vec::new() };
    console.event(Event::Planned { ticket: Ticket(1), request, result: Ok(plan) });
    assert_snapshot!(console.screen());
}

#[test]
fn every_size_is_drawn_without_a_panic_and_within_its_width() {
    for icons in [IconSet::Emoji, IconSet::Ascii] {
        for width_ in [1_u16, 59, 60, 80, 100, 160, 300] {
            for height in [1_u16, 15, 16, 24, 28, 90] {
                for keys in ["", "z", "3z", "2", "?", "l", "4<Up>", "4/e|x", "4&!q<Enter>/s<Enter>m", "T"] {
                    let mut console = Console::new((width_, height), icons, many(40));
                    console.log(30);
                    console.press(keys);
                    let buffer = console.buffer(ColourDepth::None);
                    assert!(rows(&buffer).iter().all(|row| width(row) <= usize::from(width_)));
                }
            }
        }
    }
}

#[test]
fn text_of_services_cannot_reach_the_terminal() {
    let mut console = Console::demo(80, 24);
    let session = console.state.log.session;
    let text = "\u{1b}[2J\u{1b}]52;c;ZXZpbA==\u{7}\u{9b}31m\rover\u{202e}write";
    let entries = vec![super::fixture::line(1, text)];
    console.event(Event::LogArrived { session, entries });
    console.publish(|snapshot| {
        super::fixture::change(snapshot, "orchestrator", |it| {
            it.notes = vec!["\u{1b}[31mnote\u{7}".to_owned()];
            it.last_probe = Some(crate::model::ProbeReport {
                message: "got \u{1b}[0m\u{8}".to_owned(),
                ..super::fixture::passed(3)
            });
        });
    });
    for keys in ["", "3", "z"] {
        console.press(keys);
        let buffer = console.buffer(ColourDepth::None);
        let harmful = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(buffer.content.iter().all(|cell| !cell.symbol().contains(harmful)));
    }
}
