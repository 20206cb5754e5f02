//! Marks, and commands by their names.

use super::fixture::Console;
use crate::engine::operation::{Request, Targets, Verb};
use crate::model::Actor;
use crate::testkit::builders::{id, ids};
use crate::tui::effect::Effect;
use crate::tui::event::{Event, Ticket};
use crate::tui::state::Dialog;

fn planned(effects: &[Effect]) -> Option<(Verb, Targets)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Plan { request, .. } => Some((request.verb, request.targets.clone())),
        _ => None,
    })
}

#[test]
fn actions_are_for_the_marked_services_in_registry_order_and_for_the_selected_one_without_marks() {
    let mut console = Console::demo(80, 24);
    let named = |names: &str| Targets::Named(ids(names));
    // A mark moves on, so that a row of services is marked by holding the key.
    assert_eq!(planned(&console.press("jj kkk s")), Some((Verb::Start, named("orchestrator coredns"))));
    assert_eq!(planned(&console.press("ux")), Some((Verb::Stop, named(console.selected()))));
    assert_eq!(
        planned(&console.press("/cat:api<Enter>*<Esc>r")),
        Some((Verb::Restart, named("mcp-server api-gateway")))
    );
}

#[test]
fn marks_are_seen_are_taken_away_by_escape_and_go_with_their_service() {
    let mut console = Console::demo(80, 24);
    console.press(" ");
    let screen = console.screen();
    assert!(screen.contains("●orchestrator") && screen.contains("1 marked"), "{screen}");
    console.publish(|snapshot| snapshot.services.retain(|it| *it.id() != id("orchestrator")));
    assert!(console.state.board.marked.is_empty());
    console.press(" <Esc>");
    assert!(console.state.board.marked.is_empty());
}

#[test]
fn stopping_everything_is_asked_first() {
    let mut console = Console::demo(80, 24);
    let effects = console.press("<C-x>");
    assert_eq!(planned(&effects), Some((Verb::Stop, Targets::All)));
    let request = Request { verb: Verb::Stop, targets: Targets::All, actor: Actor::Console };
    let plan = super::update::plan(&request, "orchestrator gitea");
    let effects = console.event(Event::Planned { ticket: Ticket(1), request, result: Ok(plan) });
    assert_eq!(effects, []);
    let screen = console.screen();
    assert!(screen.contains("2 services are stopped.") && screen.contains("provisioning platform stop"), "{screen}");
    assert!(matches!(console.press("y").as_slice(), [Effect::Begin { .. }]));
}

#[test]
fn a_command_is_found_by_words_of_its_name_or_of_its_command_line_and_done_by_enter() {
    let mut console = Console::demo(80, 24);
    console.press(":restart everything");
    insta::assert_snapshot!(console.screen());
    assert_eq!(planned(&console.press("<Enter>")), Some((Verb::Restart, Targets::All)));
    assert!(console.state.dialogs.is_empty());
    console.press("<C-p>platform start");
    assert_eq!(planned(&console.press("<Enter>")), Some((Verb::Start, Targets::All)));
    console.press(":sxq");
    assert!(console.screen().contains("no command has these words"));
    assert_eq!(console.press("<Enter><Esc>"), []);
    assert!(console.state.dialogs.is_empty(), "letters were typed, not done");
}

#[test]
fn what_an_operation_needs_is_checked_and_started_from_the_palette() {
    let mut console = Console::demo(80, 24);
    console.publish(|snapshot| {
        for service in &mut snapshot.services {
            if *service.id() == id("coredns") || *service.id() == id("orchestrator") {
                let spec = std::sync::Arc::make_mut(&mut std::sync::Arc::make_mut(service).spec);
                spec.required_for = vec!["server".to_owned()];
                spec.startup.auto_start = true;
            }
        }
        let mut registry = crate::model::Registry::clone(&snapshot.registry);
        registry.services = snapshot.services.iter().map(|it| it.spec.clone()).collect();
        snapshot.registry = std::sync::Arc::new(registry);
    });
    console.press(":check server<Enter>");
    let Some(Dialog::Message { title, lines }) = console.state.dialogs.last() else { panic!("a message was expected") };
    assert_eq!(title, "check server");
    assert_eq!(
        lines,
        &[
            "Operation: server",
            "Required services: orchestrator, coredns",
            "All running: false",
            "Not running: coredns"
        ]
    );
    console.press("<Esc>");
    assert_eq!(planned(&console.press(":ensure server<Enter>")), Some((Verb::Start, Targets::Named(ids("coredns")))));
}
