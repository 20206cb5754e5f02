//! The list of themes, small and at the side, so that the screen behind it shows what they look like.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Paint, draw_lines};
use crate::tui::text;
use crate::tui::theme::Role;

const WIDTH: u16 = 38;
/// The border, a blank row, how to keep it in two rows.
const FRAME: usize = 5;

pub(super) fn draw(paint: &Paint<'_>, body: Rect, buffer: &mut Buffer) {
    let themes = &paint.state.themes;
    let width = WIDTH.min(body.width);
    let inner_width = usize::from(width).saturating_sub(4);
    let problems: Vec<String> = themes.problems().flat_map(|problem| text::wrap(&problem, inner_width)).collect();
    let n_problem_rows = if problems.is_empty() { 0 } else { problems.len() + 1 };
    let room = usize::from(body.height).saturating_sub(FRAME);
    // The list goes before what is wrong with others.
    let n_rows = themes.len().min(room);
    let n_problem_rows = n_problem_rows.min(room - n_rows);
    let height = u16::try_from(n_rows + n_problem_rows + FRAME).unwrap_or(u16::MAX).min(body.height);
    let area = Rect { x: body.right() - width, y: body.y, width, height };
    let inner = paint.popup(area, Line::from(paint.span(" Themes ", Role::TitleFocused)), buffer);
    let offset = (themes.place + 1).saturating_sub(n_rows);
    let names = themes.names().enumerate().skip(offset).take(n_rows);
    let mut lines: Vec<Line<'_>> = names.map(|(place, name)| row(paint, place, name, inner_width)).collect();
    if n_problem_rows > 1 {
        lines.push(Line::default());
        let words = problems.into_iter().take(n_problem_rows - 1);
        lines.extend(words.map(|words| Line::from(paint.span(words, Role::Warning))));
    }
    lines.push(Line::default());
    lines.push(Line::from(paint.span("To have it the next time as well:", Role::Dim)));
    let variable = text::cut(&format!("PROVISIONING_THEME={}", themes.name()), inner_width, paint.icons.ellipsis());
    lines.push(Line::from(paint.span(variable, Role::Command)));
    draw_lines(lines, inner, buffer);
    paint.scrollbar(Rect { height: u16::try_from(n_rows + 2).unwrap_or(height), ..area }, themes.len(), offset, buffer);
}

fn row<'a>(paint: &Paint<'a>, place: usize, name: &str, width: usize) -> Line<'a> {
    let is_on = place == paint.state.themes.place;
    let role = if is_on { Role::Selected } else { Role::Text };
    let cursor = if is_on { paint.span(paint.icons.cursor(), Role::Cursor) } else { Span::raw(" ") };
    let name = text::clean(name);
    Line::from(vec![cursor, paint.span(text::pad(&format!(" {name}"), width - 1, paint.icons.ellipsis()), role)])
}
