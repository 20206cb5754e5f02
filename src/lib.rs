//! One lifecycle engine for a platform's services, and its two faces: the console and the command line.
//!
//! Arrows point one way: `model <- graph <- lifecycle, preflight <- engine <- store, host, backends, health, logs`;
//! `tui` and `cli` lean on [`engine::handle`] and [`report`], and [`app`] puts everything together.
//! `ARCHITECTURE.md` says what each module owns and what it must not know; `tests/it/architecture.rs` holds the code to it.

pub mod app;
pub mod backends;
pub mod cli;
pub mod config;
pub mod demo;
pub mod engine;
pub mod graph;
pub mod health;
pub mod host;
pub mod lifecycle;
pub mod logs;
pub mod model;
mod net;
pub mod preflight;
pub mod report;
pub mod shim;
pub mod store;
pub mod supervise;
#[cfg(test)]
pub mod testkit;
pub mod tui;
