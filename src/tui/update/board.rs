//! Typing into the filter.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::tui::state::State;
use crate::tui::text;

/// Takes a key of the filter in. False for keys that mean the same as elsewhere.
pub(super) fn typed(state: &mut State, key: &KeyEvent) -> bool {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        let is_clear = key.code == KeyCode::Char('u');
        if is_clear {
            set_filter(state, String::new());
        }
        return is_clear;
    }
    match key.code {
        KeyCode::Char(c) => set_filter(state, format!("{}{c}", state.board.filter_text)),
        KeyCode::Backspace if state.board.filter_text.is_empty() => state.board.is_editing_filter = false,
        KeyCode::Backspace => {
            let mut text = state.board.filter_text.clone();
            text.pop();
            set_filter(state, text);
        }
        KeyCode::Enter => state.board.is_editing_filter = false,
        KeyCode::Esc => clear_filter(state),
        _ => return false,
    }
    true
}

/// Takes pasted text into the filter, if it is open; pasted text is never taken for keys.
pub(super) fn paste(state: &mut State, pasted: &str) {
    if state.board.is_editing_filter && state.dialogs.is_empty() {
        let line = text::clean(pasted.lines().next().unwrap_or_default()).into_owned();
        set_filter(state, format!("{}{line}", state.board.filter_text));
    }
}

pub(super) fn clear_filter(state: &mut State) {
    state.board.is_editing_filter = false;
    set_filter(state, String::new());
}

fn set_filter(state: &mut State, filter: String) {
    state.board.filter_text = filter;
    state.board.refresh(&state.snapshot);
}
