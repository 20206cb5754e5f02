//! What stands where in the file, and how an entry is checked. Little endian. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::model::ProbeVerdict;
use crate::model::history::{Hour, Latencies, MAX_LATENCY, N_BUCKETS, Sample, Seen, Sighting, Standing, Turn};
use crate::store::state::unix_millis;

/// The version of all of this. It goes into every checksum, so that no entry of another version is ever taken for one of this.
const VERSION: u32 = 1;

/// The header: what it is, the version, the sizes, a checksum.
pub(super) const HEADER: usize = 32;

const MAGIC: &[u8; 8] = b"PVHEALTH";

/// The length of a sample, in bytes.
pub(super) const SAMPLE: usize = 16;

/// How many samples there is room for: a day of one in 10 s.
pub(super) const N_SAMPLES: u32 = 24 * 360;

/// The length of an hour's totals, in bytes.
pub(super) const ROW: usize = 360;

/// How many hours there is room for: a week, and a day more, so that a clock that is a little wrong overwrites nothing that counts.
pub(super) const N_ROWS: u32 = 8 * 24;

/// Where the samples begin.
const SAMPLES_AT: u64 = 4096;

/// Where the hours begin.
pub(super) const ROWS_AT: u64 = SAMPLES_AT + SAMPLE as u64 * N_SAMPLES as u64;

/// The length of a whole file. It is sparse until it is full.
pub(super) const LENGTH: u64 = ROWS_AT + ROW as u64 * N_ROWS as u64;

/// The highest sequence number that fits: 65,536 rounds, centuries at one sample a second.
pub(super) const LAST_SEQUENCE: u32 = N_SAMPLES * 65_536 - 1;

/// Where the sample with that sequence number stands.
pub(super) fn sample_at(sequence: u32) -> u64 {
    SAMPLES_AT + u64::from(sequence % N_SAMPLES) * SAMPLE as u64
}

/// Where that hour's totals stand.
pub(super) fn row_at(hour: u32) -> u64 {
    ROWS_AT + u64::from(hour % N_ROWS) * ROW as u64
}

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Header {
    /// A file of this version.
    Ours,
    /// A sound header of another version.
    Other(u32),
    /// None that can be understood.
    Damaged,
}

/// The header of this version.
pub(super) fn header() -> [u8; HEADER] {
    header_of(VERSION)
}

/// A header of any version.
pub(super) fn header_of(version: u32) -> [u8; HEADER] {
    let sizes = [version, SAMPLE as u32, N_SAMPLES, ROW as u32, N_ROWS];
    let mut bytes = [0; HEADER];
    put(&mut bytes, 0, MAGIC);
    for (i, size) in sizes.into_iter().enumerate() {
        put(&mut bytes, 8 + 4 * i, &size.to_le_bytes());
    }
    let sum = header_sum(&bytes);
    put(&mut bytes, HEADER - 4, &sum.to_le_bytes());
    bytes
}

/// The checksum of a header, in which the version is no part: a later version can be told from a damaged one.
fn header_sum(bytes: &[u8]) -> u32 {
    checksum(bytes.get(..HEADER - 4).unwrap_or_default(), 0)
}

/// Reads a header.
pub(super) fn read_header(bytes: &[u8]) -> Header {
    if bytes == header() {
        return Header::Ours;
    }
    let is_sound = bytes.starts_with(MAGIC) && u32_at(bytes, HEADER - 4) == Some(header_sum(bytes));
    match u32_at(bytes, 8) {
        Some(version) if is_sound => Header::Other(version),
        Some(_) | None => Header::Damaged,
    }
}

/// A sample as it is kept.
pub(super) fn write_sample(sequence: u32, sample: &Sample) -> [u8; SAMPLE] {
    let micros = |took: Duration| u32::try_from(took.min(MAX_LATENCY).as_micros()).unwrap_or(0);
    let (kind, flag, value) = match sample.seen {
        Seen::Answer { verdict, took, turn } => {
            (if verdict == ProbeVerdict::Passed { 1 } else { 2 }, turn == Turn::Turned, micros(took))
        }
        Seen::State { standing, sighting } => (kind_of(standing), sighting == Sighting::Found, 0),
    };
    let word = (kind << 29) | (u32::from(flag) << 28) | value;
    let mut bytes = [0; SAMPLE];
    let lap = u16::try_from(sequence / N_SAMPLES).unwrap_or(u16::MAX);
    put(&mut bytes, 0, &unix_millis(sample.at).to_le_bytes());
    put(&mut bytes, 6, &lap.to_le_bytes());
    put(&mut bytes, 8, &word.to_le_bytes());
    let sum = checksum(&bytes[..12], u64::from(sequence % N_SAMPLES) | 1 << 40);
    put(&mut bytes, 12, &sum.to_le_bytes());
    bytes
}

