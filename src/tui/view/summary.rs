//! The strip below a narrow board: the facts of the selected service in one row, and why it is as it is in two.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Paint, details, draw_lines};
use crate::lifecycle::explain::explain;
use crate::tui::text;
use crate::tui::theme::Role;

pub(super) fn draw(paint: &Paint<'_>, area: Rect, buffer: &mut Buffer) {
    let Some(service) = paint.state.selected() else { return };
    let width = usize::from(area.width).saturating_sub(3);
    let ellipsis = paint.icons.ellipsis();
    let facts = details::facts(paint, service).join(&format!(" {} ", paint.icons.dot()));
    let name_width = text::width(service.id().as_str());
    let mut lines = vec![Line::from(vec![
        Span::styled(format!(" {} ", paint.icons.cursor()), paint.theme.state(service)),
        paint.span(text::cut(service.id().as_str(), width, ellipsis), Role::Strong),
        Span::raw("  "),
        paint.span(text::cut(&facts, width.saturating_sub(name_width + 2), ellipsis), Role::Dim),
    ])];
    let why = explain(service, &paint.state.snapshot, paint.state.moment.now);
    let (sentence, role) = match &why {
        Some(why) => (text::clean(why).into_owned(), Role::Why),
        None => (text::clean(&service.spec.description).into_owned(), Role::Text),
    };
    let mut rows = text::wrap(&sentence, width);
    if rows.len() > 2 {
        rows.truncate(2);
        if let Some(last) = rows.last_mut() {
            *last = text::cut(&format!("{last} {}", " ".repeat(width)), width, ellipsis);
        }
    }
    for row in rows {
        let mark = if why.is_some() { paint.icons.cursor() } else { " " };
        lines.push(Line::from(vec![
            Span::styled(format!(" {mark} "), paint.theme.state(service)),
            paint.span(row, role),
        ]));
    }
    draw_lines(lines, area, buffer);
}
