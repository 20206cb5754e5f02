//! The log pane: looking for something, showing matching lines alone, taking lines along.

use std::time::{Duration, Instant};

use insta::assert_snapshot;

use super::fixture::{Console, line, styles};
use crate::tui::action::Pane;
use crate::tui::effect::Effect;
use crate::tui::event::Event;
use crate::tui::feed::LogEntry;
use crate::tui::state::Scroll;
use crate::tui::theme::ColourDepth;

/// A console with the focus on a log of that many lines.
fn at_log(width: u16, height: u16, n: u64) -> Console {
    let mut console = Console::demo(width, height);
    console.press("4");
    arrive(&mut console, (24..n).map(|i| format!("line {i} {}", if i % 50 == 7 { "Needle" } else { "hay" })));
    console
}

fn arrive(console: &mut Console, texts: impl IntoIterator<Item = String>) {
    let session = console.state.log.session;
    let entries = texts.into_iter().enumerate().map(|(i, text)| line(1_000 + i as u64, &text)).collect();
    console.event(Event::LogArrived { session, entries });
}

/// What the pane shows of the log, top to bottom.
fn window(console: &Console) -> Vec<String> {
    let (width, height) = crate::tui::update::inner_size(&console.state, Pane::Log);
    let log = &console.state.log;
    let window = log.window(width, height);
    let shown = log.shown_from(window.start).take(window.len());
    shown
        .map(|entry| match entry {
            LogEntry::Line { text, .. } | LogEntry::Mark { text, .. } | LogEntry::Note(text) => text.clone(),
        })
        .collect()
}

/// Which match is gone to, and how many there are.
fn matches(console: &Console) -> (Option<usize>, usize) {
    let search = console.state.log.search.as_ref().expect("a search");
    (search.current.map(|current| search.hits.n_before(current) + 1), search.hits.len())
}

#[test]
fn a_search_goes_to_the_newest_match_letter_by_letter_and_escape_goes_back() {
    let mut console = at_log(80, 24, 300);
    console.press("/needle");
    assert_eq!(matches(&console), (Some(5), 5));
    assert!(window(&console).contains(&"line 257 Needle".to_owned()));
    assert!(matches!(console.state.log.scroll, Scroll::Paused { .. }));
    console.press("<Esc>");
    assert!(console.state.log.search.is_none());
    assert_eq!(console.state.log.scroll, Scroll::Following);
}

#[test]
fn matches_are_gone_through_both_ways_and_round() {
    let mut console = at_log(80, 24, 300);
    console.press("/needle<Enter>");
    let mut seen = Vec::new();
    for key in ["N", "N", "n", "n", "n", "N"] {
        console.press(key);
        seen.push(matches(&console).0.unwrap());
        let place = window(&console).iter().position(|text| text.contains("Needle"));
        assert!(place.is_some(), "{key}: {:?}", window(&console));
    }
    assert_eq!(seen, [4, 3, 4, 5, 1, 5]);
    console.press("<Esc>");
    assert!(console.state.log.search.is_none(), "escape forgets the search first");
    console.press("n");
    assert!(console.screen().contains("nothing is looked for yet: / begins"), "{}", console.screen());
    assert_eq!(console.state.focus, Pane::Log);
}

#[test]
fn what_comes_and_what_is_forgotten_keeps_the_count_right() {
    let mut console = at_log(80, 24, 300);
    console.press("/needle<Enter>");
    arrive(&mut console, ["a needle comes".to_owned(), "hay".to_owned()]);
    assert_eq!(matches(&console), (Some(5), 6));
    let before = window(&console);
    arrive(&mut console, (0..9_900).map(|i| format!("more hay {i}")));
    assert_eq!(console.state.log.entries.len(), 10_000);
    assert_eq!(matches(&console), (Some(2), 3), "those of the lines that are forgotten are gone");
    assert_eq!(window(&console), before, "what is read stays in place");
    let session = console.state.log.session;
    let position = console.state.log.first_position().unwrap();
    console.state.log.entries.truncate(9_000);
    let entries = vec![line(1, "old needle"), line(2, "old hay")];
    console.event(Event::EarlierLogArrived { session, before: position, result: Ok(entries) });
    assert_eq!(matches(&console), (Some(3), 4));
}

