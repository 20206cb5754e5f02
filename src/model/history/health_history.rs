//! A service's history as it is held in memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::hour::{Hour, Hours, hour_of};
use super::sample::{Sample, Seen, Sighting, Standing};
use super::span::gap_after;
use super::statistics::{Statistics, Window};
use crate::model::ProbeVerdict;

/// How many samples are held one by one, for the sparkline; of what is older the totals are.
pub const HISTORY_LENGTH: usize = 120;

/// The newest samples of one service, and the totals of a week's hours. Cheap to clone: the finished hours are shared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HealthHistory {
    every: Duration,
    /// Oldest first, at most [`HISTORY_LENGTH`].
    recent: VecDeque<Sample>,
    finished: Arc<Hours>,
    current: Hour,
}

/// One column of a sparkline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// A probe passed, in this time.
    Passed(Duration),
    /// A probe failed.
    Failed,
    /// It did not run although it was wanted.
    Down,
    /// Nobody looked, or nothing was expected, for more than three intervals.
    Gap,
}

impl HealthHistory {
    /// What was read back: the hours before or around `recent`, samples oldest first. `every` is the planned distance of two probes.
    pub fn of_the_past(hours: Hours, recent: impl IntoIterator<Item = Sample>, every: Duration) -> Self {
        let mut recent: VecDeque<Sample> = recent.into_iter().collect();
        recent.drain(..recent.len().saturating_sub(HISTORY_LENGTH));
        let mut finished = hours;
        let current = finished.pop().unwrap_or_default();
        Self { every, recent, finished: Arc::new(finished), current }
    }

    /// From now on probes are planned this far apart.
    pub fn pace(&mut self, every: Duration) {
        self.every = every;
    }

    /// Takes a sample in, and forgets the oldest.
    pub fn push(&mut self, sample: Sample) {
        let previous = self.recent.back().copied();
        let mut touched = Hours::touched_by(previous.as_ref(), &sample, self.every);
        if touched.all(|hour| hour == self.current.number) {
            let mut one = Hours::new(vec![std::mem::take(&mut self.current)]);
            one.take_in(previous.as_ref(), &sample, self.every);
            self.current = one.pop().unwrap_or_default();
        } else {
            let hours = Arc::make_mut(&mut self.finished);
            // Before the first sample there is no hour.
            if self.current.number > 0 {
                hours.put(std::mem::take(&mut self.current));
            }
            hours.take_in(previous.as_ref(), &sample, self.every);
            hours.forget_all_but_the_week_of(hour_of(sample.at));
            self.current = hours.pop().unwrap_or_default();
        }
        if self.recent.len() == HISTORY_LENGTH {
            self.recent.pop_front();
        }
        self.recent.push_back(sample);
    }

    /// The newest samples, oldest first.
    pub fn samples(&self) -> impl DoubleEndedIterator<Item = &Sample> + ExactSizeIterator {
        self.recent.iter()
    }

    /// The week's hours of which something is known, oldest first, as of the newest sample.
    pub fn hours(&self) -> impl DoubleEndedIterator<Item = &Hour> {
        self.finished.iter().chain((self.current.number > 0).then_some(&self.current))
    }

    /// Numbers of a window that ends now. What the newest sample says is taken to hold until now, as long as a sample speaks.
    pub fn statistics(&self, window: Window, now: SystemTime) -> Statistics {
        let mut newest = self.clone();
        if let Some(last) = self.recent.back()
            && now > last.at
        {
            // A sample that counts nothing, and ends the time of the last one.
            let end = Sample::state(now, Standing::Started, Sighting::Became);
            newest.push(end);
        }
        Statistics::of(newest.hours().filter(|hour| window.contains(hour.number, now)))
    }

    /// How many of the newest answers in a row are failures.
    pub fn n_failed_in_a_row(&self) -> usize {
        let verdicts = self.recent.iter().rev().filter_map(|sample| match sample.seen {
            Seen::Answer { verdict, .. } => Some(verdict),
            Seen::State { .. } => None,
        });
        verdicts.take_while(|verdict| *verdict == ProbeVerdict::Failed).count()
    }

    /// What a sparkline shows, oldest first. A gap stands between two other cells, never at an end.
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::with_capacity(self.recent.len());
        let mut previous: Option<&Sample> = None;
        let mut is_after_gap = false;
        for sample in &self.recent {
            if let Some(previous) = previous {
                let length = sample.at.duration_since(previous.at).unwrap_or_default();
                let is_known =
                    matches!(previous.seen, Seen::State { standing: Standing::Down | Standing::Running, .. });
                is_after_gap |= length > gap_after(self.every) && !is_known;
            }
            let cell = match sample.seen {
                Seen::Answer { verdict: ProbeVerdict::Passed, took, .. } => Some(Cell::Passed(took)),
                Seen::Answer { verdict: ProbeVerdict::Failed, .. } => Some(Cell::Failed),
                Seen::State { standing: Standing::Down, sighting: Sighting::Became } => Some(Cell::Down),
                // Found so by the next who looks: the same fall.
                Seen::State { standing: Standing::Down, sighting: Sighting::Found } => {
                    (is_after_gap || cells.last() != Some(&Cell::Down)).then_some(Cell::Down)
                }
                Seen::State {
                    standing: Standing::Started | Standing::Restarted | Standing::Running | Standing::Idle,
                    ..
                } => None,
            };
            if let Some(cell) = cell {
                if std::mem::take(&mut is_after_gap) && !cells.is_empty() {
                    cells.push(Cell::Gap);
                }
                cells.push(cell);
            }
            previous = Some(sample);
        }
        cells
    }
}
