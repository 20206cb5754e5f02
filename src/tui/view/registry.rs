//! What an edit of the registry changed, or what is wrong with it, above everything else.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Paint, centred, draw_lines};
use crate::model::{Diagnostic, RegistrySource, ServiceDiff, ServiceId, TakesEffect};
use crate::report::diagnostics;
use crate::tui::keymap::{BINDINGS, Context};
use crate::tui::layout::{Layout, layout};
use crate::tui::state::{State, alive};
use crate::tui::text;
use crate::tui::theme::Role;
use crate::tui::update::registry::{is_useful, restarted_names};

const WIDTH: u16 = 100;

/// Rows around what is scrolled: two of the border, a blank one, the keys.
const FRAME: u16 = 4;

/// A row before it is drawn.
struct Row {
    role: Role,
    text: String,
}

fn row(role: Role, text: impl Into<String>) -> Row {
    Row { role, text: text.into() }
}

/// How many rows there are to scroll through.
pub(crate) fn n_rows(state: &State) -> usize {
    rows(state, width(state)).len()
}

/// How many of them are seen at once.
pub(crate) fn visible_rows(state: &State) -> usize {
    match layout(state.size, state) {
        Layout::Screen(areas) => usize::from(areas.body.height.saturating_sub(FRAME)).max(1),
        Layout::TooSmall => 1,
    }
}

/// The columns inside the box.
fn width(state: &State) -> usize {
    usize::from(WIDTH.min(state.size.width).saturating_sub(4))
}

pub(super) fn draw(paint: &Paint<'_>, body: Rect, scroll: usize, buffer: &mut Buffer) {
    let state = paint.state;
    let rows = rows(state, width(state));
    let height = u16::try_from(rows.len()).unwrap_or(u16::MAX).saturating_add(FRAME);
    let area = centred(body, WIDTH, height);
    let (title, role) = match (&state.registry.refused, state.registry.diff.is_empty()) {
        (Some(_), _) => (" Registry not applied ", Role::Error),
        (None, false) => (" Registry edited ", Role::TitleFocused),
        (None, true) => (" Registry ", Role::TitleFocused),
    };
    let inner = paint.popup(area, Line::from(paint.span(title, role)), buffer);
    let n_rows = rows.len();
    let shown = Rect { height: inner.height.saturating_sub(2), ..inner };
    let scroll = scroll.min(n_rows.saturating_sub(usize::from(shown.height)));
    let lines = rows.into_iter().skip(scroll).map(|row| Line::from(paint.span(row.text, row.role)));
    draw_lines(lines, shown, buffer);
    let keys = Rect { y: inner.bottom().saturating_sub(1), height: inner.height.min(1), ..inner };
    draw_lines([answers(paint)], keys, buffer);
    paint.scrollbar(Rect { height: area.height.saturating_sub(2), ..area }, n_rows, scroll, buffer);
}

fn answers<'a>(paint: &Paint<'a>) -> Line<'a> {
    let mut spans = Vec::new();
    for binding in BINDINGS.iter().filter(|binding| binding.context == Context::Registry && !binding.hint.is_empty()) {
        if let Some(key) = binding.keys.first().filter(|_| is_useful(paint.state, binding.action)) {
            spans.push(paint.span(key.label(), Role::Key));
            spans.push(Span::raw(format!(" {}    ", binding.hint)));
        }
    }
    Line::from(spans)
}

