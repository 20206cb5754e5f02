//! What a check found, in the words of M3, M13, M16, M20 and M22.

use std::fmt;

/// The three check types, in the order in which they run (R168).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CheckKind {
    /// Binary, working directory, port, engine.
    Prerequisites,
    /// Nothing that conflicts runs.
    Conflicts,
    /// Every dependency runs, or can be started.
    Dependencies,
}

impl fmt::Display for CheckKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Prerequisites => "prerequisites",
            Self::Conflicts => "conflicts",
            Self::Dependencies => "dependencies",
        })
    }
}

/// Whether a finding stands in the way of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// As it should be.
    Passed,
    /// The start is refused.
    Failed,
    /// Worth knowing; the start goes on.
    Warning,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which of the three checks it belongs to.
    pub check: CheckKind,
    /// Whether it stands in the way.
    pub verdict: Verdict,
    /// The sentence, without icon: `Binary found: /usr/bin/true`.
    pub message: String,
    /// What to do about it, for findings that are not passed.
    pub remedy: Option<String>,
}
