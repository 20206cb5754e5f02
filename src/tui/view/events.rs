//! The timeline: when, who caused it, whom it happened to, and what. Only the entries that are seen are looked at.

use std::time::SystemTime;

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Paint, draw_lines};
use crate::store::TimelineEntry;
use crate::tui::state::{Scroll, State};
use crate::tui::text;
use crate::tui::theme::Role;

/// From this width on the year is shown too, and names have more room.
const ROOMY: usize = 100;

/// The longest actor: `recovery`.
const ACTOR: usize = 8;

/// What a sentence keeps at least, whatever the names beside it take.
const LEAST: usize = 24;

/// The columns of a window of that width.
struct Columns {
    when: usize,
    service: usize,
    what: usize,
}

fn columns(entries: &[&TimelineEntry], width: usize) -> Columns {
    let is_roomy = width >= ROOMY;
    let when = if is_roomy { "2025-10-06 14:30:00".len() } else { "10-06 14:30:00".len() };
    let longest = if is_roomy { 32 } else { 16 };
    // The names of what is shown in all, so that scrolling moves no column.
    let widest = entries.iter().map(|entry| text::width(&entry.service)).max().unwrap_or(0);
    let before = 1 + when + 2 + ACTOR + 2;
    let room = width.saturating_sub(before + 2 + LEAST);
    let service = widest.min(longest).min(room.max(4));
    Columns { when, service, what: width.saturating_sub(before + service + 2).max(1) }
}

pub(super) fn draw(paint: &Paint<'_>, outer: Rect, inner: Rect, buffer: &mut Buffer) {
    let state = paint.state;
    let entries = state.events.shown(state.board.selected.as_ref());
    let (width, height) = (usize::from(inner.width), usize::from(inner.height));
    if let Some(problem) = &state.events.problem {
        let words = format!(" The timeline cannot be read: {problem}");
        let rows = text::wrap(&words, width).into_iter().map(|row| Line::from(paint.span(row, Role::Error)));
        draw_lines(rows, inner, buffer);
        return;
    }
    if entries.is_empty() {
        let words = if !state.events.is_loaded {
            " Reading the timeline"
        } else if state.events.is_of_selected {
            " Nothing has happened to this service yet"
        } else {
            " Nothing has happened yet"
        };
        draw_lines([Line::from(paint.span(words, Role::Dim))], inner, buffer);
        return;
    }
    let columns = columns(&entries, width);
    let top = state.events.top(last_top_of(&entries, columns.what, height));
    let mut lines = Vec::with_capacity(height);
    for entry in entries.iter().skip(top) {
        if lines.len() >= height {
            break;
        }
        entry_lines(paint, entry, &columns, &mut lines);
    }
    // The newest one has to be seen while following, even when one entry is higher than the window.
    let surplus = if state.events.scroll == Scroll::Following { lines.len().saturating_sub(height) } else { 0 };
    draw_lines(lines.into_iter().skip(surplus), inner, buffer);
    paint.scrollbar(outer, entries.len(), top, buffer);
}

/// The first entry of the last screenful.
pub(crate) fn last_top(state: &State, width: usize, height: usize) -> usize {
    let entries = state.events.shown(state.board.selected.as_ref());
    let columns = columns(&entries, width);
    last_top_of(&entries, columns.what, height)
}

fn last_top_of(entries: &[&TimelineEntry], columns: usize, height: usize) -> usize {
    let mut n_rows = 0;
    for (index, entry) in entries.iter().enumerate().rev() {
        n_rows += text::wrap(&entry.what, columns).len();
        if n_rows > height {
            return (index + 1).min(entries.len().saturating_sub(1));
        }
    }
    0
}

fn entry_lines<'a>(paint: &Paint<'a>, entry: &TimelineEntry, columns: &Columns, lines: &mut Vec<Line<'a>>) {
    let ellipsis = paint.icons.ellipsis();
    let actor = match entry.actor.as_str() {
        "recovery" => Role::Warning,
        "outside" => Role::Dim,
        _ => Role::Label,
    };
    let role = role_of(&entry.what);
    for (i, row) in text::wrap(&entry.what, columns.what).into_iter().enumerate() {
        if i > 0 {
            let indent = 1 + columns.when + 2 + ACTOR + 2 + columns.service + 2;
            lines.push(Line::from(vec![Span::raw(" ".repeat(indent)), paint.span(row, role)]));
            continue;
        }
        lines.push(Line::from(vec![
            Span::raw(" "),
            paint.span(text::pad(&when(paint.state, entry.at, columns.when), columns.when, ""), Role::LogTime),
            Span::raw("  "),
            paint.span(text::pad(&entry.actor, ACTOR, ellipsis), actor),
            Span::raw("  "),
            paint.span(text::pad(&entry.service, columns.service, ellipsis), Role::Strong),
            Span::raw("  "),
            paint.span(row, role),
        ]));
    }
}

/// Date and time of day, with the year where there is room.
fn when(state: &State, at: SystemTime, columns: usize) -> String {
    let Ok(at) = Timestamp::try_from(at) else { return "unknown time".to_owned() };
    let at = at.to_zoned(state.moment.wall.time_zone().clone());
    let time = at.strftime(if columns > 14 { "%Y-%m-%d %H:%M:%S" } else { "%m-%d %H:%M:%S" });
    time.to_string()
}

/// By the words with which the timeline's sentences begin; they say it without colour too.
fn role_of(what: &str) -> Role {
    const BAD: [&str; 8] =
        ["unhealthy", "not ready", "could not be started", "exited", "was killed", "ended", "given up", "did not stop"];
    const GOOD: [&str; 3] = ["ready after", "healthy again", "started with"];
    let begins = |words: &[&str]| words.iter().any(|word| what.starts_with(word));
    if begins(&BAD) {
        Role::Error
    } else if begins(&GOOD) {
        Role::Healthy
    } else {
        Role::Text
    }
}

/// Following, or paused and how much came since; and whose events these are.
pub(super) fn note<'a>(paint: &Paint<'a>) -> Line<'a> {
    match paint.state.events.scroll {
        Scroll::Following => Line::from(paint.span(format!(" {} following ", paint.icons.arrow()), Role::Running)),
        Scroll::Paused { n_new, .. } => {
            let new = if n_new == 0 { String::new() } else { format!(", {n_new} new") };
            Line::from(paint.span(format!(" {} paused{new} ", paint.icons.pause()), Role::Warning))
        }
    }
}

pub(super) fn bottom_note<'a>(paint: &Paint<'a>) -> Option<Line<'a>> {
    let state = paint.state;
    let n_entries = state.events.shown(state.board.selected.as_ref()).len();
    let whose = match state.board.selected.as_ref().filter(|_| state.events.is_of_selected) {
        Some(id) => format!("of {}", text::cut(id.as_str(), 32, paint.icons.ellipsis())),
        None => "of all services".to_owned(),
    };
    state
        .events
        .is_loaded
        .then(|| Line::from(paint.span(format!(" {} {whose} ", text::counted(n_entries, "event")), Role::Dim)))
}
