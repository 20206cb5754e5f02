//! Looking for something in the followed log, and showing matching lines alone.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::inner_size;
use crate::tui::action::{Action, Pane};
use crate::tui::keymap::key_of;
use crate::tui::state::{LogPrompt, Notice, PromptKind, State, Towards};
use crate::tui::text;

/// More than anybody types; what is pasted is cut.
const MAX_TYPED: usize = 256;

/// Begins to ask for a pattern, the one before in place.
pub(super) fn ask(state: &mut State, kind: PromptKind) {
    let log = &mut state.log;
    let text_before = match kind {
        PromptKind::Search => log.search.as_ref().map(|search| search.pattern.text().to_owned()),
        PromptKind::Filter => log.filter.as_ref().map(|filter| filter.text()),
    };
    let text_before = text_before.unwrap_or_default();
    // A new search begins empty, a filter is mended more often than replaced.
    let text = match kind {
        PromptKind::Search => String::new(),
        PromptKind::Filter => text_before.clone(),
    };
    log.prompt = Some(LogPrompt { kind, text, text_before, top_before: log.top_number() });
}

/// Takes a key in while a pattern is typed. No key means anything else then.
pub(super) fn typed(state: &mut State, key: &KeyEvent) -> bool {
    let Some(prompt) = &state.log.prompt else { return false };
    let (kind, mut text) = (prompt.kind, prompt.text.clone());
    let has_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        // Leaving has to work whatever is open.
        KeyCode::Char('c') if has_control => return false,
        KeyCode::Char('u') if has_control => text.clear(),
        KeyCode::Char(_) if has_control => return true,
        KeyCode::Char(c) => text.push(c),
        KeyCode::Backspace if text.is_empty() => {
            leave(state);
            return true;
        }
        KeyCode::Backspace => {
            text.pop();
        }
        KeyCode::Enter => {
            keep(state);
            return true;
        }
        KeyCode::Esc => {
            leave(state);
            return true;
        }
        KeyCode::Down if kind == PromptKind::Search => {
            go(state, Towards::Newer);
            return true;
        }
        KeyCode::Up if kind == PromptKind::Search => {
            go(state, Towards::Older);
            return true;
        }
        _ => return true,
    }
    set_text(state, text);
    true
}

/// Takes pasted text in while a pattern is typed; pasted text is never taken for keys.
pub(super) fn paste(state: &mut State, pasted: &str) {
    let Some(prompt) = state.log.prompt.as_ref().filter(|_| state.dialogs.is_empty()) else { return };
    let line = text::clean(pasted.lines().next().unwrap_or_default()).into_owned();
    let text = format!("{}{line}", prompt.text);
    set_text(state, text);
}

/// Goes to the next match.
pub(super) fn go(state: &mut State, towards: Towards) {
    if state.log.search.is_none() && state.log.prompt.is_none() {
        let key = key_of(Action::Search);
        state.notice = Some(Notice::bad(&state.moment, format!("nothing is looked for yet: {key} begins")));
    }
    let (width, height) = inner_size(state, Pane::Log);
    state.log.go_to_hit(towards, width, height);
}

/// What was typed takes effect letter by letter: each time from where the person was.
fn set_text(state: &mut State, text: String) {
    let Some(prompt) = &mut state.log.prompt else { return };
    prompt.text = text.chars().take(MAX_TYPED).collect();
    let (kind, text, top) = (prompt.kind, prompt.text.clone(), prompt.top_before);
    match kind {
        PromptKind::Search => {
            state.log.set_search(&text);
            state.log.return_to(top);
            go(state, Towards::Newer);
        }
        PromptKind::Filter => {
            state.log.set_filter(&text);
            state.log.return_to(top);
        }
    }
}

/// Nothing typed means the search before, or no filter.
fn keep(state: &mut State) {
    let Some(prompt) = state.log.prompt.take() else { return };
    if prompt.kind == PromptKind::Search && prompt.text.is_empty() {
        state.log.set_search(&prompt.text_before);
        go(state, Towards::Newer);
    }
}

/// Everything is as it was before.
fn leave(state: &mut State) {
    let Some(prompt) = state.log.prompt.take() else { return };
    match prompt.kind {
        PromptKind::Search => state.log.set_search(&prompt.text_before),
        PromptKind::Filter => state.log.set_filter(&prompt.text_before),
    }
    state.log.return_to(prompt.top_before);
}

/// Forgets the mark, or else what is looked for; false where there is neither.
pub(super) fn forget_mark_or_search(state: &mut State) -> bool {
    state.log.mark.take().is_some() || state.log.search.take().is_some()
}

/// Shows all lines again; false where they are shown.
pub(super) fn forget_filter(state: &mut State) -> bool {
    let is_filtered = state.log.filter.is_some();
    if is_filtered {
        state.log.set_filter("");
    }
    is_filtered
}
