//! The pure core: per-service machine, admission, back-off, health streaks, plans and explanations. No I/O, no async, no clock.

pub mod admission;
pub mod backoff;
pub mod explain;
#[cfg(test)]
pub(crate) mod fixture;
pub mod gap;
pub mod machine;
pub mod plan;
pub mod recovery;
pub mod sampling;
pub mod streak;
