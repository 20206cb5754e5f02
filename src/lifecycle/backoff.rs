//! When a service that died is started again. Std only: the shim uses it too.

use std::time::Duration;

/// A run this long counts as stable: the next death is answered at once, and the count of restarts begins anew.
pub const STABLE_RUN: Duration = Duration::from_secs(10);

/// The longest delay.
pub const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// The delay before a restart: none after a stable run, then 1, 2, 4 … s up to [`LONGEST_DELAY`].
///
/// `failures` is the number of unstable runs in a row, the one that just ended included; 0 after a stable run.
pub fn delay(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(exponent) => Duration::from_secs(1_u64.checked_shl(exponent).unwrap_or(u64::MAX)).min(LONGEST_DELAY),
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_DELAY, delay};

    #[test]
    fn delays_double_up_to_the_longest() {
        let seconds: Vec<u64> = (0..9).map(|failures| delay(failures).as_secs()).collect();
        assert_eq!(seconds, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(delay(u32::MAX), LONGEST_DELAY);
    }
}
