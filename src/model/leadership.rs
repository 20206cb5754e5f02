//! Who acts on its own in a home.

use std::fmt;
use std::path::PathBuf;

/// Who leads, as one who looks sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Leadership {
    /// The one who looks.
    Here,
    /// Somebody else.
    Another(Leader),
    /// Nobody: what a leader does waits until there is one.
    #[default]
    Nobody,
}

/// The one who leads a home. What is not proven is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leader {
    /// What it is.
    pub kind: Option<LeaderKind>,
    /// Its process.
    pub pid: Option<u32>,
    /// The registry it leads by; `None` for the built-in one, and when it is not known.
    pub registry: Option<PathBuf>,
}

/// What can lead a home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaderKind {
    /// The engine without a face, which goes before all others.
    Supervise,
    /// A console, while it is open.
    Console,
    /// `services monitor`, while it runs.
    Monitor,
}

impl LeaderKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Supervise, Self::Console, Self::Monitor];

    /// Its word, in files and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Supervise => "supervise",
            Self::Console => "console",
            Self::Monitor => "monitor",
        }
    }

    /// The kind of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for LeaderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Leader {
    /// `supervise (PID 4711)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.map_or("somebody", LeaderKind::as_str))?;
        match self.pid {
            Some(pid) => write!(f, " (PID {pid})"),
            None => Ok(()),
        }
    }
}
