//! What several test modules share.

#[cfg(feature = "tls")]
pub(crate) mod authority;
pub(crate) mod campaign;
pub(crate) mod dice;
#[cfg(feature = "docker")]
pub(crate) mod engine;
pub(crate) mod home;
pub(crate) mod program;
pub(crate) mod sources;
pub(crate) mod terminal;
