//! When something visible changes by itself: the console sleeps until then, however long that is.

use std::time::{Duration, Instant};

use super::action::Pane;
use super::icons::SPINNER_STEP;
use super::layout::{Layout, board_rows, layout};
use super::state::{BoardRow, State, is_in_progress};
use super::text;
use crate::model::{ServiceSnapshot, StateKind};

/// Uptimes that count minutes may be this late, so that a hundred services change together and not one by one.
const COARSE: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

/// The next moment at which something that is on the screen changes without an event. Always later than now.
pub(crate) fn next_change(state: &State) -> Option<Instant> {
    let Layout::Screen(areas) = layout(state.size, state) else { return None };
    let mut next = Earliest::default();
    next.add(next_minute(state));
    next.add(state.notice.as_ref().map(|notice| notice.until));
    let operations = &state.operations;
    if operations.n_running() > 0 {
        next.add(Some(grid(state, state.moment.now, SPINNER_STEP)));
    }
    for operation in &operations.shown {
        next.add(operation.leaves_at());
    }
    let rows = board_rows(&areas, state);
    let window = rows.iter().skip(state.board.offset).take(areas.inner_height(Pane::Services));
    for row in window {
        if let BoardRow::Service { index, .. } = row
            && let Some(service) = state.snapshot.services.get(*index)
        {
            next.add(row_changes(state, service));
        }
    }
    if let Some(service) = state.selected() {
        next.add(row_changes(state, service));
        next.add(sentence_changes(state, service));
    }
    // A moment that has passed already, such as a late deadline, must not make the loop spin.
    next.0.map(|at| at.max(state.moment.now + Duration::from_millis(20)))
}

#[derive(Default)]
struct Earliest(Option<Instant>);

impl Earliest {
    fn add(&mut self, at: Option<Instant>) {
        self.0 = match (self.0, at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}

/// When the clock in the header changes.
fn next_minute(state: &State) -> Option<Instant> {
    let wall = &state.moment.wall;
    let into_minute =
        Duration::new(u64::try_from(wall.second()).unwrap_or(0), u32::try_from(wall.subsec_nanosecond()).unwrap_or(0));
    state.moment.now.checked_add(Duration::from_secs(60).saturating_sub(into_minute))
}

/// When a service's row changes: its spinner, or its uptime.
fn row_changes(state: &State, service: &ServiceSnapshot) -> Option<Instant> {
    if is_in_progress(service.kind()) {
        return Some(grid(state, state.moment.now, SPINNER_STEP));
    }
    if service.kind() == StateKind::Backoff {
        return Some(grid(state, state.moment.now, SECOND));
    }
    let since = service.up_since()?;
    let uptime = state.moment.now.saturating_duration_since(since);
    let at = since.checked_add(text::uptime_changes_after(uptime))?;
    Some(grid(state, at, if uptime < Duration::from_secs(60) { SECOND } else { COARSE }))
}

/// When the sentence that explains the selected service may change: what waits counts seconds, other sentences speak of minutes.
fn sentence_changes(state: &State, service: &ServiceSnapshot) -> Option<Instant> {
    let step = match service.kind() {
        StateKind::Waiting | StateKind::Starting | StateKind::Stopping | StateKind::Backoff => SECOND,
        StateKind::Running if service.health() != crate::model::Health::Unhealthy => return None,
        StateKind::Stopped => return None,
        StateKind::Running | StateKind::Failed | StateKind::Unknown => COARSE,
    };
    Some(grid(state, state.moment.now, step))
}

/// The first multiple of `step` after `at`, counted from the console's beginning, so that many changes share one frame.
fn grid(state: &State, at: Instant, step: Duration) -> Instant {
    let since = at.saturating_duration_since(state.epoch).as_millis();
    let n_steps = u32::try_from(since / step.as_millis() + 1).unwrap_or(u32::MAX);
    state.epoch.checked_add(step.saturating_mul(n_steps)).unwrap_or(at)
}
