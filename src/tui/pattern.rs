//! What is looked for in a log: a regular expression, or plain text where it is none.

use std::ops::Range;

use regex::{Regex, RegexBuilder};

/// Memory that a compiled expression may take, so that no slip of a finger costs more than that.
const MAX_COMPILED: usize = 1 << 20;

/// Something to look for.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    text: String,
    /// `None` for what is too large to be looked for; matches nothing.
    regex: Option<Regex>,
    /// Whether it is no regular expression, and is taken letter by letter.
    pub(crate) is_plain: bool,
}

impl Pattern {
    /// Reads what was typed; `None` for nothing. A capital letter makes case matter.
    pub(crate) fn parse(typed: &str) -> Option<Self> {
        if typed.is_empty() {
            return None;
        }
        let minds_case = has_capital(typed);
        let regex = compile(typed, minds_case);
        let is_plain = regex.is_none();
        let regex = regex.or_else(|| compile(&regex::escape(typed), minds_case));
        Some(Self { text: typed.to_owned(), regex, is_plain })
    }

    /// As it was typed.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn matches(&self, line: &str) -> bool {
        self.regex.as_ref().is_some_and(|regex| regex.is_match(line))
    }

    /// Where it is in a line, as far as there is something to see.
    pub(crate) fn ranges(&self, line: &str) -> Vec<Range<usize>> {
        let found = self.regex.iter().flat_map(|regex| regex.find_iter(line));
        found.map(|found| found.range()).filter(|range| !range.is_empty()).collect()
    }
}

fn compile(expression: &str, minds_case: bool) -> Option<Regex> {
    RegexBuilder::new(expression).case_insensitive(!minds_case).size_limit(MAX_COMPILED).build().ok()
}

/// Whether a capital letter is looked for; that of a class such as `\S` is not.
fn has_capital(typed: &str) -> bool {
    let mut letters = typed.chars();
    while let Some(letter) = letters.next() {
        if letter == '\\' {
            letters.next();
        } else if letter.is_uppercase() {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[track_caller]
    fn check(typed: &str, line: &str, matches: bool) {
        let pattern = Pattern::parse(typed).unwrap();
        assert_eq!(pattern.matches(line), matches, "{typed:?} in {line:?}");
    }

    #[test]
    fn case_matters_only_when_a_capital_letter_was_typed() {
        check("error", "an ERROR came", true);
        check("Error", "an ERROR came", false);
        check("ERROR", "an ERROR came", true);
        check(r"\S+=\D", "a=b", true);
        check(r"id=\S+x", "ID=abcX", true);
    }

    #[test]
    fn what_is_no_expression_is_taken_letter_by_letter() {
        check("took=(3", "took=(3ms)", true);
        check("took=(3", "took=3ms", false);
        assert!(Pattern::parse("took=(3").unwrap().is_plain);
        assert!(!Pattern::parse("took=3").unwrap().is_plain);
        assert!(Pattern::parse("").is_none());
    }

    #[test]
    fn an_expression_that_would_take_much_memory_is_refused_and_costs_nothing() {
        let pattern = Pattern::parse("(a{1000}){1000}").unwrap();
        assert!(pattern.is_plain && !pattern.matches("aaaa"));
    }

    #[test]
    fn matches_that_nobody_could_see_are_left_out() {
        assert_eq!(Pattern::parse("a*").unwrap().ranges("baabaa"), [1..3, 4..6]);
        assert_eq!(Pattern::parse("é").unwrap().ranges("caféé"), [3..5, 5..7]);
    }
}
