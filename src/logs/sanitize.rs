//! The one place where text from outside becomes text that a terminal may show.

use std::borrow::Cow;

/// The longest text that is passed on, in bytes of the input.
const MAX_INPUT: usize = 64 * 1024;

/// What stands for the rest of a text that was cut.
const CUT: &str = " … (line cut)";

/// Where the next column stop is, when tabs are expanded.
const TAB_WIDTH: usize = 8;

/// What becomes of tabs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tabs {
    /// They stay: for files and pipes.
    Keep,
    /// Spaces up to the next multiple of eight characters: for cells, where a tab has no width.
    Expand,
}

/// Makes one line of bytes fit to be shown: what a terminal would obey is either removed as a whole (well-formed escape sequences: the colours
/// of a service vanish) or replaced by a visible mark (any other control code, C1 as well; bidirectional controls; zero-width characters;
/// bytes that are no UTF-8). U+FE0F is removed, since terminals disagree about its width. What a carriage return would have overwritten
/// is dropped, as a terminal would show it; line feeds become marks. Beyond 64 KiB, the line is cut and says so.
///
/// The result holds no ESC, no C0 but tabs that are kept, no DEL, no C1, no bidirectional control.
pub fn sanitize(bytes: &[u8], tabs: Tabs) -> Cow<'_, str> {
    if bytes.len() <= MAX_INPUT && is_plain(bytes) {
        // Printable ASCII is the common case, and is UTF-8.
        if let Ok(text) = std::str::from_utf8(bytes) {
            return Cow::Borrowed(text);
        }
    }
    Cow::Owned(clean(bytes, tabs))
}

/// [`sanitize`] for text.
pub fn sanitize_str(text: &str, tabs: Tabs) -> Cow<'_, str> {
    sanitize(text.as_bytes(), tabs)
}

