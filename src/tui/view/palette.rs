//! The palette: what is typed, the commands that match, and the command line of the one under the cursor.

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::text::{Line, Span};

use super::{Paint, centred, draw_lines};
use crate::tui::state::{Command, PaletteState, commands};
use crate::tui::text;
use crate::tui::theme::Role;

const WIDTH: u16 = 76;
const KEY: usize = 7;
/// What is typed, a line below it, and the command line at the bottom with a line above it.
const AROUND: u16 = 4;

/// How many commands are seen at once on a screen of that size.
pub(crate) fn visible_rows(size: Size) -> usize {
    usize::from(size.height.saturating_sub(4 + AROUND)).clamp(1, 16)
}

pub(super) fn draw(paint: &Paint<'_>, body: Rect, palette: &PaletteState, buffer: &mut Buffer) {
    let found = commands(paint.state, &palette.text);
    let n_rows = visible_rows(paint.state.size);
    let height = u16::try_from(n_rows).unwrap_or(u16::MAX).saturating_add(AROUND + 2);
    let area = centred(body, WIDTH, height);
    let inner = paint.popup(area, Line::from(paint.span(" Commands ", Role::TitleFocused)), buffer);
    let width = usize::from(inner.width);
    let offset = palette.place.saturating_sub(n_rows.saturating_sub(1)).min(found.len().saturating_sub(n_rows));
    let mut lines = vec![typed(paint, palette, found.len(), width), rule(paint, width)];
    for (at, command) in found.iter().enumerate().skip(offset).take(n_rows) {
        lines.push(row(paint, command, at == palette.place, width));
    }
    if found.is_empty() {
        lines.push(Line::from(paint.span("no command has these words", Role::Dim)));
    }
    lines.resize(2 + n_rows, Line::default());
    lines.push(rule(paint, width));
    lines.push(command_line(paint, found.get(palette.place), width));
    draw_lines(lines, inner, buffer);
}

fn typed<'a>(paint: &Paint<'a>, palette: &PaletteState, n_found: usize, width: usize) -> Line<'a> {
    let count = n_found.to_string();
    let room = width.saturating_sub(count.len() + 4);
    let shown = text::cut(&palette.text, room, paint.icons.ellipsis());
    let gap = room.saturating_sub(text::width(&shown)) + 1;
    Line::from(vec![
        paint.span(": ", Role::Key),
        paint.span(shown, Role::Strong),
        paint.span(" ", Role::Selected),
        Span::raw(" ".repeat(gap)),
        paint.span(count, Role::Dim),
    ])
}

fn rule<'a>(paint: &Paint<'a>, width: usize) -> Line<'a> {
    Line::from(paint.span(paint.icons.rule().repeat(width), Role::Border))
}

fn row<'a>(paint: &Paint<'a>, command: &Command, is_chosen: bool, width: usize) -> Line<'a> {
    let ellipsis = paint.icons.ellipsis();
    let (cursor, role) = if is_chosen { (paint.icons.cursor(), Role::Strong) } else { (" ", Role::Text) };
    let room = width.saturating_sub(KEY + 1);
    let name = text::cut(&command.name, room, ellipsis);
    let about = text::cut(&command.about, room.saturating_sub(text::width(&name) + 2), ellipsis);
    Line::from(vec![
        paint.span(cursor, Role::Cursor),
        paint.span(text::pad(&command.key, KEY, ellipsis), Role::Key),
        paint.span(name, role),
        Span::raw("  "),
        paint.span(about, Role::Dim),
    ])
}

fn command_line<'a>(paint: &Paint<'a>, command: Option<&Command>, width: usize) -> Line<'a> {
    match command.and_then(|command| command.line.as_deref()) {
        Some(line) => Line::from(vec![
            paint.span("$ ", Role::Dim),
            paint.span(text::cut(line, width.saturating_sub(2), paint.icons.ellipsis()), Role::Command),
        ]),
        None => Line::default(),
    }
}
