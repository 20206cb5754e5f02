//! Keys to actions, and actions to what they do.

use crossterm::event::{KeyEvent, KeyEventKind};

use super::{
    board, dialog, events, inner_size, log, log_find, log_keep, operation, palette, preflight, registry, themes,
};
use crate::tui::action::{Action, Pane};
use crate::tui::effect::Effect;
use crate::tui::keymap::{self, Context};
use crate::tui::state::{Answer, Dialog, LogPlace, PaletteState, PromptKind, Question, Scroll, State, Towards};
use crate::tui::text;

pub(super) fn pressed(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    if key.kind == KeyEventKind::Release {
        return Vec::new();
    }
    if state.dialogs.is_empty() && state.board.is_editing_filter && board::typed(state, &key) {
        return Vec::new();
    }
    if state.dialogs.is_empty() && log_find::typed(state, &key) {
        return Vec::new();
    }
    match keymap::action(&key, &contexts(state)) {
        Some(action) => act(state, action),
        None => {
            palette::typed(state, &key);
            Vec::new()
        }
    }
}

/// The contexts whose keys work now, the first goes first.
pub(crate) fn contexts(state: &State) -> Vec<Context> {
    match state.dialogs.last() {
        Some(Dialog::Question(_)) => vec![Context::Question],
        Some(Dialog::Help { .. } | Dialog::Message { .. }) => vec![Context::Reading],
        Some(Dialog::Registry { .. }) => vec![Context::Registry],
        Some(Dialog::Preflight { .. }) => vec![Context::Preflight],
        Some(Dialog::Palette(_)) => vec![Context::Palette],
        Some(Dialog::Themes { .. }) => vec![Context::Themes],
        None => vec![Context::Pane(state.focus), Context::Global],
    }
}

pub(super) fn act(state: &mut State, action: Action) -> Vec<Effect> {
    if action != Action::Quit && !state.dialogs.is_empty() {
        return dialog::act(state, action);
    }
    if is_about_the_log(action) && state.focus != Pane::Log {
        focus(state, Pane::Log);
    }
    match action {
        Action::Up => move_by(state, Step::Rows(-1)),
        Action::Down => move_by(state, Step::Rows(1)),
        Action::HalfPageUp => move_by(state, Step::HalfPages(-1)),
        Action::HalfPageDown => move_by(state, Step::HalfPages(1)),
        Action::PageUp => move_by(state, Step::HalfPages(-2)),
        Action::PageDown => move_by(state, Step::HalfPages(2)),
        Action::Top => move_by(state, Step::Rows(isize::MIN / 2)),
        Action::Bottom => move_by(state, Step::Rows(isize::MAX / 2)),
        Action::Start
        | Action::StartUnchecked
        | Action::Stop
        | Action::StopForced
        | Action::Restart
        | Action::RestartWithDependents
        | Action::StartAll
        | Action::StopAll
        | Action::RestartAll => return operation::of_action(state, action),
        Action::Mark => state.board.toggle_mark(&state.snapshot),
        Action::MarkListed => state.board.mark_listed(&state.snapshot),
        Action::ClearMarks => state.board.marked.clear(),
        Action::Palette => state.dialogs.push(Dialog::Palette(PaletteState::default())),
        Action::OpenDetails => {
            focus(state, Pane::Details);
            state.is_zoomed = true;
        }
        Action::FollowLink => {
            if let Some(id) = state.tree.service().cloned().filter(|id| state.snapshot.service(id.as_str()).is_some()) {
                state.board.selected = Some(id);
                if state.board.place(&state.snapshot).is_none() {
                    board::clear_filter(state);
                }
            }
        }
        Action::NextPane => go_round(state, 1),
        Action::PreviousPane => go_round(state, -1),
        Action::Focus(pane) => focus(state, pane),
        Action::ToggleOwnLog => {
            let pane = if state.log_place == LogPlace::Own { Pane::Log } else { Pane::OwnLog };
            let before = state.focus;
            focus(state, pane);
            // Looking at the other log is no reason to leave the board.
            if !matches!(before, Pane::Log | Pane::Events | Pane::OwnLog) && !state.is_zoomed {
                state.focus = before;
            }
        }
        Action::Zoom => state.is_zoomed = !state.is_zoomed,
        Action::Filter => state.board.is_editing_filter = true,
        Action::Follow if state.focus == Pane::Events => events::toggle_follow(state),
        Action::Follow => log::toggle_follow(state),
        Action::OnlySelected => events::toggle_selected(state),
        Action::Wrap => state.log.is_wrapped = !state.log.is_wrapped,
        Action::Times => state.log.hides_times = !state.log.hides_times,
        Action::Search => log_find::ask(state, PromptKind::Search),
        Action::FilterLog => log_find::ask(state, PromptKind::Filter),
        Action::NextMatch => log_find::go(state, Towards::Newer),
        Action::PreviousMatch => log_find::go(state, Towards::Older),
        Action::MarkLines => log_keep::toggle_mark(state),
        Action::CopyLines => return log_keep::copy(state),
        Action::SaveLines => return log_keep::save(state),
        Action::ShowOperation => {
            state.operations.is_panel_open = !state.operations.is_panel_open && !state.operations.shown.is_empty();
        }
        Action::CancelOperation => return operation::cancel_newest(state),
        Action::Preflight => return preflight::open(state),
        Action::Theme => return themes::open(state),
        Action::Help => state.dialogs.push(Dialog::Help { scroll: 0 }),
        Action::Back => back(state),
        Action::Quit => return quit(state),
        Action::EditRegistry => return registry::edit(state),
        Action::ReloadRegistry => return vec![Effect::LoadRegistry],
        // These have a meaning in dialogs alone.
        Action::Confirm | Action::Force | Action::ApplyEdit | Action::Choose => {}
    }
    Vec::new()
}

