//! Integration tests: the pieces together, and the real executables.

mod architecture;
mod config;
mod process;
mod support;