#[test]
fn slash_on_the_board_stays_the_filter_of_the_board() {
    let mut console = Console::demo(80, 24);
    console.press("/git");
    assert_eq!((console.state.board.filter_text.as_str(), console.state.log.search.is_none()), ("git", true));
}

#[test]
fn no_key_that_is_typed_into_a_search_or_a_filter_does_anything_else() {
    for keys in ["/sxXSrRaq<C-x><C-r>", "&sxXSrRaq<C-x><C-r>"] {
        let mut console = at_log(80, 24, 30);
        assert_eq!(console.press(keys), [], "{keys}");
        assert!(console.state.dialogs.is_empty());
        assert_eq!(console.press("<C-c>"), [Effect::Quit]);
    }
    let mut console = at_log(80, 24, 30);
    console.press("/");
    console.event(Event::Pasted("hay\nq".to_owned()));
    assert_eq!(console.state.log.prompt.as_ref().unwrap().text, "hay");
}

#[test]
fn a_filter_shows_matching_lines_alone_or_all_others() {
    let mut console = at_log(80, 24, 300);
    console.press("&needle<Enter>");
    assert_eq!(console.state.log.n_shown(), 5);
    assert!(window(&console).iter().all(|text| text.contains("Needle")));
    assert!(console.screen().contains("5 of 300+ lines"), "{}", console.screen());
    arrive(&mut console, ["hay".to_owned(), "one more needle".to_owned()]);
    assert_eq!(window(&console).last().unwrap(), "one more needle");
    console.press("/more<Enter>");
    assert_eq!(matches(&console), (Some(1), 1), "what is not shown is not found");
    console.press("<Esc>&<C-u>!.<Enter>");
    assert_eq!(console.state.log.filter.as_ref().unwrap().text(), "!.");
    assert!(console.screen().contains("0 of 302+ lines") && console.screen().contains("No line of 302"));
    console.press("&<C-u><Enter>");
    assert_eq!((console.state.log.n_shown(), console.state.log.filter.is_none()), (302, true));
}

#[test]
fn a_filter_is_as_before_after_escape_and_keeps_the_place() {
    let mut console = at_log(80, 24, 300);
    console.press("kkkkkkkkkk");
    let before = window(&console);
    console.press("&needle<Esc>");
    assert_eq!(window(&console), before);
    console.press("&needle<Enter>&x<Esc>");
    assert_eq!(console.state.log.filter.as_ref().unwrap().text(), "needle");
    console.press("<Esc>");
    assert!(console.state.log.filter.is_none());
    assert_eq!(console.state.focus, Pane::Log);
}

#[test]
fn only_shown_lines_count_as_new_while_paused() {
    let mut console = at_log(80, 24, 300);
    console.press("&hay<Enter>k");
    arrive(&mut console, ["hay".to_owned(), "straw".to_owned(), "hay".to_owned()]);
    assert!(matches!(console.state.log.scroll, Scroll::Paused { n_new: 2, .. }), "{:?}", console.state.log.scroll);
    console.press("&<C-u><Enter>");
    assert!(matches!(console.state.log.scroll, Scroll::Paused { n_new: 3, .. }), "{:?}", console.state.log.scroll);
}

#[test]
fn a_filter_looks_further_back_until_the_window_is_full() {
    let mut console = at_log(80, 24, 300);
    console.press("&needle<Enter>");
    let effects = console.press("g");
    assert!(matches!(effects[..], [Effect::LoadEarlierLog { .. }]), "{effects:?}");
}

#[test]
fn the_lines_in_sight_are_copied_whole_and_without_borders() {
    let mut console = at_log(80, 24, 24);
    let long = format!("wide {}", "x".repeat(300));
    arrive(&mut console, [long.clone()]);
    console.press("w");
    let expected: String = window(&console).iter().map(|text| format!("{text}\n")).collect();
    assert!(expected.ends_with(&format!("{long}\n")));
    assert_eq!(console.press("y"), [Effect::Copy(expected)]);
    let screen = console.screen();
    assert!(screen.contains("lines sent to the terminal's clipboard"), "{screen}");
    console.advance(Duration::from_secs(10));
    assert!(!console.screen().contains("clipboard"));
}

