//! A new snapshot: what of it is seen, and how soon it has to be.

use std::sync::Arc;

use crate::model::{ServiceId, ServiceSnapshot, Snapshot};
use crate::tui::action::Pane;
use crate::tui::layout::{Layout, board_rows, layout};
use crate::tui::state::{BoardRow, Redraw, State};

pub(super) fn published(state: &mut State, snapshot: Arc<Snapshot>) {
    let old = std::mem::replace(&mut state.snapshot, snapshot);
    let is_same_registry =
        Arc::ptr_eq(&old.registry, &state.snapshot.registry) && old.services.len() == state.snapshot.services.len();
    if is_same_registry {
        let redraw = urgency(state, &old);
        if redraw >= Redraw::Now && !state.board.filter_text.is_empty() {
            state.board.refresh(&state.snapshot);
        }
        state.wish_redraw(redraw);
    } else {
        state.board.refresh(&state.snapshot);
        state.tree.rebuild(&state.snapshot, state.board.selected.as_ref());
        state.wish_redraw(Redraw::Now);
    }
}

/// How soon the difference between two snapshots of one registry has to be seen.
fn urgency(state: &State, old: &Snapshot) -> Redraw {
    let changed = old.services.iter().zip(&state.snapshot.services).filter(|(old, new)| !Arc::ptr_eq(old, new));
    let mut redraw = Redraw::No;
    let mut shown: Option<Vec<ServiceId>> = None;
    for (old, new) in changed {
        if is_news(old, new) {
            return Redraw::Now;
        }
        // Another latency matters only where it is drawn.
        let shown = shown.get_or_insert_with(|| shown_services(state));
        if shown.contains(new.id()) {
            redraw = Redraw::Soon;
        }
    }
    redraw
}

/// Whether more than the probe results changed.
fn is_news(old: &ServiceSnapshot, new: &ServiceSnapshot) -> bool {
    old.state != new.state
        || old.intent != new.intent
        || old.restarts != new.restarts
        || old.last_exit != new.last_exit
        || old.notes != new.notes
        || old.preparing != new.preparing
}

fn shown_services(state: &State) -> Vec<ServiceId> {
    let Layout::Screen(areas) = layout(state.size, state) else { return Vec::new() };
    let rows = board_rows(&areas, state);
    let window = rows.iter().skip(state.board.offset).take(areas.inner_height(Pane::Services));
    let on_board = window.filter_map(|row| match row {
        BoardRow::Service { index, .. } => state.snapshot.services.get(*index).map(|service| service.id().clone()),
        BoardRow::Heading(_) | BoardRow::SetAsideHeading | BoardRow::SetAside(_) => None,
    });
    on_board.chain(state.board.selected.clone()).collect()
}
