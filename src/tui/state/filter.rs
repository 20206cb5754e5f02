//! The filter of the board: words that all have to match.

use crate::model::{Health, ServiceSnapshot};

/// A parsed filter: every term has to match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Filter {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    is_negated: bool,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// A part of the name or category, or letters of the name in this order.
    Text(String),
    /// `is:failed`, `is:unhealthy`.
    Is(String),
    /// `cat:dns`.
    Category(String),
    /// `mode:docker`.
    Mode(String),
}

impl Filter {
    /// Reads `word !word is:failed cat:dns mode:binary`.
    pub(crate) fn parse(text: &str) -> Self {
        let terms = text.split_whitespace().filter_map(|word| {
            let word = word.to_lowercase();
            let (is_negated, word) = match word.strip_prefix('!') {
                Some(rest) => (true, rest.to_owned()),
                None => (false, word),
            };
            if word.is_empty() {
                return None;
            }
            let test = match word.split_once(':') {
                Some(("is", what)) => Test::Is(what.to_owned()),
                Some(("cat", what)) => Test::Category(what.to_owned()),
                Some(("mode", what)) => Test::Mode(what.to_owned()),
                Some(_) | None => Test::Text(word),
            };
            Some(Term { is_negated, test })
        });
        Self { terms: terms.collect() }
    }

    pub(crate) fn matches(&self, service: &ServiceSnapshot) -> bool {
        self.terms.iter().all(|term| term.test.holds(service) != term.is_negated)
    }
}

impl Test {
    fn holds(&self, service: &ServiceSnapshot) -> bool {
        match self {
            Self::Text(part) => {
                let name = service.id().as_str().to_lowercase();
                name.contains(part) || service.spec.category.as_str().contains(part) || is_subsequence(part, &name)
            }
            // A beginning is enough, so that the list does not go empty while the word is being typed.
            Self::Is(what) => {
                let health = service.health();
                service.kind().to_string().starts_with(what)
                    || (health != Health::Unknown && health.to_string().starts_with(what))
            }
            Self::Category(what) => service.spec.category.as_str().starts_with(what),
            Self::Mode(what) => service.spec.deployment.mode().as_str().starts_with(what),
        }
    }
}

/// Whether the letters of `part` occur in `text` in this order, the first one at its beginning: anything looser finds too much.
fn is_subsequence(part: &str, text: &str) -> bool {
    let mut letters = text.chars();
    part.chars().next() == text.chars().next() && part.chars().all(|wanted| letters.any(|letter| letter == wanted))
}
