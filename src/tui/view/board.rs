//! The board: one row for each service, below its category or beside it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget as _;

use super::{Paint, draw_lines, spark};
use crate::model::{Category, ProbeVerdict, ServiceSnapshot, ServiceState};
use crate::tui::action::Pane;
use crate::tui::columns::{CPU, Columns, LATENCY, MEMORY, STATE, UPTIME};
use crate::tui::layout::{Areas, board_rows};
use crate::tui::state::BoardRow;
use crate::tui::text;
use crate::tui::theme::Role;

pub(super) fn draw(paint: &Paint<'_>, areas: &Areas, inner: Rect, buffer: &mut Buffer) {
    let state = paint.state;
    let rows = board_rows(areas, state);
    if rows.is_empty() {
        draw_lines(nothing(paint, usize::from(inner.width)), inner, buffer);
        return;
    }
    let columns = Columns::of(areas, state);
    for (line, (area, row)) in inner.rows().zip(rows.iter().skip(state.board.offset)).enumerate() {
        match row {
            BoardRow::Heading(category) => heading(paint, &category_title(*category), inner.width).render(area, buffer),
            BoardRow::SetAsideHeading => heading(paint, "SET ASIDE", inner.width).render(area, buffer),
            BoardRow::SetAside(index) => set_aside(paint, *index, inner.width).render(area, buffer),
            BoardRow::Service { index, is_first } => {
                let Some(service) = state.snapshot.services.get(*index) else { continue };
                let is_selected = state.board.selected.as_ref() == Some(service.id());
                // The topmost row names its category, although its heading may be scrolled away.
                let has_category = *is_first || line == 0;
                service_row(paint, service, has_category, is_selected, &columns).render(area, buffer);
                if is_selected {
                    highlight(paint, area, buffer);
                }
            }
        }
    }
    let outer = areas.pane(Pane::Services).unwrap_or(inner);
    paint.scrollbar(outer, rows.len(), state.board.offset, buffer);
}

/// Marks the selected row. Colours that mean something stay; greys would not be readable on it.
fn highlight(paint: &Paint<'_>, area: Rect, buffer: &mut Buffer) {
    let is_focused = paint.state.focus == Pane::Services;
    let style = paint.style(if is_focused { Role::Selected } else { Role::SelectedIdle });
    let screen = paint.style(Role::Screen).fg.or(Some(Color::Reset));
    let weak = [screen, paint.style(Role::Dim).fg, paint.style(Role::Heading).fg, style.bg];
    for x in area.left()..area.right() {
        let Some(cell) = buffer.cell_mut((x, area.y)) else { continue };
        let own = cell.fg;
        cell.set_style(style);
        if !weak.contains(&Some(own)) {
            cell.set_fg(own);
        }
    }
}

fn category_title(category: Category) -> String {
    category.as_str().to_uppercase()
}

fn heading<'a>(paint: &Paint<'a>, title: &str, width: u16) -> Line<'a> {
    let n_rule = usize::from(width).saturating_sub(text::width(title) + 3);
    Line::from(vec![
        Span::raw(" "),
        paint.span(title.to_owned(), Role::Heading),
        Span::raw(" "),
        paint.span(paint.icons.rule().repeat(n_rule), Role::Border),
    ])
}

fn service_row<'a>(
    paint: &Paint<'a>,
    service: &ServiceSnapshot,
    has_category: bool,
    is_selected: bool,
    columns: &Columns,
) -> Line<'a> {
    let icons = paint.icons;
    let ellipsis = icons.ellipsis();
    let state_style = paint.theme.state(service);
    let mut spans = Vec::with_capacity(24 + columns.spark);
    spans.push(if is_selected { paint.span(icons.cursor(), Role::Cursor) } else { Span::raw(" ") });
    spans.push(Span::styled(icons.state(service.kind(), paint.state.elapsed()), state_style));
    let is_marked = paint.state.board.marked.contains(service.id());
    spans.push(if is_marked { paint.span(icons.mark(), Role::Match) } else { Span::raw(" ") });
    spans.push(paint.span(text::pad(service.id().as_str(), columns.name, ellipsis), Role::Text));
    spans.push(Span::raw(" "));
    spans.push(Span::styled(text::pad(&service.kind().to_string(), STATE, ellipsis), state_style));
    spans.push(Span::raw(" "));
    spans.push(paint.span(text::pad_left(&uptime(paint, service), UPTIME, ellipsis), Role::Text));
    spans.push(Span::raw(" "));
    let health = match service.health() {
        crate::model::Health::Healthy => Role::Healthy,
        crate::model::Health::Unhealthy => Role::Unhealthy,
        crate::model::Health::Unknown => Role::Dim,
    };
    spans.push(paint.span(icons.health(service), health));
    if columns.spark > 0 {
        spans.push(Span::raw(" "));
        spans.extend(spark::spans(paint, &service.history, columns.spark));
    }
    spans.push(Span::raw(" "));
    spans.push(paint.span(text::pad_left(&latency(paint, service), LATENCY, ellipsis), Role::Dim));
    if columns.mode > 0 {
        spans.push(Span::raw(" "));
        spans.push(paint.span(text::pad(service.spec.deployment.mode().as_str(), columns.mode, ellipsis), Role::Dim));
    }
    if columns.has_usage {
        let usage = paint.state.usage.of(service);
        let (processor, memory) = usage.map(|usage| (usage.processor, Some(usage.memory))).unwrap_or_default();
        for (text, width) in [(processor, CPU), (memory, MEMORY)] {
            let text = text.unwrap_or_else(|| icons.none().to_owned());
            spans.push(Span::raw(" "));
            spans.push(paint.span(text::pad_left(&text, width, ellipsis), Role::Dim));
        }
    }
    if columns.category > 0 {
        spans.push(Span::raw(" "));
        let title = if has_category { category_title(service.spec.category) } else { String::new() };
        spans.push(paint.span(text::pad_left(&title, columns.category - 1, ellipsis), Role::Heading));
    }
    Line::from(spans)
}

