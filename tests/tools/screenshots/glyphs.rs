//! Characters that are drawn rather than set: lines, blocks and dots meet their neighbours exactly, as in a terminal, whatever a font
//! thinks of them.

use std::fmt::Write as _;

/// One cell of the picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) left: f32,
    pub(super) top: f32,
    pub(super) width: f32,
    pub(super) height: f32,
}

/// The thickness of a light line.
const LIGHT: f32 = 1.0;

/// The thickness of a heavy line.
const HEAVY: f32 = 2.2;

/// How far the two strokes of a double line lie from its middle.
const APART: f32 = 1.3;

/// How a line leaves the middle of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arm {
    None,
    Light,
    Heavy,
    Double,
}

/// The SVG of a character that is drawn, in that colour; `None` for one that is text.
pub(super) fn shape(c: char, at: Frame, colour: &str) -> Option<String> {
    match c {
        '\u{256d}'..='\u{2570}' => Some(corner(c, at, colour)),
        '\u{2571}'..='\u{2573}' => Some(diagonal(c, at, colour)),
        '\u{2500}'..='\u{257f}' => arms(c).map(|arms| lines(arms, at, colour)),
        '\u{2580}'..='\u{259f}' => block(c, at, colour),
        '\u{2800}'..='\u{28ff}' => Some(braille(c, at, colour)),
        _ => None,
    }
}

/// Left, right, up and down.
fn arms(c: char) -> Option<[Arm; 4]> {
    use Arm::{Double as D, Heavy as H, Light as L, None as N};
    Some(match c {
        '─' | '┄' | '┈' | '╌' => [L, L, N, N],
        '━' | '┅' | '┉' | '╍' => [H, H, N, N],
        '│' | '┆' | '┊' | '╎' => [N, N, L, L],
        '┃' | '┇' | '┋' | '╏' => [N, N, H, H],
        '┌' => [N, L, N, L],
        '┐' => [L, N, N, L],
        '└' => [N, L, L, N],
        '┘' => [L, N, L, N],
        '├' => [N, L, L, L],
        '┤' => [L, N, L, L],
        '┬' => [L, L, N, L],
        '┴' => [L, L, L, N],
        '┼' => [L, L, L, L],
        '┏' => [N, H, N, H],
        '┓' => [H, N, N, H],
        '┗' => [N, H, H, N],
        '┛' => [H, N, H, N],
        '┣' => [N, H, H, H],
        '┫' => [H, N, H, H],
        '┳' => [H, H, N, H],
        '┻' => [H, H, H, N],
        '╋' => [H, H, H, H],
        '═' => [D, D, N, N],
        '║' => [N, N, D, D],
        '╔' => [N, D, N, D],
        '╗' => [D, N, N, D],
        '╚' => [N, D, D, N],
        '╝' => [D, N, D, N],
        '╠' => [N, D, D, D],
        '╣' => [D, N, D, D],
        '╦' => [D, D, N, D],
        '╩' => [D, D, D, N],
        '╬' => [D, D, D, D],
        '╴' => [L, N, N, N],
        '╵' => [N, N, L, N],
        '╶' => [N, L, N, N],
        '╷' => [N, N, N, L],
        '╸' => [H, N, N, N],
        '╹' => [N, N, H, N],
        '╺' => [N, H, N, N],
        '╻' => [N, N, N, H],
        '╼' => [L, H, N, N],
        '╽' => [N, N, L, H],
        '╾' => [H, L, N, N],
        '╿' => [N, N, H, L],
        '┝' => [N, H, L, L],
        '┥' => [H, N, L, L],
        '┠' => [N, L, H, H],
        '┨' => [L, N, H, H],
        '┯' => [H, H, N, L],
        '┷' => [H, H, L, N],
        '┿' => [H, H, L, L],
        _ => return None,
    })
}

fn lines(arms: [Arm; 4], at: Frame, colour: &str) -> String {
    let [left, right, up, down] = arms;
    let (x, y) = (at.left + at.width / 2.0, at.top + at.height / 2.0);
    // Each arm reaches past the middle as far as the strokes across it do, so that corners close.
    let reach = arms.into_iter().map(half).fold(0.0_f32, f32::max);
    let mut out = String::new();
    for (arm, from, to) in [(left, at.left, x + reach), (right, x - reach, at.left + at.width)] {
        for (offset, thickness) in strokes(arm) {
            rectangle(&mut out, from, y + offset - thickness / 2.0, to - from, thickness, colour);
        }
    }
    for (arm, from, to) in [(up, at.top, y + reach), (down, y - reach, at.top + at.height)] {
        for (offset, thickness) in strokes(arm) {
            rectangle(&mut out, x + offset - thickness / 2.0, from, thickness, to - from, colour);
        }
    }
    out
}

/// Half of the thickness of all of an arm.
fn half(arm: Arm) -> f32 {
    match arm {
        Arm::None => 0.0,
        Arm::Light => LIGHT / 2.0,
        Arm::Heavy => HEAVY / 2.0,
        Arm::Double => APART + LIGHT / 2.0,
    }
}

