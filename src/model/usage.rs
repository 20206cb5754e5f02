//! What an instance uses of its machine.

use std::time::Duration;

/// What all processes of an instance use, together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Processor time since it began; of two looks, the difference tells the share.
    pub processor: Duration,
    /// Memory at this moment, in bytes: what would be free without it, as far as that can be told cheaply.
    pub memory: u64,
}
