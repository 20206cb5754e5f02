//! A sentence that answers a key, and leaves by itself.

use std::time::{Duration, Instant};

use crate::tui::event::Moment;

/// Long enough to read a path.
const STAYS: Duration = Duration::from_secs(8);

/// What stands in the footer until a key is pressed, or for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) text: String,
    pub(crate) is_bad: bool,
    pub(crate) until: Instant,
}

impl Notice {
    pub(crate) fn good(moment: &Moment, text: impl Into<String>) -> Self {
        Self { text: text.into(), is_bad: false, until: moment.now + STAYS }
    }

    pub(crate) fn bad(moment: &Moment, text: impl Into<String>) -> Self {
        Self { is_bad: true, ..Self::good(moment, text) }
    }
}
