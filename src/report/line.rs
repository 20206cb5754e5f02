//! One line that is about to be printed, and where it goes.

use super::text::safe;

/// Where a line goes (R203, A68).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output: what was asked for.
    Results,
    /// Standard error: refusals, failures, usage.
    Errors,
}

/// A line without its end; harmless on a terminal, since only this module makes lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    stream: Stream,
    text: String,
}

impl Line {
    /// A line for standard output.
    pub fn result(text: impl AsRef<str>) -> Self {
        Self { stream: Stream::Results, text: safe(text.as_ref()).into_owned() }
    }

    /// A line for standard error.
    pub fn error(text: impl AsRef<str>) -> Self {
        Self { stream: Stream::Errors, text: safe(text.as_ref()).into_owned() }
    }

    /// The same line, two spaces to the right: it belongs to the line above (A1).
    #[must_use]
    pub fn indented(self) -> Self {
        Self { text: format!("  {}", self.text), ..self }
    }

    /// Where it goes.
    pub fn stream(&self) -> Stream {
        self.stream
    }

    /// What it says.
    pub fn text(&self) -> &str {
        &self.text
    }
}
