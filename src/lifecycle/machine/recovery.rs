//! When a leader has an unhealthy service restarted.
//!
//! ```text
//!              retries failures              nothing it needs is ill           told
//!  Watching -------------------> Consulting ------------------------> Ordered -----> Watching
//!     ^   ^----------------------'   something it needs is ill                         (the next instance's)
//!     '-- a probe passes
//! ```
//!
//! Only probes after the start's time count, unless it was well before. Whatever a person asks for meanwhile comes first: the order is
//! given only to an instance that runs, is unhealthy, and is wanted up at that very moment.

use std::time::Instant;

use super::{Remedy, Turn};
use crate::lifecycle::machine::Effect;
use crate::model::{Happening, Health, Instance, Intent, ProbeVerdict, Role, ServiceId, ServiceState};

/// What is known of the illness of a running instance.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub(super) struct Illness {
    /// Probes in a row that failed and count.
    failures: u32,
    /// Whether this instance was ever well: then its start is over.
    was_well: bool,
    stage: Stage,
    /// Who it was last held back by, so that it is told once.
    held_by: Option<ServiceId>,
}

/// How far the leader is with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
enum Stage {
    #[default]
    Watching,
    Consulting,
    Ordered,
}

impl Illness {
    /// Probes before this say nothing any more.
    pub(super) fn forget_failures(&mut self) {
        self.failures = 0;
    }
}

impl Turn {
    /// Counts the answer of a probe of what runs, or starts, since `since`.
    pub(super) fn note_verdict(&mut self, verdict: ProbeVerdict, since: Instant) {
        let is_starting = self.now.saturating_duration_since(since) < self.machine.policy.start_timeout;
        let illness = &mut self.machine.illness;
        match verdict {
            ProbeVerdict::Passed => {
                illness.failures = 0;
                illness.was_well = true;
                illness.held_by = None;
            }
            ProbeVerdict::Failed if is_starting && !illness.was_well => {}
            ProbeVerdict::Failed => illness.failures = illness.failures.saturating_add(1),
        }
    }

    /// Has it restarted, if it is time for that.
    pub(super) fn consider_recovery(&mut self) {
        let machine = &mut self.machine;
        let ServiceState::Running { instance, .. } = &machine.state else { return };
        let is_due = machine.illness.stage == Stage::Watching
            && machine.illness.failures >= machine.policy.retries.max(1)
            && is_recoverable(machine);
        if is_due {
            machine.illness.stage = Stage::Consulting;
            let instance = instance.clone();
            self.emit(Effect::Consult { instance });
        }
    }

    pub(super) fn recovery_cleared(&mut self, asked: &Instance) {
        if self.machine.state.instance() != Some(asked) || self.machine.illness.stage != Stage::Consulting {
            return;
        }
        if !is_recoverable(&self.machine) {
            self.machine.illness.stage = Stage::Watching;
            return;
        }
        self.machine.illness.stage = Stage::Ordered;
        let message = self.machine.last_probe.as_ref().map(|probe| probe.message.clone()).unwrap_or_default();
        self.tell(Happening::Recovering { message });
        self.emit(Effect::Recover { instance: asked.clone() });
    }

    /// It gets its `retries` anew, so that it has the time to get well when what it needs is well again.
    pub(super) fn recovery_held_back(&mut self, asked: &Instance, by: ServiceId, condition: String) {
        if self.machine.state.instance() != Some(asked) || self.machine.illness.stage != Stage::Consulting {
            return;
        }
        let illness = &mut self.machine.illness;
        illness.stage = Stage::Watching;
        illness.failures = 0;
        if illness.held_by.as_ref() != Some(&by) {
            illness.held_by = Some(by.clone());
            self.tell(Happening::HeldBack { by, condition });
        }
    }

    /// Told or not, the next order takes as many failures again.
    pub(super) fn recovery_reported(&mut self, result: Result<(), String>) {
        let illness = &mut self.machine.illness;
        if illness.stage == Stage::Ordered {
            illness.stage = Stage::Watching;
            illness.failures = 0;
        }
        if let Err(reason) = result {
            let note = format!("it could not be restarted for being unhealthy: {reason}");
            if !self.machine.notes.contains(&note) {
                self.machine.notes.push(note);
            }
        }
    }
}

/// Whether it is for a leader to restart what runs, at this moment.
fn is_recoverable(machine: &super::Machine) -> bool {
    let is_ours = match machine.policy.remedy {
        Remedy::Guardian | Remedy::Leader => true,
        Remedy::Nobody => false,
    };
    is_ours
        && machine.role == Role::Leader
        && machine.intent == Some(Intent::Up)
        && matches!(machine.state, ServiceState::Running { health: Health::Unhealthy, .. })
}
