//! The modes a service can run in, one adapter each.

pub mod binary;
mod by_mode;
#[cfg(feature = "docker")]
pub mod compose;
#[cfg(feature = "docker")]
mod containers;
#[cfg(feature = "docker")]
pub mod docker;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
#[cfg(any(feature = "docker", feature = "kubernetes"))]
mod lock;
#[cfg(feature = "remote")]
pub mod remote;

pub use by_mode::ByMode;
