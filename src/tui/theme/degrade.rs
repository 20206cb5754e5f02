//! What becomes of a colour where the terminal has fewer of them.

use ratatui::style::Color;

/// The nearest colour of xterm's 6×6×6 cube (16 to 231) or its grey ramp (232 to 255).
pub(super) fn nearest_index(red: u8, green: u8, blue: u8) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let level = |value: u8| (0..6_u8).min_by_key(|i| LEVELS[usize::from(*i)].abs_diff(value)).unwrap_or(0);
    let [r, g, b] = [red, green, blue].map(level);
    let cube = [r, g, b].map(|i| LEVELS[usize::from(i)]);
    let mean = (u16::from(red) + u16::from(green) + u16::from(blue)) / 3;
    let step = u8::try_from(mean.saturating_sub(3) / 10).unwrap_or(23).min(23);
    let wanted = [red, green, blue];
    if distance(wanted, [8 + 10 * step; 3]) < distance(wanted, cube) { 232 + step } else { 16 + 36 * r + 6 * g + b }
}

/// The nearest of the sixteen, as xterm draws them.
pub(super) fn nearest_of_sixteen(red: u8, green: u8, blue: u8) -> Color {
    const SIXTEEN: [(Color, [u8; 3]); 16] = [
        (Color::Black, [0, 0, 0]),
        (Color::Red, [205, 0, 0]),
        (Color::Green, [0, 205, 0]),
        (Color::Yellow, [205, 205, 0]),
        (Color::Blue, [0, 0, 238]),
        (Color::Magenta, [205, 0, 205]),
        (Color::Cyan, [0, 205, 205]),
        (Color::Gray, [229, 229, 229]),
        (Color::DarkGray, [127, 127, 127]),
        (Color::LightRed, [255, 0, 0]),
        (Color::LightGreen, [0, 255, 0]),
        (Color::LightYellow, [255, 255, 0]),
        (Color::LightBlue, [92, 92, 255]),
        (Color::LightMagenta, [255, 0, 255]),
        (Color::LightCyan, [0, 255, 255]),
        (Color::White, [255, 255, 255]),
    ];
    let nearest = SIXTEEN.iter().min_by_key(|(_, there)| distance([red, green, blue], *there));
    nearest.map_or(Color::Reset, |(colour, _)| *colour)
}

fn distance(one: [u8; 3], other: [u8; 3]) -> u32 {
    one.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::{nearest_index, nearest_of_sixteen};
    use ratatui::style::Color;

    #[test]
    fn colours_are_degraded_to_their_neighbours() {
        assert_eq!(nearest_index(255, 0, 0), 196);
        assert_eq!(nearest_index(128, 128, 128), 244);
        assert_eq!(nearest_of_sixteen(250, 10, 10), Color::LightRed);
        assert_eq!(nearest_of_sixteen(120, 130, 125), Color::DarkGray);
    }
}
