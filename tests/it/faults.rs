//! `tests/faults.toml`.