/// The sample in that slot, with its sequence number; `None` for an empty or damaged one.
pub(super) fn read_sample(slot: u32, bytes: &[u8]) -> Option<(u32, Sample)> {
    let word = u32_at(bytes, 8)?;
    let sum = u32_at(bytes, 12)?;
    if word >> 29 == 0 || sum != checksum(bytes.get(..12)?, u64::from(slot) | 1 << 40) {
        return None;
    }
    let first = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let (millis, lap) = (first & ((1 << 48) - 1), u32::try_from(first >> 48).ok()?);
    let flag = word & (1 << 28) != 0;
    let took = Duration::from_micros(u64::from(word & ((1 << 28) - 1)));
    let turn = if flag { Turn::Turned } else { Turn::Same };
    let seen = match word >> 29 {
        1 => Seen::Answer { verdict: ProbeVerdict::Passed, took, turn },
        2 => Seen::Answer { verdict: ProbeVerdict::Failed, took, turn },
        kind => Seen::State {
            standing: standing_of(kind)?,
            sighting: if flag { Sighting::Found } else { Sighting::Became },
        },
    };
    let at = UNIX_EPOCH.checked_add(Duration::from_millis(millis))?;
    Some((lap * N_SAMPLES + slot, Sample { at, seen }))
}

fn kind_of(standing: Standing) -> u32 {
    match standing {
        Standing::Started => 3,
        Standing::Restarted => 4,
        Standing::Running => 5,
        Standing::Down => 6,
        Standing::Idle => 7,
    }
}

fn standing_of(kind: u32) -> Option<Standing> {
    match kind {
        3 => Some(Standing::Started),
        4 => Some(Standing::Restarted),
        5 => Some(Standing::Running),
        6 => Some(Standing::Down),
        7 => Some(Standing::Idle),
        _ => None,
    }
}

/// An hour's totals as they are kept, with the sequence number of the newest sample that is counted in any hour.
pub(super) fn write_row(hour: &Hour, through: u32) -> [u8; ROW] {
    let mut bytes = [0; ROW];
    let words = [hour.number, through, hour.up_millis, hour.down_millis, hour.n_failed];
    for (i, word) in words.into_iter().enumerate() {
        put(&mut bytes, 4 * i, &word.to_le_bytes());
    }
    put(&mut bytes, 20, &hour.n_flaps.to_le_bytes());
    put(&mut bytes, 22, &hour.n_restarts.to_le_bytes());
    put(&mut bytes, 24, &hour.latencies.longest_micros().to_le_bytes());
    for (bucket, count) in hour.latencies.counts() {
        put(&mut bytes, COUNTS_AT + 2 * usize::from(bucket), &count.to_le_bytes());
    }
    let sum = checksum(&bytes[..ROW - 8], u64::from(hour.number % N_ROWS) | 2 << 40);
    put(&mut bytes, ROW - 8, &sum.to_le_bytes());
    bytes
}

/// Where the histogram begins in a row.
const COUNTS_AT: usize = 32;

/// The totals in that slot, and up to which sample hours were counted; `None` for an empty or damaged one, or one that no hour can have.
pub(super) fn read_row(slot: u32, bytes: &[u8]) -> Option<(Hour, u32)> {
    let word = |i: usize| u32_at(bytes, 4 * i);
    let number = word(0)?;
    if number == 0 || u32_at(bytes, ROW - 8)? != checksum(bytes.get(..ROW - 8)?, u64::from(slot) | 2 << 40) {
        return None;
    }
    let half = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let counts = bytes.get(COUNTS_AT..COUNTS_AT + 2 * N_BUCKETS)?.chunks_exact(2);
    let counts = counts.map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let longest = word(6)?.min(u32::try_from(MAX_LATENCY.as_micros()).unwrap_or(u32::MAX));
    let hour = Hour {
        number,
        up_millis: word(2)?,
        down_millis: word(3)?,
        n_failed: word(4)?,
        n_flaps: half(20)?,
        n_restarts: half(22)?,
        latencies: Latencies::from_counts(counts, longest),
    };
    let is_possible = number % N_ROWS == slot && hour.observed() <= crate::model::history::HOUR;
    is_possible.then_some((hour, word(1)?))
}

/// The moment before which an entry of the future is a mistake.
pub(super) fn is_of_the_future(hour: u32, now: SystemTime) -> bool {
    hour > crate::model::history::hour_of(now).saturating_add(1)
}

fn put(bytes: &mut [u8], at: usize, part: &[u8]) {
    for (byte, new) in bytes.iter_mut().skip(at).zip(part) {
        *byte = *new;
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// 32 bits that change with every bit of `bytes` and of `place`, so that an entry that was moved is damaged too. A multiply and a rotation
/// for each eight bytes, then the finalizer of MurmurHash3 (A. Appleby, public domain).
fn checksum(bytes: &[u8], place: u64) -> u32 {
    let mut hash = (place ^ (u64::from(VERSION) << 56)).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        put(&mut word, 0, chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^= hash >> 33;
    // The high half is the better mixed one.
    u32::try_from(hash >> 32).unwrap_or(0)
}

/// A beginning of a file, and nothing behind it.
#[cfg(test)]
pub(super) const MAGIC_ALONE: &[u8] = MAGIC;

/// Gives a row the checksum that its content wants.
#[cfg(test)]
pub(super) fn seal_row(row: &mut [u8], slot: u32) {
    let sum = checksum(&row[..ROW - 8], u64::from(slot) | 2 << 40);
    put(row, ROW - 8, &sum.to_le_bytes());
}

/// Gives a sample the checksum that its content wants.
#[cfg(test)]
pub(super) fn seal_sample(sample: &mut [u8], slot: u32) {
    let sum = checksum(&sample[..12], u64::from(slot) | 1 << 40);
    put(sample, 12, &sum.to_le_bytes());
}
