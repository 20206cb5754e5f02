//! The machine of one service: an input and the time in, a new machine and effects out.
//!
//! ```text
//!             StartRequested           dependencies ready            Launched               first good probe
//!  Stopped ───────────────▶ Waiting ─────────────────▶ Launching ─────────────▶ Starting ─────────────────────▶ Running
//!     ▲  └──────────────────────────────────────────────▲   │                      │  start_timeout: Running,      │
//!     │                                                 │   │ LaunchFailed         │  unhealthy                    │ StopRequested
//!     │  StopEnded                                      │   ▼                      ▼ died                          ▼
//!     └───────────────────────────────────────────── Failed ◀──────────── Backoff (its guardian restarts it)   Stopping
//! ```
//!
//! The backend's observations correct every state that is not in the middle of something this engine does itself: a service that
//! another copy of the tool started, stopped or restarted is shown as it is. A result that speaks of another instance is dropped.
//! Timers are not effects: [`Machine::next_wake`] says when [`Input::Tick`] is due, so no timer can be stale.

mod message;
mod orders;
mod policy;
mod recovery;
mod sightings;

use std::time::{Duration, Instant};

pub use message::{Effect, Input, StartEnd, StopEnd, StopFailure};
pub use policy::{Policy, Probing, Remedy, Tending};

use super::admission::Checked;
use super::streak::Streak;
use crate::model::{
    ExitRecord, Happening, Health, Instance, Intent, ProbeReport, Role, ServiceId, ServiceState, StopHow,
};
use recovery::Illness;

/// What waits for the end of what is under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Queued {
    Nothing,
    /// A start that came while it stopped.
    Start {
        on: Vec<ServiceId>,
    },
    /// A stop that came while it was launched: an instance that is just being made cannot be stopped yet.
    Stop {
        how: StopHow,
        grace: Duration,
    },
}

/// Whether a probe is under way, so that a slow one is never joined by a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum InFlight {
    No,
    Yes,
    /// It was under way while this program did not run: a failure of it says nothing.
    AcrossGap,
}

/// Who stops a service that is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stopper {
    /// This engine, which will hear the end from its backend.
    Us,
    /// Another copy of the tool; the end is observed.
    Another,
}

/// One service's state with all that decides what comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    policy: Policy,
    role: Role,
    state: ServiceState,
    entered: Instant,
    intent: Option<Intent>,
    streak: Streak,
    illness: Illness,
    last_probe: Option<ProbeReport>,
    next_probe: Option<Instant>,
    probe: InFlight,
    queued: Queued,
    stopper: Stopper,
    /// Stops that the backend has not reported on. A second one can be asked for to be harder than the first; only the last report
    /// ends the stop, so that none of them can hit what is started next.
    n_stops: u32,
    has_stopped: bool,
    restarts: u32,
    last_exit: Option<ExitRecord>,
    notes: Vec<String>,
}

/// A machine after an input, and what has to happen now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Step {
    /// The machine from now on.
    pub machine: Machine,
    /// In order.
    pub effects: Vec<Effect>,
}

impl Machine {
    /// A service of which nothing is known yet.
    pub fn new(policy: Policy, now: Instant) -> Self {
        let streak = Streak::new(policy.retries);
        Self {
            policy,
            role: Role::Follower,
            state: ServiceState::Unknown { reason: "not looked at yet".to_owned() },
            entered: now,
            intent: None,
            streak,
            illness: Illness::default(),
            last_probe: None,
            next_probe: None,
            probe: InFlight::No,
            queued: Queued::Nothing,
            stopper: Stopper::Us,
            n_stops: 0,
            has_stopped: false,
            restarts: 0,
            last_exit: None,
            notes: Vec::new(),
        }
    }

    /// What was observed.
    pub fn state(&self) -> &ServiceState {
        &self.state
    }

    /// When it entered the kind of state it is in.
    pub fn entered(&self) -> Instant {
        self.entered
    }

    /// What was asked.
    pub fn intent(&self) -> Option<Intent> {
        self.intent
    }

    /// The newest probe's answer to this instance.
    pub fn last_probe(&self) -> Option<&ProbeReport> {
        self.last_probe.as_ref()
    }

    /// When the next probe comes.
    pub fn next_probe(&self) -> Option<Instant> {
        self.next_probe
    }

    /// See [`crate::model::Observed::restarts`].
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// See [`crate::model::Observed::last_exit`].
    pub fn last_exit(&self) -> Option<ExitRecord> {
        self.last_exit
    }

    /// See [`crate::model::Observed::notes`].
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether a probe is under way whose failure would say nothing.
    pub fn is_probed_across_gap(&self) -> bool {
        self.probe == InFlight::AcrossGap
    }

    /// When [`Input::Tick`] is due.
    pub fn next_wake(&self) -> Option<Instant> {
        let deadline = match &self.state {
            ServiceState::Starting { deadline, .. } => Some(*deadline),
            ServiceState::Stopping { deadline, .. } if self.stopper == Stopper::Another => Some(*deadline),
            ServiceState::Unknown { .. }
            | ServiceState::Stopped
            | ServiceState::Waiting { .. }
            | ServiceState::Launching { .. }
            | ServiceState::Running { .. }
            | ServiceState::Stopping { .. }
            | ServiceState::Backoff { .. }
            | ServiceState::Failed { .. } => None,
        };
        deadline.into_iter().chain(self.next_probe).min()
    }

    /// Puts off the next probe of a start to `earliest`: many services that start at once share the processor with their probes.
    pub fn space_probes(&mut self, earliest: Instant) {
        if let (ServiceState::Starting { .. }, Some(next)) = (&self.state, self.next_probe) {
            self.next_probe = Some(next.max(earliest));
        }
    }

