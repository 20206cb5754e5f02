//! The first line: what this is, where the registry came from, how many run, what time it is.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget as _;

use super::Paint;
use crate::model::{Health, LeaderKind, Leadership, RegistrySource, Severity, Snapshot, StateKind};
use crate::tui::text;
use crate::tui::theme::Role;

/// The left side's width from which there is room for who leads.
const LEAD_WIDTH: usize = 36;

pub(super) fn draw(paint: &Paint<'_>, area: Rect, buffer: &mut Buffer) {
    let right = right_side(paint, area.width);
    let right_width = u16::try_from(right.width()).unwrap_or(area.width).min(area.width);
    let left_width = area.width - right_width;
    left_side(paint, usize::from(left_width)).render(Rect { width: left_width, ..area }, buffer);
    right.render(Rect { x: area.x + left_width, width: right_width, ..area }, buffer);
}

fn left_side<'a>(paint: &Paint<'a>, width: usize) -> Line<'a> {
    let registry = &paint.state.snapshot.registry;
    let n_problems = registry.diagnostics.len();
    let has_errors = registry.diagnostics.iter().any(|it| it.severity == Severity::Error);
    let verdict = match n_problems {
        0 => format!("{} ", paint.icons.good()),
        n => format!("{} {} ", paint.icons.warning(), text::counted(n, "problem")),
    };
    let role = match (n_problems, has_errors) {
        (0, _) => Role::Healthy,
        (_, true) => Role::Error,
        (_, false) => Role::Warning,
    };
    // An edit that is not in force goes before what is.
    let (verdict, role) = match paint.state.registry.n_errors() {
        0 => (verdict, role),
        n => (format!("{} {} ", paint.icons.bad(), text::counted(n, "error")), Role::Error),
    };
    let brand = " provisioning ";
    let source = match &registry.source {
        RegistrySource::File(path) => text::clean(&path.to_string_lossy()).into_owned(),
        RegistrySource::BuiltIn => "built-in registry".to_owned(),
    };
    let (lead, lead_role) = lead(paint, width);
    let room = width.saturating_sub(text::width(brand) + text::width(&verdict) + text::width(&lead) + 3);
    Line::from(vec![
        paint.span(brand, Role::Brand),
        Span::raw(" "),
        paint.span(shorten_path(&source, room, paint.icons.ellipsis()), Role::Dim),
        Span::raw(" "),
        paint.span(verdict, role),
        paint.span(lead, lead_role),
    ])
}

/// Who acts on its own here. Left out where the registry's name would not fit beside it.
fn lead(paint: &Paint<'_>, width: usize) -> (String, Role) {
    let Some(leadership) = paint.state.leadership.as_ref().filter(|_| width >= LEAD_WIDTH) else {
        return (String::new(), Role::Dim);
    };
    match leadership {
        Leadership::Here => (" leading here ".to_owned(), Role::Healthy),
        Leadership::Another(leader) => match leader.kind {
            Some(LeaderKind::Supervise) => (format!(" supervise {} ", paint.icons.good()), Role::Healthy),
            Some(kind @ (LeaderKind::Console | LeaderKind::Monitor)) => (format!(" another {kind} leads "), Role::Dim),
            None => (" led elsewhere ".to_owned(), Role::Dim),
        },
        // Where nothing runs there is nothing to lead.
        Leadership::Nobody if paint.state.snapshot.n_running() == 0 => (String::new(), Role::Dim),
        Leadership::Nobody => (" no one leads ".to_owned(), Role::Warning),
    }
}

/// Keeps the end of a path, which says more than its beginning.
fn shorten_path(path: &str, columns: usize, ellipsis: &str) -> String {
    if text::width(path) <= columns {
        return path.to_owned();
    }
    let room = columns.saturating_sub(text::width(ellipsis));
    let starts = path.char_indices().map(|(at, _)| path.get(at..).unwrap_or_default());
    let tail = starts.into_iter().find(|tail| text::width(tail) <= room).unwrap_or_default();
    text::cut(&format!("{ellipsis}{tail}"), columns, "")
}

fn right_side<'a>(paint: &Paint<'a>, width: u16) -> Line<'a> {
    let snapshot = &paint.state.snapshot;
    let (n_running, n_total) = (snapshot.n_running(), snapshot.services.len());
    let counts = Counts::of(snapshot);
    let mut spans = vec![Span::raw(" ")];
    if width >= 110 {
        let (full, empty) = paint.icons.gauge();
        let n_full = (n_running * 12).checked_div(n_total).unwrap_or(0);
        spans.push(paint.span(full.repeat(n_full), Role::Running));
        spans.push(paint.span(empty.repeat(12 - n_full), Role::Border));
        spans.push(Span::raw(" "));
    }
    spans.push(paint.span("Running ", Role::Label));
    spans.push(paint.span(format!("{n_running}/{n_total}"), Role::Strong));
    let gap = if width >= 100 { "   " } else { "  " };
    for (icon, n, role) in [
        (paint.icons.healthy_count(), counts.healthy, Role::Healthy),
        (paint.icons.trouble_count(), counts.in_trouble, Role::Unhealthy),
        (paint.icons.stopped_count(), counts.stopped, Role::Stopped),
    ] {
        spans.push(Span::raw(gap));
        spans.push(Span::raw(icon));
        let role = if n == 0 { Role::Dim } else { role };
        spans.push(paint.span(format!(" {n}"), role));
    }
    spans.push(Span::raw(gap));
    let wall = &paint.state.moment.wall;
    spans.push(paint.span(format!("{:02}:{:02} ", wall.hour(), wall.minute()), Role::Dim));
    Line::from(spans)
}

/// The three numbers of the header.
struct Counts {
    healthy: usize,
    in_trouble: usize,
    stopped: usize,
}

impl Counts {
    fn of(snapshot: &Snapshot) -> Self {
        let mut counts = Self { healthy: 0, in_trouble: 0, stopped: 0 };
        for service in &snapshot.services {
            match (service.kind(), service.health()) {
                (StateKind::Failed | StateKind::Backoff, _) | (_, Health::Unhealthy) => counts.in_trouble += 1,
                (_, Health::Healthy) => counts.healthy += 1,
                (StateKind::Stopped | StateKind::Waiting | StateKind::Unknown, _) => counts.stopped += 1,
                (StateKind::Starting | StateKind::Running | StateKind::Stopping, Health::Unknown) => {}
            }
        }
        counts
    }
}
