//! All keys, printed from their table.

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::text::{Line, Span};

use super::{Paint, centred, draw_lines};
use crate::tui::action::Pane;
use crate::tui::keymap::{BINDINGS, Context};
use crate::tui::text;
use crate::tui::theme::Role;

const WIDTH: u16 = 76;
const KEYS: usize = 18;

/// The sections in the order of the help.
const SECTIONS: [(Context, &str); 12] = [
    (Context::Global, "Everywhere"),
    (Context::Pane(Pane::Services), "Services"),
    (Context::Pane(Pane::Dependencies), "Dependencies"),
    (Context::Pane(Pane::Details), "Details"),
    (Context::Pane(Pane::Log), "Log"),
    (Context::Pane(Pane::Events), "Events"),
    (Context::Palette, "Commands by name"),
    (Context::Registry, "An edited registry"),
    (Context::Preflight, "Preflight"),
    (Context::Themes, "Themes"),
    (Context::Question, "Questions"),
    (Context::Reading, "Help and messages"),
];

/// One row: a section's title, or keys and what they do.
enum Row {
    Title(&'static str),
    Keys(String, &'static str),
    Gap,
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (context, title) in SECTIONS {
        if !rows.is_empty() {
            rows.push(Row::Gap);
        }
        rows.push(Row::Title(title));
        for binding in BINDINGS.iter().filter(|binding| binding.context == context) {
            let keys: Vec<String> = binding.keys.iter().map(|key| key.label()).collect();
            rows.push(Row::Keys(keys.join(" "), binding.help));
        }
    }
    rows
}

/// How many rows the help has.
pub(crate) fn n_rows() -> usize {
    rows().len()
}

/// How many of them are seen at once on a screen of that size.
pub(crate) fn visible_rows(size: Size) -> usize {
    usize::from(size.height.saturating_sub(4)).max(1)
}

pub(super) fn draw(paint: &Paint<'_>, body: Rect, scroll: usize, buffer: &mut Buffer) {
    let rows = rows();
    let height = u16::try_from(rows.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = centred(body, WIDTH, height);
    let inner = paint.popup(area, Line::from(paint.span(" Keys ", Role::TitleFocused)), buffer);
    let n_rows = rows.len();
    let scroll = scroll.min(n_rows.saturating_sub(usize::from(inner.height)));
    let lines = rows.into_iter().skip(scroll).map(|row| match row {
        Row::Gap => Line::default(),
        Row::Title(title) => Line::from(paint.span(title, Role::Heading)),
        Row::Keys(keys, help) => Line::from(vec![
            Span::raw("  "),
            paint.span(text::pad(&keys, KEYS, paint.icons.ellipsis()), Role::Key),
            Span::raw(" "),
            Span::raw(help),
        ]),
    });
    draw_lines(lines, inner, buffer);
    paint.scrollbar(area, n_rows, scroll, buffer);
}

#[cfg(test)]
mod tests {
    use super::SECTIONS;
    use crate::tui::keymap::BINDINGS;

    #[test]
    fn the_help_has_every_key() {
        for binding in BINDINGS {
            assert!(SECTIONS.iter().any(|(context, _)| *context == binding.context), "{binding:?}");
        }
    }
}
