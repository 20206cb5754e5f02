//! The followed log.

use super::{inner_size, is_shown};
use crate::tui::action::Pane;
use crate::tui::effect::Effect;
use crate::tui::event::LogSession;
use crate::tui::feed::{LogEntry, LogPosition};
use crate::tui::state::{Redraw, Scroll, State};

/// Opens the log of the selected service.
pub(super) fn open_selected(state: &mut State) -> Vec<Effect> {
    state.log.open(state.board.selected.clone());
    match state.log.service.clone() {
        Some(service) => vec![Effect::OpenLog { session: state.log.session, service }],
        None => vec![Effect::CloseLog],
    }
}

pub(super) fn arrived(state: &mut State, session: LogSession, entries: Vec<LogEntry>) {
    if session != state.log.session {
        return;
    }
    state.log.is_loaded = true;
    state.log.append(entries);
    if is_shown(state, Pane::Log) {
        state.wish_redraw(Redraw::Now);
    }
}

pub(super) fn earlier_arrived(
    state: &mut State,
    session: LogSession,
    before: LogPosition,
    result: Result<Vec<LogEntry>, String>,
) {
    if session != state.log.session || state.log.first_position() != Some(before) {
        return;
    }
    state.log.is_loading_earlier = false;
    match result {
        Ok(entries) if entries.is_empty() => state.log.is_at_beginning = true,
        Ok(entries) => state.log.prepend(entries),
        Err(why) => {
            state.log.is_at_beginning = true;
            state.log.prepend(vec![LogEntry::Note(format!("earlier lines cannot be read: {why}"))]);
        }
    }
    state.wish_redraw(Redraw::Now);
}

/// Asks for older lines when the person has come to the first ones at hand.
pub(super) fn load_earlier_where_needed(state: &mut State) -> Option<Effect> {
    let Scroll::Paused { top, .. } = state.log.scroll else { return None };
    let log = &state.log;
    if top > 0 || log.is_loading_earlier || log.is_at_beginning || !log.is_loaded || !log.has_room() {
        return None;
    }
    let (service, before) = (log.service.clone()?, log.first_position()?);
    state.log.is_loading_earlier = true;
    Some(Effect::LoadEarlierLog { session: state.log.session, service, before })
}

pub(super) fn toggle_follow(state: &mut State) {
    let (width, height) = inner_size(state, Pane::Log);
    match state.log.scroll {
        Scroll::Following => state.log.pause_at(usize::MAX, width, height),
        Scroll::Paused { .. } => state.log.scroll = Scroll::Following,
    }
}