/// JSON text in which no character acts on a terminal: what JSON itself lets stand as it is (DEL, C1, what changes the order of others
/// or has no width) is escaped. It can only stand in strings, so the value is the same.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    let acts = |c: char| matches!(c, '\u{7f}'..='\u{9f}') || is_treacherous(c);
    if !json.chars().any(acts) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if acts(c) {
            let mut units = [0; 2];
            out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

fn clean(bytes: &[u8], tabs: Tabs) -> String {
    let (bytes, is_cut) = if bytes.len() > MAX_INPUT { (&bytes[..MAX_INPUT], true) } else { (bytes, false) };
    let mut out = Cleaned { text: String::with_capacity(bytes.len()), column: 0, tabs };
    let mut rest = visible_part(bytes);
    while let Some(&first) = rest.first() {
        let used = match first {
            0x1b => out.take_escape(rest),
            b' '..=b'~' => {
                out.push(char::from(first));
                1
            }
            0x00..=0x1f | 0x7f => {
                out.take_control(first);
                1
            }
            0x80.. => out.take_wide(rest),
        };
        rest = rest.get(used..).unwrap_or_default();
    }
    if is_cut {
        out.text.push_str(CUT);
    }
    out.text
}

/// Without the end of the line, and without what a progress bar has overwritten.
fn visible_part(bytes: &[u8]) -> &[u8] {
    let mut line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    while let Some(shorter) = line.strip_suffix(b"\r") {
        line = shorter;
    }
    memchr::memrchr(b'\r', line).and_then(|at| line.get(at + 1..)).unwrap_or(line)
}

struct Cleaned {
    text: String,
    /// In characters: near enough for tabs.
    column: usize,
    tabs: Tabs,
}

impl Cleaned {
    fn push(&mut self, shown: char) {
        self.text.push(shown);
        self.column += 1;
    }

    /// The picture of a control code: `␇` for BEL (U+2400 to U+2421, Control Pictures).
    fn take_control(&mut self, code: u8) {
        match (code, self.tabs) {
            (b'\t', Tabs::Keep) => self.push('\t'),
            (b'\t', Tabs::Expand) => {
                for _ in 0..TAB_WIDTH - self.column % TAB_WIDTH {
                    self.push(' ');
                }
            }
            (0x7f, _) => self.push('\u{2421}'),
            (code, _) => self.push(char::from_u32(0x2400 + u32::from(code)).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
    }

    /// A whole sequence vanishes, a broken one leaves the mark of its ESC; returns how many bytes are done.
    fn take_escape(&mut self, rest: &[u8]) -> usize {
        match escape_length(rest) {
            Some(length) => length,
            None => {
                self.take_control(0x1b);
                1
            }
        }
    }

    /// One character beyond ASCII, or one bad byte or sequence; returns how many bytes are done.
    fn take_wide(&mut self, rest: &[u8]) -> usize {
        // Four bytes hold any character; a longer look would make this quadratic.
        let look = rest.get(..4).unwrap_or(rest);
        let Some(chunk) = look.utf8_chunks().next() else { return 1 };
        match chunk.valid().chars().next() {
            Some(wide) => {
                self.take_char(wide);
                wide.len_utf8()
            }
            None => {
                self.push(char::REPLACEMENT_CHARACTER);
                chunk.invalid().len().max(1)
            }
        }
    }

    fn take_char(&mut self, wide: char) {
        match wide {
            '\u{fe0f}' => {}
            '\u{80}'..='\u{9f}' => self.push(char::REPLACEMENT_CHARACTER),
            _ if is_treacherous(wide) => self.push('\u{b7}'),
            wide => self.push(wide),
        }
    }
}

/// Characters that change the order of others, or have no width at all: what is shown would not be what is there.
fn is_treacherous(wide: char) -> bool {
    matches!(wide,
        // Bidirectional marks, embeddings, overrides, isolates (UAX #9).
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        // Zero-width and invisible characters, line and paragraph separators, deprecated and interlinear controls.
        | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
        // Other variation selectors, and tags.
        | '\u{fe00}'..='\u{fe0e}' | '\u{e0000}'..='\u{e0fff}')
}

/// The length of the well-formed escape sequence that `bytes` begin with (ECMA-48, 5.4 and 8.3; xterm's `ctlseqs` for BEL as terminator).
fn escape_length(bytes: &[u8]) -> Option<usize> {
    match *bytes.get(1)? {
        // CSI: parameters, intermediates, one final byte.
        b'[' => {
            let body = bytes.get(2..)?;
            let n_parameters = body.iter().take_while(|byte| matches!(byte, 0x30..=0x3f)).count();
            let n_intermediates = body.iter().skip(n_parameters).take_while(|byte| matches!(byte, 0x20..=0x2f)).count();
            let n_before_final = n_parameters + n_intermediates;
            matches!(body.get(n_before_final)?, 0x40..=0x7e).then_some(2 + n_before_final + 1)
        }
        // OSC, DCS, SOS, PM, APC: anything printable up to the terminator.
        b']' | b'P' | b'X' | b'^' | b'_' => {
            let body = bytes.get(2..)?;
            let end = body.iter().position(|byte| matches!(byte, 0x07 | 0x1b | b'\n'))?;
            match (body.get(end)?, body.get(end + 1)) {
                (0x07, _) => Some(2 + end + 1),
                (0x1b, Some(b'\\')) => Some(2 + end + 2),
                _ => None,
            }
        }
        // A character set: intermediates and one final byte.
        0x20..=0x2f => {
            let n_intermediates = bytes.iter().skip(1).take_while(|byte| matches!(byte, 0x20..=0x2f)).count();
            matches!(bytes.get(1 + n_intermediates)?, 0x30..=0x7e).then_some(2 + n_intermediates)
        }
        0x30..=0x7e => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{CUT, MAX_INPUT, Tabs, is_treacherous, sanitize, sanitize_str};
    use proptest::prelude::{Strategy, any, prop, prop_assert, prop_oneof, proptest};
    use std::borrow::Cow;

    fn check(input: &[u8], expected: &str) {
        assert_eq!(sanitize(input, Tabs::Keep), expected, "{:?}", String::from_utf8_lossy(input));
    }

    #[test]
    fn plain_text_is_passed_on_without_a_copy() {
        assert!(matches!(sanitize(b"GET /health 200", Tabs::Expand), Cow::Borrowed("GET /health 200")));
        check("größe 🟢 日本 e\u{301}".as_bytes(), "größe 🟢 日本 e\u{301}");
        check(b"a\r\n", "a");
    }

    #[test]
    fn well_formed_sequences_vanish() {
        check(b"\x1b[1;31mERROR\x1b[0m x", "ERROR x");
        check(b"\x1b[2J\x1b[H\x1b[?1049hx", "x");
        check(b"\x1b]0;title\x07x\x1b]52;c;ZXZpbA==\x1b\\y", "xy");
        check(b"\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link");
        check(b"\x1bPq#0\x1b\\\x1b(Bx\x1bcx\x1b7", "xx");
    }

    #[test]
    fn what_is_broken_or_bare_becomes_visible() {
        check(b"\x1b", "\u{241b}");
        check(b"\x1b[31\x00m", "\u{241b}[31\u{2400}m");
        check(b"\x1b]0;never ends", "\u{241b}]0;never ends");
        check(b"\x1b]0;a\x1b[31mb", "\u{241b}]0;ab");
        check(b"\x07\x08\x00\x7f\n", "\u{2407}\u{2408}\u{2400}\u{2421}");
        check(b"a\nb", "a\u{240a}b");
        check("\u{9b}31m\u{85}".as_bytes(), "\u{fffd}31m\u{fffd}");
        check(b"\x9b31m \xff\xc3", "\u{fffd}31m \u{fffd}\u{fffd}");
        check("a\u{202e}b\u{2066}c\u{200b}d\u{feff}".as_bytes(), "a·b·c·d·");
        check("⚠\u{fe0f} x".as_bytes(), "⚠ x");
    }

    #[test]
    fn what_a_carriage_return_overwrote_is_not_shown() {
        check(b"10 %\r50 %\r100 %", "100 %");
        check(b"10 %\r100 %\r\r\n", "100 %");
        check(b"\r", "");
    }

    #[test]
    fn tabs_are_kept_or_reach_the_next_stop() {
        assert_eq!(sanitize_str("a\tb", Tabs::Keep), "a\tb");
        assert_eq!(sanitize_str("a\tb\t\tc", Tabs::Expand), "a       b               c");
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        let long = vec![b'x'; MAX_INPUT + 1];
        let shown = sanitize(&long, Tabs::Keep);
        assert_eq!(shown.len(), MAX_INPUT + CUT.len());
        assert!(shown.ends_with(CUT));
        // A character cut in two leaves a mark, not a panic.
        let wide = "é".repeat(MAX_INPUT);
        assert!(sanitize(&wide.as_bytes()[1..], Tabs::Keep).ends_with(CUT));
        // Nor does a flood of openings make it slow.
        sanitize(&b"\x1b]".repeat(MAX_INPUT / 2), Tabs::Keep);
    }

    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            any::<u8>().prop_map(|byte| vec![byte]),
            any::<char>().prop_map(|character| character.to_string().into_bytes()),
            prop::sample::select(vec![
                "\x1b", "\x1b[", "\x1b]", "\x1bP", "\x07", "\x1b\\", "\r", "\n", "\t", "\u{9b}", "\u{202e}"
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
        ];
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn nothing_that_a_terminal_obeys_comes_out(input in hostile()) {
            for tabs in [Tabs::Keep, Tabs::Expand] {
                for shown in sanitize(&input, tabs).chars() {
                    let is_kept_tab = shown == '\t' && tabs == Tabs::Keep;
                    prop_assert!(is_kept_tab || !shown.is_control(), "{shown:?}");
                    prop_assert!(!is_treacherous(shown) && shown != '\u{fe0f}', "{shown:?}");
                }
            }
        }

        #[test]
        fn cleaning_twice_changes_nothing(input in hostile()) {
            let once = sanitize(&input, Tabs::Keep).into_owned();
            let twice = sanitize_str(&once, Tabs::Keep).into_owned();
            prop_assert!(once == twice);
        }
    }
}
