//! For how long a sample speaks.

use std::time::{Duration, SystemTime};

use super::hour::{HOUR, hour_of, start_of};
use super::sample::{Sample, Seen, Sighting, Standing};
use crate::model::ProbeVerdict;

/// The longest span that is counted: what is older is remembered by nothing.
const LONGEST: Duration = Duration::from_secs(8 * 24 * 3600);

/// The distance of two answers from which on nobody probed in between: three intervals, and at least 15 s, since a busy machine is
/// no gap. `every` is the planned distance of two probes.
pub fn gap_after(every: Duration) -> Duration {
    every.saturating_mul(3).max(Duration::from_secs(15))
}

/// What a span counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Up,
    Down,
}

/// A stretch of time of which something is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    from: SystemTime,
    to: SystemTime,
    pub(super) side: Side,
}

impl Span {
    /// What is known of the time between two samples. An answer speaks until the next sample, and for one interval where that one comes
    /// only after a gap; a state speaks until another one is seen, but not across a time in which nobody looked and at whose end it was
    /// no longer so.
    pub(super) fn between(sample: &Sample, next: &Sample, every: Duration) -> Option<Self> {
        let length = next.at.duration_since(sample.at).ok()?;
        let (side, standing) = match sample.seen {
            Seen::Answer { verdict: ProbeVerdict::Passed, .. } => (Side::Up, None),
            Seen::Answer { verdict: ProbeVerdict::Failed, .. } => (Side::Down, None),
            Seen::State { standing, .. } => match standing {
                Standing::Running => (Side::Up, Some(standing)),
                Standing::Down => (Side::Down, Some(standing)),
                Standing::Started | Standing::Restarted | Standing::Idle => return None,
            },
        };
        let counted = match (standing, next.seen) {
            (None, _) if length > gap_after(every) => every,
            (Some(standing), Seen::State { standing: found, sighting: Sighting::Found })
                if found != standing && length > gap_after(every) =>
            {
                return None;
            }
            (None | Some(_), _) => length.min(LONGEST),
        };
        let from = if standing.is_some() { next.at.checked_sub(counted)? } else { sample.at };
        Some(Self { from, to: from + counted, side })
    }

    /// The numbers of the hours that it touches, with the milliseconds in each.
    pub(super) fn by_hour(self) -> impl Iterator<Item = (u32, u32)> {
        let Self { from, to, .. } = self;
        (hour_of(from)..=hour_of(to)).filter_map(move |hour| {
            let begin = start_of(hour).max(from);
            let end = (start_of(hour) + HOUR).min(to);
            let millis = end.duration_since(begin).unwrap_or_default().as_millis();
            let millis = u32::try_from(millis).unwrap_or(u32::MAX);
            (millis > 0).then_some((hour, millis))
        })
    }
}
