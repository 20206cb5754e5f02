//! Keys while something lies above the screen.

use super::{operation, palette, preflight, registry, themes};
use crate::tui::action::Action;
use crate::tui::effect::Effect;
use crate::tui::state::{Answer, Dialog, State};
use crate::tui::view::help;

pub(super) fn act(state: &mut State, action: Action) -> Vec<Effect> {
    if matches!(state.dialogs.last(), Some(Dialog::Themes { .. })) {
        return themes::act(state, action);
    }
    if action == Action::Back {
        state.dialogs.pop();
        return Vec::new();
    }
    let size = state.size;
    match state.dialogs.last_mut() {
        Some(Dialog::Help { scroll }) => {
            let page = help::visible_rows(size);
            let last = help::n_rows().saturating_sub(page);
            *scroll = match action {
                Action::Down => *scroll + 1,
                Action::Up => scroll.saturating_sub(1),
                Action::PageDown => *scroll + page,
                Action::PageUp => scroll.saturating_sub(page),
                _ => *scroll,
            }
            .min(last);
            Vec::new()
        }
        Some(Dialog::Question(question)) => {
            let answer = match action {
                Action::Confirm => question.confirm.clone(),
                Action::Force => question.force.clone(),
                _ => None,
            };
            match answer {
                Some(answer) => {
                    state.dialogs.pop();
                    perform(state, answer)
                }
                None => Vec::new(),
            }
        }
        Some(Dialog::Registry { .. }) => registry::act(state, action),
        Some(Dialog::Preflight { .. }) => preflight::act(state, action),
        Some(Dialog::Palette(_)) => palette::act(state, action),
        Some(Dialog::Message { .. } | Dialog::Themes { .. }) | None => Vec::new(),
    }
}

fn perform(state: &mut State, answer: Answer) -> Vec<Effect> {
    match answer {
        Answer::Begin(request) => operation::begin(state, request, None),
        Answer::WriteBuiltIn => vec![Effect::WriteBuiltIn],
        Answer::Quit => vec![Effect::Quit],
    }
}
