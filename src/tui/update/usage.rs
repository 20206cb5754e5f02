//! Asks for what the visible services use, when it is time.

use crate::model::{Instance, Mode, ServiceId, ServiceSnapshot, Usage};
use crate::tui::action::Pane;
use crate::tui::columns::Columns;
use crate::tui::effect::Effect;
use crate::tui::layout::{Layout, board_rows, layout};
use crate::tui::state::{BoardRow, Redraw, State};

/// Begins a look where one is due, and says when the next one is.
pub(super) fn look_where_due(state: &mut State) -> Option<Effect> {
    if state.usage.is_under_way || state.registry.is_lent {
        return None;
    }
    let visible = visible(state);
    let due = state.usage.next(&visible, state.moment.now);
    if due.is_none_or(|due| due > state.moment.now) {
        state.usage.due = due;
        return None;
    }
    let services = visible.iter().map(|service| service.id().clone()).collect();
    state.usage.due = None;
    state.usage.is_under_way = true;
    Some(Effect::MeasureUsage { services })
}

/// Takes a look in. What looks the same afterwards is not drawn again.
pub(super) fn measured(state: &mut State, found: Vec<(ServiceId, Instance, Usage)>) {
    let texts = |state: &State| visible(state).iter().map(|service| state.usage.of(service)).collect::<Vec<_>>();
    let before = texts(state);
    state.usage.take(found, state.moment.now);
    if texts(state) != before {
        state.wish_redraw(Redraw::Now);
    }
}

/// The services whose usage has a place on the screen, and that have one.
fn visible(state: &State) -> Vec<&ServiceSnapshot> {
    let Layout::Screen(areas) = layout(state.size, state) else { return Vec::new() };
    let mut visible: Vec<&ServiceSnapshot> = Vec::new();
    if areas.pane(Pane::Services).is_some() && Columns::have_room_for_usage(&areas, state) {
        let rows = board_rows(&areas, state);
        let window = rows.iter().skip(state.board.offset).take(areas.inner_height(Pane::Services));
        visible.extend(window.filter_map(|row| match row {
            BoardRow::Service { index, .. } => state.snapshot.services.get(*index).map(|service| &**service),
            BoardRow::Heading(_) | BoardRow::SetAsideHeading | BoardRow::SetAside(_) => None,
        }));
    }
    if areas.pane(Pane::Details).is_some() || areas.summary.is_some() {
        let is_there = |selected: &ServiceSnapshot| visible.iter().any(|service| service.id() == selected.id());
        visible.extend(state.selected().map(|service| &**service).filter(|selected| !is_there(selected)));
    }
    visible.retain(|service| {
        service.state.is_alive()
            && match service.spec.deployment.mode() {
                Mode::Binary | Mode::Docker | Mode::DockerCompose => true,
                Mode::Kubernetes | Mode::Remote => false,
            }
    });
    visible
}
