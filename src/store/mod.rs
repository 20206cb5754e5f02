//! Files below `~/.provisioning/services`: where they are, what is in them, and how they are written (aside, then renamed). No policy.

mod layout;

pub use layout::{Layout, SERVICES_DIR_VARIABLE};