/// How long it runs, or how long until it is started again.
fn uptime(paint: &Paint<'_>, service: &ServiceSnapshot) -> String {
    let now = paint.state.moment.now;
    match (&service.state, service.up_since()) {
        (ServiceState::Backoff { until, .. }, _) => {
            format!("in {}", text::uptime(until.saturating_duration_since(now)))
        }
        (_, Some(since)) => text::uptime(now.saturating_duration_since(since)),
        (_, None) => paint.icons.none().to_owned(),
    }
}

fn latency(paint: &Paint<'_>, service: &ServiceSnapshot) -> String {
    match &service.last_probe {
        Some(report) if report.verdict == ProbeVerdict::Passed => text::latency(report.took),
        Some(_) | None => paint.icons.none().to_owned(),
    }
}

fn set_aside<'a>(paint: &Paint<'a>, index: usize, width: u16) -> Line<'a> {
    let registry = &paint.state.snapshot.registry;
    let name = registry.set_aside.get(index).map(String::as_str).unwrap_or_default();
    let why = registry.issues_of(name).next().map(|found| found.message.as_str()).unwrap_or("cannot be used");
    let icon = text::pad(paint.icons.warning(), 2, "");
    let name = text::cut(&text::clean(name), 24, paint.icons.ellipsis());
    let room = usize::from(width).saturating_sub(6 + text::width(&name));
    Line::from(vec![
        Span::raw(" "),
        paint.span(icon, Role::Warning),
        Span::raw(" "),
        paint.span(name, Role::Strong),
        Span::raw("  "),
        paint.span(text::cut(&text::clean(why), room, paint.icons.ellipsis()), Role::Dim),
    ])
}

/// What stands on a board without rows.
fn nothing<'a>(paint: &Paint<'a>, width: usize) -> Vec<Line<'a>> {
    let registry = &paint.state.snapshot.registry;
    let mut lines = vec![Line::default()];
    if !paint.state.board.filter_text.is_empty() {
        let filter = text::cut(&paint.state.board.filter_text, width / 2, paint.icons.ellipsis());
        lines.push(Line::from(paint.span(format!("  No service matches {filter}"), Role::Dim)));
        return lines;
    }
    lines.push(Line::from(paint.span("  No services", Role::Strong)));
    for found in &registry.diagnostics {
        for row in text::wrap(&text::clean(&found.to_string()), width.saturating_sub(4)) {
            lines.push(Line::from(paint.span(format!("  {row}"), Role::Error)));
        }
    }
    lines
}

/// The filter, or how many services there are.
pub(super) fn note<'a>(paint: &Paint<'a>) -> Option<Line<'a>> {
    let board = &paint.state.board;
    let n_total = paint.state.snapshot.services.len();
    if !board.filter_text.is_empty() || board.is_editing_filter {
        let filter = text::cut(&board.filter_text, 24, paint.icons.ellipsis());
        return Some(Line::from(vec![
            paint.span(" /", Role::Key),
            paint.span(filter, Role::Match),
            paint.span(format!("  {} of {n_total} ", board.listed.len()), Role::Dim),
        ]));
    }
    let place = board.place(&paint.state.snapshot)? + 1;
    let mut spans = Vec::new();
    if !board.marked.is_empty() {
        spans.push(paint.span(format!(" {} marked {}", board.marked.len(), paint.icons.dot()), Role::Match));
    }
    spans.push(paint.span(format!(" {place}/{n_total} "), Role::Dim));
    Some(Line::from(spans))
}
