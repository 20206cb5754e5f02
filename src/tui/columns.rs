//! The columns of the board: how wide each is, and which have room.

use super::action::Pane;
use super::layout::Areas;
use super::state::State;

pub(crate) const STATE: usize = 10;
pub(crate) const UPTIME: usize = 7;
const HEALTH: usize = 2;
pub(crate) const LATENCY: usize = 6;
const CATEGORY: usize = 14;
const MODE: usize = 10;
pub(crate) const CPU: usize = 6;
pub(crate) const MEMORY: usize = 8;
/// A sparkline that says something.
const FEW: usize = 8;
/// Cursor, icon and the spaces between all columns but name and sparkline.
const FIXED: usize = 1 + 2 + 1 + 1 + STATE + 1 + UPTIME + 1 + HEALTH + 1 + LATENCY;

/// The widths that depend on the room and on the names.
pub(crate) struct Columns {
    pub(crate) name: usize,
    pub(crate) spark: usize,
    pub(crate) category: usize,
    pub(crate) mode: usize,
    /// What it uses of processor and memory.
    pub(crate) has_usage: bool,
}

impl Columns {
    /// Those of the board as it is shown.
    pub(crate) fn of(areas: &Areas, state: &State) -> Self {
        let longest = state.snapshot.services.iter().map(|it| it.id().as_str().len()).max().unwrap_or(0);
        Self::fit(areas.inner_width(Pane::Services), longest, areas.has_headings)
    }

    fn fit(width: usize, longest_name: usize, has_headings: bool) -> Self {
        let category = if has_headings || width < 70 { 0 } else { CATEGORY };
        let room = width.saturating_sub(FIXED + category);
        let name = longest_name.clamp(12, 30).min(room.saturating_sub(8).max(12)).min(room);
        let room = room - name;
        // The sparkline is the first to have some room, and the last to have more.
        let has_usage = room > CPU + 1 + MEMORY + 1 + FEW;
        let room = room.saturating_sub(if has_usage { CPU + 1 + MEMORY + 1 } else { 0 });
        // The sparkline comes with a space before it.
        let spark = if room >= 5 { (room - 1).min(24) } else { 0 };
        let room = room.saturating_sub(spark + 1);
        let mode = if room > MODE { MODE } else { 0 };
        let room = room.saturating_sub(if mode > 0 { MODE + 1 } else { 0 });
        Self { name: name + room.min(12), spark, category, mode, has_usage }
    }
}
