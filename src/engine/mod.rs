//! The engine: observes, decides, acts, observes again. Knows no adapter, no file format and no face.
//!
//! One supervisor task owns the registry and the published snapshot, one actor task per service owns its machine and its probe
//! timer, and one task drives each operation. They share no memory. See `ARCHITECTURE.md` for the picture.

pub mod handle;
pub mod operation;
pub mod ports;
