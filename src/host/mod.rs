//! What this machine runs: process identities and trees.

pub mod process;
