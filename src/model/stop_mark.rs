//! What tells one stop that a person asked for from another.

use std::num::NonZeroU64;

/// The newest stop of a service, by whoever: two that are equal are the same stop. Says nothing about when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StopMark(NonZeroU64);

impl StopMark {
    /// Of this number; 0 is none.
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// Its number.
    pub fn number(self) -> u64 {
        self.0.get()
    }
}
