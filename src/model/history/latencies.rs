//! How long probes took, in little room: a histogram that is fine where latencies are small.

use std::time::Duration;

/// How many buckets there are: below 128 µs each is 16 µs wide, above that each doubling is divided into eight, up to 67 s. So a value is
/// known to an eighth of itself.
pub const N_BUCKETS: usize = 160;

/// The microseconds from which on buckets grow: 2⁷.
const LINEAR_BITS: u32 = 7;

/// Into how many parts a doubling is divided: 2³.
const PART_BITS: u32 = 3;

/// A histogram of latencies. Most services answer within few buckets, so only those that are not empty are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Latencies {
    /// Buckets with their counts, in order.
    buckets: Vec<(u8, u16)>,
    /// The longest, in microseconds.
    longest: u32,
}

impl Latencies {
    /// Of stored counts by bucket, and the longest in microseconds.
    pub fn from_counts(counts: impl IntoIterator<Item = u16>, longest: u32) -> Self {
        let numbered = counts.into_iter().take(N_BUCKETS).zip(0..=u8::MAX);
        Self {
            buckets: numbered.filter(|(count, _)| *count > 0).map(|(count, bucket)| (bucket, count)).collect(),
            longest,
        }
    }

    /// Buckets that are not empty, in order, with their counts.
    pub fn counts(&self) -> impl Iterator<Item = (u8, u16)> {
        self.buckets.iter().copied()
    }

    /// The longest latency, in microseconds; 0 when there is none.
    pub fn longest_micros(&self) -> u32 {
        self.longest
    }

    /// Counts one.
    pub fn add(&mut self, latency: Duration) {
        let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        self.longest = self.longest.max(micros);
        self.add_many(bucket_of(micros), 1);
    }

    /// Counts all of another one.
    pub fn merge(&mut self, other: &Self) {
        self.longest = self.longest.max(other.longest);
        for &(bucket, count) in &other.buckets {
            self.add_many(bucket, count);
        }
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// The latency that 95 % of them stay at or below: at most an eighth (or 16 µs) more than the exact one, never less. `None` when there
    /// is none.
    pub fn p95(&self) -> Option<Duration> {
        let rank = (self.count() * 95).div_ceil(100);
        let mut seen = 0;
        let bucket = self.buckets.iter().find_map(|(bucket, count)| {
            seen += u64::from(*count);
            (seen >= rank).then_some(*bucket)
        })?;
        Some(Duration::from_micros(u64::from(upper_bound(bucket).min(self.longest))))
    }

    fn add_many(&mut self, bucket: u8, n: u16) {
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(n),
            Err(at) => self.buckets.insert(at, (bucket, n)),
        }
    }
}

fn bucket_of(micros: u32) -> u8 {
    let bits = u32::BITS - micros.leading_zeros();
    let bucket = if bits <= LINEAR_BITS {
        micros >> (LINEAR_BITS - PART_BITS)
    } else {
        let doubling = bits - LINEAR_BITS;
        let part = (micros >> (bits - 1 - PART_BITS)) & ((1 << PART_BITS) - 1);
        (doubling << PART_BITS) + part
    };
    u8::try_from(bucket).unwrap_or(u8::MAX).min(LAST_BUCKET)
}

/// The last bucket also holds what is longer.
const LAST_BUCKET: u8 = 159;

/// The largest value of a bucket, in microseconds.
fn upper_bound(bucket: u8) -> u32 {
    if bucket >= LAST_BUCKET {
        return u32::MAX;
    }
    let (doubling, part) = (u32::from(bucket) >> PART_BITS, u32::from(bucket) & ((1 << PART_BITS) - 1));
    if doubling == 0 {
        ((part + 1) << (LINEAR_BITS - PART_BITS)) - 1
    } else {
        (((1 << PART_BITS) + part + 1) << (doubling + LINEAR_BITS - 1 - PART_BITS)) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::{LAST_BUCKET, Latencies, N_BUCKETS, bucket_of, upper_bound};
    use std::time::Duration;

    #[test]
    fn buckets_follow_one_another_without_a_hole() {
        assert_eq!(usize::from(LAST_BUCKET) + 1, N_BUCKETS);
        for bucket in 0..LAST_BUCKET {
            assert_eq!(bucket_of(upper_bound(bucket)), bucket, "{bucket}");
            assert_eq!(bucket_of(upper_bound(bucket) + 1), bucket + 1, "after {bucket}");
        }
        assert_eq!(bucket_of(u32::MAX), LAST_BUCKET);
    }

    #[test]
    fn a_steady_latency_is_its_own_p95() {
        let mut latencies = Latencies::default();
        for _ in 0..100 {
            latencies.add(Duration::from_millis(15));
        }
        assert_eq!(latencies.p95(), Some(Duration::from_millis(15)));
        assert_eq!(Latencies::default().p95(), None);
    }
}
