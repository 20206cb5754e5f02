//! A text with its places: byte ranges to lines and columns, and the excerpts that may be shown.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;

use crate::model::Place;

/// The longest excerpt, in characters. A machine-made file may be one line of megabytes, and every finding carries its line.
const MAX_EXCERPT: usize = 1000;

/// The text of one registry file.
#[derive(Debug)]
pub(super) struct Document<'t> {
    /// Without a byte order mark.
    pub(super) text: &'t str,
    file: Option<PathBuf>,
    /// How many bytes of the file come before `text`.
    n_skipped: usize,
    line_starts: Vec<usize>,
    /// What an excerpt must not show, in order.
    concealed: Vec<Range<usize>>,
}

impl<'t> Document<'t> {
    pub(super) fn new(text: &'t str, file: Option<PathBuf>) -> Self {
        let body = text.strip_prefix('\u{feff}').unwrap_or(text);
        let line_starts = std::iter::once(0).chain(body.match_indices('\n').map(|(end, _)| end + 1)).collect();
        Self { text: body, file, n_skipped: text.len() - body.len(), line_starts, concealed: Vec::new() }
    }

    /// Hides these ranges in every excerpt from now on.
    pub(super) fn conceal(&mut self, mut ranges: Vec<Range<usize>>) {
        self.concealed.append(&mut ranges);
        self.concealed.sort_unstable_by_key(|range| (range.start, range.end));
        // Nested and overlapping ranges become one, so that a binary search finds the only one that can hold an offset.
        let mut merged: Vec<Range<usize>> = Vec::with_capacity(self.concealed.len());
        for range in self.concealed.drain(..) {
            match merged.last_mut() {
                Some(last) if range.start < last.end => last.end = last.end.max(range.end),
                Some(_) | None => merged.push(range),
            }
        }
        self.concealed = merged;
    }

    /// The line that holds `offset`, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// The range of a line, from 1, without its end.
    pub(super) fn line_range(&self, line: usize) -> Range<usize> {
        let start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len());
        let end = self.line_starts.get(line).map_or(self.text.len(), |next| next - 1);
        let end = start + self.text[start..end].trim_end_matches('\r').len();
        start..end
    }

    /// The written text of a range, without what is concealed.
    pub(super) fn excerpt(&self, range: Range<usize>) -> String {
        let Some(text) = self.text.get(range.clone()) else { return String::new() };
        text.char_indices()
            .take(MAX_EXCERPT)
            .map(|(at, c)| if self.is_concealed(range.start + at) { '*' } else { c })
            .collect()
    }

    /// The place of a byte range of `text`.
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        let start = floor(self.text, span.start);
        let end = floor(self.text, span.end).max(start);
        let line = self.line(start);
        let line_range = self.line_range(line);
        let before = &self.text[line_range.start.min(start)..start];
        Place {
            file: self.file.clone(),
            line,
            column: before.chars().count() + 1,
            span: start + self.n_skipped..end + self.n_skipped,
            source_line: self.excerpt(line_range),
        }
    }

    fn is_concealed(&self, offset: usize) -> bool {
        let next = self.concealed.partition_point(|range| range.start <= offset);
        next.checked_sub(1).and_then(|last| self.concealed.get(last)).is_some_and(|range| range.contains(&offset))
    }
}

/// A text as a message names it: in backticks, one line, no control characters, not too long.
pub(super) fn quoted(text: &str) -> String {
    const MAX_SHOWN: usize = 60;
    let mut shown = String::from("`");
    for c in text.chars().take(MAX_SHOWN) {
        if c.is_control() || is_invisible(c) {
            // Writing to a string cannot fail.
            let _ = write!(shown, "{}", c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown.push('`');
    shown
}

/// Characters that take no room or turn the writing direction, and so could make a name look like another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::{Document, quoted};

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let document = Document::new("\u{feff}ä = 1\r\nbü = 2\r\n", None);
        let at = document.text.find('2').unwrap();
        let place = document.place(at..at + 1);
        assert_eq!((place.line, place.column, place.source_line.as_str()), (2, 6, "bü = 2"));
        assert_eq!(place.span.start, at + 3, "the byte order mark counts in the file");
        let end = document.place(1000..2000);
        assert_eq!((end.line, end.column), (3, 1));
    }

    #[test]
    fn concealed_ranges_are_starred_and_keep_their_width() {
        let mut document = Document::new("env = { A = 'geheim', B = 'x' }", None);
        let at = document.text.find("geheim").unwrap();
        document.conceal(vec![at..at + 6, at + 2..at + 4]);
        assert_eq!(document.place(0..3).source_line, "env = { A = '******', B = 'x' }");
    }

    #[test]
    fn quoted_text_has_no_control_characters_and_an_end() {
        assert_eq!(quoted("con\u{1b}[2J\n"), "`con\\u{1b}[2J\\u{a}`");
        assert_eq!(quoted("a\u{202e}b"), "`a\\u{202e}b`");
        assert!(quoted(&"x".repeat(10_000)).chars().count() < 70);
    }
}
