//! Edits of the registry, seen from the console.

use std::sync::Arc;

use insta::assert_snapshot;

use super::fixture::{Console, demo};
use crate::engine::operation::{Plan, Request, Role, Step, StepAction, Targets, Verb};
use crate::model::{Code, Deployment, Diagnostic, Place, Registry, RegistrySource, ServiceId, ServiceSpec, Severity};
use crate::testkit::builders::{id, service};
use crate::tui::effect::Effect;
use crate::tui::event::Event;
use crate::tui::icons::IconSet;
use crate::tui::state::{Answer, Dialog};
use crate::tui::update::registry::Occasion;

impl Console {
    fn load(&mut self, registry: Registry, occasion: Occasion) -> Vec<Effect> {
        self.event(Event::RegistryLoaded { registry: Box::new(registry), occasion })
    }

    /// The registry in force after `change`.
    fn edited(&self, change: impl FnOnce(&mut Vec<ServiceSpec>)) -> Registry {
        let mut registry = (*self.state.registry.in_force).clone();
        let mut services: Vec<ServiceSpec> = registry.services.iter().map(|spec| (**spec).clone()).collect();
        change(&mut services);
        registry.services = services.into_iter().map(Arc::new).collect();
        registry
    }

    fn broken(&self) -> Registry {
        let mut registry = (*self.state.registry.in_force).clone();
        registry.services.clear();
        registry.diagnostics = vec![Diagnostic {
            code: Code::Syntax,
            severity: Severity::Error,
            service: None,
            message: "invalid table header".to_owned(),
            place: Some(Place {
                file: Some("config/services.toml".into()),
                line: 7,
                column: 1,
                span: 90..99,
                source_line: "[services".to_owned(),
            }),
            label: None,
            related: Vec::new(),
            hint: Some("close it with `]`".to_owned()),
        }];
        registry
    }
}

fn spec<'a>(services: &'a mut [ServiceSpec], name: &str) -> &'a mut ServiceSpec {
    services.iter_mut().find(|spec| spec.id.as_str() == name).unwrap()
}

fn add_argument(spec: &mut ServiceSpec) {
    match &mut spec.deployment {
        Deployment::Binary(binary) => binary.args.push("--verbose".to_owned()),
        other => panic!("{other:?}"),
    }
}

/// One of each: added, changed in both ways, removed while it runs and while it does not.
fn edit(services: &mut Vec<ServiceSpec>) {
    add_argument(spec(services, "orchestrator"));
    spec(services, "orchestrator").description = "another".to_owned();
    add_argument(spec(services, "api-gateway"));
    services.retain(|spec| !["control-center", "coredns"].contains(&spec.id.as_str()));
    services.push(service("cache", ""));
}

/// A console on the built-in registry.
fn built_in() -> Console {
    Console::new((120, 40), IconSet::Emoji, |now| {
        let mut snapshot = demo(now);
        Arc::make_mut(&mut snapshot.registry).source = RegistrySource::BuiltIn;
        snapshot
    })
}

fn reloads(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Reload(_))).count()
}

#[test]
fn a_good_edit_is_in_force_at_once_and_its_difference_is_shown() {
    let mut console = Console::demo(120, 40);
    let effects = console.load(console.edited(edit), Occasion::Edited);
    assert_eq!(reloads(&effects), 1);
    assert_snapshot!(console.screen());
}

#[test]
fn the_difference_fits_the_narrow_screen() {
    let mut console = Console::demo(80, 24);
    console.load(console.edited(edit), Occasion::Edited);
    assert_snapshot!(console.screen());
}

#[test]
fn a_bad_edit_changes_nothing_and_is_explained() {
    let mut console = Console::demo(120, 40);
    let before = console.state.registry.in_force.clone();
    let effects = console.load(console.broken(), Occasion::Edited);
    assert_eq!(reloads(&effects), 0);
    assert!(Arc::ptr_eq(&before, &console.state.registry.in_force));
    assert_snapshot!(console.screen());
    console.press("<Esc>");
    assert!(console.screen().contains("✗ 1 error"), "it stays in the header");
    let effects = console.load((*before).clone(), Occasion::Edited);
    assert_eq!((reloads(&effects), console.state.dialogs.len()), (1, 0), "mended without a difference");
    assert!(!console.screen().contains("✗ 1 error"));
}

#[test]
fn a_file_that_has_an_error_where_there_was_none_is_not_applied_and_one_that_always_had_one_is() {
    let mut console = Console::demo(120, 40);
    let mut worse = console.edited(|_| {});
    worse.diagnostics = console.broken().diagnostics;
    worse.diagnostics[0].service = Some("vault".to_owned());
    assert_eq!(reloads(&console.load(worse.clone(), Occasion::Edited)), 0);
    let mut console = Console::new((120, 40), IconSet::Emoji, super::fixture::with_problems);
    assert_eq!(reloads(&console.load(worse, Occasion::Edited)), 1, "the person may mend one thing after the other");
}

