//! Integration tests: the pieces together, and the real executables.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy's own exception for tests covers functions marked as tests, not what they share"
)]

mod architecture;
mod campaign;
mod cli;
#[cfg(feature = "docker")]
mod compose;
mod config;
mod demo;
#[cfg(feature = "docker")]
mod docker;
mod doctor;
mod edits;
mod examples;
mod faults;
#[cfg(all(feature = "docker", feature = "kubernetes", feature = "remote"))]
mod five_modes;
mod fuzz;
mod kills;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod process;
mod pty;
mod pty_log;
mod pty_registry;
#[cfg(feature = "remote")]
mod remote;
mod requirements;
mod schema;
mod supervise;
mod support;
