//! The followed log. Only the entries that are seen are looked at.

use std::ops::Range;

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{Paint, draw_lines};
use crate::tui::feed::LogEntry;
use crate::tui::state::{LogSearch, Scroll, time_length, wrapped};
use crate::tui::text;
use crate::tui::theme::Role;

/// Levels are looked for in the first bytes of a line only.
const LEVEL_WITHIN: usize = 80;

pub(super) fn draw(paint: &Paint<'_>, inner: Rect, buffer: &mut Buffer) {
    let log = &paint.state.log;
    let (width, height) = (usize::from(inner.width), usize::from(inner.height));
    if log.n_shown() == 0 {
        let words = match (&log.service, log.is_loaded, &log.filter) {
            (None, ..) => " Nothing is selected".to_owned(),
            (Some(_), false, _) => " Opening the log".to_owned(),
            (Some(_), true, Some(filter)) if !log.entries.is_empty() => {
                let pattern = text::cut(&filter.text(), width / 2, paint.icons.ellipsis());
                format!(" No line of {} is shown by &{pattern}", log.entries.len())
            }
            (Some(_), true, _) => " Nothing logged yet".to_owned(),
        };
        let words = text::cut(&words, width, paint.icons.ellipsis());
        draw_lines([Line::from(paint.span(words, Role::Dim))], inner, buffer);
        return;
    }
    let top = log.top(width, height);
    let marked = log.marked(width, height).unwrap_or_default();
    let mut lines = Vec::with_capacity(height);
    for (place, entry) in (top..).zip(log.shown_from(top)) {
        if lines.len() >= height {
            break;
        }
        let n_before = lines.len();
        entry_lines(paint, entry, log.number(place), width, &mut lines);
        if marked.contains(&place) {
            let style = paint.style(Role::SelectedIdle);
            lines.iter_mut().skip(n_before).for_each(|line| line.style = style);
        }
    }
    // The newest line has to be seen while following, even when one entry is higher than the window.
    let surplus = if log.scroll == Scroll::Following { lines.len().saturating_sub(height) } else { 0 };
    draw_lines(lines.into_iter().skip(surplus), inner, buffer);
}

