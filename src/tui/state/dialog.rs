//! What lies above the screen and takes the keys.

use super::PaletteState;
use crate::engine::operation::{Request, Step};

/// One thing above the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dialog {
    /// The keys, scrolled down by that many rows.
    Help { scroll: usize },
    /// Something to read.
    Message { title: String, lines: Vec<String> },
    /// Something to decide.
    Question(Question),
    /// What an edit of the registry changed, or what is wrong with it, scrolled down by that many rows.
    Registry { scroll: usize },
    /// Every command, by its name.
    Palette(PaletteState),
    /// Themes, tried on as the cursor goes; the name of the one before.
    Themes { before: String },
    /// What keeps services from starting or surviving, scrolled down by that many rows.
    Preflight { scroll: usize },
}

/// A question and what each answer does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) title: String,
    /// What breaks, or why it is asked.
    pub(crate) lines: Vec<String>,
    /// What would happen, in its order.
    pub(crate) steps: Vec<Step>,
    /// The command line that does the same.
    pub(crate) command: Option<String>,
    pub(crate) confirm: Option<Answer>,
    pub(crate) force: Option<Answer>,
}

/// What an answer does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Begin this.
    Begin(Request),
    /// Write the built-in registry to a file, and edit that.
    WriteBuiltIn,
    /// Leave the console.
    Quit,
}
