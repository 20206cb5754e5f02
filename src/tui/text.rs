//! Texts as the screen needs them: cleaned, cut and padded by measured width, durations in few characters.

use std::borrow::Cow;
use std::time::Duration;

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use crate::logs::{Tabs, sanitize_str};

/// The columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Makes a text from outside fit to be drawn: what every sink does, with tabs as spaces, since a cell has no tab.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    sanitize_str(text, Tabs::Expand)
}

/// The beginning of `text` that fits into `columns`, with `ellipsis` at the end where something was cut.
pub(crate) fn cut(text: &str, columns: usize, ellipsis: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(width(ellipsis));
    let mut short = head(text, room).to_owned();
    if width(ellipsis) <= columns {
        short.push_str(ellipsis);
    }
    short
}

/// The longest beginning of `text` that fits into `columns`.
pub(crate) fn head(text: &str, columns: usize) -> &str {
    let mut used = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        used += width(grapheme);
        if used > columns {
            return text.get(..at).unwrap_or_default();
        }
    }
    text
}

/// `text` cut and padded on the right to exactly `columns`.
pub(crate) fn pad(text: &str, columns: usize, ellipsis: &str) -> String {
    let mut padded = cut(text, columns, ellipsis);
    padded.extend(std::iter::repeat_n(' ', columns.saturating_sub(width(&padded))));
    padded
}

/// `text` cut and padded on the left to exactly `columns`.
pub(crate) fn pad_left(text: &str, columns: usize, ellipsis: &str) -> String {
    let short = cut(text, columns, ellipsis);
    let mut padded: String = std::iter::repeat_n(' ', columns.saturating_sub(width(&short))).collect();
    padded.push_str(&short);
    padded
}

/// Breaks `text` into pieces of at most `columns`, between words where that is possible. Never empty.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut rows = Vec::new();
    let mut row = String::new();
    let mut used = 0;
    for word in text.split_word_bounds() {
        let mut word = word;
        if used + width(word) > columns && used > 0 {
            rows.push(std::mem::take(&mut row).trim_end().to_owned());
            used = 0;
            word = word.trim_start();
        }
        while width(word) > columns {
            let piece = match head(word, columns) {
                // A single character wider than the whole row.
                "" => word,
                piece => piece,
            };
            rows.push(piece.to_owned());
            word = word.get(piece.len()..).unwrap_or_default();
        }
        row.push_str(word);
        used += width(word);
    }
    if !row.is_empty() || rows.is_empty() {
        rows.push(row);
    }
    rows
}

/// How long something has been running, in at most seven columns: `42s`, `12m`, `1h 05m`, `3d 04h`.
pub(crate) fn uptime(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// When the text of [`uptime`] changes next, counted from the same beginning.
pub(crate) fn uptime_changes_after(duration: Duration) -> Duration {
    let seconds = duration.as_secs();
    let step = match seconds {
        0..60 => 1,
        60..86_400 => 60,
        _ => 3600,
    };
    Duration::from_secs((seconds / step + 1) * step)
}

/// A latency in at most six columns: `0.4ms`, `15ms`, `1.2s`.
pub(crate) fn latency(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0..1_000 => format!("0.{}ms", micros / 100),
        1_000..1_000_000 => format!("{}ms", micros / 1_000),
        1_000_000..10_000_000 => format!("{}.{}s", micros / 1_000_000, micros / 100_000 % 10),
        _ => format!("{}s", micros / 1_000_000),
    }
}

/// A length that somebody wrote down, without more digits than it needs: `500ms`, `2s`, `2.5s`.
pub(crate) fn written(duration: Duration) -> String {
    match (duration.as_secs(), duration.subsec_millis()) {
        (0, millis) => format!("{millis}ms"),
        (seconds, 0) => format!("{seconds}s"),
        (seconds, millis) => format!("{seconds}.{}s", millis / 100),
    }
}

/// `1 restart`, `2 restarts`.
pub(crate) fn counted(n: usize, singular: &str) -> String {
    if n == 1 { format!("1 {singular}") } else { format!("{n} {singular}s") }
}

#[cfg(test)]
mod tests {
    use super::{clean, cut, latency, pad, uptime, uptime_changes_after, wrap};
    use std::time::Duration;

    #[test]
    fn nothing_that_acts_on_a_terminal_survives_cleaning() {
        assert_eq!(clean("plain ✓ text"), "plain ✓ text");
        assert_eq!(clean("a\u{1b}[2J\u{7}b"), "a\u{2407}b");
        assert_eq!(clean("a\u{1b}"), "a\u{241b}");
        assert_eq!(clean("⚠\u{fe0f}"), "⚠");
        assert_eq!(clean("a\tb"), "a       b");
    }

    #[test]
    fn texts_are_cut_by_columns_and_wide_characters_are_never_halved() {
        assert_eq!(cut("orchestrator", 8, "…"), "orchest…");
        assert_eq!(cut("日本語", 4, "…"), "日…");
        assert_eq!(pad("日本語", 4, "…"), "日… ");
        assert_eq!(pad("ab", 4, "…"), "ab  ");
        assert_eq!(cut("abc", 0, "…"), "");
    }

    #[test]
    fn rows_break_between_words_and_long_words_within() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(wrap("日", 1), ["日"]);
    }

    #[test]
    fn durations_are_short_and_say_when_they_change() {
        let s = Duration::from_secs;
        assert_eq!(
            [uptime(s(59)), uptime(s(60)), uptime(s(3700)), uptime(s(90_000))],
            ["59s", "1m", "1h 01m", "1d 01h"]
        );
        assert_eq!(uptime_changes_after(Duration::from_millis(1_500)), s(2));
        assert_eq!(uptime_changes_after(s(61)), s(120));
        assert_eq!(latency(Duration::from_micros(430)), "0.4ms");
        assert_eq!([latency(Duration::from_millis(15)), latency(Duration::from_millis(1_250))], ["15ms", "1.2s"]);
    }
}
