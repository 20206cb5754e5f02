//! Small pieces of text: safe, padded, counted.

use std::borrow::Cow;
use std::time::Duration;

use unicode_width::UnicodeWidthStr as _;

use crate::logs::{Tabs, escape_json, sanitize_str};

/// Makes a text from outside harmless on one line of a terminal. Every sink of the command line calls this one function.
pub fn safe(text: &str) -> Cow<'_, str> {
    sanitize_str(text, Tabs::Keep)
}

/// The same for a text that is JSON, whose values stay what they are.
pub fn safe_json(json: &str) -> Cow<'_, str> {
    escape_json(json)
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

/// A share of 0 to 1 as a percentage that never rounds a failure away: `99.9 %`, and `100 %` for all of it alone.
pub fn percent(share: f64) -> String {
    let percent = (share * 1000.0).floor() / 10.0;
    if percent >= 100.0 { "100 %".to_owned() } else { format!("{percent:.1} %") }
}

#[cfg(test)]
mod tests {
    use super::{pad, safe, safe_json};

    #[test]
    fn json_means_the_same_and_has_no_code() {
        let value = serde_json::json!({ "a": "\u{1b}[2J\u{7f}\u{9b}31m\u{202e}x\u{200b}\u{e0041}ü🟢\n" });
        let json = serde_json::to_string_pretty(&value).unwrap();
        let shown = safe_json(&json);
        assert!(!shown.chars().any(|c| c != '\n' && c.is_control() || c == '\u{202e}' || c == '\u{e0041}'), "{shown}");
        assert!(shown.contains("ü🟢"));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        assert_eq!(safe("Zürich → 🟢 ok"), "Zürich → 🟢 ok");
    }

    #[test]
    fn no_code_reaches_the_terminal() {
        let hostile = "a\u{1b}[2Jb\u{7}c\u{9b}31md\u{202e}e\u{200b}f\ng\u{7f}h\0i";
        let shown = safe(hostile);
        assert!(shown.chars().all(|c| !c.is_control()), "{shown:?}");
        assert!(!shown.contains('\u{202e}') && !shown.contains('\u{200b}'));
        assert!(shown.starts_with("ab"), "{shown:?}");
    }

    #[test]
    fn padding_measures_columns_and_not_characters() {
        assert_eq!(pad("🟢", 4), "🟢  ");
        assert_eq!(pad("[up]", 4), "[up]");
        assert_eq!(pad("longer", 4), "longer");
    }
}
