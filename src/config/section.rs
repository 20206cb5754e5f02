//! The field reader: one table of a service, read key by key, with every wrong value reported in its place.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::model::Code;

use super::Environment;
use super::document::{Document, quoted};
use super::expand::{Unexpandable, expand};
use super::findings::{Finding, Findings};
use super::near::{did_you_mean, nearest};

/// The longest time, in seconds: a year. Deadlines are moments plus times, and must not overflow.
const MAX_SECONDS: i64 = 31_536_000;

/// A string of the file.
#[derive(Debug, Clone)]
pub(super) struct Text {
    /// With variables expanded; may hold secrets, so messages quote `raw`.
    pub(super) value: String,
    /// As the file has it.
    pub(super) raw: String,
    /// Where it stands.
    pub(super) span: Range<usize>,
}

/// One table. Remembers which keys were asked for: the others are unknown.
#[derive(Debug)]
pub(super) struct Section<'t> {
    table: Option<&'t DeTable<'t>>,
    path: String,
    /// Where to point when something is missing in it.
    span: Range<usize>,
    known: Vec<&'static str>,
    missing: Vec<(&'static str, Option<String>)>,
}

impl<'t> Section<'t> {
    /// The table at `path`, with the place of its key.
    pub(super) fn new(table: &'t DeTable<'t>, path: String, span: Range<usize>) -> Self {
        Self { table: Some(table), path, span, known: Vec::new(), missing: Vec::new() }
    }

    /// Accepts these keys without reading them (R16).
    pub(super) fn allow(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    /// The full path of a key in it.
    pub(super) fn path_of(&self, key: &str) -> String {
        format!("{}.{}", self.path, shown_key(key))
    }

    /// Whether the key is given.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Whether the key is given as a whole number.
    pub(super) fn is_integer(&self, key: &str) -> bool {
        self.table.and_then(|table| table.get(key)).is_some_and(|value| value.get_ref().is_integer())
    }

    /// Where the key stands, if it is given.
    pub(super) fn span_of(&self, key: &str) -> Option<Range<usize>> {
        self.table?.get_key_value(key).map(|(key, _)| key.span())
    }

    fn take(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.known.push(key);
        self.table?.get(key)
    }
}

/// Reads one service.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) document: &'a Document<'a>,
    pub(super) environment: &'a Environment,
    pub(super) findings: &'a mut Findings,
    /// The service's key.
    pub(super) service: &'a str,
    /// Whether an error was found: the service is set aside.
    pub(super) has_failed: bool,
}

impl<'a> Reader<'a> {
    /// Reports an error; the service is set aside.
    pub(super) fn error(&mut self, span: Range<usize>, finding: Finding) {
        self.has_failed = true;
        self.findings.add(self.document, Some(self.service), span, finding);
    }

    /// Reports a warning.
    pub(super) fn warn(&mut self, span: Range<usize>, finding: Finding) {
        self.findings.add(self.document, Some(self.service), span, finding);
    }

    /// A table below `parent`; an empty one where there is none.
    pub(super) fn section<'t>(&mut self, parent: &mut Section<'t>, key: &'static str) -> Section<'t> {
        let path = parent.path_of(key);
        let empty =
            |span: Range<usize>| Section { table: None, path: path.clone(), span, known: vec![], missing: vec![] };
        match parent.take(key) {
            Some(value) => match value.get_ref() {
                DeValue::Table(table) => Section { table: Some(table), ..empty(value.span()) },
                other => {
                    self.wrong_type(&path, "a table", other, value.span());
                    empty(value.span())
                }
            },
            None => empty(parent.span.clone()),
        }
    }