    /// Takes over a changed specification; the instance is not touched.
    pub fn reconfigure(&mut self, policy: Policy, now: Instant) {
        if policy.retries != self.policy.retries {
            self.streak = Streak::new(policy.retries);
        }
        self.policy = policy;
        if let ServiceState::Running { .. } = self.state {
            self.next_probe = self.due_while_running(now);
        }
    }

    /// Acts on its own from now on, or no longer.
    pub fn lead(&mut self, role: Role, now: Instant) {
        if self.role != role {
            self.role = role;
            if let ServiceState::Running { .. } = self.state {
                self.next_probe = self.due_while_running(now);
            }
        }
    }

    /// Whether it keeps asking. A leader does, whatever else its engine is for.
    pub fn probing(&self) -> Probing {
        match self.role {
            Role::Leader => Probing::Continuous,
            Role::Follower => self.policy.probing,
        }
    }

    /// A leader replaces killed guardians whatever else its engine is for.
    fn tending(&self) -> Tending {
        match self.role {
            Role::Leader => Tending::Yes,
            Role::Follower => self.policy.tending,
        }
    }

    fn enter(&mut self, state: ServiceState, now: Instant) {
        if self.state.kind() != state.kind() {
            self.entered = now;
        }
        if self.state.instance() != state.instance() {
            self.streak = Streak::new(self.policy.retries);
            self.illness = Illness::default();
            self.last_probe = None;
            self.probe = InFlight::No;
        }
        self.next_probe = None;
        self.state = state;
    }

    /// When a running service is probed next.
    fn due_while_running(&self, now: Instant) -> Option<Instant> {
        match (self.policy.checked, self.probing()) {
            (Checked::Yes, Probing::Continuous) => Some(match self.last_probe {
                None => now,
                Some(_) => self.policy.next_on_grid(now),
            }),
            (Checked::No, _) | (Checked::Yes, Probing::WhileStarting) => None,
        }
    }
}

/// Takes one input in.
pub fn step(machine: Machine, input: Input, now: Instant) -> Step {
    let mut turn = Turn { machine, effects: Vec::new(), now };
    match input {
        Input::StartRequested { on } => turn.start_requested(on),
        Input::RestartRequested => turn.restart_requested(),
        Input::DependencyReady(id) => turn.dependency_ready(&id),
        Input::StartAbandoned => turn.start_abandoned(),
        Input::Launched(launch) => turn.launched(launch),
        Input::LaunchFailed { message, remedy } => turn.launch_failed(message, remedy),
        Input::LaunchGivenUp => turn.launch_given_up(StartEnd::Abandoned),
        Input::LaunchOvertaken => turn.launch_given_up(StartEnd::Superseded),
        Input::StoppedElsewhere => turn.stopped_elsewhere(),
        Input::StopRequested { how, grace } => turn.stop_requested(how, grace),
        Input::StopReported(result) => turn.stop_reported(result),
        Input::Observed(Ok(observed)) => turn.observed(observed),
        Input::Observed(Err(reason)) => turn.not_observable(reason),
        Input::Probed { instance, outcome } => turn.probed(&instance, outcome),
        Input::RecoveryCleared { instance } => turn.recovery_cleared(&instance),
        Input::RecoveryHeldBack { instance, by, condition } => turn.recovery_held_back(&instance, by, condition),
        Input::RecoveryReported(result) => turn.recovery_reported(result),
        Input::Woke { probe_after } => turn.woke(probe_after),
        Input::Tick => turn.tick(),
    }
    Step { machine: turn.machine, effects: turn.effects }
}

/// One call of [`step`] while it is under way.
struct Turn {
    machine: Machine,
    effects: Vec<Effect>,
    now: Instant,
}

impl Turn {
    fn emit(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn tell(&mut self, what: Happening) {
        self.emit(Effect::Tell(what));
    }

    fn enter(&mut self, state: ServiceState) {
        self.machine.enter(state, self.now);
    }

    fn dequeue(&mut self) -> Queued {
        std::mem::replace(&mut self.machine.queued, Queued::Nothing)
    }

    fn launch(&mut self) {
        let deadline = self.now + self.machine.policy.start_timeout;
        self.enter(ServiceState::Launching { deadline });
        self.emit(Effect::StartBegan);
        self.emit(Effect::Launch);
    }

    /// Waits until its own engine says that it is up; only then is its health asked for.
    fn wait_until_up(&mut self, instance: Instance, since: Instant) {
        let deadline = self.now + self.machine.policy.start_timeout;
        self.enter(ServiceState::Starting { instance, since, deadline });
    }

    /// Goes on waiting for health; `began` is when the start timeout began to run.
    fn wait_for_health(&mut self, instance: Instance, since: Instant, began: Instant) {
        let deadline = began + self.machine.policy.start_timeout;
        self.enter(ServiceState::Starting { instance: instance.clone(), since, deadline });
        self.begin_probe(instance);
    }

    fn begin_probe(&mut self, instance: Instance) {
        self.machine.next_probe = None;
        if self.machine.probe == InFlight::No {
            self.machine.probe = InFlight::Yes;
            self.emit(Effect::Probe { instance });
        }
    }

    fn run(&mut self, instance: Instance, since: Instant, health: Health) {
        self.enter(ServiceState::Running { instance, since, health });
        self.machine.next_probe = self.machine.due_while_running(self.now);
    }
}

#[cfg(test)]
mod arriving_test;

#[cfg(test)]
mod table_test;

#[cfg(test)]
mod property_test;

#[cfg(test)]
mod recovery_test;

#[cfg(test)]
mod model_test;