fn rows(state: &State, width: usize) -> Vec<Row> {
    let registry = &state.registry;
    let mut rows = Vec::new();
    let mut say = |role: Role, sentence: &str| {
        rows.extend(text::wrap(sentence, width).into_iter().map(|line| row(role, line)));
    };
    let source = match &registry.newest().source {
        RegistrySource::File(path) => text::clean(&path.to_string_lossy()).into_owned(),
        RegistrySource::BuiltIn => "the built-in registry".to_owned(),
    };
    match &registry.refused {
        Some(_) => {
            let errors = text::counted(registry.n_errors(), "error");
            say(Role::Strong, &format!("{source}: {errors}."));
            say(Role::Text, "What was in force before stays in force; nothing that runs is touched.");
        }
        None if registry.diff.is_empty() => say(Role::Strong, &format!("{source}: no service was changed.")),
        None => {
            let diff = &registry.diff;
            let counts =
                [(diff.added.len(), "added"), (diff.changed.len(), "changed"), (diff.removed.len(), "removed")];
            let counts: Vec<String> =
                counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
            say(Role::Strong, &format!("{source}: {}.", counts.join(", ")));
            say(Role::Text, "It is in force. Nothing was started, stopped or restarted.");
            rows.push(row(Role::Text, ""));
            rows.extend(difference(state, width));
        }
    }
    for found in &registry.newest().diagnostics {
        rows.push(row(Role::Text, ""));
        rows.extend(diagnostic(found, width, state.icons.ellipsis()));
    }
    rows
}

fn difference(state: &State, width: usize) -> Vec<Row> {
    let diff = &state.registry.diff;
    let name_width = diff
        .added
        .iter()
        .chain(&diff.removed)
        .chain(diff.changed.iter().map(|changed| &changed.id))
        .map(|id| text::width(id.as_str()))
        .max()
        .unwrap_or(0)
        .min(24);
    let ellipsis = state.icons.ellipsis();
    let line = |mark: &str, id: &str, words: &str| {
        let text = format!("{mark} {}  {words}", text::pad(id, name_width, ellipsis));
        text::cut(&text, width, ellipsis)
    };
    let alive = alive(&state.snapshot);
    let is_alive = |id: &ServiceId| alive.contains(id);
    let mut rows: Vec<Row> = diff.added.iter().map(|id| row(Role::Healthy, line("+", id.as_str(), "added"))).collect();
    for changed in &diff.changed {
        let mut name = changed.id.as_str();
        for (effect, words) in [
            (
                TakesEffect::WithNextStart,
                if is_alive(&changed.id) { "restart to apply" } else { "with its next start" },
            ),
            (TakesEffect::AtOnce, "in force"),
        ] {
            let fields = fields(changed, effect);
            if !fields.is_empty() {
                let mark = if name.is_empty() { " " } else { "~" };
                let role = if effect == TakesEffect::WithNextStart { Role::Warning } else { Role::Text };
                rows.push(row(role, line(mark, name, &format!("{words}: {fields}"))));
                name = "";
            }
        }
    }
    for id in &diff.removed {
        let words = if is_alive(id) { "removed; it runs on and can be stopped" } else { "removed" };
        rows.push(row(Role::Unhealthy, line("-", id.as_str(), words)));
    }
    let to_restart = state.registry.to_restart(&state.snapshot);
    if !to_restart.is_empty() {
        rows.push(row(Role::Text, ""));
        let sentence = format!("Still running as before the edit: {}.", restarted_names(&to_restart));
        rows.extend(text::wrap(&sentence, width).into_iter().map(|line| row(Role::Text, line)));
    }
    rows
}

fn fields(changed: &ServiceDiff, effect: TakesEffect) -> String {
    let names = changed.fields.iter().filter(|field| field.effect == effect);
    names.map(|field| text::clean(&field.name).into_owned()).collect::<Vec<_>>().join(", ")
}

/// The rows of one finding, as a command prints them.
fn diagnostic(found: &Diagnostic, width: usize, ellipsis: &str) -> Vec<Row> {
    let shown = diagnostics::render(found, false);
    let role = match found.severity {
        crate::model::Severity::Error => Role::Error,
        crate::model::Severity::Warning => Role::Warning,
    };
    let rows = shown
        .lines()
        .enumerate()
        .map(|(at, line)| row(if at == 0 { role } else { Role::Text }, text::cut(&text::clean(line), width, ellipsis)));
    rows.collect()
}
