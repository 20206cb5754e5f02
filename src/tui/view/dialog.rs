//! Questions and messages, above everything else.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Paint, centred, draw_lines, operations};
use crate::tui::action::Action;
use crate::tui::keymap::{BINDINGS, Context};
use crate::tui::state::Question;
use crate::tui::text;
use crate::tui::theme::Role;

const WIDTH: u16 = 72;

pub(super) fn draw_message(paint: &Paint<'_>, body: Rect, title: &str, lines: &[String], buffer: &mut Buffer) {
    let width = usize::from(WIDTH.min(body.width)).saturating_sub(4);
    let mut rows = vec![Line::default()];
    rows.extend(lines.iter().flat_map(|line| text::wrap(line, width)).map(Line::from));
    rows.push(Line::default());
    open(paint, body, title, Role::TitleFocused, rows, buffer);
}

pub(super) fn draw_question(paint: &Paint<'_>, body: Rect, question: &Question, buffer: &mut Buffer) {
    let width = usize::from(WIDTH.min(body.width)).saturating_sub(4);
    let mut rows = vec![Line::default()];
    for line in &question.lines {
        rows.extend(text::wrap(line, width).into_iter().map(Line::from));
    }
    let mut end = vec![Line::default()];
    if let Some(command) = &question.command {
        end.push(Line::from(vec![
            paint.span("$ ", Role::Dim),
            paint.span(text::cut(command, width.saturating_sub(2), paint.icons.ellipsis()), Role::Command),
        ]));
        end.push(Line::default());
    }
    end.push(answers(paint, question));
    if !question.steps.is_empty() {
        rows.push(Line::default());
        let room = usize::from(body.height).saturating_sub(2 + rows.len() + end.len());
        let mut plan = operations::plan_lines(paint, &question.steps, width);
        if plan.len() > room {
            let n_hidden = plan.len() - room.saturating_sub(1);
            plan.truncate(room.saturating_sub(1));
            plan.push(Line::from(paint.span(format!("   and {}", text::counted(n_hidden, "more step")), Role::Dim)));
        }
        rows.extend(plan);
    }
    rows.extend(end);
    open(paint, body, &format!("{}?", question.title), Role::Warning, rows, buffer);
}

/// The answers that are offered, from the table of keys.
fn answers<'a>(paint: &Paint<'a>, question: &Question) -> Line<'a> {
    let mut spans = Vec::new();
    for binding in BINDINGS.iter().filter(|binding| binding.context == Context::Question) {
        let is_offered = match binding.action {
            Action::Confirm => question.confirm.is_some(),
            Action::Force => question.force.is_some(),
            _ => true,
        };
        let Some(key) = binding.keys.first().filter(|_| is_offered) else { continue };
        spans.push(paint.span(key.label(), Role::Key));
        spans.push(Span::raw(format!(" {}    ", binding.hint)));
    }
    Line::from(spans)
}

fn open(paint: &Paint<'_>, body: Rect, title: &str, role: Role, rows: Vec<Line<'_>>, buffer: &mut Buffer) {
    let height = u16::try_from(rows.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = centred(body, WIDTH, height);
    let title = text::cut(title, usize::from(area.width).saturating_sub(6), paint.icons.ellipsis());
    let inner = paint.popup(area, Line::from(paint.span(format!(" {title} "), role)), buffer);
    draw_lines(rows, inner, buffer);
}
