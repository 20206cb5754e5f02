//! What is wrong in a file, where, and what to do: the same object in command, console and JSON.

use std::fmt;
use std::path::PathBuf;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The service, or the file, is set aside.
    Error,
    /// It works, but probably not as meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

macro_rules! codes {
    ($($(#[$meta:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// What kind of finding it is; stable, for scripts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[$meta])* $variant),+ }

        impl fmt::Display for Code {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $text),+ })
            }
        }
    };
}

codes! {
    /// The file cannot be read.
    Unreadable = "unreadable",
    /// Somebody else could have written the file.
    Untrusted = "untrusted",
    /// The text is not TOML.
    Syntax = "syntax",
    /// A key that the schema does not know.
    UnknownKey = "unknown-key",
    /// A key that must be there is not.
    MissingKey = "missing-key",
    /// A value of another type.
    WrongType = "wrong-type",
    /// A value outside the allowed set or range.
    NotAllowed = "not-allowed",
    /// A name that cannot name a service, or that differs from its key.
    BadName = "bad-name",
    /// `${NAME}` where no such variable is set.
    UnsetVariable = "unset-variable",
    /// A dependency that is not registered.
    UnknownDependency = "unknown-dependency",
    /// A circle of dependencies.
    Cycle = "cycle",
    /// Two services, or two keys, that want the same thing.
    Duplicate = "duplicate",
    /// Two values that contradict each other.
    Contradiction = "contradiction",
    /// It depends on a service that was set aside.
    DependencySetAside = "dependency-set-aside",
    /// A file that a service needs is not there.
    MissingFile = "missing-file",
}

/// Where in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file; `None` for the built-in registry.
    pub file: Option<PathBuf>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The byte range of the offending text in the file.
    pub span: std::ops::Range<usize>,
    /// The line itself, without its end.
    pub source_line: String,
}

/// A further place that belongs to a finding, and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// Where.
    pub place: Place,
    /// A few words: `the first is here`.
    pub label: String,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// The service's key, where it belongs to one; as written, so possibly no valid name.
    pub service: Option<String>,
    /// What is wrong: a fragment with the offending text, without a final stop.
    pub message: String,
    /// Where; `None` when the whole file is meant.
    pub place: Option<Place>,
    /// A few words that stand at the place, where the message needs them to be understood.
    pub label: Option<String>,
    /// Further places that belong to it, such as the other edges of a circle, in the order in which they are best read.
    pub related: Vec<Related>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Diagnostic {
    /// The plain form: `file:line:column: error: message (hint)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            match &place.file {
                Some(file) => write!(f, "{}:{}:{}: ", file.display(), place.line, place.column)?,
                None => write!(f, "built-in registry:{}:{}: ", place.line, place.column)?,
            }
        }
        write!(f, "{}: {}", self.severity, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}
