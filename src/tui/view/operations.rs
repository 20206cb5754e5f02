//! What is under way: a row for each operation above the footer, and a panel with plan and progress of the newest.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget as _;

use super::{Paint, draw_lines};
use crate::engine::operation::{Role as StepRole, Step, StepAction};
use crate::model::ServiceId;
use crate::tui::action::Action;
use crate::tui::keymap::key_of;
use crate::tui::state::{Operation, Phase, StepStatus, StepView};
use crate::tui::text;
use crate::tui::theme::Role;

/// The columns of the small progress bar.
const BAR: usize = 10;

/// The newest operations, one row each, the newest at the bottom.
pub(super) fn draw_strip(paint: &Paint<'_>, area: Rect, buffer: &mut Buffer) {
    let shown = &paint.state.operations.shown;
    let hidden = shown.len().saturating_sub(usize::from(area.height));
    for (row, operation) in area.rows().zip(shown.iter().skip(hidden)) {
        strip_row(paint, operation, row, buffer);
    }
}

fn strip_row(paint: &Paint<'_>, operation: &Operation, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let (mark, role) = mark(paint, operation);
    let (full, empty) = paint.icons.gauge();
    let (n_done, n_steps) = (operation.n_done(), operation.steps.len());
    let n_full = (n_done * BAR).checked_div(n_steps).unwrap_or(0);
    let words = text::cut(&words(paint, operation), width.saturating_sub(BAR + 24), paint.icons.ellipsis());
    let mut spans = vec![
        Span::raw(" "),
        paint.span(text::pad(mark, 2, ""), role),
        Span::raw(" "),
        paint.span(text::cut(&operation.title, width / 3, paint.icons.ellipsis()), Role::Strong),
        Span::raw("  "),
    ];
    if n_steps > 1 {
        spans.push(paint.span(full.repeat(n_full), role));
        spans.push(paint.span(empty.repeat(BAR - n_full), Role::Border));
        spans.push(paint.span(format!(" {n_done}/{n_steps}  "), Role::Label));
    }
    spans.push(paint.span(words, if operation.has_failed() { Role::Error } else { Role::Dim }));
    let left = Line::from(spans);
    let command = Line::from(paint.span(format!("$ {} ", operation.command), Role::Command));
    let has_room = left.width() + command.width() + 2 <= width;
    left.render(area, buffer);
    if has_room {
        let offset = area.width.saturating_sub(u16::try_from(command.width()).unwrap_or(0));
        command.render(Rect { x: area.x + offset, width: area.width - offset, ..area }, buffer);
    }
}

fn mark(paint: &Paint<'_>, operation: &Operation) -> (&'static str, Role) {
    if operation.is_running() {
        (paint.icons.spinner(paint.state.elapsed()), Role::Progress)
    } else if operation.has_failed() {
        (paint.icons.bad(), Role::Error)
    } else {
        (paint.icons.good(), Role::Healthy)
    }
}

/// What it is doing, or how it ended.
fn words(paint: &Paint<'_>, operation: &Operation) -> String {
    match &operation.phase {
        Phase::Beginning => "beginning".to_owned(),
        Phase::Cancelling => "giving up the wait".to_owned(),
        Phase::Refused { why } => why.clone(),
        Phase::Running => {
            let active = operation.steps.iter().filter(|it| it.status.is_under_way());
            let active: Vec<String> = active
                .map(|it| match preparing(paint, it) {
                    Some(words) => words,
                    None => format!("{} {}", status_words(&it.status), it.step.service),
                })
                .collect();
            if active.is_empty() { "under way".to_owned() } else { active.join(", ") }
        }
        Phase::Finished { at, summary } => {
            let took = text::latency(at.saturating_duration_since(operation.began));
            let names = |ids: &[ServiceId]| ids.iter().map(ServiceId::as_str).collect::<Vec<_>>().join(", ");
            if !summary.failed.is_empty() {
                format!("failed: {} ({} why)", names(&summary.failed), key_of(Action::ShowOperation))
            } else if !summary.skipped.is_empty() {
                format!("skipped: {}", names(&summary.skipped))
            } else {
                let counts = [
                    (summary.started.len(), "started"),
                    (summary.stopped.len(), "stopped"),
                    (summary.already_running.len(), "already running"),
                    (summary.not_running.len(), "not running"),
                ];
                let counts = counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
                let counts: Vec<String> = counts.chain([format!("in {took}")]).collect();
                counts.join(&format!(" {} ", paint.icons.dot()))
            }
        }
    }
}

