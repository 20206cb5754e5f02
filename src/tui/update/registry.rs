//! Edits of the registry: a good one is put in force at once and shown, a bad one is only shown. Nothing is started, stopped or restarted
//! before a person asks for it.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;

use super::operation;
use crate::engine::operation::{Targets, Verb};
use crate::model::{Registry, RegistryDiff, RegistrySource, ServiceId};
use crate::tui::action::Action;
use crate::tui::effect::{Effect, Load};
use crate::tui::state::{Answer, Dialog, Question, Redraw, State};
use crate::tui::text;
use crate::tui::view::registry as view;

/// Why a load came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// The file changed.
    Edited,
    /// A person asked for it, and wants to see it whatever it is.
    Asked,
}

/// Takes a load in.
pub(super) fn loaded(state: &mut State, registry: Registry, occasion: Occasion) -> Vec<Effect> {
    state.wish_redraw(Redraw::AtOnce);
    let load = Arc::new(registry);
    if state.registry.is_worse(&load) {
        state.registry.refused = Some(load);
        show(state);
        return Vec::new();
    }
    let was_refused = state.registry.refused.take().is_some();
    if !is_open(state) || was_refused {
        state.registry.base = Arc::clone(&state.registry.in_force);
    }
    state.registry.diff = RegistryDiff::between(&state.registry.base, &load);
    let has_news = !state.registry.diff.is_empty() || load.diagnostics != state.registry.in_force.diagnostics;
    state.registry.in_force = Arc::clone(&load);
    if has_news || occasion == Occasion::Asked {
        show(state);
    } else {
        close(state);
    }
    vec![Effect::Reload(Load(load))]
}

/// Opens the panel, below a question that is open: its keys must not turn into others under the person's hand.
fn show(state: &mut State) {
    if is_open(state) {
        return;
    }
    let is_asking = matches!(state.dialogs.last(), Some(Dialog::Question(_)));
    let at = if is_asking { state.dialogs.len() - 1 } else { state.dialogs.len() };
    state.dialogs.insert(at, Dialog::Registry { scroll: 0 });
}

fn is_open(state: &State) -> bool {
    state.dialogs.iter().any(|dialog| matches!(dialog, Dialog::Registry { .. }))
}

fn close(state: &mut State) {
    state.dialogs.retain(|dialog| !matches!(dialog, Dialog::Registry { .. }));
}

/// A key while the panel is open.
pub(super) fn act(state: &mut State, action: Action) -> Vec<Effect> {
    match action {
        Action::EditRegistry => edit(state),
        Action::ReloadRegistry => vec![Effect::LoadRegistry],
        Action::ApplyEdit => apply(state),
        _ => {
            let (n_rows, height) = (view::n_rows(state), view::visible_rows(state));
            if let Some(Dialog::Registry { scroll }) = state.dialogs.last_mut() {
                let moved = match action {
                    Action::Down => scroll.saturating_add(1),
                    Action::Up => scroll.saturating_sub(1),
                    Action::PageDown => scroll.saturating_add(height),
                    Action::PageUp => scroll.saturating_sub(height),
                    _ => *scroll,
                };
                *scroll = moved.min(n_rows.saturating_sub(height));
            }
            Vec::new()
        }
    }
}

/// Asks for the restart of what runs as it was before the edit.
fn apply(state: &mut State) -> Vec<Effect> {
    let targets = state.registry.to_restart(&state.snapshot);
    if targets.is_empty() || state.registry.refused.is_some() {
        return Vec::new();
    }
    close(state);
    operation::ask_first(state, Verb::Restart, Targets::Named(targets))
}

/// Opens the editor at the selected service, or asks whether there shall be a file to edit.
pub(super) fn edit(state: &mut State) -> Vec<Effect> {
    let service = state.board.selected.clone();
    match &state.registry.newest().source {
        RegistrySource::File(file) => vec![Effect::Edit { file: file.clone(), service }],
        RegistrySource::BuiltIn => {
            state.dialogs.push(Dialog::Question(Question {
                title: "Write the built-in registry to a file".to_owned(),
                lines: vec![
                    "What is built in cannot be edited.".to_owned(),
                    "It can be written to ~/.provisioning/config/services.toml, which is used from then on.".to_owned(),
                ],
                steps: Vec::new(),
                command: None,
                confirm: Some(Answer::WriteBuiltIn),
                force: None,
            }));
            Vec::new()
        }
    }
}

pub(super) fn built_in_written(state: &mut State, result: Result<PathBuf, String>) -> Vec<Effect> {
    match result {
        Ok(file) => vec![Effect::Edit { file, service: state.board.selected.clone() }],
        Err(why) => {
            message(state, "The registry could not be written", why);
            Vec::new()
        }
    }
}

/// The editor has left; the terminal is the console's again.
pub(super) fn editor_left(state: &mut State, editor: &str, result: Result<ExitStatus, Arc<io::Error>>) {
    state.registry.is_lent = false;
    state.wish_redraw(Redraw::AtOnce);
    match result {
        Ok(status) if status.success() => {}
        Ok(status) => message(state, "The editor did not end well", format!("{editor}: {status}")),
        Err(error) => message(state, "The editor could not be started", format!("{editor}: {error}")),
    }
}

/// No editor is known.
pub(super) fn no_editor(state: &mut State) {
    let lines = "set VISUAL or EDITOR to the editor of your choice; neither vi nor nano is installed".to_owned();
    message(state, "There is no editor", lines);
}

fn message(state: &mut State, title: &str, line: String) {
    state.wish_redraw(Redraw::AtOnce);
    let lines = vec![text::clean(&line).into_owned()];
    state.dialogs.push(Dialog::Message { title: title.to_owned(), lines });
}

/// Whether a key of the panel would do something.
pub(crate) fn is_useful(state: &State, action: Action) -> bool {
    match action {
        Action::ApplyEdit => state.registry.refused.is_none() && !state.registry.to_restart(&state.snapshot).is_empty(),
        _ => true,
    }
}

/// The services that would be restarted, as the panel names them.
pub(crate) fn restarted_names(ids: &[ServiceId]) -> String {
    ids.iter().map(ServiceId::as_str).collect::<Vec<_>>().join(", ")
}
