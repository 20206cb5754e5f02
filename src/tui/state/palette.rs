//! The palette: every command by its name, also those that have no key.

use crate::engine::operation::Request;
use crate::report::known_operations;
use crate::tui::action::Action;
use crate::tui::commands::{command_line, request_of};
use crate::tui::keymap::{BINDINGS, Binding, Context};

use super::{State, title_of};

/// What was typed, and which of the matching commands the cursor is on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PaletteState {
    pub(crate) text: String,
    pub(crate) place: usize,
}

/// One line of the palette.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    /// What it does, in words.
    pub(crate) name: String,
    /// What else there is to know; may be empty.
    pub(crate) about: String,
    /// Its key; empty where it has none.
    pub(crate) key: String,
    /// The command line that does the same, where there is one.
    pub(crate) line: Option<String>,
    pub(crate) choice: Choice,
}

/// What choosing a command does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// What its key does.
    Act(Action),
    /// Says whether all that this operation needs runs (R105).
    Check(String),
    /// Starts what this operation needs (R172).
    Ensure(String),
}

/// The commands with every word that was typed: those first that have the words as they were typed, then in the order of the help.
pub(crate) fn commands(state: &State, typed: &str) -> Vec<Command> {
    let typed = typed.to_lowercase();
    let words: Vec<&str> = typed.split_whitespace().collect();
    let text = |command: &Command| {
        let line = command.line.as_deref().unwrap_or_default();
        format!("{} {} {line}", command.name, command.about).to_lowercase()
    };
    let mut found = all(state);
    found.retain(|command| words.iter().all(|word| text(command).contains(word)));
    found.sort_by_cached_key(|command| !text(command).contains(typed.trim()));
    found
}

fn all(state: &State) -> Vec<Command> {
    // What a pane has another key for is named once, as it is everywhere.
    let everywhere = |action| BINDINGS.iter().any(|it| it.context == Context::Global && it.action == action);
    let is_named =
        |it: &&Binding| is_command(it.action, it.context) && (it.context == Context::Global || !everywhere(it.action));
    let with_keys = BINDINGS.iter().filter(is_named).map(|binding| {
        let request = request_of(state, binding.action);
        let (name, about) = match &request {
            Some(request) => (title_of(request), binding.help.to_owned()),
            None => (binding.help.to_owned(), String::new()),
        };
        Command {
            name,
            about,
            key: binding.keys.first().map(|key| key.label()).unwrap_or_default(),
            line: request.map(|request: Request| command_line(&state.flags, &request, None)),
            choice: Choice::Act(binding.action),
        }
    });
    let operations = known_operations(&state.snapshot.registry);
    let of_operations = operations.into_iter().flat_map(|name| {
        let line = |command: &str| Some(format!("provisioning services {command} {name}{}", state.flags));
        [
            Command {
                name: format!("check {name}"),
                about: "whether all that this operation needs runs".to_owned(),
                key: String::new(),
                line: line("check"),
                choice: Choice::Check(name.to_owned()),
            },
            Command {
                name: format!("ensure {name}"),
                about: "start what this operation needs".to_owned(),
                key: String::new(),
                line: line("ensure"),
                choice: Choice::Ensure(name.to_owned()),
            },
        ]
    });
    with_keys.chain(of_operations).collect()
}

/// Whether somebody would look for it by its name: what only moves, or answers a question, has no place here.
fn is_command(action: Action, context: Context) -> bool {
    let is_here = match context {
        Context::Global | Context::Pane(_) => true,
        Context::Question
        | Context::Reading
        | Context::Registry
        | Context::Preflight
        | Context::Palette
        | Context::Themes => false,
    };
    let only_moves = matches!(
        action,
        Action::Up
            | Action::Down
            | Action::HalfPageUp
            | Action::HalfPageDown
            | Action::PageUp
            | Action::PageDown
            | Action::Top
            | Action::Bottom
            | Action::FollowLink
            | Action::NextPane
            | Action::PreviousPane
            | Action::Back
            | Action::Palette
    );
    is_here && !only_moves
}