/// Offsets from the middle, with thicknesses.
fn strokes(arm: Arm) -> impl Iterator<Item = (f32, f32)> {
    let (first, second) = match arm {
        Arm::None => (None, None),
        Arm::Light => (Some((0.0, LIGHT)), None),
        Arm::Heavy => (Some((0.0, HEAVY)), None),
        Arm::Double => (Some((-APART, LIGHT)), Some((APART, LIGHT))),
    };
    first.into_iter().chain(second)
}

fn corner(c: char, at: Frame, colour: &str) -> String {
    let (x, y) = (at.left + at.width / 2.0, at.top + at.height / 2.0);
    let radius = at.width / 2.0;
    let (right, down) = match c {
        '╭' => (1.0, 1.0),
        '╮' => (-1.0, 1.0),
        '╯' => (-1.0, -1.0),
        _ => (1.0, -1.0),
    };
    format!(
        r#"<path d="M{} {}L{x} {}Q{x} {y} {} {y}" fill="none" stroke="{colour}" stroke-width="{LIGHT}"/>"#,
        x,
        y + down * at.height / 2.0,
        y + down * radius,
        x + right * at.width / 2.0,
    )
}

fn diagonal(c: char, at: Frame, colour: &str) -> String {
    let (right, bottom) = (at.left + at.width, at.top + at.height);
    let rising = format!("M{} {bottom}L{right} {}", at.left, at.top);
    let falling = format!("M{} {}L{right} {bottom}", at.left, at.top);
    let path = match c {
        '╱' => rising,
        '╲' => falling,
        _ => rising + &falling,
    };
    format!(r#"<path d="{path}" fill="none" stroke="{colour}" stroke-width="{LIGHT}"/>"#)
}

fn block(c: char, at: Frame, colour: &str) -> Option<String> {
    let mut out = String::new();
    let mut part = |left: f32, top: f32, right: f32, bottom: f32| {
        let (width, height) = (at.width * (right - left), at.height * (bottom - top));
        rectangle(&mut out, at.left + at.width * left, at.top + at.height * top, width, height, colour);
    };
    match c {
        '\u{2580}' => part(0.0, 0.0, 1.0, 0.5),
        '\u{2581}'..='\u{2588}' => part(0.0, 1.0 - eighths(c, '\u{2580}'), 1.0, 1.0),
        '\u{2589}'..='\u{258f}' => part(0.0, 0.0, 1.0 - eighths(c, '\u{2588}'), 1.0),
        '\u{2590}' => part(0.5, 0.0, 1.0, 1.0),
        '\u{2594}' => part(0.0, 0.0, 1.0, 0.125),
        '\u{2595}' => part(0.875, 0.0, 1.0, 1.0),
        '\u{2591}'..='\u{2593}' => {
            part(0.0, 0.0, 1.0, 1.0);
            let opacity = eighths(c, '\u{2590}') * 2.0;
            return Some(format!(r#"<g opacity="{opacity}">{out}</g>"#));
        }
        _ => {
            // Quadrants: upper left, upper right, lower left, lower right.
            let quadrants = match c {
                '▖' => [false, false, true, false],
                '▗' => [false, false, false, true],
                '▘' => [true, false, false, false],
                '▙' => [true, false, true, true],
                '▚' => [true, false, false, true],
                '▛' => [true, true, true, false],
                '▜' => [true, true, false, true],
                '▝' => [false, true, false, false],
                '▞' => [false, true, true, false],
                '▟' => [false, true, true, true],
                _ => return None,
            };
            let places = [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5)];
            for (_, (left, top)) in quadrants.into_iter().zip(places).filter(|(filled, _)| *filled) {
                part(left, top, left + 0.5, top + 0.5);
            }
        }
    }
    Some(out)
}

/// How many code points `c` lies above `base`, in eighths.
fn eighths(c: char, base: char) -> f32 {
    let steps = u32::from(c).saturating_sub(u32::from(base));
    f32::from(u8::try_from(steps).unwrap_or(u8::MAX)) / 8.0
}

fn braille(c: char, at: Frame, colour: &str) -> String {
    let dots = u32::from(c) - 0x2800;
    // The bit of each dot, column by column from the top (Unicode, Braille Patterns).
    let places = [(0, 0, 0), (1, 0, 1), (2, 0, 2), (6, 0, 3), (3, 1, 0), (4, 1, 1), (5, 1, 2), (7, 1, 3)];
    let mut out = String::new();
    for (_, column, row) in places.into_iter().filter(|(bit, _, _)| dots >> bit & 1 == 1) {
        let x = at.left + at.width * (0.25 + 0.5 * f32::from(u8::from(column == 1)));
        let y = at.top + at.height * (f32::from(u8::try_from(row).unwrap_or(0)) + 0.5) / 4.0;
        // Writing to a String cannot fail.
        let _infallible = write!(out, r#"<circle cx="{x}" cy="{y}" r="{}" fill="{colour}"/>"#, at.width * 0.16);
    }
    out
}

fn rectangle(out: &mut String, x: f32, y: f32, width: f32, height: f32, colour: &str) {
    // Writing to a String cannot fail.
    let _infallible = write!(out, r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{colour}"/>"#);
}
