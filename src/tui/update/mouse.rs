//! The wheel scrolls what is below it, a click selects what it hits.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::keys;
use crate::tui::action::Pane;
use crate::tui::effect::Effect;
use crate::tui::layout::{Layout, board_rows, layout};
use crate::tui::state::{BoardRow, Redraw, State, TreeRow};

/// Rows for each notch of the wheel.
const NOTCH: isize = 3;

pub(super) fn used(state: &mut State, mouse: MouseEvent) -> Vec<Effect> {
    let Layout::Screen(areas) = layout(state.size, state) else { return Vec::new() };
    let place = Position { x: mouse.column, y: mouse.row };
    let Some((pane, area)) = areas.pane_at(place).filter(|_| state.dialogs.is_empty()) else { return Vec::new() };
    match mouse.kind {
        MouseEventKind::ScrollUp => keys::move_pane(state, pane, if pane == Pane::Services { -1 } else { -NOTCH }),
        MouseEventKind::ScrollDown => keys::move_pane(state, pane, if pane == Pane::Services { 1 } else { NOTCH }),
        MouseEventKind::Down(MouseButton::Left) => {
            keys::focus(state, pane);
            let row = usize::from(mouse.row.saturating_sub(area.y + 1));
            match pane {
                Pane::Services => {
                    let rows = board_rows(&areas, state);
                    if let Some(BoardRow::Service { index, .. }) = rows.get(state.board.offset + row) {
                        state.board.selected = state.snapshot.services.get(*index).map(|it| it.id().clone());
                    }
                }
                Pane::Dependencies => {
                    let row = row + crate::tui::view::tree::offset(state, areas.inner_height(pane));
                    if matches!(state.tree.rows.get(row), Some(TreeRow::Service { .. })) {
                        state.tree.cursor = row;
                    }
                }
                Pane::Details | Pane::Log | Pane::Events | Pane::OwnLog => {}
            }
        }
        // Moves and drags are reported too, and mean nothing here.
        _ => return Vec::new(),
    }
    state.wish_redraw(Redraw::AtOnce);
    Vec::new()
}
