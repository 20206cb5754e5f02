//! What is remembered of a service's health: single samples, totals of hours, and what both say.
//!
//! Pure values: whoever looks makes [`Sample`]s, [`HealthHistory`] takes them in, `store::history` keeps them on the disk. One rule
//! (`span`) says for how long a sample speaks, and the totals in memory and on the disk are both made by it.

mod health_history;
mod hour;
mod latencies;
#[cfg(test)]
mod property_test;
mod sample;
mod span;
mod statistics;

pub use health_history::{Cell, HISTORY_LENGTH, HealthHistory};
pub use hour::{HOUR, HOURS_KEPT, Hour, Hours, hour_of};
pub use latencies::{Latencies, N_BUCKETS};
pub use sample::{MAX_LATENCY, Sample, Seen, Sighting, Standing, Turn};
pub use span::gap_after;
pub use statistics::{Statistics, Window};