    /// A table that must be there; when it is not, `needs` says what for.
    pub(super) fn required_section<'t>(
        &mut self,
        parent: &mut Section<'t>,
        key: &'static str,
        needs: &str,
    ) -> Option<Section<'t>> {
        if !parent.has(key) {
            parent.known.push(key);
            parent.missing.push((key, Some(needs.to_owned())));
            return None;
        }
        let section = self.section(parent, key);
        section.table.is_some().then_some(section)
    }

    /// A string, expanded.
    pub(super) fn text(&mut self, section: &mut Section<'_>, key: &'static str) -> Option<Text> {
        let value = section.take(key)?;
        self.text_of(&section.path_of(key), value, Shown::Yes)
    }

    /// A string that must be there and not be empty.
    pub(super) fn required_text(&mut self, section: &mut Section<'_>, key: &'static str) -> Option<Text> {
        self.require(section, key, None);
        self.filled_text(section, key)
    }

    /// A string that must not be empty if it is there.
    pub(super) fn filled_text(&mut self, section: &mut Section<'_>, key: &'static str) -> Option<Text> {
        let text = self.text(section, key)?;
        if text.value.is_empty() {
            let message = format!("`{}` must not be empty", section.path_of(key));
            self.error(text.span, Finding::error(Code::NotAllowed, message));
            return None;
        }
        Some(text)
    }

    /// An array of strings; empty where there is none.
    pub(super) fn texts(&mut self, section: &mut Section<'_>, key: &'static str) -> Vec<Text> {
        let Some(value) = section.take(key) else { return Vec::new() };
        let path = section.path_of(key);
        let DeValue::Array(array) = value.get_ref() else {
            self.wrong_type(&path, "an array of strings", value.get_ref(), value.span());
            return Vec::new();
        };
        array
            .iter()
            .enumerate()
            .filter_map(|(at, element)| self.text_of(&format!("{path}[{at}]"), element, Shown::Yes))
            .collect()
    }

    /// A table of strings whose values are never shown.
    pub(super) fn secrets(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
    ) -> Vec<(String, Range<usize>, Text)> {
        let Some(value) = section.take(key) else { return Vec::new() };
        let path = section.path_of(key);
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong_type_of(&path, "a table of strings", value.get_ref(), value.span(), Shown::No);
            return Vec::new();
        };
        let entries = table.iter().filter_map(|(name, value)| {
            let text = self.text_of(&format!("{path}.{}", shown_key(name.get_ref())), value, Shown::No)?;
            Some((name.get_ref().clone().into_owned(), name.span(), text))
        });
        entries.collect()
    }

    /// `true` or `false`, with its place.
    pub(super) fn flag(&mut self, section: &mut Section<'_>, key: &'static str) -> Option<(bool, Range<usize>)> {
        let value = section.take(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some((*flag, value.span())),
            other => {
                self.wrong_type(&section.path_of(key), "`true` or `false`", other, value.span());
                None
            }
        }
    }

    /// A whole number within `range`, with its place.
    pub(super) fn integer(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        range: RangeInclusive<i64>,
    ) -> Option<(i64, Range<usize>)> {
        let value = section.take(key)?;
        let path = section.path_of(key);
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_type(&path, "a whole number", value.get_ref(), value.span());
            return None;
        };
        match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if range.contains(&number) => Some((number, value.span())),
            // No `i64` at all is out of every range.
            Ok(_) | Err(_) => {
                let written = quoted(self.document.excerpt(value.span()).trim());
                let message = format!("`{path}` is {written}, but must be {}", range_in_words(&range));
                self.error(value.span(), Finding::error(Code::NotAllowed, message));
                None
            }
        }
    }

    /// A time in whole seconds, at least one.
    pub(super) fn seconds(&mut self, section: &mut Section<'_>, key: &'static str) -> Option<Duration> {
        let (seconds, _) = self.integer(section, key, 1..=MAX_SECONDS)?;
        Some(Duration::from_secs(seconds.unsigned_abs()))
    }

    /// A time in seconds that may be a fraction, at least a hundredth.
    pub(super) fn fractional_seconds(&mut self, section: &mut Section<'_>, key: &'static str) -> Option<Duration> {
        if section.is_integer(key) {
            return self.seconds(section, key);
        }
        let value = section.take(key)?;
        let path = section.path_of(key);
        let DeValue::Float(float) = value.get_ref() else {
            self.wrong_type(&path, "a number of seconds", value.get_ref(), value.span());
            return None;
        };
        let seconds = float.as_str().parse::<f64>().ok().filter(|s| (0.01..=MAX_SECONDS as f64).contains(s));
        let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        if duration.is_none() {
            let written = quoted(self.document.excerpt(value.span()).trim());
            let message = format!("`{path}` is {written}, but must be from 0.01 to {MAX_SECONDS} seconds");
            self.error(value.span(), Finding::error(Code::NotAllowed, message));
        }
        duration
    }

    /// One of a closed set of names.
    pub(super) fn choice<T: Copy>(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        all: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Option<T> {
        let text = self.text(section, key)?;
        let found = all.iter().copied().find(|value| name(*value) == text.value);
        if found.is_none() {
            let names: Vec<&str> = all.iter().map(|value| name(*value)).collect();
            let path = section.path_of(key);
            let message = format!("`{path}` is {}, but must be one of {}", quoted(&text.raw), names.join(", "));
            let finding = Finding::error(Code::NotAllowed, message).hint(did_you_mean(&text.raw, names));
            self.error(text.span, finding);
        }
        found
    }

    /// Demands a key, which is then read as any other.
    pub(super) fn require(&mut self, section: &mut Section<'_>, key: &'static str, hint: Option<String>) {
        if !section.has(key) {
            section.missing.push((key, hint));
        }
    }

    /// Reports what was not asked for and what is missing. A misspelt key that explains a missing one is the error then.
    pub(super) fn close(&mut self, mut section: Section<'_>) {
        let Some(table) = section.table else {
            // Where the table itself is missing or no table, that was reported, or nothing in it is needed.
            debug_assert!(section.missing.is_empty() || self.has_failed);
            return;
        };
        for (key, _) in table.iter() {
            let name: &str = key.get_ref();
            if section.known.contains(&name) {
                continue;
            }
            let message = format!("unknown key `{}`", section.path_of(name));
            let near = if self.findings.wants_hints() { nearest(name, section.known.iter().copied()) } else { None };
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            let n_missing = section.missing.len();
            section.missing.retain(|(missing, _)| Some(*missing) != near);
            if section.missing.len() < n_missing {
                self.error(key.span(), Finding::error(Code::UnknownKey, message).hint(hint));
            } else {
                self.warn(key.span(), Finding::warning(Code::UnknownKey, message).hint(hint));
            }
        }
        for (key, hint) in std::mem::take(&mut section.missing) {
            let message = format!("`{}` is missing", section.path_of(key));
            self.error(section.span.clone(), Finding::error(Code::MissingKey, message).hint(hint));
        }
    }

    /// Reports a value of another type.
    pub(super) fn wrong_type(&mut self, path: &str, expected: &str, value: &DeValue<'_>, span: Range<usize>) {
        self.wrong_type_of(path, expected, value, span, Shown::Yes);
    }

    fn wrong_type_of(&mut self, path: &str, expected: &str, value: &DeValue<'_>, span: Range<usize>, shown: Shown) {
        let is_scalar = !matches!(value, DeValue::Array(_) | DeValue::Table(_));
        let written = match shown {
            Shown::Yes if is_scalar => {
                format!("the {} {}", kind(value), quoted(self.document.excerpt(span.clone()).trim()))
            }
            Shown::Yes | Shown::No => format!("{} {}", if kind(value) == "array" { "an" } else { "a" }, kind(value)),
        };
        let message = format!("`{path}` must be {expected}, not {written}");
        let hint = match value {
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) if expected == "a string" => {
                Some("write it in quotes".to_owned())
            }
            DeValue::String(text) if expected == "a whole number" && text.parse::<i64>().is_ok() => {
                Some("write it without quotes".to_owned())
            }
            DeValue::String(_) if expected == "an array of strings" => Some("put it into brackets: [\"…\"]".to_owned()),
            _ => None,
        };
        self.error(span, Finding::error(Code::WrongType, message).hint(hint));
    }

    fn text_of(&mut self, path: &str, value: &Spanned<DeValue<'_>>, shown: Shown) -> Option<Text> {
        let span = value.span();
        let DeValue::String(raw) = value.get_ref() else {
            self.wrong_type_of(path, "a string", value.get_ref(), span, shown);
            return None;
        };
        if raw.contains('\0') {
            let message = format!("`{path}` holds a NUL character, which no system call can take");
            self.error(span, Finding::error(Code::NotAllowed, message));
            return None;
        }
        match expand(raw, self.environment) {
            Ok(expanded) => Some(Text { value: expanded, raw: raw.clone().into_owned(), span }),
            Err(problems) => {
                for problem in problems {
                    self.unexpandable(path, &problem, span.clone(), shown);
                }
                None
            }
        }
    }

    fn unexpandable(&mut self, path: &str, problem: &Unexpandable, span: Range<usize>, shown: Shown) {
        let piece = problem.piece();
        // The piece's own place, unless the file writes it with escapes.
        let at = self.document.text.get(span.clone()).and_then(|written| written.find(&piece));
        let span = at.map_or(span.clone(), |at| span.start + at..span.start + at + piece.len());
        // What stands in braces and names no variable may be a piece of a password.
        let piece = match (shown, problem) {
            (Shown::No, Unexpandable::NoName(_)) => "`${…}`".to_owned(),
            (Shown::Yes | Shown::No, _) => quoted(&piece),
        };
        let finding = match problem {
            Unexpandable::Unset(name) => {
                Finding::error(Code::UnsetVariable, format!("{piece} in `{path}`: no such environment variable is set"))
                    .hint(format!("set {name} before the start, or write the value"))
            }
            Unexpandable::NotText(_) => {
                Finding::error(Code::UnsetVariable, format!("{piece} in `{path}`: the variable's value is not UTF-8"))
            }
            Unexpandable::Unclosed => {
                Finding::error(Code::NotAllowed, format!("{piece} in `{path}` has no closing `}}`"))
                    .hint("write ${NAME}".to_owned())
            }
            Unexpandable::NoName(_) => {
                Finding::error(Code::NotAllowed, format!("{piece} in `{path}` does not name an environment variable"))
                    .hint("write ${NAME}; a shell line can use $NAME".to_owned())
            }
            Unexpandable::NoHome => {
                Finding::error(Code::UnsetVariable, format!("{piece} in `{path}`: no home directory is known"))
                    .hint("set HOME, or write the whole path".to_owned())
            }
        };
        self.error(span, finding);
    }
}

/// Whether a message may name the value.
#[derive(Debug, Clone, Copy)]
enum Shown {
    Yes,
    No,
}

/// A key as a path shows it: quoted where TOML wants quotes, and without control characters.
pub(super) fn shown_key(key: &str) -> String {
    let is_bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if is_bare && key.len() <= 60 {
        return key.to_owned();
    }
    let quoted = quoted(key);
    format!("\"{}\"", quoted.trim_matches('`'))
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) | DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        DeValue::Datetime(_) => "date",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "table",
    }
}

fn range_in_words(range: &RangeInclusive<i64>) -> String {
    match (*range.start(), *range.end()) {
        (i64::MIN, i64::MAX) => "a whole number of 64 bits".to_owned(),
        (least, most) => format!("from {least} to {most}"),
    }
}
