//! The last line: the keys that do something here and now.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget as _;

use super::Paint;
use super::log::matches;
use crate::model::Instance;
use crate::tui::action::{Action, Pane};
use crate::tui::keymap::{BINDINGS, Binding, Context};
use crate::tui::state::{Answer, Dialog, LogPrompt, Phase, PromptKind, State};
use crate::tui::text;
use crate::tui::theme::Role;
use crate::tui::update::contexts;
use crate::tui::update::registry::is_useful as is_edit_applicable;

pub(super) fn draw(paint: &Paint<'_>, area: Rect, buffer: &mut Buffer) {
    let state = paint.state;
    let width = usize::from(area.width);
    let prompt = state.log.prompt.as_ref().filter(|_| state.dialogs.is_empty());
    let line = if state.board.is_editing_filter && state.dialogs.is_empty() {
        let help = "Enter keep  Esc clear   words, !not, is:failed, cat:dns, mode:binary";
        typed_line(paint, "/", &state.board.filter_text, help, width)
    } else if let Some(prompt) = prompt {
        log_prompt_line(paint, prompt, width)
    } else if let Some(notice) = &state.notice {
        let role = if notice.is_bad { Role::Error } else { Role::Strong };
        let mark = if notice.is_bad { paint.icons.bad() } else { paint.icons.good() };
        let text = text::cut(&notice.text, width.saturating_sub(5), paint.icons.ellipsis());
        Line::from(paint.span(format!("  {mark} {text}"), role))
    } else {
        hints(paint, width)
    };
    line.render(area, buffer);
}

fn log_prompt_line<'a>(paint: &Paint<'a>, prompt: &LogPrompt, width: usize) -> Line<'a> {
    match prompt.kind {
        PromptKind::Search => {
            let found = paint.state.log.search.as_ref().map(|search| format!("{}   ", matches(search)));
            let help = format!("{}Enter keep  Esc leave   a capital letter minds case", found.unwrap_or_default());
            typed_line(paint, "/", &prompt.text, &help, width)
        }
        PromptKind::Filter => {
            let log = &paint.state.log;
            let is_plain = log.filter.as_ref().is_some_and(|filter| filter.pattern.is_plain);
            let taken = if is_plain { " as text" } else { "" };
            let found = format!("{} of {} lines{taken}", log.n_shown(), log.entries.len());
            let help = format!("{found}   Enter keep  Esc as before   ! first: all but these");
            typed_line(paint, "&", &prompt.text, &help, width)
        }
    }
}

/// What is being typed, with what helps to type it behind.
fn typed_line<'a>(paint: &Paint<'a>, sign: &str, text: &str, help: &str, width: usize) -> Line<'a> {
    let room = width.saturating_sub(8);
    // The end is where the typing happens.
    let start = text.char_indices().map(|(at, _)| at).find(|at| text::width(text.get(*at..).unwrap_or("")) <= room / 2);
    let typed = text.get(start.unwrap_or(0)..).unwrap_or_default().to_owned();
    let help = text::cut(help, room.saturating_sub(text::width(&typed)), "");
    Line::from(vec![
        paint.span(format!(" {sign}"), Role::Key),
        paint.span(typed, Role::Strong),
        paint.span(" ", Role::Selected),
        Span::raw("   "),
        paint.span(help, Role::Dim),
    ])
}

fn hints<'a>(paint: &Paint<'a>, width: usize) -> Line<'a> {
    let contexts = contexts(paint.state);
    let useful = BINDINGS.iter().filter(|it| contexts.contains(&it.context) && is_useful(paint.state, it));
    let mut useful: Vec<&Binding> = useful.collect();
    if matches!(paint.state.focus, Pane::Log | Pane::Events) {
        // Who reads wants the keys for reading first.
        useful.sort_by_key(|it| it.context == Context::Global);
    }
    let hints: Vec<(String, &str)> = useful.into_iter().filter_map(hint).collect();
    // Help and quit are the last ones and must not be the ones that are cut.
    let n_kept = if paint.state.dialogs.is_empty() { 2 } else { 0 };
    let (first, last) = hints.split_at(hints.len().saturating_sub(n_kept));
    let length = |(key, words): &(String, &str)| 2 + text::width(key) + 1 + words.len();
    let mut room = width.saturating_sub(last.iter().map(length).sum::<usize>());
    let mut spans = Vec::new();
    for hint in first {
        if length(hint) > room {
            break;
        }
        room -= length(hint);
        push(paint, hint, &mut spans);
    }
    for hint in last {
        push(paint, hint, &mut spans);
    }
    Line::from(spans)
}

fn push<'a>(paint: &Paint<'a>, (key, words): &(String, &'a str), spans: &mut Vec<Span<'a>>) {
    spans.extend([
        Span::raw("  "),
        paint.span(key.clone(), Role::Key),
        Span::raw(" "),
        paint.span(*words, Role::Label),
    ]);
}

fn hint(binding: &'static Binding) -> Option<(String, &'static str)> {
    let key = binding.keys.first()?;
    (!binding.hint.is_empty()).then(|| (key.label(), binding.hint))
}

/// Whether a key would do something in this moment.
fn is_useful(state: &State, binding: &Binding) -> bool {
    let selected = state.selected();
    let is_alive = selected.is_some_and(|service| service.state.is_alive());
    let is_elsewhere = selected.is_some_and(|service| matches!(service.state.instance(), Some(Instance::Endpoint(_))));
    match binding.action {
        Action::Start => selected.is_some() && !is_alive,
        Action::Stop | Action::Restart | Action::StopForced => is_alive && !is_elsewhere,
        Action::StartAll => {
            let is_down =
                |it: &std::sync::Arc<crate::model::ServiceSnapshot>| it.spec.startup.auto_start && !it.state.is_alive();
            state.focus == Pane::Services && state.snapshot.services.iter().any(is_down)
        }
        Action::ShowOperation => !state.operations.shown.is_empty(),
        Action::CancelOperation => state.operations.shown.iter().any(|it| it.phase == Phase::Running),
        Action::FollowLink => state.tree.service().is_some(),
        Action::Confirm => question(state).is_some_and(|(confirm, _)| confirm.is_some()),
        Action::Force => question(state).is_some_and(|(_, force)| force.is_some()),
        Action::PageDown => binding.context == Context::Reading,
        Action::ApplyEdit => is_edit_applicable(state, Action::ApplyEdit),
        _ => true,
    }
}

fn question(state: &State) -> Option<(&Option<Answer>, &Option<Answer>)> {
    match state.dialogs.last() {
        Some(Dialog::Question(question)) => Some((&question.confirm, &question.force)),
        Some(
            Dialog::Help { .. }
            | Dialog::Message { .. }
            | Dialog::Registry { .. }
            | Dialog::Preflight { .. }
            | Dialog::Palette(_)
            | Dialog::Themes { .. },
        )
        | None => None,
    }
}
