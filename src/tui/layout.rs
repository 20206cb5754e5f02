//! Where everything is: a pure function of the size and the state, used by drawing, scrolling and the mouse alike.

use ratatui::layout::{Position, Rect, Size};

use super::action::Pane;
use super::state::{BoardRow, State};

/// Below this the screen only says how large it should be.
pub(crate) const SMALLEST: Size = Size { width: 60, height: 16 };

/// How many operations are shown at once above the footer.
const MAX_OPERATION_ROWS: u16 = 3;
/// From this many rows on a board has headings even when not all rows fit.
const ROOMY_BOARD: u16 = 16;
/// The strip below a narrow board: facts, and two rows of why.
const SUMMARY_ROWS: u16 = 3;

/// What the size allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Layout {
    TooSmall,
    Screen(Areas),
}

/// The rectangles of a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Areas {
    pub(crate) header: Rect,
    /// What is shown, with its border.
    pub(crate) panes: Vec<(Pane, Rect)>,
    /// Facts and the why sentence, where there is no room for the details.
    pub(crate) summary: Option<Rect>,
    pub(crate) operations: Rect,
    pub(crate) footer: Rect,
    /// Everything between header and operations.
    pub(crate) body: Rect,
    /// Whether categories are headings; otherwise they are a column.
    pub(crate) has_headings: bool,
    /// Whether the panes below the board are tabs.
    pub(crate) has_tabs: bool,
}

impl Areas {
    pub(crate) fn pane(&self, pane: Pane) -> Option<Rect> {
        self.panes.iter().find(|(it, _)| *it == pane).map(|(_, area)| *area)
    }

    /// The pane at a place, for the mouse.
    pub(crate) fn pane_at(&self, place: Position) -> Option<(Pane, Rect)> {
        self.panes.iter().find(|(_, area)| area.contains(place)).copied()
    }

    /// The rows inside a pane's border; 0 for panes that are not shown.
    pub(crate) fn inner_height(&self, pane: Pane) -> usize {
        self.pane(pane).map_or(0, |area| usize::from(area.height.saturating_sub(2)))
    }

    /// The columns inside a pane's border.
    pub(crate) fn inner_width(&self, pane: Pane) -> usize {
        self.pane(pane).map_or(0, |area| usize::from(area.width.saturating_sub(2)))
    }
}

/// Divides a screen of that size.
pub(crate) fn layout(size: Size, state: &State) -> Layout {
    if size.width < SMALLEST.width || size.height < SMALLEST.height {
        return Layout::TooSmall;
    }
    let n_operations = u16::try_from(state.operations.shown.len()).unwrap_or(u16::MAX);
    let n_operations = n_operations.min(if size.height < 30 { 1 } else { MAX_OPERATION_ROWS });
    let row = |y: u16, height: u16| Rect { x: 0, y, width: size.width, height };
    let body = row(1, size.height - 2 - n_operations);
    let log = state.log_place.pane();
    let mut areas = Areas {
        header: row(0, 1),
        panes: Vec::with_capacity(4),
        summary: None,
        operations: row(body.bottom(), n_operations),
        footer: row(size.height - 1, 1),
        body,
        has_headings: true,
        has_tabs: false,
    };
    if state.is_zoomed {
        areas.panes.push((state.focus, body));
    } else if size.width >= 160 && body.height >= 26 {
        wide(&mut areas, log);
    } else if size.width >= 100 && body.height >= 24 {
        normal(&mut areas, log);
    } else {
        narrow(&mut areas, state);
    }
    let n_rows_with_headings = state.board.rows(&state.snapshot, true).len();
    let inner = areas.inner_height(Pane::Services);
    areas.has_headings = n_rows_with_headings <= inner || inner >= usize::from(ROOMY_BOARD);
    Layout::Screen(areas)
}

fn wide(areas: &mut Areas, log: Pane) {
    let body = areas.body;
    let left = body.width * 2 / 5;
    let middle = body.width * 26 / 100;
    let upper = body.height * 2 / 5;
    let column = |x: u16, width: u16, y: u16, height: u16| Rect { x, y, width, height };
    areas.panes.extend([
        (Pane::Services, column(0, left, body.y, body.height)),
        (Pane::Dependencies, column(left, middle, body.y, upper)),
        (Pane::Details, column(left, middle, body.y + upper, body.height - upper)),
        (log, column(left + middle, body.width - left - middle, body.y, body.height)),
    ]);
}

fn normal(areas: &mut Areas, log: Pane) {
    let body = areas.body;
    let left = (body.width * 56 / 100).max(64);
    let top = body.height * 57 / 100;
    let upper = top * 2 / 5;
    let right = body.width - left;
    areas.panes.extend([
        (Pane::Services, Rect { x: 0, y: body.y, width: left, height: top }),
        (Pane::Dependencies, Rect { x: left, y: body.y, width: right, height: upper }),
        (Pane::Details, Rect { x: left, y: body.y + upper, width: right, height: top - upper }),
        (log, Rect { x: 0, y: body.y + top, width: body.width, height: body.height - top }),
    ]);
}

fn narrow(areas: &mut Areas, state: &State) {
    let body = areas.body;
    let shared = body.height - SUMMARY_ROWS;
    let largest = shared.div_ceil(2).max(5);
    let rows_at = |has_headings| state.board.rows(&state.snapshot, has_headings).len() + 2;
    let wanted = if rows_at(true) <= usize::from(largest) { rows_at(true) } else { rows_at(false) };
    let board = u16::try_from(wanted).unwrap_or(u16::MAX).clamp(5, largest);
    let lower = match state.lower {
        Pane::Services | Pane::Log | Pane::Events | Pane::OwnLog => state.log_place.pane(),
        pane @ (Pane::Dependencies | Pane::Details) => pane,
    };
    areas.has_tabs = true;
    areas.summary = Some(Rect { y: body.y + board, height: SUMMARY_ROWS, ..body });
    areas.panes.extend([
        (Pane::Services, Rect { height: board, ..body }),
        (lower, Rect { y: body.y + board + SUMMARY_ROWS, height: shared - board, ..body }),
    ]);
}

/// The rows of the board as this layout shows them.
pub(crate) fn board_rows(areas: &Areas, state: &State) -> Vec<BoardRow> {
    state.board.rows(&state.snapshot, areas.has_headings)
}
