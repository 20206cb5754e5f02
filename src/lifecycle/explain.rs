//! Why a service is not green, in one sentence.

use std::time::Instant;

use crate::model::{ServiceSnapshot, Snapshot};

/// One sentence for every service that is not green: what it waits for, since when, which attempt, the last probe's answer, when the
/// next attempt comes, what will start it again. `None` for a service that is as it should be.
pub fn explain(_service: &ServiceSnapshot, _snapshot: &Snapshot, _now: Instant) -> Option<String> {
    None
}
