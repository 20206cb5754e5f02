//! Fakes, builders and fixtures for tests.

pub mod fixture;
