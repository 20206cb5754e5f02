//! What several test modules share.

#[cfg(feature = "docker")]
pub(crate) mod engine;
pub(crate) mod home;
pub(crate) mod program;
