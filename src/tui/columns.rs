//! The columns of the board: how wide each is, and which have room.

use super::action::Pane;
use super::layout::Areas;
use super::state::State;

pub(crate) const STATE: usize = 10;
pub(crate) const UPTIME: usize = 7;
const HEALTH: usize = 2;
pub(crate) const LATENCY: usize = 6;
const CATEGORY: usize = 14;
/// Where there is no room for the longest name of a mode, as much as `kubernetes` takes.
const MODE: usize = 10;
pub(crate) const CPU: usize = 6;
pub(crate) const MEMORY: usize = 8;
/// A sparkline that says something.
const FEW: usize = 7;
/// A sparkline that says more than the mode beside it.
const SOME: usize = 12;
/// Cursor, icon and the spaces between all columns but name and sparkline.
const FIXED: usize = 1 + 2 + 1 + 1 + STATE + 1 + UPTIME + 1 + HEALTH + 1 + LATENCY;

/// The widths that depend on the room and on the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) name: usize,
    pub(crate) spark: usize,
    pub(crate) category: usize,
    pub(crate) mode: usize,
    /// What it uses of processor and memory.
    pub(crate) has_usage: bool,
}

/// What has to have a place.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    width: usize,
    longest_name: usize,
    longest_mode: usize,
    has_headings: bool,
    has_usage: bool,
}

impl Columns {
    /// Those of the board as it is shown: without the usage as long as none is known, since dashes say nothing.
    pub(crate) fn of(areas: &Areas, state: &State) -> Self {
        let has_usage = state.snapshot.services.iter().any(|service| state.usage.of(service).is_some());
        Self::fit(wanted(areas, state, has_usage))
    }

    /// Whether the usage would have a place once it is known.
    pub(crate) fn have_room_for_usage(areas: &Areas, state: &State) -> bool {
        Self::fit(wanted(areas, state, true)).has_usage
    }

    fn fit(wanted: Wanted) -> Self {
        let category = if wanted.has_headings || wanted.width < 70 { 0 } else { CATEGORY };
        let room = wanted.width.saturating_sub(FIXED + category);
        let name = wanted.longest_name.clamp(12, 30).min(room.saturating_sub(8).max(12)).min(room);
        let mut room = room - name;
        // A sparkline comes first, then what the service is, then what it uses; the sparkline gets what is left.
        let mut take = |width: usize, spark: usize| {
            let fits = room > spark + width;
            room -= if fits { width } else { 0 };
            fits
        };
        let widths = [wanted.longest_mode, wanted.longest_mode.min(MODE)];
        let mode = widths.into_iter().find(|mode| take(mode + 1, SOME)).unwrap_or(0);
        let has_usage = wanted.has_usage && mode > 0 && take(CPU + 1 + MEMORY + 1, FEW);
        // The sparkline comes with a space before it.
        let spark = if room >= 5 { (room - 1).min(24) } else { 0 };
        let room = room.saturating_sub(spark + 1);
        Self { name: name + room.min(12), spark, category, mode, has_usage }
    }
}

fn wanted(areas: &Areas, state: &State, has_usage: bool) -> Wanted {
    let services = &state.snapshot.services;
    Wanted {
        width: areas.inner_width(Pane::Services),
        longest_name: services.iter().map(|it| it.id().as_str().len()).max().unwrap_or(0),
        longest_mode: services.iter().map(|it| it.spec.deployment.mode().as_str().len()).max().unwrap_or(0),
        has_headings: areas.has_headings,
        has_usage,
    }
}

#[cfg(test)]
mod tests {
    use super::{CATEGORY, Columns, FEW, FIXED, Wanted};

    fn fit(width: usize, longest_mode: usize, has_headings: bool, has_usage: bool) -> Columns {
        Columns::fit(Wanted { width, longest_name: 14, longest_mode, has_headings, has_usage })
    }

    #[test]
    fn the_mode_has_its_place_before_the_usage() {
        let columns = fit(75, 6, true, true);
        assert_eq!((columns.mode, columns.has_usage), (6, false));
        let columns = fit(78, 6, true, true);
        assert_eq!((columns.mode, columns.has_usage, columns.spark), (6, true, FEW));
        let columns = fit(78, 14, true, true);
        assert_eq!((columns.mode, columns.has_usage), (14, false));
        let columns = fit(72, 14, true, true);
        assert_eq!((columns.mode, columns.has_usage), (10, false));
    }

    #[test]
    fn what_is_not_known_takes_no_room() {
        assert!(!fit(120, 6, true, false).has_usage);
        assert!(fit(120, 6, true, false).spark > fit(80, 6, true, true).spark);
    }

    #[test]
    fn no_width_is_exceeded() {
        for width in FIXED + 12..200 {
            for (longest_mode, has_headings, has_usage) in
                [(0, true, true), (6, true, true), (14, false, true), (10, false, false)]
            {
                let columns = fit(width, longest_mode, has_headings, has_usage);
                let spark = if columns.spark > 0 { columns.spark + 1 } else { 0 };
                let mode = if columns.mode > 0 { columns.mode + 1 } else { 0 };
                let usage = if columns.has_usage { 16 } else { 0 };
                let used = FIXED + columns.name + spark + mode + usage + columns.category;
                assert!(used <= width, "{width}: {columns:?}");
                assert!(columns.category == 0 || columns.category == CATEGORY);
            }
        }
    }
}
