//! Fakes and builders for tests; never part of a release.

pub mod builders;
pub mod world;
