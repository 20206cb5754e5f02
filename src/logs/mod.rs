//! What services say: read by position, followed across rotations, and cleaned before it reaches a terminal. And what we say ourselves.
//!
//! Files hold bytes as the services wrote them; nothing here changes them. Whatever shows text from outside, wherever it came from,
//! passes it through [`sanitize`] first.

mod file;
mod follow;
mod inotify;
mod sanitize;
mod source;
pub mod tracing;

pub use file::{Line, LineEnd, LogFile, MAX_LINE, tail};
pub use follow::{Follower, StartAt};
pub use sanitize::{Tabs, escape_json, sanitize, sanitize_str};
pub use source::{AllLogs, FileLogs};

/// Whether a line is the separator that a start leaves in a log (A35).
pub fn is_start_marker(line: &Line) -> bool {
    crate::store::marker::is_start(&line.bytes)
}