/// What its start fetches first, and how far that is.
fn preparing(paint: &Paint<'_>, it: &StepView) -> Option<String> {
    let service = paint.state.snapshot.service(it.step.service.as_str())?;
    let words = service.preparing.as_ref().filter(|_| it.status == StepStatus::Starting)?;
    Some(text::clean(words).into_owned())
}

fn status_words(status: &StepStatus) -> &'static str {
    match status {
        StepStatus::Pending => "waiting",
        StepStatus::Checking => "checking",
        StepStatus::Starting => "starting",
        StepStatus::WaitingForHealth => "waiting for health of",
        StepStatus::Stopping => "stopping",
        StepStatus::Done(_) => "done",
        StepStatus::Failed(_) => "failed",
        StepStatus::Skipped(_) => "skipped",
    }
}

/// Plan and progress of the newest operation, above the lower right of the screen.
pub(super) fn draw_panel(paint: &Paint<'_>, body: Rect, buffer: &mut Buffer) {
    let Some(operation) = paint.state.operations.newest() else { return };
    let width = body.width.saturating_sub(4).min(76);
    let inner_width = usize::from(width.saturating_sub(4));
    let mut lines = vec![Line::from(vec![
        paint.span("$ ", Role::Dim),
        paint.span(text::cut(&operation.command, inner_width.saturating_sub(2), paint.icons.ellipsis()), Role::Command),
    ])];
    lines.extend(progress_lines(paint, operation, inner_width));
    for note in &operation.notes {
        for row in text::wrap(note, inner_width.saturating_sub(2)) {
            lines.push(Line::from(paint.span(format!("{} {row}", paint.icons.warning()), Role::Warning)));
        }
    }
    if let Phase::Refused { why } = &operation.phase {
        lines.extend(text::wrap(why, inner_width).into_iter().map(|row| Line::from(paint.span(row, Role::Error))));
    }
    let cancel = format!("{} cancel wait", key_of(Action::CancelOperation));
    let keys = if operation.is_running() { format!("Esc hide  {cancel}") } else { "Esc close".to_owned() };
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2).min(body.height * 3 / 4);
    let area =
        Rect { x: body.right().saturating_sub(width + 2), y: body.bottom().saturating_sub(height + 1), width, height };
    let (mark, role) = mark(paint, operation);
    let title = Line::from(vec![
        Span::raw(" "),
        paint.span(mark, role),
        Span::raw(" "),
        paint.span(text::cut(&operation.title, inner_width / 2, paint.icons.ellipsis()), Role::TitleFocused),
        Span::raw(" "),
    ]);
    let inner = paint.popup(area, title, buffer);
    let keys = Line::from(paint.span(format!(" {keys} "), Role::Dim));
    let keys_width = u16::try_from(keys.width()).unwrap_or(0);
    if keys_width + 4 < width {
        let x = area.right() - keys_width - 1;
        keys.render(Rect { x, y: area.bottom() - 1, width: keys_width, height: 1 }, buffer);
    }
    // What moves is at the end of a long plan more often than at its beginning.
    let surplus = lines.len().saturating_sub(usize::from(inner.height));
    let first_active = operation.steps.iter().position(|it| it.status.is_under_way()).unwrap_or(0);
    let hidden = surplus.min(first_active);
    draw_lines(lines.into_iter().skip(hidden), inner, buffer);
}

