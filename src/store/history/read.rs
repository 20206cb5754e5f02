//! Reading a history: the totals, and the samples that they do not count yet.

use std::fs::File;
use std::io;
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

use super::file::{self, Opened};
use super::format::{N_ROWS, N_SAMPLES, ROW, SAMPLE, is_of_the_future, read_row, read_sample, row_at, sample_at};
use crate::model::ServiceId;
use crate::model::history::{HISTORY_LENGTH, HOURS_KEPT, HealthHistory, Hour, Hours, Sample, hour_of};
use crate::store::Layout;

/// How many samples are read at once beyond the newest known one; also how many damaged ones in a row are looked across.
const CHUNK: u32 = 256;

/// Everything of a history that is needed to go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Past {
    /// Totals, of every sample that can be read.
    pub hours: Hours,
    /// The newest samples, at least [`HISTORY_LENGTH`] where there are as many, oldest first.
    pub recent: Vec<Sample>,
    /// The sequence number of the sample that comes next.
    pub(super) next_sequence: u32,
    /// Hours whose totals on the disk lack samples.
    pub(super) behind: Vec<u32>,
}

/// What is remembered of a service. Empty when there is no file, or none that can be used: whoever leads will say so and begin anew.
///
/// # Errors
/// When the directory is not ours or cannot be read.
pub fn read(layout: &Layout, service: &ServiceId, every: Duration, now: SystemTime) -> io::Result<HealthHistory> {
    match file::open(&layout.history_file(service), OFlags::RDONLY)? {
        Opened::Nothing | Opened::Unusable(_) => Ok(HealthHistory::of_the_past(Hours::default(), [], every)),
        Opened::History { file, .. } => {
            let past = past(&file, every, now)?;
            Ok(HealthHistory::of_the_past(past.hours, past.recent, every))
        }
    }
}

/// Every sample that is kept, oldest first.
///
/// # Errors
/// When the directory is not ours or cannot be read.
pub fn samples(layout: &Layout, service: &ServiceId) -> io::Result<Vec<Sample>> {
    match file::open(&layout.history_file(service), OFlags::RDONLY)? {
        Opened::Nothing | Opened::Unusable(_) => Ok(Vec::new()),
        Opened::History { file, .. } => {
            Ok(in_order(read_samples(&file, 0, N_SAMPLES)?).into_iter().map(|(_, sample)| sample).collect())
        }
    }
}

/// Reads totals and newest samples, and counts what the totals lack.
pub(super) fn past(file: &File, every: Duration, now: SystemTime) -> io::Result<Past> {
    let rows = read_hours(file, 0, N_ROWS)?;
    let through = rows.iter().map(|(_, through)| *through).max();
    let kept = rows
        .into_iter()
        .map(|(hour, _)| hour)
        .filter(|hour| hour.number.saturating_add(HOURS_KEPT) > hour_of(now) && !is_of_the_future(hour.number, now));
    let mut hours = Hours::new(kept.collect());
    let newest = match through {
        Some(through) => newest_after(file, through)?,
        None => in_order(read_samples(file, 0, N_SAMPLES)?),
    };
    let mut behind = Vec::new();
    let mut previous = None;
    for (sequence, sample) in &newest {
        if through.is_none_or(|through| *sequence > through) {
            for hour in Hours::touched_by(previous, sample, every) {
                if !behind.contains(&hour) {
                    behind.push(hour);
                }
            }
            hours.take_in(previous, sample, every);
        }
        previous = Some(sample);
    }
    let last = newest.last().map(|(sequence, _)| *sequence).max(through);
    let next_sequence = last.map_or(0, |last| last.saturating_add(1));
    Ok(Past { hours, recent: newest.into_iter().map(|(_, sample)| sample).collect(), next_sequence, behind })
}

/// The samples after `through`, with those before that a sparkline needs. Looks on until a whole chunk has none.
fn newest_after(file: &File, through: u32) -> io::Result<Vec<(u32, Sample)>> {
    let before = u32::try_from(HISTORY_LENGTH).unwrap_or(0).min(through);
    let mut from = through - before;
    let mut found = Vec::new();
    // One round and no more: what follows is where it began.
    for _ in 0..=N_SAMPLES / CHUNK {
        let chunk = read_samples(file, from, CHUNK)?;
        let newer = chunk.into_iter().filter(|(sequence, _)| (from..from.saturating_add(CHUNK)).contains(sequence));
        let n_found = found.len();
        found.extend(newer);
        if found.len() == n_found {
            break;
        }
        from = from.saturating_add(CHUNK);
    }
    found.sort_by_key(|(sequence, _)| *sequence);
    Ok(found)
}

/// The samples of the newest round, by their sequence.
fn in_order(mut all: Vec<(u32, Sample)>) -> Vec<(u32, Sample)> {
    let newest = all.iter().map(|(sequence, _)| *sequence).max().unwrap_or(0);
    all.retain(|(sequence, _)| sequence.saturating_add(N_SAMPLES) > newest);
    all.sort_by_key(|(sequence, _)| *sequence);
    all
}

/// The samples in `n` slots from that of `sequence` on, around the ring's end; damaged ones are left out.
pub(super) fn read_samples(file: &File, sequence: u32, n: u32) -> io::Result<Vec<(u32, Sample)>> {
    let first = sequence % N_SAMPLES;
    let n = n.min(N_SAMPLES);
    let until_end = n.min(N_SAMPLES - first);
    let mut found = Vec::new();
    for (first, n) in [(first, until_end), (0, n - until_end)] {
        let mut bytes = vec![0; SAMPLE * n as usize];
        let n_read = file::read_up_to(file, &mut bytes, sample_at(first))?;
        let whole = bytes.get(..n_read).unwrap_or_default().chunks_exact(SAMPLE);
        found.extend((first..).zip(whole).filter_map(|(slot, bytes)| read_sample(slot, bytes)));
    }
    Ok(found)
}

/// The totals in `n` slots from that of `hour` on; damaged ones are left out.
pub(super) fn read_hours(file: &File, hour: u32, n: u32) -> io::Result<Vec<(Hour, u32)>> {
    let first = hour % N_ROWS;
    let mut bytes = vec![0; ROW * n.min(N_ROWS - first) as usize];
    let n_read = file::read_up_to(file, &mut bytes, row_at(first))?;
    let whole = bytes.get(..n_read).unwrap_or_default().chunks_exact(ROW);
    Ok((first..).zip(whole).filter_map(|(slot, bytes)| read_row(slot, bytes)).collect())
}
