//! What this machine tells: who listens where, which programs and units run. Reads `/proc` and cgroups only; holds no policy, calls no
//! program, changes nothing.

mod names;
mod ports;
mod system;

pub use system::System;