fn progress_lines<'a>(paint: &Paint<'a>, operation: &Operation, width: usize) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    let name = name_width(operation.steps.iter().map(|it| &it.step), width);
    for it in &operation.steps {
        lines.push(step_line(paint, &it.step, Some(it), name, width));
        if let StepStatus::Failed(reasons) = &it.status {
            let room = width.saturating_sub(6);
            // The first stands beside the name, as far as it fits there.
            let is_cut = |first: &&String| text::width(first) > room.saturating_sub(name + 2);
            let rest = reasons.first().filter(is_cut).into_iter().chain(reasons.iter().skip(1));
            for row in rest.flat_map(|reason| text::wrap(reason, room)) {
                lines.push(Line::from(paint.span(format!("      {row}"), Role::Dim)));
            }
        }
    }
    lines
}

/// A plan without progress, for questions.
pub(super) fn plan_lines<'a>(paint: &Paint<'a>, steps: &[Step], width: usize) -> Vec<Line<'a>> {
    let name = name_width(steps.iter(), width);
    steps.iter().map(|step| step_line(paint, step, None, name, width)).collect()
}

fn name_width<'s>(steps: impl Iterator<Item = &'s Step>, width: usize) -> usize {
    steps.map(|step| text::width(step.service.as_str())).max().unwrap_or(0).min(width / 3)
}

/// `wave  mark  name  what happens`.
fn step_line<'a>(paint: &Paint<'a>, step: &Step, progress: Option<&StepView>, name: usize, width: usize) -> Line<'a> {
    let ellipsis = paint.icons.ellipsis();
    let (mark, words, style) = step_words(paint, step, progress);
    let wave = format!("{:>2} ", step.wave + 1);
    let room = width.saturating_sub(wave.len() + 3 + name + 2);
    let name_role = if step.role == StepRole::Target { Role::Strong } else { Role::Text };
    Line::from(vec![
        paint.span(wave, Role::Border),
        Span::styled(text::pad(mark, 2, ""), style),
        Span::raw(" "),
        paint.span(text::pad(step.service.as_str(), name, ellipsis), name_role),
        Span::raw("  "),
        Span::styled(text::cut(&words, room, ellipsis), style),
    ])
}

/// Where it is, where a mistake about that would be grave.
fn place(paint: &Paint<'_>, step: &Step) -> String {
    let service = paint.state.snapshot.service(step.service.as_str());
    let place = service.and_then(|service| service.state.instance()?.place());
    place.map(|place| format!(" in {place}")).unwrap_or_default()
}

fn step_words(paint: &Paint<'_>, step: &Step, progress: Option<&StepView>) -> (&'static str, String, Style) {
    let icons = paint.icons;
    let after = || {
        let names: Vec<&str> = step.after.iter().map(ServiceId::as_str).collect();
        if names.is_empty() { String::new() } else { format!(" after {}", names.join(", ")) }
    };
    let planned = match step.action {
        StepAction::Start => "start".to_owned(),
        StepAction::Stop => format!("stop{}", place(paint, step)),
        StepAction::Restart => format!("restart{}", place(paint, step)),
    };
    let (mark, words, role) = match progress.map(|it| &it.status) {
        None => (icons.pending(), format!("{planned}{}", after()), Role::Dim),
        Some(StepStatus::Pending) => (icons.pending(), format!("will {planned}{}", after()), Role::Dim),
        Some(status @ (StepStatus::Checking | StepStatus::Starting | StepStatus::Stopping)) => {
            let words = progress.and_then(|it| preparing(paint, it)).unwrap_or_else(|| status_words(status).to_owned());
            (icons.spinner(paint.state.elapsed()), words, Role::Progress)
        }
        Some(StepStatus::WaitingForHealth) => {
            (icons.spinner(paint.state.elapsed()), "waiting for health".to_owned(), Role::Progress)
        }
        Some(StepStatus::Done(what)) => (icons.good(), what.clone(), Role::Healthy),
        Some(StepStatus::Failed(reasons)) => {
            (icons.bad(), reasons.first().cloned().unwrap_or_else(|| "failed".to_owned()), Role::Error)
        }
        Some(StepStatus::Skipped(because)) => {
            (icons.none(), format!("skipped, because {because} failed"), Role::Warning)
        }
    };
    (mark, words, paint.style(role))
}