#[test]
fn marked_lines_are_copied_from_the_mark_to_where_the_person_went() {
    let mut console = at_log(80, 24, 300);
    console.press("/line 100 <Enter>m");
    console.press("jjjjjjjjjjjjjjj");
    let last = window(&console).last().unwrap().clone();
    let [Effect::Copy(text)] = &console.press("y")[..] else { panic!("nothing was copied") };
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], *lines.last().unwrap()), ("line 100 hay", last.as_str()));
    assert!(lines.len() > 15);
    assert_eq!(console.state.log.mark, None);

    console.press("m<PgUp><PgUp>");
    let first = window(&console)[0].clone();
    let [Effect::Copy(text)] = &console.press("y")[..] else { panic!("nothing was copied") };
    assert_eq!(text.lines().next().unwrap(), first);
    assert_eq!(console.press("m<Esc>"), []);
    assert_eq!(console.state.log.mark, None);
}

#[test]
fn no_more_is_copied_than_terminals_take() {
    let mut console = at_log(80, 24, 300);
    arrive(&mut console, (0..100).map(|_| "y".repeat(2_000)));
    console.press("gm");
    console.press("G");
    let [Effect::Copy(text)] = &console.press("y")[..] else { panic!("nothing was copied") };
    assert!(text.len() <= 74_000 && text.ends_with("y\n"), "{}", text.len());
    assert!(console.screen().contains("Ctrl-s saves all"), "{}", console.screen());
}

#[test]
fn the_lines_at_hand_are_saved_and_it_is_said_where() {
    let mut console = at_log(80, 24, 300);
    console.press("&needle<Enter>");
    let effects = console.press("<C-s>");
    let [Effect::SaveLines { name, text, n_lines: 5 }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(name, "orchestrator-20250301-143005");
    assert_eq!(text.lines().next().unwrap(), "line 57 Needle");
    console.event(Event::LinesSaved { n_lines: 5, result: Ok("/tmp/orchestrator.log".into()) });
    assert!(console.screen().contains("5 lines saved to /tmp/orchestrator.log"), "{}", console.screen());
    console.event(Event::LinesSaved { n_lines: 5, result: Err("/: permission denied".to_owned()) });
    assert!(console.screen().contains("not saved: /: permission denied"), "{}", console.screen());
}

#[test]
fn the_time_in_front_of_lines_can_be_left_out() {
    let mut console = Console::demo(80, 24);
    console.press("4/3ms<Enter>t");
    let screen = console.screen();
    assert!(screen.contains("│INFO request handled") && !screen.contains("2025-03-01T"), "{screen}");
    let dump = styles(&console.buffer(ColourDepth::None));
    assert!(dump.contains("\"3ms\""), "{dump}");
}

#[test]
fn another_log_is_looked_through_for_the_same() {
    let mut console = at_log(80, 24, 300);
    console.press("&needle<Enter>/seven<Enter>1j");
    arrive(&mut console, ["hay".to_owned(), "Needle seven".to_owned()]);
    assert_eq!((console.state.log.n_shown(), matches(&console).1), (1, 1));
}

#[test]
fn what_the_palette_does_to_the_log_is_seen() {
    let mut console = at_log(80, 24, 300);
    console.press("1:save the lines");
    let effects = console.press("<Enter>");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::SaveLines { .. })), "{effects:?}");
    assert_eq!(console.state.focus, Pane::Log);
}

#[test]
fn ten_thousand_lines_stay_fast() {
    let mut console = at_log(200, 50, 24);
    arrive(&mut console, (0..10_000).map(|i| format!("2025-03-01T14:29:00Z INFO request {i} handled took=3ms")));
    let begun = Instant::now();
    console.press("/request.*77<Enter>NNNN&handled<Enter>");
    for _ in 0..20 {
        console.press("k");
        console.buffer(ColourDepth::True);
    }
    // A debug build on a busy machine; all rows each time would take minutes.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn a_search_in_80_columns() {
    let mut console = at_log(80, 24, 24);
    console.press("/404|412");
    assert_snapshot!(console.screen());
}

#[test]
fn a_filter_and_a_search_on_the_normal_screen() {
    let mut console = at_log(120, 40, 24);
    console.press("&warn|error<Enter>/412<Enter>");
    assert_snapshot!(console.screen());
}

#[test]
fn the_styles_of_matches_and_marks() {
    let mut console = at_log(80, 24, 24);
    console.press("z/took|again<Enter>NNm");
    let dump = styles(&console.buffer(ColourDepth::Sixteen));
    assert_snapshot!(dump);
}
