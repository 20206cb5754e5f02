//! The engine's moments, and what they are on our clocks.

use std::time::{Instant, SystemTime};

/// One moment on both clocks, so that a moment of the engine's is always the same one on ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    instant: Instant,
    system: SystemTime,
}

impl Clock {
    /// From now on.
    pub(crate) fn new() -> Self {
        Self { instant: Instant::now(), system: SystemTime::now() }
    }

    /// A moment of the engine's clock on ours: the same one each time it is asked for.
    pub(crate) fn since(&self, text: &str) -> Instant {
        let Some(at) = moment(text) else { return self.instant };
        match self.system.duration_since(at) {
            Ok(before) => self.instant.checked_sub(before).unwrap_or(self.instant),
            Err(after) => self.instant.checked_add(after.duration()).unwrap_or(self.instant),
        }
    }
}

/// A moment as the engine writes it; `None` for its zero, which stands for never.
pub(crate) fn moment(text: &str) -> Option<SystemTime> {
    let timestamp: jiff::Timestamp = text.parse().ok()?;
    (timestamp.as_second() > 0).then(|| timestamp.into())
}

/// A moment as the engine's event stream takes it.
pub(crate) fn event_time(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:09}", since.as_secs(), since.subsec_nanos())
}
