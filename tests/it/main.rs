//! Integration tests: the pieces together, and the real executables.

mod architecture;
mod process;
mod support;