fn entry_lines<'a>(paint: &Paint<'a>, entry: &'a LogEntry, number: usize, width: usize, lines: &mut Vec<Line<'a>>) {
    let log = &paint.state.log;
    match entry {
        LogEntry::Line { text, .. } => {
            let drawn = log.drawn_part(text);
            let styled = Styled::of(paint, text, number);
            let mut from = text.len() - drawn.len();
            if log.is_wrapped {
                for (i, piece) in wrapped(drawn, width).into_iter().enumerate() {
                    let mut spans = Vec::new();
                    if i > 0 {
                        spans.push(paint.span(format!("{} ", paint.icons.wrap_mark()), Role::Dim));
                    }
                    styled.push(from..from + piece.len(), &mut spans);
                    from += piece.len();
                    lines.push(Line::from(spans));
                }
            } else {
                let is_cut = text::width(drawn) > width;
                let head = text::head(drawn, if is_cut { width.saturating_sub(1) } else { width });
                let mut spans = Vec::new();
                styled.push(from..from + head.len(), &mut spans);
                if is_cut {
                    spans.push(paint.span(paint.icons.ellipsis(), Role::Dim));
                }
                lines.push(Line::from(spans));
            }
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

/// A line with the styles of its parts: the time in front is dimmed, the word of the level has its colour, what is looked for stands out;
/// the words stay as they were.
struct Styled<'a> {
    text: &'a str,
    /// What has a style, in order; what lies between has none.
    parts: Vec<(Range<usize>, Style)>,
}

impl<'a> Styled<'a> {
    fn of(paint: &Paint<'_>, text: &'a str, number: usize) -> Self {
        let time = time_length(text);
        let level = level(text.get(time..).unwrap_or_default());
        let level = level.map(|(range, role)| (range.start + time..range.end + time, role));
        let own = [(0..time, Role::LogTime)].into_iter().chain(level);
        let mut own: Vec<(Range<usize>, Style)> = own.map(|(range, role)| (range, paint.style(role))).collect();
        let Some(search) = &paint.state.log.search else { return Self { text, parts: own } };
        let role = if search.current == Some(number) { Role::MatchCurrent } else { Role::Match };
        let mut parts = Vec::new();
        for found in search.pattern.ranges(text) {
            // Of each own part, what a match covers is the match's.
            let mut rest = Vec::new();
            for (range, style) in own {
                for piece in [range.start..range.end.min(found.start), range.start.max(found.end)..range.end] {
                    if !piece.is_empty() {
                        rest.push((piece, style));
                    }
                }
            }
            own = rest;
            parts.push((found, paint.style(role)));
        }
        parts.extend(own);
        parts.sort_by_key(|(range, _)| range.start);
        Self { text, parts }
    }

    /// Adds what of the line lies in `range`.
    fn push(&self, range: Range<usize>, spans: &mut Vec<Span<'a>>) {
        let text = self.text;
        let mut add = |from: usize, to: usize, style: Style| {
            if let Some(words) = text.get(from..to).filter(|words| !words.is_empty()) {
                spans.push(Span::styled(words, style));
            }
        };
        let mut at = range.start;
        for (part, style) in &self.parts {
            let (from, to) = (part.start.max(at), part.end.min(range.end));
            if from < to {
                add(at, from, Style::new());
                add(from, to, *style);
                at = to;
            }
        }
        add(at, range.end, Style::new());
    }
}

/// Where the first word that names a level is, and how it is drawn.
fn level(text: &str) -> Option<(Range<usize>, Role)> {
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

/// How many lines there are, or how many of them are shown.
pub(super) fn bottom_note<'a>(paint: &Paint<'a>) -> Option<Line<'a>> {
    let log = &paint.state.log;
    (!log.entries.is_empty()).then(|| {
        let more = if log.is_at_beginning { "" } else { "+" };
        let n_entries = log.entries.len();
        match &log.filter {
            Some(_) => Line::from(paint.span(format!(" {} of {n_entries}{more} lines ", log.n_shown()), Role::Warning)),
            None => Line::from(paint.span(format!(" {n_entries}{more} lines "), Role::Dim)),
        }
    })
}

/// What is looked for, shown alone and marked.
pub(super) fn finding_note<'a>(paint: &Paint<'a>, width: usize) -> Option<Line<'a>> {
    let log = &paint.state.log;
    let room = (width / 4).max(6);
    let pattern = |text: &str| text::cut(text, room, paint.icons.ellipsis());
    let mut spans = Vec::new();
    if let Some(filter) = &log.filter {
        spans.push(paint.span(" &", Role::Key));
        spans.push(paint.span(pattern(&filter.text()), Role::Match));
    }
    if let Some(search) = &log.search {
        spans.push(paint.span(" /", Role::Key));
        spans.push(paint.span(pattern(search.pattern.text()), Role::Match));
        spans.push(paint.span(format!(" {}", matches(search)), Role::Dim));
    }
    if log.mark.is_some() {
        spans.push(paint.span(" marked", Role::Match));
    }
    if spans.is_empty() {
        return None;
    }
    spans.push(Span::raw(" "));
    Some(Line::from(spans))
}

/// `3/17`, counted in lines; how the pattern was taken where that is not plain.
pub(super) fn matches(search: &LogSearch) -> String {
    let taken = if search.pattern.is_plain { " as text" } else { "" };
    match (search.hits.len(), search.current) {
        (0, _) => format!("no match{taken}"),
        (n, None) => format!("{}{taken}", text::counted(n, "line")),
        (n, Some(current)) => format!("{}/{n}{taken}", search.hits.n_before(current) + 1),
    }
}
