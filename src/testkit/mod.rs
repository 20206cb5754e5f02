//! Fakes, builders and fixtures for tests; never part of a release.

pub mod builders;
pub mod fixture;
pub mod world;
