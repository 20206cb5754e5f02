//! What the engine keeps between two runs: the timeline and the health histories.

use std::time::{Duration, SystemTime};

use super::history::{self, Histories};
use super::{Layout, Timeline};
use super::{debts, stops};
use crate::engine::ports::Store;
use crate::model::{Debt, Event, HealthHistory, Sample, ServiceId, StopMark};

/// The engine's records below one layout.
#[derive(Debug)]
pub struct Records {
    layout: Layout,
    timeline: Timeline,
    histories: Histories,
}

impl Records {
    /// The records below `layout`. Nothing is made before the first entry.
    pub fn new(layout: &Layout) -> Self {
        Self { layout: layout.clone(), timeline: Timeline::new(layout), histories: Histories::new(layout) }
    }
}

impl Store for Records {
    fn record(&self, event: &Event) {
        if let Err(error) = self.timeline.append(event) {
            tracing::warn!(%error, path = %self.layout.events().display(), "the timeline could not be written");
        }
    }

    fn owe(&self, debt: &Debt) {
        if let Err(error) = debts::write(&self.layout, debt) {
            tracing::warn!(%error, service = %debt.service, "that it is to be started later could not be recorded");
        }
    }

    fn forgive(&self, service: &ServiceId) {
        if let Err(error) = debts::remove(&self.layout, service) {
            tracing::warn!(%error, %service, "that it is not to be started later could not be recorded");
        }
    }

    fn debt(&self, service: &ServiceId) -> Option<Debt> {
        debts::read(&self.layout, service)
    }

    fn record_stop(&self, service: &ServiceId) {
        self.forgive(service);
        if let Err(error) = stops::record(&self.layout, service) {
            tracing::warn!(%error, %service, "other copies of the tool may not hear of the stop");
        }
    }

    fn last_stop(&self, service: &ServiceId) -> Option<StopMark> {
        stops::last(&self.layout, service)
    }

    fn sample(&self, service: &ServiceId, sample: &Sample, every: Duration) -> Result<(), String> {
        self.histories.append(service, sample, every).map_err(|error| error.to_string())
    }

    fn history(&self, service: &ServiceId, every: Duration, now: SystemTime) -> HealthHistory {
        history::read(&self.layout, service, every, now).unwrap_or_else(|error| {
            if error.kind() != std::io::ErrorKind::NotFound {
                let path = self.layout.history_file(service);
                tracing::warn!(%error, path = %path.display(), "the health history could not be read");
            }
            HealthHistory::of_the_past(Default::default(), [], every)
        })
    }
}
