//! From what happened to what the state is then, and what has to happen outside. Reads no clock, waits for nothing.

mod board;
mod dialog;
mod events;
mod keys;
mod log;
mod log_find;
mod log_keep;
mod mouse;
mod operation;
mod palette;
mod preflight;
pub(crate) mod registry;
mod snapshot;
mod themes;
mod usage;

pub(crate) use keys::contexts;

use super::action::Pane;
use super::effect::Effect;
use super::event::{Event, Moment};
use super::layout::{Layout, board_rows, layout};
use super::run::Opening;
use super::state::{Redraw, State};
use crate::engine::operation::{Targets, Verb};

/// Takes one event in.
pub(crate) fn update(state: &mut State, moment: Moment, event: Event) -> Vec<Effect> {
    state.moment = moment;
    let selected_before = state.board.selected.clone();
    let mut effects = match event {
        Event::KeyPressed(key) => {
            state.board.is_in_use = true;
            state.notice = None;
            state.wish_redraw(Redraw::AtOnce);
            keys::pressed(state, key)
        }
        Event::Pasted(text) => {
            state.wish_redraw(Redraw::AtOnce);
            board::paste(state, &text);
            palette::paste(state, &text);
            log_find::paste(state, &text);
            Vec::new()
        }
        Event::MouseUsed(mouse) => {
            state.board.is_in_use = true;
            mouse::used(state, mouse)
        }
        Event::Resized(size) => {
            state.size = size;
            state.wish_redraw(Redraw::AtOnce);
            Vec::new()
        }
        Event::SnapshotPublished(snapshot) => {
            snapshot::published(state, snapshot);
            Vec::new()
        }
        Event::Planned { ticket, request, result } => operation::planned(state, ticket, request, result),
        Event::Begun { ticket, result } => {
            operation::begun(state, ticket, result);
            Vec::new()
        }
        Event::Progressed { ticket, progress } => {
            operation::progressed(state, ticket, progress);
            Vec::new()
        }
        Event::LogArrived { session, entries } => {
            log::arrived(state, session, entries);
            Vec::new()
        }
        Event::EarlierLogArrived { session, before, result } => {
            log::earlier_arrived(state, session, before, result);
            Vec::new()
        }
        Event::TimelineArrived(news) => {
            events::arrived(state, news);
            Vec::new()
        }
        Event::RegistryLoaded { registry, occasion } => registry::loaded(state, *registry, occasion),
        Event::Examined { round, found } => {
            preflight::arrived(state, round, *found);
            Vec::new()
        }
        Event::BuiltInWritten(result) => registry::built_in_written(state, result),
        Event::EditorLeft { editor, result } => {
            registry::editor_left(state, &editor, result);
            Vec::new()
        }
        Event::NoEditor => {
            registry::no_editor(state);
            Vec::new()
        }
        Event::LeadershipChanged(leadership) => {
            if state.leadership.as_ref() != Some(&leadership) {
                state.leadership = Some(leadership);
                state.wish_redraw(Redraw::Now);
            }
            Vec::new()
        }
        Event::UsageDue => Vec::new(),
        Event::UsageMeasured(found) => {
            usage::measured(state, found);
            Vec::new()
        }
        Event::LinesSaved { n_lines, result } => {
            log_keep::saved(state, n_lines, result);
            Vec::new()
        }
        Event::ThemesLoaded(all) => {
            themes::loaded(state, *all);
            Vec::new()
        }
        Event::OwnLogGrew => {
            if is_shown(state, Pane::OwnLog) {
                state.wish_redraw(Redraw::Now);
            }
            Vec::new()
        }
        Event::TimePassed => {
            state.operations.forget_old(state.moment.now);
            let now = state.moment.now;
            state.notice.take_if(|notice| notice.until <= now);
            state.wish_redraw(Redraw::Now);
            Vec::new()
        }
    };
    if state.board.selected != selected_before {
        state.details_scroll = 0;
        state.tree.cursor = 0;
        state.tree.rebuild(&state.snapshot, state.board.selected.as_ref());
    }
    if state.log.service != state.board.selected {
        effects.extend(log::open_selected(state));
    }
    settle(state);
    effects.extend(log::load_earlier_where_needed(state));
    effects.extend(events::follow_where_needed(state));
    effects.extend(usage::look_where_due(state));
    effects
}

/// What the first screen needs: the log of the selected service, and what the console does when it opens.
pub(crate) fn first_effects(state: &mut State, opening: Opening) -> Vec<Effect> {
    settle(state);
    let mut effects = log::open_selected(state);
    effects.extend(usage::look_where_due(state));
    match opening {
        Opening::Look => {}
        Opening::StartAll => effects.extend(operation::ask(state, Verb::Start, Targets::All)),
    }
    effects
}

/// Keeps what is selected inside what is shown.
fn settle(state: &mut State) {
    let Layout::Screen(areas) = layout(state.size, state) else { return };
    let rows = board_rows(&areas, state);
    let height = areas.inner_height(Pane::Services);
    if height > 0 {
        state.board.scroll_into_view(&state.snapshot, &rows, height);
    }
}

/// Whether a pane is on the screen.
fn is_shown(state: &State, pane: Pane) -> bool {
    match layout(state.size, state) {
        Layout::TooSmall => false,
        Layout::Screen(areas) => areas.pane(pane).is_some(),
    }
}

/// The inner width and height of a pane; a common size when it is not shown.
pub(crate) fn inner_size(state: &State, pane: Pane) -> (usize, usize) {
    match layout(state.size, state) {
        Layout::Screen(areas) if areas.pane(pane).is_some() => (areas.inner_width(pane), areas.inner_height(pane)),
        Layout::Screen(_) | Layout::TooSmall => (78, 10),
    }
}
