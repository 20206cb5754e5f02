//! A screen as a picture: one SVG text element for each cell, drawn by resvg with the fonts of this machine.

use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};
use unicode_width::UnicodeWidthStr as _;

/// A cell in pixels.
const CELL: (f32, f32) = (9.0, 19.0);
const BACKGROUND: &str = "#12161d";
const FOREGROUND: &str = "#d5dbe5";

/// The screen as PNG. Needs a monospace font and Noto Color Emoji.
pub fn png(screen: &Buffer) -> Vec<u8> {
    let mut options = Options { font_family: "DejaVu Sans Mono".to_owned(), ..Options::default() };
    options.fontdb_mut().load_system_fonts();
    let tree = Tree::from_str(&svg(screen), &options).unwrap();
    let size = tree.size().to_int_size();
    let mut pixels = Pixmap::new(size.width(), size.height()).unwrap();
    resvg::render(&tree, Transform::identity(), &mut pixels.as_mut());
    pixels.encode_png().unwrap()
}

fn svg(screen: &Buffer) -> String {
    let (width, height) = (f32::from(screen.area.width) * CELL.0, f32::from(screen.area.height) * CELL.1);
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}'><rect width='100%' height='100%' \
         fill='{BACKGROUND}'/><g font-family='DejaVu Sans Mono, Noto Color Emoji' font-size='15' xml:space='preserve'>"
    );
    // Backgrounds first, so that none hides a part of its neighbour.
    for is_text in [false, true] {
        for y in 0..screen.area.height {
            for x in 0..screen.area.width {
                cell(&mut svg, screen, x, y, is_text);
            }
        }
    }
    svg + "</g></svg>"
}

fn cell(svg: &mut String, screen: &Buffer, x: u16, y: u16, is_text: bool) {
    let cell = &screen[(x, y)];
    let is_reversed = cell.modifier.contains(Modifier::REVERSED);
    let (mut fg, mut bg) = (hex(cell.fg, FOREGROUND), hex(cell.bg, BACKGROUND));
    if is_reversed {
        std::mem::swap(&mut fg, &mut bg);
    }
    let (left, top) = (f32::from(x) * CELL.0, f32::from(y) * CELL.1);
    if !is_text {
        if bg != BACKGROUND {
            // A terminal paints both cells of a wide character.
            let width = CELL.0 * if cell.symbol().width() > 1 { 2.0 } else { 1.0 };
            write!(svg, "<rect x='{left}' y='{top}' width='{width}' height='{}' fill='{bg}'/>", CELL.1).unwrap();
        }
        return;
    }
    let symbol = cell.symbol();
    if symbol.trim().is_empty() {
        return;
    }
    let symbol_text = symbol.replace('&', "&amp;").replace('<', "&lt;");
    let is_wide = symbol.width() > 1;
    let middle = left + if is_wide { CELL.0 } else { CELL.0 / 2.0 };
    let weight = if cell.modifier.contains(Modifier::BOLD) { "bold" } else { "normal" };
    let font_size = if is_wide { 13 } else { 15 };
    write!(
        svg,
        "<text x='{middle}' y='{}' text-anchor='middle' font-size='{font_size}' font-weight='{weight}' fill='{fg}'>{symbol_text}</text>",
        top + 14.5
    )
    .unwrap();
}

fn hex(colour: Color, default: &str) -> String {
    match colour {
        Color::Rgb(red, green, blue) => format!("#{red:02x}{green:02x}{blue:02x}"),
        _ => default.to_owned(),
    }
}
