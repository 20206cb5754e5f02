//! What of a log is looked for, and what alone is shown: numbers of entries, kept up as entries come and go, so that no line is looked at
//! twice for one pattern.

use std::collections::VecDeque;

use crate::tui::feed::LogEntry;
use crate::tui::pattern::Pattern;

/// Numbers of entries, ascending. A number stays an entry's own, however many come before it or are forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Numbers(VecDeque<usize>);

impl Numbers {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, place: usize) -> Option<usize> {
        self.0.get(place).copied()
    }

    pub(crate) fn first(&self) -> Option<usize> {
        self.0.front().copied()
    }

    pub(crate) fn last(&self) -> Option<usize> {
        self.0.back().copied()
    }

    /// How many are smaller, which is the place of `number` if it is there.
    pub(crate) fn n_before(&self, number: usize) -> usize {
        self.0.partition_point(|it| *it < number)
    }

    pub(crate) fn push_back(&mut self, number: usize) {
        self.0.push_back(number);
    }

    pub(crate) fn push_front(&mut self, number: usize) {
        self.0.push_front(number);
    }

    /// Forgets those smaller than `number`, and says how many these were.
    pub(crate) fn forget_before(&mut self, number: usize) -> usize {
        let n_forgotten = self.n_before(number);
        self.0.drain(..n_forgotten);
        n_forgotten
    }
}

/// What alone is shown.
#[derive(Debug, Clone)]
pub(crate) struct LogFilter {
    pub(crate) pattern: Pattern,
    /// Whether those lines are shown that do not match.
    pub(crate) is_inverse: bool,
    pub(crate) shown: Numbers,
}

impl LogFilter {
    /// Reads `pattern` or `!pattern`; `None` where all lines are wanted.
    pub(crate) fn parse(typed: &str) -> Option<Self> {
        let (is_inverse, pattern) = match typed.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, typed),
        };
        Some(Self { pattern: Pattern::parse(pattern)?, is_inverse, shown: Numbers::default() })
    }

    /// As it was typed.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", if self.is_inverse { "!" } else { "" }, self.pattern.text())
    }

    /// What the reader has to know, such as why the log cannot be read, is never hidden.
    pub(crate) fn accepts(&self, entry: &LogEntry) -> bool {
        text_of(entry).is_none_or(|text| self.pattern.matches(text) != self.is_inverse)
    }
}

/// What is looked for among the lines that are shown.
#[derive(Debug, Clone)]
pub(crate) struct LogSearch {
    pub(crate) pattern: Pattern,
    /// The lines that have it.
    pub(crate) hits: Numbers,
    /// The one that was gone to last.
    pub(crate) current: Option<usize>,
}

impl LogSearch {
    pub(crate) fn parse(typed: &str) -> Option<Self> {
        Some(Self { pattern: Pattern::parse(typed)?, hits: Numbers::default(), current: None })
    }

    pub(crate) fn finds(&self, entry: &LogEntry) -> bool {
        text_of(entry).is_some_and(|text| self.pattern.matches(text))
    }

    pub(crate) fn forget_before(&mut self, number: usize) {
        self.hits.forget_before(number);
        self.current = self.current.filter(|current| *current >= number);
    }
}

/// Which way to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Towards {
    Newer,
    Older,
}

/// What is typed below a log, and what was there before.
#[derive(Debug, Clone)]
pub(crate) struct LogPrompt {
    pub(crate) kind: PromptKind,
    pub(crate) text: String,
    /// What was looked for, or shown alone, before.
    pub(crate) text_before: String,
    /// The entry at the top before; none while following.
    pub(crate) top_before: Option<usize>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PromptKind {
    Search,
    Filter,
}

/// What a pattern is held against.
fn text_of(entry: &LogEntry) -> Option<&str> {
    match entry {
        LogEntry::Line { text, .. } | LogEntry::Mark { text, .. } => Some(text),
        LogEntry::Note(_) => None,
    }
}
