//! The preflight page.

use insta::assert_snapshot;

use super::fixture::Console;
use crate::preflight::{HostFinding, Topic, Verdict};
use crate::report::{Complaint, Diagnosis, ServiceDiagnosis};
use crate::tui::effect::Effect;
use crate::tui::event::Event;
use crate::tui::state::Dialog;

fn complaint(message: &str, remedy: &str) -> Complaint {
    Complaint { verdict: Verdict::Failed, message: message.to_owned(), remedy: Some(remedy.to_owned()) }
}

fn unwell(name: &str, message: &str, remedy: &str) -> ServiceDiagnosis {
    ServiceDiagnosis { name: name.to_owned(), complaints: vec![complaint(message, remedy)] }
}

fn found() -> Diagnosis {
    Diagnosis {
        host: vec![
            HostFinding {
                topic: Topic::StateDirectory,
                verdict: Verdict::Passed,
                message: "State directory: /home/u/.provisioning/services".to_owned(),
                remedy: None,
            },
            HostFinding {
                topic: Topic::Logout,
                verdict: Verdict::Warning,
                message: "Services started here end when you log out: they stand below your user manager".to_owned(),
                remedy: Some("loginctl enable-linger ada".to_owned()),
            },
        ],
        registry: Vec::new(),
        services: vec![
            unwell("gitea", "Binary not found: /opt/gitea/\u{1b}[31mgitea", "check `binary_path` in the registry"),
            unwell("orchestrator", "Port 9090 is already in use by nginx (PID 77)", "stop it (kill 77)"),
            ServiceDiagnosis { name: "coredns".to_owned(), complaints: Vec::new() },
        ],
    }
}

fn examined(round: u64, found: Diagnosis) -> Event {
    Event::Examined { round, found: Box::new(found) }
}

#[test]
fn p_looks_at_everything_and_shows_what_is_selected_first() {
    let mut console = Console::demo(80, 24);
    assert_eq!(console.press("p"), [Effect::Examine { round: 1 }]);
    assert!(console.screen().contains("Looking at the machine"), "{}", console.screen());
    console.event(examined(1, found()));
    assert_snapshot!(console.screen());
}

#[test]
fn a_late_answer_of_an_earlier_look_changes_nothing() {
    let mut console = Console::demo(80, 24);
    console.press("p");
    assert_eq!(console.press("p"), [Effect::Examine { round: 2 }]);
    console.event(examined(1, found()));
    assert_eq!(console.state.preflight.found, None);
    console.event(examined(2, found()));
    assert_eq!(console.state.preflight.found, Some(found()));
}

#[test]
fn what_was_found_stays_while_somebody_looks_again() {
    let mut console = Console::demo(120, 40);
    console.press("p");
    console.event(examined(1, found()));
    console.press("p");
    let screen = console.screen();
    assert!(screen.contains("Preflight: looking") && screen.contains("Port 9090"), "{screen}");
}

#[test]
fn the_page_scrolls_to_its_end_and_no_further_and_closes() {
    let mut console = Console::demo(80, 24);
    console.press("p");
    let mut long = found();
    long.services = (0..40).map(|n| unwell(&format!("s{n}"), "Binary not found: /x", "check it")).collect();
    console.event(examined(1, long));
    console.press(&"j".repeat(300));
    let screen = console.screen();
    assert!(screen.contains("enable-linger"), "{screen}");
    let at_the_end = console.state.dialogs.clone();
    console.press("j");
    assert_eq!(console.state.dialogs, at_the_end);
    console.press("k");
    assert_ne!(console.state.dialogs, at_the_end);
    console.press("q");
    assert_eq!(console.state.dialogs, Vec::<Dialog>::new());
}
