//! Typing into the palette, and doing what is chosen there.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{keys, operation};
use crate::engine::operation::{Targets, Verb};
use crate::model::{ServiceId, Snapshot};
use crate::report::{CheckReport, not_running};
use crate::tui::action::Action;
use crate::tui::effect::Effect;
use crate::tui::state::{Choice, Dialog, PaletteState, State, commands};
use crate::tui::text;
use crate::tui::view::palette as view;

/// Takes a letter of the name in, if the palette is open.
pub(super) fn typed(state: &mut State, key: &KeyEvent) {
    let Some(palette) = opened(state) else { return };
    match key.code {
        KeyCode::Char('u') if key.modifiers.contains(KeyModifiers::CONTROL) => palette.text.clear(),
        KeyCode::Char(_) if key.modifiers.contains(KeyModifiers::CONTROL) => return,
        KeyCode::Char(c) => palette.text.push(c),
        KeyCode::Backspace => {
            palette.text.pop();
        }
        _ => return,
    }
    palette.place = 0;
}

/// Takes pasted text in, if the palette is open; pasted text is never taken for keys.
pub(super) fn paste(state: &mut State, pasted: &str) {
    if let Some(palette) = opened(state) {
        palette.text.push_str(&text::clean(pasted.lines().next().unwrap_or_default()));
        palette.place = 0;
    }
}

/// A key that is no letter, while the palette is open.
pub(super) fn act(state: &mut State, action: Action) -> Vec<Effect> {
    let Some(Dialog::Palette(palette)) = state.dialogs.last() else { return Vec::new() };
    let found = commands(state, &palette.text);
    let page = view::visible_rows(state.size);
    let place = match action {
        Action::Down => palette.place + 1,
        Action::Up => palette.place.saturating_sub(1),
        Action::PageDown => palette.place + page,
        Action::PageUp => palette.place.saturating_sub(page),
        Action::Choose => {
            let chosen = found.into_iter().nth(palette.place);
            return chosen.map(|command| choose(state, command.choice)).unwrap_or_default();
        }
        _ => palette.place,
    };
    let last = found.len().saturating_sub(1);
    if let Some(palette) = opened(state) {
        palette.place = place.min(last);
    }
    Vec::new()
}

fn opened(state: &mut State) -> Option<&mut PaletteState> {
    match state.dialogs.last_mut() {
        Some(Dialog::Palette(palette)) => Some(palette),
        Some(
            Dialog::Help { .. }
            | Dialog::Message { .. }
            | Dialog::Question(_)
            | Dialog::Registry { .. }
            | Dialog::Preflight { .. }
            | Dialog::Themes { .. },
        )
        | None => None,
    }
}

fn choose(state: &mut State, choice: Choice) -> Vec<Effect> {
    state.dialogs.pop();
    match choice {
        Choice::Act(action) => keys::act(state, action),
        Choice::Check(name) => {
            let report = CheckReport::new(&name, &state.snapshot).text();
            operation::message(state, format!("check {name}"), report.lines().map(str::to_owned).collect());
            Vec::new()
        }
        Choice::Ensure(name) => ensure(state, &name),
    }
}

/// Starts what an operation needs, as the command does: nothing of it when some may only be started by name (R173).
fn ensure(state: &mut State, name: &str) -> Vec<Effect> {
    let missing = not_running(name, &state.snapshot);
    let by_name_only: Vec<String> = missing
        .iter()
        .filter(|id| is_started_by_name_only(id, &state.snapshot))
        .map(|id| format!("{id} is needed, does not run, and has auto_start = false: start it by its own key first."))
        .collect();
    let lines = match (missing.is_empty(), by_name_only.is_empty()) {
        (true, _) => vec!["Everything that it needs runs.".to_owned()],
        (false, false) => by_name_only,
        (false, true) => return operation::ask(state, Verb::Start, Targets::Named(missing)),
    };
    operation::message(state, format!("ensure {name}"), lines);
    Vec::new()
}

fn is_started_by_name_only(id: &ServiceId, snapshot: &Snapshot) -> bool {
    let service = snapshot.service(id.as_str());
    service.is_some_and(|service| !service.spec.startup.auto_start && !service.state.is_alive())
}
