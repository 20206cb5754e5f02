//! Text that is not TOML: the parser's errors as diagnostics, without showing what may be secret.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::model::Code;

use super::document::{Document, quoted};
use super::findings::{Finding, Findings};

/// How far above a second definition the first is looked for, in lines, so that a huge file is not searched again and again.
const MAX_LOOK_BACK: usize = 10_000;

/// How many lines without an error may lie between two of one run.
const MAX_GAP: usize = 2;

/// Reports the parser's errors: of each line the first, since one slip makes the parser stumble several times, and of an array or
/// inline table that is not closed the first, since it makes an element of every line that follows.
pub(super) fn report(document: &Document<'_>, errors: &[toml::de::Error], findings: &mut Findings) {
    let mut errors: Vec<(Option<Range<usize>>, &str)> = errors.iter().map(|e| (e.span(), e.message())).collect();
    errors.sort_by_key(|(span, _)| span.as_ref().map(|span| span.start));
    let mut last: Option<(usize, &str)> = None;
    for (span, message) in errors {
        if !findings.wants_hints() {
            return;
        }
        let Some(span) = span else {
            findings.add_without_place(Finding::error(Code::Syntax, no_place(message)));
            continue;
        };
        let line = document.line(span.start);
        let is_consequence = last.is_some_and(|(last, told)| {
            line == last || (is_of_unclosed(message) && is_of_unclosed(told) && line <= last + 1 + MAX_GAP)
        });
        // The second error of a line does not end a run of others.
        last = match last {
            Some((same, told)) if same == line => Some((line, told)),
            Some(_) | None => Some((line, message)),
        };
        if is_consequence {
            continue;
        }
        findings.add(document, None, span.clone(), finding(document, span, message));
    }
}

/// Whether these are the parser's words for a line after a bracket or brace that is not closed.
fn is_of_unclosed(message: &str) -> bool {
    message.starts_with("missing comma between") || message.starts_with("missing key for inline table element")
}

/// Every value below a key that says `env`, wherever it stands: environments hold secrets.
pub(super) fn secrets(table: &DeTable<'_>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    collect_secrets(table, false, &mut found);
    found
}

/// The same for a text that could not be parsed: what stands right of an `=` in a line or section that speaks of `env`, and in the
/// lines after it until its brace is closed. Hides too much rather than too little.
pub(super) fn suspected_secrets(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut in_env_section = false;
    let mut n_open = 0_usize;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let start = offset;
        offset += line.len();
        let trimmed = line.trim();
        if n_open == 0 && trimmed.starts_with('[') {
            let header = trimmed.split('#').next().unwrap_or(trimmed);
            in_env_section =
                header.split(['.', '[', ']']).any(|part| is_environment_key(part.trim().trim_matches(['"', '\''])));
            continue;
        }
        let value_at = if n_open > 0 { Some(0) } else { value_start(line, in_env_section) };
        let Some(value_at) = value_at else { continue };
        let value_at = line.len() - line[value_at..].trim_start().len();
        found.push(start + value_at..start + line.trim_end().len().max(value_at));
        let value = &line[value_at..];
        n_open = (n_open + value.matches('{').count()).saturating_sub(value.matches('}').count());
    }
    found
}

/// Where the value begins in a line that may hold part of an environment.
fn value_start(line: &str, in_env_section: bool) -> Option<usize> {
    if in_env_section {
        return line.find('=').map(|at| at + 1).or(Some(0));
    }
    let mut word_start = 0;
    for (at, c) in line.char_indices() {
        if c.is_alphanumeric() || matches!(c, '_' | '-') {
            continue;
        }
        if is_environment_key(&line[word_start..at]) {
            // After the key come `=`, `.NAME =` or a slip; from the next `=` on, everything may be a value.
            let from = line[at..].find('=').map_or(at, |equals| at + equals + 1);
            return Some(from);
        }
        word_start = at + c.len_utf8();
    }
    None
}

/// Whether a key means an environment, misspelt or not.
fn is_environment_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let close = key.len() >= 2 && strsim::osa_distance(&key, "env") <= 1;
    close || key.starts_with("env_v") || key.starts_with("environ")
}

fn collect_secrets(table: &DeTable<'_>, within: bool, found: &mut Vec<Range<usize>>) {
    for (key, value) in table.iter() {
        let within = within || is_environment_key(key.get_ref());
        conceal_value(value.get_ref(), value.span(), within, found);
    }
}

