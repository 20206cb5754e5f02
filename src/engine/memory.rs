//! What one service's actor remembers of its health, and what of that is kept for others.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::ports::Store;
use crate::lifecycle::admission::Checked;
use crate::lifecycle::machine::Machine;
use crate::lifecycle::sampling::Sampler;
use crate::model::history::Turn;
use crate::model::{Check, Health, HealthHistory, ProbeReport, Role, Sample, ServiceId, ServiceSpec};

/// The history of one service: read from the store once, then gone on with by what is seen here. A leader writes what it sees; a follower
/// that probes too sees the same, and writes nothing.
pub(super) struct Memory {
    store: Arc<dyn Store>,
    service: ServiceId,
    every: Duration,
    checked: Checked,
    history: Arc<HealthHistory>,
    is_read: bool,
    role: Role,
    sampler: Sampler,
    loss: Option<String>,
}

impl Memory {
    /// Remembers nothing yet.
    pub(super) fn new(store: Arc<dyn Store>, spec: &ServiceSpec) -> Self {
        let mut memory = Self {
            store,
            service: spec.id.clone(),
            every: Duration::ZERO,
            checked: Checked::No,
            history: Arc::default(),
            is_read: false,
            role: Role::Follower,
            sampler: Sampler::default(),
            loss: None,
        };
        memory.reconfigure(spec);
        memory
    }

    /// The registry says something else now.
    pub(super) fn reconfigure(&mut self, spec: &ServiceSpec) {
        self.every = spec.health_check.interval;
        self.checked = match spec.health_check.check {
            Check::None => Checked::No,
            Check::Http { .. } | Check::Tcp { .. } | Check::Command { .. } | Check::File { .. } => Checked::Yes,
        };
        Arc::make_mut(&mut self.history).pace(self.every);
    }

    /// Reads what is kept, once.
    pub(super) fn read(&mut self) {
        if !std::mem::replace(&mut self.is_read, true) {
            self.history = Arc::new(self.store.history(&self.service, self.every, SystemTime::now()));
        }
    }

    /// Writes from now on, or no longer. A new leader says first how it finds the service: the one before may be long gone.
    pub(super) fn lead(&mut self, role: Role) {
        if self.role != role {
            self.role = role;
            self.sampler.begin_anew();
            self.loss = None;
        }
        if role == Role::Leader {
            self.read();
        }
    }

    /// What the snapshot shows.
    pub(super) fn history(&self) -> &Arc<HealthHistory> {
        &self.history
    }

    /// Why the history is not kept at present, for people.
    pub(super) fn note(&self) -> Option<String> {
        self.loss.as_ref().map(|why| format!("the health history is not kept: {why}"))
    }

    /// Remembers a probe's answer. `before` is the health without it.
    pub(super) fn answered(&mut self, report: &ProbeReport, before: Health, after: Health) {
        let turn = match (before, after) {
            (Health::Healthy, Health::Unhealthy) | (Health::Unhealthy, Health::Healthy) => Turn::Turned,
            (Health::Unknown, _) | (_, Health::Unknown) | (Health::Healthy, Health::Healthy) => Turn::Same,
            (Health::Unhealthy, Health::Unhealthy) => Turn::Same,
        };
        self.keep(Sample::answer(SystemTime::now(), report, turn));
    }

    /// Remembers how it stands, where that changed.
    pub(super) fn look(&mut self, machine: &Machine) {
        for (standing, sighting) in self.sampler.look(machine.state(), machine.restarts(), self.checked) {
            self.keep(Sample::state(SystemTime::now(), standing, sighting));
        }
    }

    fn keep(&mut self, sample: Sample) {
        Arc::make_mut(&mut self.history).push(sample);
        if self.role == Role::Leader {
            self.loss = self.store.sample(&self.service, &sample, self.every).err();
        }
    }
}
