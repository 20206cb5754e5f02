//! Totals of one hour of the wall clock (UTC), and rows of them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::latencies::Latencies;
use super::sample::{Sample, Seen, Standing, Turn};
use super::span::{Side, Span};
use crate::model::ProbeVerdict;

/// The length of an hour.
pub const HOUR: Duration = Duration::from_secs(3600);

/// How many hours are remembered: a week.
pub const HOURS_KEPT: u32 = 7 * 24;

/// An hour's milliseconds.
const MILLIS: u32 = 3_600_000;

/// The hour of a moment, counted from 1970; moments before that count as the first.
pub fn hour_of(at: SystemTime) -> u32 {
    let hours = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / HOUR.as_secs();
    u32::try_from(hours).unwrap_or(u32::MAX)
}

/// The moment at which an hour begins.
pub(super) fn start_of(hour: u32) -> SystemTime {
    UNIX_EPOCH + HOUR * hour
}

/// What was seen of a service within one hour.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hour {
    /// Which, counted from 1970 (UTC).
    pub number: u32,
    /// For how long it was known to be up, in milliseconds.
    pub up_millis: u32,
    /// For how long it was known to be down: failed answers, or not running although wanted. In milliseconds; with `up_millis` never more
    /// than an hour. What is missing to an hour is a gap: nobody looked, or nothing was expected.
    pub down_millis: u32,
    /// Probes that failed.
    pub n_failed: u32,
    /// How often healthy became unhealthy or back.
    pub n_flaps: u16,
    /// How often it was started again without a person asking.
    pub n_restarts: u16,
    /// How long the passed probes took.
    pub latencies: Latencies,
}

impl Hour {
    /// An hour of which nothing is known yet.
    pub fn new(number: u32) -> Self {
        Self { number, ..Self::default() }
    }

    /// When it begins.
    pub fn start(&self) -> SystemTime {
        start_of(self.number)
    }

    /// For how long it was known to be up or down.
    pub fn observed(&self) -> Duration {
        Duration::from_millis(u64::from(self.up_millis) + u64::from(self.down_millis))
    }

    /// The share of the observed time in which it was up, 0 to 1; `None` when nothing was observed.
    pub fn uptime(&self) -> Option<f64> {
        let observed = f64::from(self.up_millis) + f64::from(self.down_millis);
        (observed > 0.0).then(|| f64::from(self.up_millis) / observed)
    }

    /// Adds time. A clock that was put back makes an hour happen twice: what is more than an hour is left out.
    pub(super) fn add_time(&mut self, side: Side, millis: u32) {
        let room = MILLIS.saturating_sub(self.up_millis.saturating_add(self.down_millis));
        let total = match side {
            Side::Up => &mut self.up_millis,
            Side::Down => &mut self.down_millis,
        };
        *total += millis.min(room);
    }

    fn count(&mut self, seen: Seen) {
        match seen {
            Seen::Answer { verdict, took, turn } => {
                match verdict {
                    ProbeVerdict::Passed => self.latencies.add(took),
                    ProbeVerdict::Failed => self.n_failed = self.n_failed.saturating_add(1),
                }
                self.n_flaps = self.n_flaps.saturating_add(u16::from(turn == Turn::Turned));
            }
            Seen::State { standing: Standing::Restarted, .. } => self.n_restarts = self.n_restarts.saturating_add(1),
            Seen::State {
                standing: Standing::Started | Standing::Running | Standing::Down | Standing::Idle, ..
            } => {}
        }
    }
}

/// Hours in their order, each at most once; hours of which nothing is known are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hours(Vec<Hour>);

impl Hours {
    /// Of hours in any order; of two with one number the later one counts.
    pub fn new(mut hours: Vec<Hour>) -> Self {
        hours.sort_by_key(|hour| hour.number);
        hours.dedup_by(|later, kept| {
            let is_same = later.number == kept.number;
            if is_same {
                std::mem::swap(later, kept);
            }
            is_same
        });
        Self(hours)
    }

    /// From the oldest on.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Hour> + ExactSizeIterator {
        self.0.iter()
    }

    /// Which hours [`Hours::take_in`] is going to change.
    pub fn touched_by(previous: Option<&Sample>, sample: &Sample, every: Duration) -> impl Iterator<Item = u32> {
        let span = previous.and_then(|previous| Span::between(previous, sample, every));
        let spanned = span.into_iter().flat_map(Span::by_hour).map(|(hour, _)| hour);
        let own = hour_of(sample.at);
        spanned.filter(move |hour| *hour != own).chain(std::iter::once(own))
    }

    /// Counts a sample, and the time between the one before it and itself. `every` is the planned distance of two probes.
    pub fn take_in(&mut self, previous: Option<&Sample>, sample: &Sample, every: Duration) {
        if let Some(span) = previous.and_then(|previous| Span::between(previous, sample, every)) {
            for (hour, millis) in span.by_hour() {
                self.of(hour).add_time(span.side, millis);
            }
        }
        self.of(hour_of(sample.at)).count(sample.seen);
    }

    /// Whether that hour is there.
    pub fn has(&self, number: u32) -> bool {
        self.0.binary_search_by_key(&number, |hour| hour.number).is_ok()
    }

    /// Puts an hour in, in place of one with its number.
    pub fn put(&mut self, hour: Hour) {
        let number = hour.number;
        *self.of(number) = hour;
    }

    /// Forgets what is not among the week that ends with this hour, hours after it included: a clock was put back.
    pub fn forget_all_but_the_week_of(&mut self, newest: u32) {
        self.0.retain(|hour| hour.number <= newest && hour.number.saturating_add(HOURS_KEPT) > newest);
    }

    /// Forgets the hours whose numbers are not wanted.
    pub fn retain(&mut self, mut is_wanted: impl FnMut(u32) -> bool) {
        self.0.retain(|hour| is_wanted(hour.number));
    }

    /// Takes the newest out.
    pub(super) fn pop(&mut self) -> Option<Hour> {
        self.0.pop()
    }

    fn of(&mut self, number: u32) -> &mut Hour {
        let at = match self.0.binary_search_by_key(&number, |hour| hour.number) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, Hour::new(number));
                at
            }
        };
        &mut self.0[at]
    }
}
