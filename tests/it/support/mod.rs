//! What several test modules share.

pub(crate) mod home;
pub(crate) mod program;
