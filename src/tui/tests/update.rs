//! Behaviour without a screen: a state, keys, what is expected then.

use super::fixture::{Console, change, line, many, position};
use crate::engine::operation::{Plan, Refusal, Request, Role, Step, StepAction, Targets, Verb};
use crate::model::{Actor, StopHow};
use crate::testkit::builders::{id, ids};
use crate::tui::action::Pane;
use crate::tui::effect::Effect;
use crate::tui::event::{Event, LogSession, Ticket};
use crate::tui::feed::LogEntry;
use crate::tui::icons::IconSet;
use crate::tui::state::{Dialog, LogPlace, Redraw, Scroll};

/// Presses keys on the guide's platform and compares what is selected.
#[track_caller]
fn check_selected(keys: &str, expected: &str) {
    let mut console = Console::demo(80, 24);
    console.press(keys);
    assert_eq!(console.selected(), expected, "after {keys:?}");
}

#[test]
fn moving_selects_in_the_order_of_the_board() {
    check_selected("", "orchestrator");
    check_selected("j", "control-center");
    check_selected("jjk", "control-center");
    check_selected("G", "api-gateway");
    check_selected("Gg", "orchestrator");
    check_selected("k", "orchestrator");
    check_selected("jjjjjjjjjjjj", "api-gateway");
    check_selected("<C-d>", "gitea");
    check_selected("G<PgUp>", "orchestrator");
}

#[test]
fn services_of_one_category_stand_together_in_order_of_its_first_appearance() {
    let mut console = Console::new((80, 24), IconSet::Emoji, |now| {
        use crate::model::Category::{Dns, Ui};
        let with = |name: &str, category| {
            let mut spec = crate::testkit::builders::service(name, "");
            spec.category = category;
            spec
        };
        let registry = crate::testkit::builders::registry([with("a", Ui), with("b", Dns), with("c", Ui)]);
        super::fixture::snapshot_of(registry, now)
    });
    let mut order = vec![console.selected().to_owned()];
    for _ in 0..2 {
        console.press("j");
        order.push(console.selected().to_owned());
    }
    assert_eq!(order, ["a", "c", "b"]);
}

#[test]
fn the_first_service_is_selected_whichever_is_looked_at_first_until_the_person_does_something() {
    let mut console = Console::demo(80, 24);
    let all = console.state.snapshot.services.clone();
    console.publish(|snapshot| snapshot.services = vec![all[3].clone()]);
    assert_eq!(console.selected(), "gitea");
    console.publish(|snapshot| snapshot.services = all[1..].to_vec());
    assert_eq!(console.selected(), "control-center");
    console.press("2");
    console.publish(|snapshot| snapshot.services = all);
    assert_eq!(console.selected(), "control-center", "what was looked at stays");
}

#[test]
fn the_selection_stays_with_its_service_when_others_appear() {
    let mut console = Console::demo(80, 24);
    console.press("jjj");
    console.publish(|snapshot| {
        let mut registry = crate::model::Registry::clone(&snapshot.registry);
        registry.services.remove(1);
        snapshot.services.remove(1);
        snapshot.registry = std::sync::Arc::new(registry);
    });
    assert_eq!(console.selected(), "gitea");
    console.publish(|snapshot| {
        let mut registry = crate::model::Registry::clone(&snapshot.registry);
        registry.services.retain(|it| it.id != id("gitea"));
        snapshot.services.retain(|it| *it.id() != id("gitea"));
        snapshot.registry = std::sync::Arc::new(registry);
    });
    assert_eq!(console.selected(), "oci-registry", "its neighbour takes over");
}

/// Types a filter and compares what is listed.
#[track_caller]
fn check_filter(filter: &str, expected: &str) {
    let mut console = Console::demo(80, 24);
    console.press(&format!("/{filter}<Enter>"));
    let listed: Vec<&str> =
        console.state.board.listed.iter().map(|index| console.state.snapshot.services[*index].id().as_str()).collect();
    assert_eq!(listed.join(" "), expected, "with {filter:?}");
}

#[test]
fn the_filter_takes_words_states_categories_and_their_opposites() {
    check_filter("git", "gitea");
    check_filter("rstry", "");
    check_filter("cntctr", "control-center");
    check_filter("is:failed", "gitea");
    check_filter("is:unhealthy", "oci-registry");
    check_filter("cat:api", "mcp-server api-gateway");
    check_filter("cat:api !mcp", "api-gateway");
    check_filter("mode:docker", "");
    check_filter("", "orchestrator control-center coredns gitea oci-registry mcp-server api-gateway");
}

