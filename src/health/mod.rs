//! Health probes: one attempt, one result. How often to ask, and what a row of answers means, is decided elsewhere
//! ([`crate::lifecycle::streak`]).
//!
//! A failure of the service is an answer. A failure of ours (no descriptor left, no process to be had) is none, and says so.

mod command;
mod file;
mod http;
mod prober;
mod tcp;

pub use prober::{MAX_IN_FLIGHT, Prober};
