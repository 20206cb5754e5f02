//! The followed log. Only the entries that are seen are looked at.

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Paint, draw_lines};
use crate::tui::feed::LogEntry;
use crate::tui::state::{Scroll, wrapped};
use crate::tui::text;
use crate::tui::theme::Role;

/// Levels are looked for in the first bytes of a line only.
const LEVEL_WITHIN: usize = 80;

pub(super) fn draw(paint: &Paint<'_>, inner: Rect, buffer: &mut Buffer) {
    let log = &paint.state.log;
    let (width, height) = (usize::from(inner.width), usize::from(inner.height));
    if log.entries.is_empty() {
        let words = match (&log.service, log.is_loaded) {
            (None, _) => " Nothing is selected",
            (Some(_), false) => " Opening the log",
            (Some(_), true) => " Nothing logged yet",
        };
        draw_lines([Line::from(paint.span(words, Role::Dim))], inner, buffer);
        return;
    }
    let top = log.top(width, height);
    let mut lines = Vec::with_capacity(height);
    for entry in log.entries.iter().skip(top) {
        if lines.len() >= height {
            break;
        }
        entry_lines(paint, entry, width, &mut lines);
    }
    // The newest line has to be seen while following, even when one entry is higher than the window.
    let surplus = if log.scroll == Scroll::Following { lines.len().saturating_sub(height) } else { 0 };
    draw_lines(lines.into_iter().skip(surplus), inner, buffer);
}

fn entry_lines<'a>(paint: &Paint<'a>, entry: &'a LogEntry, width: usize, lines: &mut Vec<Line<'a>>) {
    match entry {
        LogEntry::Line { text, .. } if paint.state.log.is_wrapped => {
            for (i, piece) in wrapped(text, width).into_iter().enumerate() {
                if i == 0 {
                    lines.push(Line::from(highlighted(paint, piece)));
                } else {
                    let mark = format!("{} ", paint.icons.wrap_mark());
                    lines.push(Line::from(vec![paint.span(mark, Role::Dim), Span::raw(piece)]));
                }
            }
        }
        LogEntry::Line { text, .. } => {
            let is_cut = text::width(text) > width;
            let head = text::head(text, if is_cut { width.saturating_sub(1) } else { width });
            let mut spans = highlighted(paint, head);
            if is_cut {
                spans.push(paint.span(paint.icons.ellipsis(), Role::Dim));
            }
            lines.push(Line::from(spans));
        }
        LogEntry::Mark { text, when, .. } => {
            let when = when.and_then(|when| Timestamp::try_from(when).ok()).map(|when| {
                let when = when.to_zoned(paint.state.moment.wall.time_zone().clone());
                format!(" {} {:02}:{:02}:{:02}", paint.icons.dot(), when.hour(), when.minute(), when.second())
            });
            lines.push(separator(paint, &format!("{text}{}", when.unwrap_or_default()), width));
        }
        LogEntry::Note(note) => lines.push(separator(paint, note, width)),
    }
}

fn separator<'a>(paint: &Paint<'a>, words: &str, width: usize) -> Line<'a> {
    let rule = paint.icons.rule();
    let words = text::cut(words, width.saturating_sub(6), paint.icons.ellipsis());
    let rest = width.saturating_sub(text::width(&words) + 5);
    let line = format!("{} {words} {}", rule.repeat(3), rule.repeat(rest));
    Line::from(paint.span(line, Role::LogSeparator))
}

/// The time in front is dimmed, the word of the level has its colour; the words stay as they were.
fn highlighted<'a>(paint: &Paint<'a>, text: &'a str) -> Vec<Span<'a>> {
    let (time, rest) = text.split_at(time_length(text));
    let mut spans = Vec::with_capacity(4);
    if !time.is_empty() {
        spans.push(paint.span(time, Role::LogTime));
    }
    match level(rest) {
        Some((range, role)) => {
            spans.push(Span::raw(rest.get(..range.start).unwrap_or_default()));
            spans.push(paint.span(rest.get(range.clone()).unwrap_or_default(), role));
            spans.push(Span::raw(rest.get(range.end..).unwrap_or_default()));
        }
        None => spans.push(Span::raw(rest)),
    }
    spans
}

/// The bytes of a leading time: `2025-01-31T14:30:05Z`, `14:30:05.123`, with brackets and spaces.
fn time_length(text: &str) -> usize {
    let is_time = |c: char| c.is_ascii_digit() || "-:.,TZ+/[] ".contains(c);
    let length = text.find(|c| !is_time(c)).unwrap_or(0);
    let head = text.get(..length).unwrap_or_default();
    if head.matches(':').count() >= 2 { length } else { 0 }
}

/// Where the first word that names a level is, and how it is drawn.
fn level(text: &str) -> Option<(std::ops::Range<usize>, Role)> {
    let end = (0..=text.len().min(LEVEL_WITHIN)).rev().find(|end| text.is_char_boundary(*end))?;
    let head = text.get(..end)?;
    let mut start = 0;
    for word in head.split(|c: char| !c.is_ascii_alphabetic()) {
        let role = match word {
            "ERROR" | "error" | "Error" | "ERR" | "FATAL" | "fatal" | "CRITICAL" | "PANIC" | "panicked" => {
                Some(Role::Error)
            }
            "WARN" | "warn" | "WARNING" | "warning" | "Warning" => Some(Role::Warning),
            "INFO" | "info" | "NOTICE" => Some(Role::Link),
            "DEBUG" | "debug" | "TRACE" | "trace" => Some(Role::Dim),
            _ => None,
        };
        if let Some(role) = role {
            return Some((start..start + word.len(), role));
        }
        start += word.len() + 1;
    }
    None
}

/// Following, or paused and how much came since.
pub(super) fn note<'a>(paint: &Paint<'a>) -> Line<'a> {
    match paint.state.log.scroll {
        Scroll::Following => Line::from(paint.span(format!(" {} following ", paint.icons.arrow()), Role::Running)),
        Scroll::Paused { n_new, .. } => {
            let new = if n_new == 0 { String::new() } else { format!(", {}", text::counted(n_new, "new line")) };
            Line::from(paint.span(format!(" {} paused{new} ", paint.icons.pause()), Role::Warning))
        }
    }
}

pub(super) fn bottom_note<'a>(paint: &Paint<'a>) -> Option<Line<'a>> {
    let log = &paint.state.log;
    (!log.entries.is_empty()).then(|| {
        let more = if log.is_at_beginning { "" } else { "+" };
        Line::from(paint.span(format!(" {}{more} lines ", log.entries.len()), Role::Dim))
    })
}