#[test]
fn edits_that_follow_each_other_add_up_until_they_were_read() {
    let mut console = Console::demo(120, 40);
    console.load(console.edited(|services| services.push(service("one", ""))), Occasion::Edited);
    console.load(console.edited(|services| services.push(service("two", ""))), Occasion::Edited);
    let screen = console.screen();
    assert!(screen.contains("2 added") && screen.contains("+ one") && screen.contains("+ two"), "{screen}");
    console.press("<Esc>");
    console.load(console.edited(|services| services.push(service("three", ""))), Occasion::Edited);
    assert!(console.screen().contains("1 added"));
}

#[test]
fn what_was_edited_is_restarted_only_after_a_question() {
    let mut console = Console::demo(120, 40);
    console.load(console.edited(|services| add_argument(spec(services, "orchestrator"))), Occasion::Edited);
    let effects = console.press("a");
    let [Effect::Plan { ticket, request }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((request.verb, &request.targets), (Verb::Restart, &Targets::Named(vec![id("orchestrator")])));
    let step = Step {
        service: id("orchestrator"),
        action: StepAction::Restart,
        role: Role::Target,
        after: Vec::new(),
        wave: 0,
    };
    let plan = Plan { request: request.clone(), steps: vec![step], left_running: Vec::new(), refused: Vec::new() };
    let planned = Event::Planned { ticket: *ticket, request: request.clone(), result: Ok(plan) };
    assert_eq!(console.event(planned), []);
    let begun = console.press("y");
    assert!(matches!(&begun[..], [Effect::Begin { request: Request { verb: Verb::Restart, .. }, .. }]), "{begun:?}");
}

#[test]
fn nothing_can_be_applied_where_nothing_runs_as_before() {
    let mut console = Console::demo(120, 40);
    console.load(console.edited(|services| services.push(service("one", ""))), Occasion::Edited);
    assert_eq!(console.press("a"), []);
    assert!(!console.screen().contains("restart what changed"));
}

#[test]
fn an_edit_never_takes_the_keys_from_a_question() {
    let mut console = built_in();
    console.press("e");
    console.load(console.edited(edit), Occasion::Edited);
    let Some(Dialog::Question(question)) = console.state.dialogs.last() else { panic!() };
    assert_eq!(question.confirm, Some(Answer::WriteBuiltIn));
    console.press("n");
    assert!(matches!(console.state.dialogs.last(), Some(Dialog::Registry { .. })));
}

#[test]
fn reading_again_shows_something_even_when_nothing_changed() {
    let mut console = Console::demo(120, 40);
    assert_eq!(console.press("L"), [Effect::LoadRegistry]);
    console.load(console.edited(|_| {}), Occasion::Asked);
    assert!(console.screen().contains("no service was changed"), "{}", console.screen());
    console.press("<Esc>");
    console.load(console.edited(|_| {}), Occasion::Edited);
    assert!(console.state.dialogs.is_empty(), "an edit that changes nothing shows nothing");
}

#[test]
fn the_editor_opens_at_the_selected_service() {
    let mut console = Console::demo(120, 40);
    let mut registry = console.edited(|_| {});
    registry.source = RegistrySource::File("/srv/services.toml".into());
    console.load(registry, Occasion::Edited);
    console.press("j");
    let service: Option<ServiceId> = console.state.board.selected.clone();
    assert!(service.is_some());
    assert_eq!(console.press("e"), [Effect::Edit { file: "/srv/services.toml".into(), service }]);
}

#[test]
fn the_built_in_registry_is_written_to_a_file_first_if_the_person_wants_that() {
    let mut console = built_in();
    console.press("e");
    assert!(console.screen().contains("~/.provisioning/config/services.toml"), "{}", console.screen());
    assert_eq!(console.press("y"), [Effect::WriteBuiltIn]);
    let effects = console.event(Event::BuiltInWritten(Ok("/home/u/services.toml".into())));
    assert!(matches!(&effects[..], [Effect::Edit { .. }]), "{effects:?}");
    console.event(Event::BuiltInWritten(Err("File exists\u{1b}[2J".to_owned())));
    assert!(console.screen().contains("File exists"));
}

#[test]
fn long_findings_are_scrolled() {
    let mut console = Console::new((80, 24), IconSet::Emoji, demo);
    let mut broken = console.broken();
    let one = broken.diagnostics[0].clone();
    broken.diagnostics =
        (0..30).map(|n| Diagnostic { message: format!("problem number {n}"), ..one.clone() }).collect();
    console.load(broken, Occasion::Edited);
    assert!(console.screen().contains("problem number 0"));
    for _ in 0..40 {
        console.press(" ");
    }
    let screen = console.screen();
    assert!(screen.contains("problem number 29") && screen.contains("leave it"), "{screen}");
}
