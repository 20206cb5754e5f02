//! The preflight page: everything that would keep something from starting or surviving, looked at when it is asked for.

use crate::report::Diagnosis;
use crate::tui::action::Action;
use crate::tui::effect::Effect;
use crate::tui::state::{Dialog, Redraw, State};
use crate::tui::view::preflight as view;

/// Opens the page, and looks again.
pub(super) fn open(state: &mut State) -> Vec<Effect> {
    if !is_open(state) {
        state.dialogs.push(Dialog::Preflight { scroll: 0 });
    }
    state.preflight.round += 1;
    state.preflight.is_looking = true;
    vec![Effect::Examine { round: state.preflight.round }]
}

/// The answer to a look.
pub(super) fn arrived(state: &mut State, round: u64, found: Diagnosis) {
    if round != state.preflight.round {
        return;
    }
    state.preflight.is_looking = false;
    state.preflight.found = Some(found);
    if is_open(state) {
        state.wish_redraw(Redraw::Now);
    }
}

/// A key while the page is open.
pub(super) fn act(state: &mut State, action: Action) -> Vec<Effect> {
    if action == Action::Preflight {
        return open(state);
    }
    let (n_rows, height) = (view::n_rows(state), view::visible_rows(state));
    if let Some(Dialog::Preflight { scroll }) = state.dialogs.last_mut() {
        let moved = match action {
            Action::Down => scroll.saturating_add(1),
            Action::Up => scroll.saturating_sub(1),
            Action::PageDown => scroll.saturating_add(height),
            Action::PageUp => scroll.saturating_sub(height),
            _ => *scroll,
        };
        *scroll = moved.min(n_rows.saturating_sub(height));
    }
    Vec::new()
}

fn is_open(state: &State) -> bool {
    state.dialogs.iter().any(|dialog| matches!(dialog, Dialog::Preflight { .. }))
}
