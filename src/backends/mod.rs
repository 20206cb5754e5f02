//! The modes a service can run in, one adapter each.

pub mod binary;