/// Whether an action needs the log in sight, from wherever it was chosen.
fn is_about_the_log(action: Action) -> bool {
    matches!(
        action,
        Action::Search
            | Action::FilterLog
            | Action::NextMatch
            | Action::PreviousMatch
            | Action::MarkLines
            | Action::CopyLines
            | Action::SaveLines
    )
}

/// Closes one thing, the nearest first. Never leaves the console.
fn back(state: &mut State) {
    if state.operations.is_panel_open || state.operations.shown.iter().any(|it| it.has_failed()) {
        state.operations.is_panel_open = false;
        state.operations.shown.retain(|operation| !operation.has_failed());
    } else if state.focus == Pane::Log && log_find::forget_mark_or_search(state) {
        // The nearest thing, and one alone.
    } else if state.is_zoomed {
        state.is_zoomed = false;
    } else if state.focus == Pane::Log && log_find::forget_filter(state) {
        // All lines are shown again.
    } else if !state.board.filter_text.is_empty() {
        board::clear_filter(state);
    } else if state.focus == Pane::Services && !state.board.marked.is_empty() {
        state.board.marked.clear();
    } else if state.focus == Pane::Log && state.log.scroll != Scroll::Following {
        state.log.scroll = Scroll::Following;
    } else if state.focus == Pane::Events && state.events.scroll != Scroll::Following {
        state.events.scroll = Scroll::Following;
    } else if state.focus == Pane::OwnLog {
        state.log_place = LogPlace::Service;
        state.lower = Pane::Log;
        state.focus = Pane::Services;
    } else {
        state.focus = Pane::Services;
    }
}

fn quit(state: &mut State) -> Vec<Effect> {
    let n_running = state.operations.n_running();
    let is_asked = matches!(state.dialogs.last(), Some(Dialog::Question(it)) if it.confirm == Some(Answer::Quit));
    if n_running == 0 || is_asked {
        return vec![Effect::Quit];
    }
    state.dialogs.push(Dialog::Question(Question {
        title: "Quit".to_owned(),
        lines: vec![
            format!("{} under way.", text::counted(n_running, "operation")),
            "What was started stays started; what was not yet begun is not begun.".to_owned(),
        ],
        steps: Vec::new(),
        command: None,
        confirm: Some(Answer::Quit),
        force: None,
    }));
    Vec::new()
}

pub(super) fn focus(state: &mut State, pane: Pane) {
    match pane {
        Pane::Log => state.log_place = LogPlace::Service,
        Pane::Events => state.log_place = LogPlace::Events,
        Pane::OwnLog => state.log_place = LogPlace::Own,
        Pane::Services | Pane::Dependencies | Pane::Details => {}
    }
    if pane != Pane::Services {
        state.lower = pane;
    }
    state.focus = pane;
}

fn go_round(state: &mut State, by: isize) {
    let round = state.round();
    let here = round.iter().position(|pane| *pane == state.focus).unwrap_or(0);
    let there = (here + round.len()).saturating_add_signed(by) % round.len();
    if let Some(pane) = round.get(there) {
        focus(state, *pane);
    }
}

/// How far to move.
enum Step {
    Rows(isize),
    HalfPages(isize),
}

fn move_by(state: &mut State, step: Step) {
    let (_, height) = inner_size(state, state.focus);
    let n = match step {
        Step::Rows(n) => n,
        Step::HalfPages(n) => n * isize::try_from((height / 2).max(1)).unwrap_or(1),
    };
    move_pane(state, state.focus, n);
}

/// Moves inside a pane by `n` rows, whichever pane has the focus.
pub(super) fn move_pane(state: &mut State, pane: Pane, n: isize) {
    match pane {
        Pane::Services => {
            let place = state.board.place(&state.snapshot).unwrap_or(0);
            state.board.select_place(place.saturating_add_signed(n), &state.snapshot);
        }
        Pane::Dependencies => state.tree.move_by(n),
        Pane::Details => {
            let (width, height) = inner_size(state, Pane::Details);
            let n_lines = crate::tui::view::details::n_rows(state, width);
            let last = n_lines.saturating_sub(height);
            state.details_scroll = state.details_scroll.saturating_add_signed(n).min(last);
        }
        Pane::Log => {
            let (width, height) = inner_size(state, Pane::Log);
            state.log.move_by(n, width, height);
        }
        Pane::Events => events::move_by(state, n),
        // Shows the newest lines; the file has the others.
        Pane::OwnLog => {}
    }
}
