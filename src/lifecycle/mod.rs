//! The pure core: per-service machine, back-off, health streaks, plans and explanations. No I/O, no async, no clock.

pub mod backoff;
pub mod explain;
#[cfg(test)]
pub(crate) mod fixture;
pub mod plan;
pub mod streak;
