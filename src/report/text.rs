//! Small pieces of text: safe, padded, counted.

use std::borrow::Cow;
use std::time::Duration;

use unicode_width::UnicodeWidthStr as _;

/// Makes a text from outside harmless on one line of a terminal: each control code, bidirectional control and invisible character
/// becomes a visible mark, an end of line becomes a space. Tabs stay.
///
/// Every sink of the command line calls this one function.
pub fn safe(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| replacement(c).is_none()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| replacement(c).unwrap_or(c)).collect())
}

/// What stands for `c` on a terminal; `None` when it may stand for itself.
fn replacement(c: char) -> Option<char> {
    match c {
        '\t' => None,
        '\n' => Some(' '),
        // The control pictures lie in the same order as the codes they depict.
        '\0'..='\u{1f}' => Some(char::from_u32(0x2400 + c as u32).unwrap_or(char::REPLACEMENT_CHARACTER)),
        '\u{7f}' => Some('\u{2421}'),
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fe0f}'
        | '\u{feff}' => Some(char::REPLACEMENT_CHARACTER),
        _ => None,
    }
}

/// `text` with spaces behind it up to `width` terminal columns.
pub fn pad(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(missing))
}

/// Whole seconds with their unit, as the guide writes an uptime: `3600s`.
pub fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}

#[cfg(test)]
mod tests {
    use super::{pad, safe};
    use std::borrow::Cow;

    #[test]
    fn ordinary_text_is_not_copied() {
        assert!(matches!(safe("Zürich → 🟢 ok"), Cow::Borrowed(_)));
    }

    #[test]
    fn no_code_reaches_the_terminal() {
        let hostile = "a\u{1b}[2Jb\u{7}c\u{9b}31md\u{202e}e\u{200b}f\ng\u{7f}h\0i";
        let shown = safe(hostile);
        assert!(shown.chars().all(|c| !c.is_control()), "{shown:?}");
        assert!(!shown.contains('\u{202e}') && !shown.contains('\u{200b}'));
        assert!(shown.starts_with("a\u{241b}[2Jb"), "{shown:?}");
    }

    #[test]
    fn padding_measures_columns_and_not_characters() {
        assert_eq!(pad("🟢", 4), "🟢  ");
        assert_eq!(pad("[up]", 4), "[up]");
        assert_eq!(pad("longer", 4), "longer");
    }
}