#[test]
fn letters_typed_into_the_filter_do_nothing_else() {
    let mut console = Console::demo(80, 24);
    let effects = console.press("/sxXSrRaq");
    assert!(effects.iter().all(|effect| matches!(effect, Effect::OpenLog { .. } | Effect::CloseLog)), "{effects:?}");
    assert_eq!(console.state.board.filter_text, "sxXSrRaq");
    console.press("<Esc>");
    assert_eq!((console.state.board.filter_text.as_str(), console.state.board.listed.len()), ("", 7));
}

#[test]
fn pasted_text_is_never_taken_for_keys() {
    let mut console = Console::demo(80, 24);
    assert_eq!(console.event(Event::Pasted("qXy\n".to_owned())), []);
    assert!(console.state.dialogs.is_empty());
    console.press("/");
    console.event(Event::Pasted("git\nX".to_owned()));
    assert_eq!(console.state.board.filter_text, "git");
}

#[test]
fn escape_goes_back_one_thing_at_a_time_and_never_quits() {
    let mut console = Console::demo(80, 24);
    console.press("/git<Enter>4z?");
    for expected in [(false, true, 3), (false, false, 3), (false, false, 0), (false, false, 0)] {
        let effects = console.press("<Esc>");
        assert!(!effects.contains(&Effect::Quit));
        let state = &console.state;
        let seen = (!state.dialogs.is_empty(), state.is_zoomed, state.board.filter_text.len());
        assert_eq!(seen, expected);
    }
    console.press("<Esc><Esc>");
    assert_eq!(console.state.focus, Pane::Services);
}

#[test]
fn tab_goes_round_the_panes_and_numbers_go_to_them() {
    let mut console = Console::demo(80, 24);
    let mut seen = Vec::new();
    for _ in 0..5 {
        console.press("<Tab>");
        seen.push(console.state.focus);
    }
    assert_eq!(seen, [Pane::Dependencies, Pane::Details, Pane::Log, Pane::Events, Pane::Services]);
    console.press("<BackTab>");
    assert_eq!(console.state.focus, Pane::Events);
    console.press("<BackTab>");
    assert_eq!(console.state.focus, Pane::Log);
    console.press("l");
    assert_eq!(console.state.focus, Pane::OwnLog);
    console.press("l");
    assert_eq!((console.state.focus, console.state.log_place), (Pane::Log, LogPlace::Service));
    console.press("1l");
    assert_eq!((console.state.focus, console.state.lower), (Pane::Services, Pane::OwnLog), "the board keeps the keys");
    console.press("l2");
    assert_eq!((console.state.focus, console.state.lower), (Pane::Dependencies, Pane::Dependencies));
}

fn request(verb: Verb, names: &str) -> Request {
    Request { verb, targets: Targets::Named(ids(names)), actor: Actor::Console }
}

/// Presses a key and compares the request whose plan is asked for.
#[track_caller]
fn check_request(key: &str, expected: Request) {
    let mut console = Console::demo(80, 24);
    let effects = console.press(key);
    assert_eq!(effects, [Effect::Plan { ticket: Ticket(1), request: expected }]);
}

#[test]
fn keys_ask_for_a_plan_before_anything_happens() {
    check_request("s", request(Verb::Start, "orchestrator"));
    check_request("S", request(Verb::StartUnchecked, "orchestrator"));
    check_request("x", request(Verb::Stop, "orchestrator"));
    check_request("X", request(Verb::StopForced { how: StopHow::AskThenKill }, "orchestrator"));
    check_request("r", request(Verb::Restart, "orchestrator"));
    check_request("R", request(Verb::RestartWithDependents, "orchestrator"));
    check_request("a", Request { targets: Targets::All, ..request(Verb::Start, "") });
}

pub(super) fn plan(request: &Request, names: &str) -> Plan {
    let step = |id| Step { service: id, action: StepAction::Start, role: Role::Target, after: Vec::new(), wave: 0 };
    Plan {
        request: request.clone(),
        steps: ids(names).into_iter().map(step).collect(),
        left_running: Vec::new(),
        refused: Vec::new(),
    }
}

fn planned(console: &mut Console, request: &Request, result: Result<Plan, Refusal>) -> Vec<Effect> {
    console.event(Event::Planned { ticket: Ticket(1), request: request.clone(), result })
}

#[test]
fn what_breaks_nothing_begins_at_once() {
    let mut console = Console::demo(80, 24);
    let request = request(Verb::Start, "gitea");
    let effects = planned(&mut console, &request, Ok(plan(&request, "gitea")));
    assert!(matches!(&effects[..], [Effect::Begin { request: begun, .. }] if *begun == request), "{effects:?}");
    assert!(console.state.dialogs.is_empty());
}