fn conceal_value(value: &DeValue<'_>, span: Range<usize>, within: bool, found: &mut Vec<Range<usize>>) {
    match value {
        DeValue::Table(table) => collect_secrets(table, within, found),
        DeValue::Array(array) => {
            for element in array.iter() {
                conceal_value(element.get_ref(), element.span(), within, found);
            }
        }
        // The quotes stay: they show that there is a value.
        DeValue::String(_) if within && span.len() >= 2 => found.push(span.start + 1..span.end - 1),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            if within {
                found.push(span);
            }
        }
    }
}

fn no_place(message: &str) -> String {
    if message.contains("recurs") { "nested more than 80 levels deep".to_owned() } else { message.to_owned() }
}

fn finding(document: &Document<'_>, span: Range<usize>, message: &str) -> Finding {
    if message == "duplicate key" {
        let key = quoted(document.excerpt(span.clone()).trim());
        let finding = match first_definition(document, span.start) {
            Some(line) => {
                let message = format!("{key} is defined a second time; the first is in line {line}");
                Finding::error(Code::Duplicate, message)
                    .label("defined a second time")
                    .also(definition_in(document, line), "the first is here")
            }
            None => Finding::error(Code::Duplicate, format!("{key} is defined a second time")),
        };
        return finding.hint("keep one of the two".to_owned());
    }
    let message = no_place(message);
    let hint = message.starts_with("string values must be quoted").then(|| "write it in quotes".to_owned());
    Finding::error(Code::Syntax, message).hint(hint)
}

/// The line of the first definition of what is defined again at `offset`, found by its wording: the same header, or the same key below
/// the same header.
fn first_definition(document: &Document<'_>, offset: usize) -> Option<usize> {
    let line = document.line(offset);
    let earliest = line.saturating_sub(MAX_LOOK_BACK).max(1);
    let text = |line: usize| document.text[document.line_range(line)].trim();
    let header = |line: usize| text(line).split('#').next().unwrap_or_default().trim_end();
    if text(line).starts_with('[') {
        return (earliest..line).find(|earlier| header(*earlier) == header(line));
    }
    let key = |line: usize| text(line).split_once('=').map(|(key, _)| key.trim());
    let section = (earliest..line).rev().find(|earlier| text(*earlier).starts_with('[')).unwrap_or(earliest - 1);
    let wanted = key(line)?;
    (section + 1..line).find(|earlier| key(*earlier) == Some(wanted))
}

/// What a line defines: its key, or the header without its comment.
fn definition_in(document: &Document<'_>, line: usize) -> Range<usize> {
    let range = document.line_range(line);
    let text = &document.text[range.clone()];
    let is_header = text.trim_start().starts_with('[');
    let end = if is_header { text.find('#') } else { text.find('=') };
    let defined = &text[..end.unwrap_or(text.len())];
    let start = range.start + (defined.len() - defined.trim_start().len());
    start..start + defined.trim().len()
}

#[cfg(test)]
mod tests {
    use super::{Document, suspected_secrets};

    fn shown(text: &str) -> String {
        let mut document = Document::new(text, None);
        document.conceal(suspected_secrets(text));
        let n_lines = text.lines().count();
        (1..=n_lines).map(|line| document.excerpt(document.line_range(line)) + "\n").collect()
    }

    #[test]
    fn values_of_an_environment_are_hidden_even_where_the_text_is_broken() {
        for text in [
            "env = { TOKEN = \"hunter2 }\n",
            "env = {\n  TOKEN = 'hunter2'\n  B = \n}\n",
            "[services.a.deployment.binary.env] # x\nTOKEN = hunter2\nhunter2\n",
            "binary.env.TOKEN = hunter2\n",
            "binary = { binary_path = '/x', env = { TOKEN = hunter2 } }\n",
            "evn = { TOKEN = hunter2\n",
            "environment.TOKEN = = hunter2\n",
        ] {
            assert!(!shown(text).contains("hunter2"), "{}", shown(text));
        }
    }

    #[test]
    fn other_lines_stay_readable() {
        let text = "[services.a]\nname = 'a'\ntype = = 'x'\nenv = {A='s'}\ninterval = 1\n[services.b]\ntype = y\n";
        let expected = text.replace("{A='s'}", "*******");
        assert_eq!(shown(text), expected);
    }
}
