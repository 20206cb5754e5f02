//! What is wrong in the registry, as a person reads it: the line, what in it is meant, and what to do.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::model::{Diagnostic, Place, Severity};

/// Several lines, as a good compiler prints them, without a line end behind the last. `color` adds terminal codes for styles; no code
/// from the file gets through either way.
pub fn render(diagnostic: &Diagnostic, color: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(escape(&diagnostic.message)).id(diagnostic.code.to_string());
    let mut group = Group::with_title(title);
    for (at, place) in places(diagnostic).into_iter().enumerate() {
        group = add_place(group, &place, at == 0);
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(escape(hint)));
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// A place with the label that stands there.
struct Labelled<'a> {
    place: &'a Place,
    label: Option<&'a str>,
}

/// All places of a finding, its own first.
fn places(diagnostic: &Diagnostic) -> Vec<Labelled<'_>> {
    let own = diagnostic.place.iter().map(|place| Labelled { place, label: diagnostic.label.as_deref() });
    let related = diagnostic.related.iter().map(|it| Labelled { place: &it.place, label: Some(&it.label) });
    own.chain(related).collect()
}

fn add_place<'a>(group: Group<'a>, labelled: &Labelled<'_>, is_own: bool) -> Group<'a> {
    let Labelled { place, label } = labelled;
    let origin = || Origin::path(file_of(place)).line(place.line).char_column(place.column);
    let Some((line, marked)) = excerpt(place) else { return group.element(origin()) };
    let is_true_column = line[..marked.start].chars().count() + 1 == place.column;
    let kind = if is_own { AnnotationKind::Primary } else { AnnotationKind::Context };
    let annotation = match label {
        Some(label) => kind.span(marked).label(escape(label)),
        None => kind.span(marked),
    };
    let snippet = Snippet::source(line).line_start(place.line).annotation(annotation);
    // The renderer counts columns in the text that it shows, which is longer than the file's where codes are written out.
    if is_true_column { group.element(snippet.path(file_of(place))) } else { group.element(origin()).element(snippet) }
}

/// One line: `file:line:column: error: message (hint)`.
pub fn plain(diagnostic: &Diagnostic) -> String {
    escape(&diagnostic.to_string())
}

fn file_of(place: &Place) -> String {
    match &place.file {
        Some(file) => escape(&file.display().to_string()),
        None => "built-in registry".to_owned(),
    }
}

/// The line as it may be shown, with the byte range in it to be marked; `None` where the line was cut before the place.
fn excerpt(place: &Place) -> Option<(String, Range<usize>)> {
    let mut shown = String::with_capacity(place.source_line.len());
    let mut marked: Option<Range<usize>> = None;
    let mut n_left = place.span.len();
    for (at, c) in place.source_line.chars().enumerate() {
        let start = shown.len();
        push_escaped(&mut shown, c);
        if at + 1 == place.column {
            marked = Some(start..start);
        }
        if let Some(marked) = &mut marked
            && n_left > 0
        {
            marked.end = shown.len();
            n_left = n_left.saturating_sub(c.len_utf8());
        }
    }
    let is_at_end = place.source_line.chars().count() + 1 == place.column;
    let marked = marked.or_else(|| is_at_end.then_some(shown.len()..shown.len()))?;
    Some((shown, marked))
}

/// The text on one line, with control and invisible characters written out, as in `\u{1b}`.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        push_escaped(&mut escaped, c);
    }
    escaped
}

fn push_escaped(shown: &mut String, c: char) {
    if c == '\t' {
        shown.push(' ');
    } else if super::safe(c.encode_utf8(&mut [0; 4])) == *c.encode_utf8(&mut [0; 4]) {
        shown.push(c);
    } else {
        // What the one sanitizer would replace is spelled out here: a person has to find it in a file. Writing to a string cannot fail.
        let _ = write!(shown, "{}", c.escape_unicode());
    }
}

#[cfg(test)]
mod tests {
    use super::{plain, render};
    use crate::model::{Code, Diagnostic, Place, Severity};

    fn hostile() -> Diagnostic {
        Diagnostic {
            code: Code::BadName,
            severity: Severity::Error,
            service: None,
            message: "bad\u{1b}[2J\nname".to_owned(),
            place: Some(Place {
                file: Some("/tmp/\u{9b}31m.toml".into()),
                line: 7,
                column: 4,
                span: 100..104,
                source_line: "\u{1b}\té\u{202e}ab = 1".to_owned(),
            }),
            label: None,
            related: Vec::new(),
            hint: Some("say \u{7}".to_owned()),
        }
    }

    #[test]
    fn no_code_of_the_file_reaches_the_terminal() {
        let shown = render(&hostile(), false);
        assert!(!shown.chars().any(|c| c != '\n' && c.is_control()), "{shown:?}");
        assert!(!shown.contains('\u{202e}'));
        assert!(shown.contains("\\u{1b}[2J\\u{a}name"), "{shown}");
        let line = plain(&hostile());
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(line.starts_with("/tmp/\\u{9b}31m.toml:7:4: error: bad"), "{line}");
    }

    #[test]
    fn the_mark_stands_below_what_is_meant() {
        let mut found = hostile();
        found.place.as_mut().unwrap().source_line = "é\u{1b}: beta = 1".to_owned();
        found.place.as_mut().unwrap().column = 5;
        let shown = render(&found, false);
        let lines: Vec<&str> = shown.lines().collect();
        let source = lines.iter().position(|line| line.contains("beta")).unwrap();
        let column = |line: &str, what: &str| line[..line.find(what).unwrap()].chars().count();
        assert_eq!(column(lines[source], "beta"), column(lines[source + 1], "^^^^"), "{shown}");
    }

    #[test]
    fn a_place_beyond_the_shown_part_of_a_line_is_only_named() {
        let mut found = hostile();
        found.place.as_mut().unwrap().column = 5000;
        let shown = render(&found, false);
        assert!(shown.contains(":7:5000") && !shown.contains("ab = 1"), "{shown}");
    }

    #[test]
    fn colour_is_only_there_when_asked_for() {
        assert!(render(&hostile(), true).contains("\u{1b}["));
        assert!(!render(&hostile(), false).contains('\u{1b}'));
    }
}
