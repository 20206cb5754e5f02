//! What this machine tells: process identities and trees, who listens where, which programs and units run. Reads `/proc` and cgroups
//! only; holds no policy and calls no program of its own accord: `group` is for those that do.

pub mod descriptors;
mod free_ports;
pub mod group;
mod names;
mod ports;
pub mod process;
mod survey;
mod system;
pub mod usage;

pub use free_ports::free_ports;
pub use survey::Places;
pub use system::System;
