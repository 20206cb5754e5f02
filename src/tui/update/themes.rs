//! Trying themes on: the one under the cursor is on at once, and the one before comes back with Escape.

use crate::tui::action::Action;
use crate::tui::effect::Effect;
use crate::tui::state::{Dialog, Redraw, State};
use crate::tui::theme::Themes;

/// Opens the list, and reads the files again, which may have been edited.
pub(super) fn open(state: &mut State) -> Vec<Effect> {
    state.dialogs.push(Dialog::Themes { before: state.themes.name().to_owned() });
    vec![Effect::LoadThemes]
}

/// The files were read again.
pub(super) fn loaded(state: &mut State, themes: Themes) {
    state.themes.replace(themes);
    state.wish_redraw(Redraw::Now);
}

/// A key while the list is open.
pub(super) fn act(state: &mut State, action: Action) -> Vec<Effect> {
    let n_themes = state.themes.len();
    let place = state.themes.place;
    match action {
        Action::Down => state.themes.place = (place + 1) % n_themes.max(1),
        Action::Up => state.themes.place = place.checked_sub(1).unwrap_or(n_themes.saturating_sub(1)),
        Action::Choose => {
            state.dialogs.pop();
        }
        Action::Back => {
            if let Some(Dialog::Themes { before }) = state.dialogs.pop() {
                state.themes.put_on(&before);
            }
        }
        _ => {}
    }
    Vec::new()
}
