//! From facts to findings.

use super::{Facts, Finding};
use crate::model::ServiceSpec;

/// Judges everything that is known about a start: findings in the order prerequisites, conflicts, dependencies (R168), good ones
/// included, so that the check process can be shown (O15).
pub fn judge(_spec: &ServiceSpec, _facts: &Facts) -> Vec<Finding> {
    Vec::new()
}
