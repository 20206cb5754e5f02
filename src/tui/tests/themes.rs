//! Themes are tried on with the screen behind them, and the one before comes back.

use insta::assert_snapshot;
use ratatui::style::Color;

use super::fixture::{Console, styles};
use crate::tui::effect::Effect;
use crate::tui::event::Event;
use crate::tui::state::Dialog;
use crate::tui::theme::{ColourDepth, Role, ThemeSource};

fn source(depth: ColourDepth) -> ThemeSource {
    ThemeSource { dir: None, depth, wanted: None }
}

fn console(width: u16, height: u16, depth: ColourDepth) -> Console {
    let mut console = Console::demo(width, height);
    assert_eq!(console.state.themes.open(&source(depth)), None);
    console
}

#[test]
fn a_theme_is_on_as_soon_as_the_cursor_is_there_and_stays_with_enter() {
    let mut console = console(80, 24, ColourDepth::True);
    assert_eq!(console.press("T"), [Effect::LoadThemes]);
    console.press("jj");
    assert_eq!(console.state.themes.name(), "high-contrast");
    let background = console.own_buffer()[(40, 12)].bg;
    assert_eq!(Some(background), console.state.themes.theme().style(Role::Screen).bg);
    console.press("<Enter>");
    assert_eq!((console.state.themes.name(), console.state.dialogs.len()), ("high-contrast", 0));
    console.press("Tkk<Esc>");
    assert_eq!((console.state.themes.name(), console.state.dialogs.len()), ("high-contrast", 0));
}

#[test]
fn the_list_goes_round() {
    let mut console = console(80, 24, ColourDepth::True);
    console.press("Tk");
    assert_eq!(console.state.themes.name(), "ember");
    console.press("T");
    assert_eq!(console.state.themes.name(), "default");
}

#[test]
fn files_that_were_edited_are_read_again_and_the_same_theme_stays_on() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine.toml"), "inherit = 'frost'").unwrap();
    let source = ThemeSource {
        dir: Some(dir.path().to_owned()),
        wanted: Some(("mine".to_owned(), "--theme")),
        ..source(ColourDepth::True)
    };
    let mut console = Console::demo(80, 24);
    console.state.themes.open(&source);
    assert_eq!(console.state.themes.name(), "mine");
    std::fs::write(dir.path().join("mine.toml"), "inherit = 'frost'\n[roles]\n'key' = { fg = 'red' }").unwrap();
    std::fs::write(dir.path().join("bad\u{1b}.toml"), "inherit = 'nobody'").unwrap();
    console.press("T");
    console.event(Event::ThemesLoaded(Box::new(source.load())));
    assert_eq!(console.state.themes.name(), "mine");
    let theme = console.state.themes.theme();
    assert_eq!(theme.style(Role::Key).fg, theme.style(Role::Failed).fg);
    let screen = console.screen();
    assert!(screen.contains("\"nobody\"") && !screen.contains('\u{1b}'), "{screen}");
    assert!(matches!(console.state.dialogs.last(), Some(Dialog::Themes { .. })));
}

#[test]
fn the_words_on_the_screen_are_the_same_in_every_theme_and_without_colour() {
    let mut console = console(120, 40, ColourDepth::True);
    let words = console.screen();
    for _ in 0..6 {
        console.press("T<C-n>T<Enter>");
        assert_eq!(super::fixture::rows(&console.own_buffer()).join("\n"), words);
    }
}

#[test]
fn no_cell_keeps_the_background_of_the_terminal_where_a_theme_has_its_own() {
    let mut console = console(120, 40, ColourDepth::True);
    console.press("TT");
    for keys in ["", "<Enter>?", "<Esc>:", "<Esc>z4", "l"] {
        console.press(keys);
        let buffer = console.own_buffer();
        // The second half of a wide character is drawn with its first one.
        let mut is_second_half = false;
        let is_bare = |cell: &&ratatui::buffer::Cell| {
            let is_bare = cell.bg == Color::Reset && !is_second_half;
            is_second_half = crate::tui::text::width(cell.symbol()) == 2;
            is_bare
        };
        let bare = buffer.content.iter().filter(is_bare).count();
        assert_eq!(bare, 0, "after {keys:?}");
    }
}

#[test]
fn the_list_of_themes_in_80_columns() {
    let mut console = console(80, 24, ColourDepth::None);
    console.press("Tj");
    assert_snapshot!(console.screen());
}

#[test]
fn the_styles_of_the_light_theme() {
    let mut console = console(80, 24, ColourDepth::Sixteen);
    console.press("Tj<Enter>");
    assert_snapshot!(styles(&console.own_buffer()));
}
