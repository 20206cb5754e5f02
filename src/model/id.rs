//! The name of a service, checked once.

use std::fmt;
use std::sync::Arc;

/// The longest name, in bytes.
const MAX_LENGTH: usize = 64;

/// A service's name: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
///
/// Names become file names, labels and arguments, so the rule is checked here once and holds everywhere else.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(Arc<str>);

/// A text that cannot name a service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is not a service name: use 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"
)]
pub struct InvalidName {
    /// What was given.
    pub name: String,
}

impl ServiceId {
    /// Checks `name` against the rule.
    ///
    /// # Errors
    /// [`InvalidName`] when it is empty, longer than 64 bytes, or holds another character.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        let mut bytes = name.bytes();
        let starts_well = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
        let goes_on_well = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if starts_well && goes_on_well && name.len() <= MAX_LENGTH {
            Ok(Self(name.into()))
        } else {
            Err(InvalidName { name: name.to_owned() })
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for ServiceId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for ServiceId {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        Self::new(name)
    }
}

#[cfg(test)]
mod tests {
    use super::ServiceId;

    #[test]
    fn names_of_the_guide_are_accepted() {
        for name in ["orchestrator", "control-center", "oci-registry", "a", "9.x_y-z"] {
            assert!(ServiceId::new(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn names_that_could_leave_a_directory_or_reach_a_terminal_are_refused() {
        let too_long = "a".repeat(65);
        for name in ["", "../x", "a/b", "-rf", ".", ".hidden", "con\u{1b}[2J", "é", "a b", too_long.as_str()] {
            assert!(ServiceId::new(name).is_err(), "{name:?}");
        }
    }
}
