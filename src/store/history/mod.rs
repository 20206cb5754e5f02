//! The health history of each service, `state/history/<service>.health`: one bounded file that any face opens in an instant.
//!
//! ```text
//! header │ ring of 8,640 samples, 16 bytes each │ ring of 192 hours, 360 bytes each
//! ```
//!
//! - A day of samples at one probe in 10 s, each with its own checksum. The sequence number says where the ring's end is.
//! - Totals of the hours of a week, by which uptime, p95 and flaps are known without reading samples. They are written now and then, and
//!   say up to which sample they count; what follows is counted again from the samples. So whatever dies between two writes loses nothing.
//! - Nothing is moved or renamed to write: a torn write, a flipped bit or a missing end costs the entries that it hits. What is no history
//!   at all is set aside and begun anew.
//!
//! Only the leader writes. Everybody may read at any time: an entry that is just being written fails its checksum, and is left out.

mod file;
mod format;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::{Past, read, samples};
pub use write::Histories;
