//! What a look at the machine and at all services found.

use crate::report::Diagnosis;

/// The newest look, asked for by the person; nothing is looked at by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PreflightState {
    /// Counts the looks, so that the answer of an earlier one is dropped.
    pub(crate) round: u64,
    /// Whether the newest look has not answered yet.
    pub(crate) is_looking: bool,
    /// What was found last, which stays on the screen while somebody looks again.
    pub(crate) found: Option<Diagnosis>,
}
