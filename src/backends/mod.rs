//! The modes a service can run in, one adapter each.

pub mod binary;
mod by_mode;

pub use by_mode::ByMode;
