//! From the cells of a screen to one SVG: a text element for each cell, so that no font's widths can shift a column.

use std::fmt::Write as _;

use vt100::{Cell, Screen};

use super::glyphs::{Frame, shape};
use super::palette::{BACKGROUND, Rgb, colours};

/// For text.
pub(super) const TEXT_FONT: &str = "DejaVu Sans Mono";

/// For symbols of two cells.
pub(super) const EMOJI_FONT: &str = "Noto Color Emoji";

/// A cell. The text font is 0.602 em wide and 1.164 em high: at 15 units it fills this.
const CELL_WIDTH: f32 = 9.0;
const CELL_HEIGHT: f32 = 18.0;
const TEXT_SIZE: f32 = 15.0;

/// From the top of a cell to the line that letters stand on.
const BASELINE: f32 = 14.2;

/// Emoji are 1.17 em wide and a little taller: at 14 units they fill two cells.
const EMOJI_SIZE: f32 = 14.0;
const EMOJI_BASELINE: f32 = 14.0;

/// Around everything, as a terminal's window has it.
const MARGIN: f32 = 10.0;

/// Draws a screen.
pub(super) fn svg(screen: &Screen) -> String {
    let (rows, columns) = screen.size();
    let (rows, columns) = (rows.get(), columns.get());
    let width = f32::from(columns) * CELL_WIDTH + 2.0 * MARGIN;
    let height = f32::from(rows) * CELL_HEIGHT + 2.0 * MARGIN;
    let mut out = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="{TEXT_FONT}" font-size="{TEXT_SIZE}" xml:space="preserve">
<rect width="{width}" height="{height}" rx="6" fill="{BACKGROUND}"/>
"#
    );
    // Grounds of all rows come first: letters may reach over the edge of their cell.
    for row in 0..rows {
        grounds(&mut out, screen, row, columns);
    }
    for row in 0..rows {
        for column in 0..columns {
            if let Some(cell) = screen.cell(row, column).filter(|cell| !cell.is_wide_continuation()) {
                ink(&mut out, cell, frame(row, column, if cell.is_wide() { 2 } else { 1 }));
            }
        }
        out.push('\n');
    }
    out.push_str("</svg>\n");
    out
}

fn frame(row: u16, column: u16, n_columns: u16) -> Frame {
    Frame {
        left: MARGIN + f32::from(column) * CELL_WIDTH,
        top: MARGIN + f32::from(row) * CELL_HEIGHT,
        width: f32::from(n_columns) * CELL_WIDTH,
        height: CELL_HEIGHT,
    }
}

/// The backgrounds of one row, neighbours of one colour in one piece: no seams between them.
fn grounds(out: &mut String, screen: &Screen, row: u16, columns: u16) {
    let mut run: Option<(u16, Rgb)> = None;
    for column in 0..=columns {
        let ground = cell_of(screen, row, column).filter(|_| column < columns).map(|cell| colours(cell).1);
        if run.map(|(_, colour)| colour) == ground {
            continue;
        }
        if let Some((start, colour)) = run.filter(|(_, colour)| *colour != BACKGROUND) {
            let Frame { left, top, width, height } = frame(row, start, column - start);
            put(out, format_args!(r#"<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="{colour}"/>"#));
        }
        run = ground.map(|colour| (column, colour));
    }
}

/// The cell at a place; for the second half of a wide one, which has no colours of its own, the first.
fn cell_of(screen: &Screen, row: u16, column: u16) -> Option<&Cell> {
    let cell = screen.cell(row, column)?;
    let first = column.checked_sub(1).filter(|_| cell.is_wide_continuation());
    first.and_then(|first| screen.cell(row, first)).or(Some(cell))
}

fn ink(out: &mut String, cell: &Cell, at: Frame) {
    let colour = colours(cell).0.to_string();
    let text = cell.contents();
    if cell.underline() {
        let Frame { left, top, width, .. } = at;
        let y = top + BASELINE + 2.0;
        put(out, format_args!(r#"<rect x="{left}" y="{y}" width="{width}" height="1" fill="{colour}"/>"#));
    }
    let mut chars = text.chars();
    let Some(first) = chars.next().filter(|_| !text.trim().is_empty()) else { return };
    if let Some(drawn) = shape(first, at, &colour).filter(|_| chars.next().is_none()) {
        out.push_str(&drawn);
        return;
    }
    let text = escaped(text);
    if cell.is_wide() {
        let (x, y) = (at.left + at.width / 2.0, at.top + EMOJI_BASELINE);
        put(
            out,
            format_args!(
                r#"<text x="{x}" y="{y}" font-family="{EMOJI_FONT}" font-size="{EMOJI_SIZE}" text-anchor="middle" fill="{colour}">{text}</text>"#
            ),
        );
        return;
    }
    let weight = if cell.bold() { r#" font-weight="bold""# } else { "" };
    let style = if cell.italic() { r#" font-style="oblique""# } else { "" };
    let (x, y) = (at.left, at.top + BASELINE);
    put(out, format_args!(r#"<text x="{x}" y="{y}" fill="{colour}"{weight}{style}>{text}</text>"#));
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _infallible = out.write_fmt(text);
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}