/// The plan of `verb` is at hand: whether it is asked, and that `y` begins it and Escape does not.
#[track_caller]
fn check_asked(verb: Verb, names: &str) {
    for (key, begins) in [("y", true), ("<Esc>", false), ("q", false)] {
        let mut console = Console::demo(80, 24);
        let request = request(verb, "orchestrator");
        assert_eq!(planned(&mut console, &request, Ok(plan(&request, names))), [], "{verb:?} has to ask");
        assert!(matches!(console.state.dialogs.last(), Some(Dialog::Question(_))));
        let effects = console.press(key);
        let has_begun = matches!(&effects[..], [Effect::Begin { request: begun, .. }] if *begun == request);
        assert_eq!((has_begun, effects.is_empty()), (begins, !begins), "{verb:?} {key}");
        assert!(console.state.dialogs.is_empty());
    }
}

#[test]
fn what_breaks_something_asks_first() {
    check_asked(Verb::StartUnchecked, "orchestrator");
    check_asked(Verb::StopForced { how: StopHow::AskThenKill }, "orchestrator");
    check_asked(Verb::RestartWithDependents, "orchestrator mcp-server");
}

#[test]
fn a_restart_asks_when_it_leaves_dependents_running() {
    let mut console = Console::demo(80, 24);
    let request = request(Verb::Restart, "orchestrator");
    let mut plan = plan(&request, "orchestrator");
    plan.left_running = vec![(id("orchestrator"), ids("mcp-server"))];
    assert_eq!(planned(&mut console, &request, Ok(plan)), []);
    let Some(Dialog::Question(question)) = console.state.dialogs.last() else { panic!("nothing was asked") };
    assert!(question.lines[0].contains("mcp-server"), "{question:?}");
}

#[test]
fn a_stop_refused_for_dependents_offers_force_and_nothing_else() {
    let mut console = Console::demo(80, 24);
    let request = request(Verb::Stop, "orchestrator");
    let refusal = Refusal::DependentsRunning { service: id("orchestrator"), dependents: ids("mcp-server") };
    planned(&mut console, &request, Err(refusal));
    assert_eq!(console.press("y<Enter>"), [], "confirming must not force");
    let effects = console.press("f");
    let is_forced = |effect: &Effect| matches!(effect, Effect::Begin { request, .. } if matches!(request.verb, Verb::StopForced { .. }));
    assert!(effects.iter().any(is_forced), "{effects:?}");
}

#[test]
fn quitting_asks_only_while_something_is_under_way() {
    let mut console = Console::demo(80, 24);
    assert_eq!(console.press("q"), [Effect::Quit]);
    assert_eq!(console.press("<C-c>"), [Effect::Quit]);
    let request = request(Verb::Start, "gitea");
    planned(&mut console, &request, Ok(plan(&request, "gitea")));
    assert_eq!(console.press("q"), []);
    assert_eq!(console.press("<Esc>"), []);
    assert_eq!(console.press("qy"), [Effect::Quit]);
    assert_eq!(console.press("q<C-c>"), [Effect::Quit]);
}

#[test]
fn the_wait_for_an_operation_is_given_up_once() {
    let mut console = Console::demo(80, 24);
    assert_eq!(console.press("c"), []);
    let request = request(Verb::Start, "gitea");
    planned(&mut console, &request, Ok(plan(&request, "gitea")));
    let ticket = Ticket(console.state.operations.last_ticket);
    console.event(Event::Begun { ticket, result: Ok(plan(&request, "gitea")) });
    assert_eq!(console.press("c"), [Effect::CancelOperation(ticket)]);
    assert_eq!(console.press("c"), []);
}

#[test]
fn the_log_follows_the_selection_and_late_lines_of_another_are_dropped() {
    let mut console = Console::demo(80, 24);
    let old = console.state.log.session;
    let effects = console.press("j");
    let session = LogSession(old.0 + 1);
    assert_eq!(effects, [Effect::OpenLog { session, service: id("control-center") }]);
    console.event(Event::LogArrived { session: old, entries: vec![line(0, "late")] });
    assert!(console.state.log.entries.is_empty());
    console.event(Event::LogArrived { session, entries: vec![line(0, "mine")] });
    assert_eq!(console.state.log.entries.len(), 1);
}

