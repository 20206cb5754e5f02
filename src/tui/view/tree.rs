//! What the selected service needs, and what needs it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Paint, draw_lines};
use crate::model::ServiceId;
use crate::tui::action::Pane;
use crate::tui::state::{Relation, State, TreeRow};
use crate::tui::text;
use crate::tui::theme::Role;

/// The first row that is shown, so that the cursor is inside.
pub(crate) fn offset(state: &State, height: usize) -> usize {
    if state.focus != Pane::Dependencies {
        return 0;
    }
    (state.tree.cursor + 2).min(state.tree.rows.len()).saturating_sub(height)
}

pub(super) fn draw(paint: &Paint<'_>, inner: Rect, buffer: &mut Buffer) {
    let state = paint.state;
    let offset = offset(state, usize::from(inner.height));
    let rows = state.tree.rows.iter().enumerate().skip(offset).take(usize::from(inner.height));
    let lines = rows.map(|(index, row)| match row {
        TreeRow::Heading(relation, n) => heading(paint, *relation, *n),
        TreeRow::Service { id, goes_on, is_repeated } => {
            let is_cursor = state.focus == Pane::Dependencies && index == state.tree.cursor;
            let line = service(paint, id, goes_on, *is_repeated, usize::from(inner.width));
            if is_cursor { line.style(paint.style(Role::Selected)) } else { line }
        }
    });
    draw_lines(lines, inner, buffer);
}

fn heading<'a>(paint: &Paint<'a>, relation: Relation, n: usize) -> Line<'a> {
    let (arrow, title) = match relation {
        Relation::Needs => (paint.icons.arrow(), "needs"),
        Relation::NeededBy => (paint.icons.left_arrow(), "needed by"),
    };
    let count = if n == 0 { "nothing".to_owned() } else { n.to_string() };
    Line::from(vec![
        paint.span(format!(" {arrow} "), Role::Key),
        paint.span(title, Role::Heading),
        paint.span(format!("  {count}"), Role::Dim),
    ])
}

fn service<'a>(paint: &Paint<'a>, id: &ServiceId, goes_on: &[bool], is_repeated: bool, width: usize) -> Line<'a> {
    let [branch, last, passing, nothing] = paint.icons.tree();
    let mut lines = String::from("   ");
    if let Some((own, above)) = goes_on.split_last() {
        for level in above {
            lines.push_str(if *level { passing } else { nothing });
        }
        lines.push_str(if *own { branch } else { last });
    }
    let lines = text::cut(&lines, width.saturating_sub(16), paint.icons.ellipsis());
    let mut spans = vec![paint.span(lines.clone(), Role::Border)];
    match paint.state.snapshot.service(id.as_str()) {
        Some(service) => {
            let style = paint.theme.state(service);
            let word = service.kind().to_string();
            let room = width.saturating_sub(text::width(&lines) + 3 + word.len() + 2);
            spans.push(Span::styled(paint.icons.state(service.kind(), paint.state.elapsed()), style));
            spans.push(Span::raw(" "));
            spans.push(paint.span(text::cut(id.as_str(), room, paint.icons.ellipsis()), Role::Text));
            spans.push(Span::raw("  "));
            spans.push(Span::styled(word, style));
            let order = service.spec.startup.start_order;
            spans.push(paint.span(format!("  order {order}"), Role::Dim));
        }
        None => {
            spans.push(paint.span(format!("{} {id}", paint.icons.warning()), Role::Warning));
            spans.push(paint.span("  not registered", Role::Dim));
        }
    }
    if is_repeated {
        spans.push(paint.span(format!("  {}", paint.icons.ellipsis()), Role::Dim));
    }
    Line::from(spans)
}
