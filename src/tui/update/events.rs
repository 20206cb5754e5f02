//! The timeline across all services.

use super::{inner_size, is_shown};
use crate::tui::action::Pane;
use crate::tui::effect::Effect;
use crate::tui::state::{Redraw, Scroll, State};
use crate::tui::timeline_feed::TimelineNews;
use crate::tui::view::events as view;

/// The file is read from the first look on, and then as long as the console is open.
pub(super) fn follow_where_needed(state: &mut State) -> Option<Effect> {
    if state.events.is_followed || !is_shown(state, Pane::Events) {
        return None;
    }
    state.events.is_followed = true;
    Some(Effect::FollowTimeline)
}

pub(super) fn arrived(state: &mut State, news: TimelineNews) {
    let selected = state.board.selected.clone();
    state.events.take(news, selected.as_ref());
    if is_shown(state, Pane::Events) {
        state.wish_redraw(Redraw::Now);
    }
}

pub(super) fn move_by(state: &mut State, n: isize) {
    let last_top = last_top(state);
    state.events.move_by(n, last_top);
}

pub(super) fn toggle_follow(state: &mut State) {
    state.events.scroll = match state.events.scroll {
        Scroll::Following => Scroll::Paused { top: last_top(state), n_new: 0 },
        Scroll::Paused { .. } => Scroll::Following,
    };
}

/// All services, or the one under the cursor of the board.
pub(super) fn toggle_selected(state: &mut State) {
    state.events.is_of_selected = !state.events.is_of_selected;
    state.events.scroll = Scroll::Following;
}

fn last_top(state: &State) -> usize {
    let (width, height) = inner_size(state, Pane::Events);
    view::last_top(state, width, height)
}