#[test]
fn moving_up_pauses_and_counts_what_comes_and_the_end_follows_again() {
    let mut console = Console::demo(80, 24);
    console.log(60);
    console.press("4k");
    let Scroll::Paused { top, n_new: 0 } = console.state.log.scroll else { panic!("{:?}", console.state.log.scroll) };
    console.log(3);
    assert_eq!(console.state.log.scroll, Scroll::Paused { top, n_new: 3 }, "what is read stays in place");
    console.press("G");
    assert_eq!(console.state.log.scroll, Scroll::Following);
    console.press("f");
    assert!(matches!(console.state.log.scroll, Scroll::Paused { .. }));
    console.press("<Esc>");
    assert_eq!(console.state.log.scroll, Scroll::Following);
}

#[test]
fn the_top_of_the_log_asks_for_earlier_lines_once() {
    let mut console = Console::demo(80, 24);
    let session = console.state.log.session;
    console.press("4");
    let effects = console.press("g");
    let before = position(0);
    assert_eq!(effects, [Effect::LoadEarlierLog { session, service: id("orchestrator"), before }]);
    assert_eq!(console.press("kk"), [], "one read at a time");
    console.event(Event::EarlierLogArrived { session, before, result: Ok(Vec::new()) });
    assert_eq!(console.press("kg"), [], "there are no earlier ones");
}

#[test]
fn the_memory_of_the_log_is_bounded() {
    let mut console = Console::demo(80, 24);
    for _ in 0..15 {
        console.log(1_000);
    }
    assert_eq!(console.state.log.entries.len(), 10_000);
    let session = console.state.log.session;
    let huge = vec![line(0, &"é".repeat(1 << 20))];
    console.event(Event::LogArrived { session, entries: huge });
    let Some(LogEntry::Line { text, .. }) = console.state.log.entries.back() else { panic!("no line") };
    assert!(text.len() < 5_000 && text.ends_with("more bytes]"), "{}", text.len());
}

/// Publishes a change and compares how soon it is drawn.
#[track_caller]
fn check_redraw(console: &mut Console, expected: Redraw, f: impl FnOnce(&mut crate::model::Snapshot)) {
    console.state.redraw = Redraw::No;
    console.publish(f);
    assert_eq!(console.state.redraw, expected);
}

#[test]
fn only_what_is_seen_makes_a_frame() {
    let mut console = Console::new((80, 24), IconSet::Emoji, many(45));
    let latency = |it: &mut crate::model::ServiceSnapshot| it.last_probe = Some(super::fixture::passed(77));
    check_redraw(&mut console, Redraw::No, |_| {});
    check_redraw(&mut console, Redraw::No, |snapshot| change(snapshot, "svc-044", latency));
    check_redraw(&mut console, Redraw::Soon, |snapshot| change(snapshot, "svc-000", latency));
    // The header counts every service.
    check_redraw(&mut console, Redraw::Now, |snapshot| {
        change(snapshot, "svc-044", |it| it.state = crate::model::ServiceState::Stopped);
    });
    console.state.redraw = Redraw::No;
    console.press("3");
    console.state.redraw = Redraw::No;
    console.log(5);
    assert_eq!(console.state.redraw, Redraw::No, "the log is not on the screen");
}

#[test]
fn enter_on_the_tree_goes_to_that_service() {
    let mut console = Console::demo(120, 40);
    console.press("2j<Enter>");
    assert_eq!(console.selected(), "api-gateway");
}

#[test]
fn a_click_selects_and_the_wheel_moves() {
    use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
    let mut console = Console::demo(80, 24);
    let mouse = |kind, row| Event::MouseUsed(MouseEvent { kind, column: 10, row, modifiers: KeyModifiers::NONE });
    console.event(mouse(MouseEventKind::Down(MouseButton::Left), 4));
    assert_eq!(console.selected(), "coredns");
    console.event(mouse(MouseEventKind::ScrollDown, 4));
    assert_eq!(console.selected(), "gitea");
    console.event(mouse(MouseEventKind::ScrollUp, 20));
    assert_eq!(console.selected(), "gitea", "the wheel scrolls what is below it");
}

#[test]
fn a_circle_of_dependencies_is_drawn_once() {
    let mut console = Console::new((120, 40), IconSet::Emoji, |now| {
        use crate::testkit::builders::{registry, service};
        super::fixture::snapshot_of(registry([service("a", "b"), service("b", "a"), service("c", "a nowhere")]), now)
    });
    assert!(console.state.tree.rows.len() < 10, "{:?}", console.state.tree.rows);
    console.press("jj");
    assert!(console.screen().contains("not registered"));
}
