//! The modes a service can run in, one adapter each.

pub mod binary;
mod by_mode;
#[cfg(feature = "docker")]
mod containers;
#[cfg(feature = "docker")]
pub mod docker;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
#[cfg(any(feature = "docker", feature = "kubernetes"))]
mod lock;

pub use by_mode::ByMode;
