//! Terminal colours as a picture shows them.

use vt100::{Cell, Color};

/// Red, green, blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rgb(pub(super) u8, pub(super) u8, pub(super) u8);

/// What a terminal without settings draws with.
pub(super) const FOREGROUND: Rgb = Rgb(0xd8, 0xde, 0xe9);

/// What a terminal without settings draws on.
pub(super) const BACKGROUND: Rgb = Rgb(0x16, 0x18, 0x21);

/// The sixteen named colours.
const NAMED: [Rgb; 16] = [
    Rgb(0x1d, 0x1f, 0x2b),
    Rgb(0xe0, 0x6c, 0x75),
    Rgb(0x98, 0xc3, 0x79),
    Rgb(0xe5, 0xc0, 0x7b),
    Rgb(0x61, 0xaf, 0xef),
    Rgb(0xc6, 0x78, 0xdd),
    Rgb(0x56, 0xb6, 0xc2),
    Rgb(0xc8, 0xcc, 0xd4),
    Rgb(0x5c, 0x63, 0x70),
    Rgb(0xff, 0x8b, 0x92),
    Rgb(0xb5, 0xe8, 0x90),
    Rgb(0xff, 0xd6, 0x8a),
    Rgb(0x82, 0xc4, 0xff),
    Rgb(0xe0, 0x9a, 0xf5),
    Rgb(0x7d, 0xd6, 0xe0),
    Rgb(0xff, 0xff, 0xff),
];

impl std::fmt::Display for Rgb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// Foreground and background of a cell, after reverse and dim.
pub(super) fn colours(cell: &Cell) -> (Rgb, Rgb) {
    let plain = (rgb(cell.fgcolor(), FOREGROUND), rgb(cell.bgcolor(), BACKGROUND));
    let (foreground, background) = if cell.inverse() { (plain.1, plain.0) } else { plain };
    (if cell.dim() { between(foreground, background) } else { foreground }, background)
}

fn rgb(colour: Color, default: Rgb) -> Rgb {
    match colour {
        Color::Default => default,
        Color::Rgb(red, green, blue) => Rgb(red, green, blue),
        Color::Idx(index) => indexed(index),
    }
}

/// The 256 colours of xterm: sixteen named ones, a cube of six shades, a ramp of greys.
fn indexed(index: u8) -> Rgb {
    let shade = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
    match index {
        0..16 => NAMED.get(usize::from(index)).copied().unwrap_or(FOREGROUND),
        16..232 => {
            let place = index - 16;
            Rgb(shade(place / 36), shade(place / 6 % 6), shade(place % 6))
        }
        232.. => {
            let grey = 8 + 10 * (index - 232);
            Rgb(grey, grey, grey)
        }
    }
}

/// A dim colour keeps three fifths of its distance from what it is drawn on.
fn between(colour: Rgb, ground: Rgb) -> Rgb {
    let mix = |colour: u8, ground: u8| {
        let mixed = (u16::from(colour) * 3 + u16::from(ground) * 2) / 5;
        u8::try_from(mixed).unwrap_or(u8::MAX)
    };
    Rgb(mix(colour.0, ground.0), mix(colour.1, ground.1), mix(colour.2, ground.2))
}
