//! What is seen of a service: the backend's looks, the probes' answers, the passing of time.

use std::time::{Duration, Instant};

use super::{Effect, InFlight, Probing, Queued, StartEnd, Stopper, Tending, Turn};
use crate::lifecycle::admission::Checked;
use crate::model::{
    FailureReason, Guardian, Happening, Health, Instance, Intent, Launch, LaunchOrigin, Observed, Presence,
    ProbeOutcome, ProbeVerdict, Serves, ServiceState, StateKind,
};

/// Two moments no further apart are one: each look at a pause reads its end from two clocks, one after the other.
const ONE_MOMENT: Duration = Duration::from_millis(50);

impl Turn {
    pub(super) fn observed(&mut self, observed: Observed) {
        let Observed { presence, entered, intent, restarts, last_exit, notes } = observed;
        let before = self.machine.state.kind();
        let machine = &mut self.machine;
        machine.restarts = restarts;
        machine.last_exit = last_exit.or(machine.last_exit);
        machine.notes = notes;
        if let Presence::Present { guardian: Guardian::Gone, .. } = &presence
            && machine.tending() == Tending::Yes
        {
            self.effects.push(Effect::Tend);
        }
        match machine.state.clone() {
            // What this engine does itself, it also hears the end of.
            ServiceState::Launching { .. } => {}
            ServiceState::Stopping { .. } => match self.machine.stopper {
                Stopper::Us => {}
                Stopper::Another => self.observed_while_another_stops(presence),
            },
            ServiceState::Waiting { .. } => match presence {
                Presence::Present { instance, since, .. } => self.started_by_another(instance, since),
                Presence::Absent
                | Presence::Arriving { .. }
                | Presence::Leaving { .. }
                | Presence::RestartPending { .. }
                | Presence::Failed { .. } => {}
            },
            ServiceState::Starting { instance, since, deadline } => {
                self.observed_while_starting(presence, &instance, since, deadline);
            }
            ServiceState::Unknown { .. }
            | ServiceState::Stopped
            | ServiceState::Running { .. }
            | ServiceState::Backoff { .. }
            | ServiceState::Failed { .. } => {
                if intent.is_some() {
                    machine.intent = intent;
                }
                self.settle(presence);
            }
        }
        if let Some(entered) = entered.filter(|_| self.machine.state.kind() != before) {
            self.date_back(entered);
        }
    }

    /// What another copy of the tool did, or a guardian, happened when it did and not when this engine looked.
    pub(super) fn date_back(&mut self, entered: Instant) {
        let machine = &mut self.machine;
        let entered = entered.min(self.now);
        match &mut machine.state {
            ServiceState::Stopping { deadline, .. } => *deadline = entered + machine.policy.stop_timeout,
            ServiceState::Backoff { .. } | ServiceState::Failed { .. } => {}
            ServiceState::Unknown { .. }
            | ServiceState::Stopped
            | ServiceState::Waiting { .. }
            | ServiceState::Launching { .. }
            | ServiceState::Starting { .. }
            | ServiceState::Running { .. } => return,
        }
        machine.entered = entered;
    }

    pub(super) fn started_by_another(&mut self, instance: Instance, since: Instant) {
        let launch = Launch { instance: instance.clone(), since, origin: LaunchOrigin::FoundRunning };
        self.tell(Happening::Adopted(instance.clone()));
        self.emit(Effect::StartLaunched(launch));
        match self.machine.policy.checked {
            Checked::Yes => self.wait_for_health(instance, since, self.now),
            Checked::No => {
                self.run(instance.clone(), since, Health::Unknown);
                self.emit(Effect::StartEnded(StartEnd::AlreadyRunning(instance)));
            }
        }
    }

    pub(super) fn observed_while_another_stops(&mut self, presence: Presence) {
        if let Presence::Leaving { .. } = presence {
            return;
        }
        let queued = self.dequeue();
        self.settle(presence);
        if let Queued::Start { on } = queued {
            self.start_requested(on);
        }
    }

    pub(super) fn observed_while_starting(
        &mut self,
        presence: Presence,
        known: &Instance,
        since: Instant,
        deadline: Instant,
    ) {
        let ran_for = Some(self.now.saturating_duration_since(since));
        let end = match &presence {
            Presence::Present { instance, .. } if instance == known => {
                self.is_up(known.clone(), since);
                return;
            }
            Presence::Arriving { instance, .. } if instance == known => return,
            Presence::Arriving { instance, since, .. } => {
                self.enter(ServiceState::Starting { instance: instance.clone(), since: *since, deadline });
                return;
            }
            // It died and its guardian was quicker than we: the wait goes on with the new instance, to the same deadline.
            Presence::Present { instance, since, .. } => {
                let (instance, since) = (instance.clone(), *since);
                self.enter(ServiceState::Starting { instance: instance.clone(), since, deadline });
                if instance.is_up_at_once() {
                    self.begin_probe(instance);
                } else {
                    self.is_up(instance, since);
                }
                return;
            }
            Presence::RestartPending { attempt, until, last } => StartEnd::Died {
                ending: *last,
                after: ran_for,
                restart: Some((*attempt, until.saturating_duration_since(self.now))),
            },
            Presence::Failed { reason } => match reason {
                FailureReason::CouldNotStart(message) | FailureReason::Unreachable(message) => {
                    StartEnd::LaunchFailed { message: message.clone(), remedy: None }
                }
                FailureReason::Died { ending, after } => {
                    StartEnd::Died { ending: *ending, after: after.or(ran_for), restart: None }
                }
                FailureReason::GaveUp { ending, .. } => {
                    StartEnd::Died { ending: *ending, after: ran_for, restart: None }
                }
            },
            // Somebody else stops it, or has.
            Presence::Absent | Presence::Leaving { .. } => StartEnd::Superseded,
        };
        self.settle(presence);
        self.emit(Effect::StartEnded(end));
    }

    /// What was waited for is there, by the word of its own engine: its health is asked for now, where there is a way to ask.
    fn is_up(&mut self, instance: Instance, since: Instant) {
        match self.machine.policy.checked {
            // A probe is under way, or comes.
            Checked::Yes if self.machine.probe == InFlight::Yes || self.machine.next_probe.is_some() => {}
            Checked::Yes => self.begin_probe(instance),
            Checked::No => {
                let after = self.now.saturating_duration_since(self.machine.entered);
                self.tell(Happening::BecameReady { after });
                self.run(instance.clone(), since, Health::Unknown);
                self.emit(Effect::StartEnded(StartEnd::Ready { instance, after, checked: Checked::No }));
            }
        }
    }

    /// Nothing of it answers, though it was told to run.
    fn settle_arriving(&mut self, instance: Instance, since: Instant) {
        match (&self.machine.state, self.machine.policy.checked) {
            (ServiceState::Running { instance: known, .. }, Checked::Yes) if *known == instance => {}
            (ServiceState::Running { instance: known, health, .. }, Checked::No) if *known == instance => {
                if *health != Health::Unhealthy {
                    let message =
                        self.machine.notes.first().cloned().unwrap_or_else(|| "nothing of it is up".to_owned());
                    self.tell(Happening::BecameUnhealthy { message });
                    self.run(instance, since, Health::Unhealthy);
                }
            }
            (state, _) => {
                match state {
                    ServiceState::Unknown { .. } => {}
                    _ if state.is_alive() => self.tell(Happening::Started(instance.clone())),
                    _ => self.tell(Happening::Adopted(instance.clone())),
                }
                self.wait_until_up(instance, since);
            }
        }
    }

    /// Shows what was observed, and tells the timeline what that means.
    pub(super) fn settle(&mut self, presence: Presence) {
        let had = self.machine.state.instance().cloned();
        match presence {
            Presence::Arriving { instance, since, serves: Serves::No } => self.settle_arriving(instance, since),
            Presence::Present { instance, since, .. } | Presence::Arriving { instance, since, serves: Serves::Yes } => {
                if had.as_ref() == Some(&instance) {
                    self.is_up_again();
                } else {
                    match had {
                        Some(_) => self.tell(Happening::Started(instance.clone())),
                        // What ran before this engine looked is no news.
                        None if matches!(self.machine.state, ServiceState::Unknown { .. }) => {}
                        // As was said before.
                        None if matches!(self.machine.state, ServiceState::Backoff { .. }) => {
                            self.tell(Happening::Started(instance.clone()));
                        }
                        None => self.tell(Happening::Adopted(instance.clone())),
                    }
                    self.run(instance, since, Health::Unknown);
                }
            }
            Presence::Leaving { instance, since } => {
                let deadline = self.now + self.machine.policy.stop_timeout;
                self.enter(ServiceState::Stopping { instance, since, deadline });
                self.machine.stopper = Stopper::Another;
            }
            // A failed start stays visible until somebody asks for something else.
            Presence::Absent
                if self.machine.intent == Some(Intent::Up)
                    && matches!(self.machine.state, ServiceState::Failed { .. }) => {}
            Presence::Absent => {
                if had.is_some() {
                    self.tell(Happening::Stopped);
                }
                self.enter(ServiceState::Stopped);
            }
            Presence::RestartPending { attempt, until, last } => {
                let mut is_known_death = false;
                if let ServiceState::Backoff { attempt: known, until: at, last: ending } = &self.machine.state {
                    is_known_death = *known == attempt && *ending == last;
                    if is_known_death && until.max(*at).duration_since(until.min(*at)) <= ONE_MOMENT {
                        return;
                    }
                }
                if !matches!(self.machine.state, ServiceState::Unknown { .. }) {
                    if !is_known_death {
                        self.tell(Happening::Died { ending: last });
                    }
                    let after = until.saturating_duration_since(self.now);
                    self.tell(Happening::RestartScheduled { attempt, after });
                }
                self.enter(ServiceState::Backoff { attempt, until, last });
            }
            Presence::Failed { reason } => {
                let state = ServiceState::Failed { reason: reason.clone() };
                if self.machine.state != state {
                    // What failed before this engine looked is no news.
                    if !matches!(self.machine.state, ServiceState::Unknown { .. }) {
                        match reason {
                            FailureReason::CouldNotStart(reason) => self.tell(Happening::StartFailed { reason }),
                            // A start that failed has said so, and another reason for the same is no news.
                            FailureReason::Unreachable(_) if self.machine.state.kind() == StateKind::Failed => {}
                            FailureReason::Unreachable(reason) => self.tell(Happening::BecameUnreachable { reason }),
                            FailureReason::Died { ending, .. } => self.tell(Happening::Died { ending }),
                            FailureReason::GaveUp { restarts, .. } => self.tell(Happening::GaveUp { restarts }),
                        }
                    }
                    self.enter(state);
                }
            }
        }
    }

    /// Without a check, what its own engine says is all there is to say of its health.
    fn is_up_again(&mut self) {
        if let (ServiceState::Running { instance, since, health: Health::Unhealthy }, Checked::No) =
            (self.machine.state.clone(), self.machine.policy.checked)
        {
            self.tell(Happening::BecameHealthy);
            self.run(instance, since, Health::Unknown);
        }
    }

    pub(super) fn not_observable(&mut self, reason: String) {
        match &self.machine.state {
            ServiceState::Launching { .. } | ServiceState::Stopping { .. } | ServiceState::Starting { .. } => {}
            ServiceState::Waiting { .. } => {
                self.enter(ServiceState::Unknown { reason: reason.clone() });
                self.emit(Effect::StartEnded(StartEnd::Denied { reason }));
            }
            ServiceState::Unknown { .. }
            | ServiceState::Stopped
            | ServiceState::Running { .. }
            | ServiceState::Backoff { .. }
            | ServiceState::Failed { .. } => self.enter(ServiceState::Unknown { reason }),
        }
    }

    pub(super) fn probed(&mut self, asked: &Instance, outcome: ProbeOutcome) {
        if self.machine.state.instance() != Some(asked) {
            return;
        }
        let in_flight = std::mem::replace(&mut self.machine.probe, InFlight::No);
        let report = match outcome {
            ProbeOutcome::Answered(report)
                if in_flight == InFlight::AcrossGap && report.verdict == ProbeVerdict::Failed =>
            {
                self.ask_again();
                return;
            }
            ProbeOutcome::Answered(report) => report,
            // Says nothing about the service: ask again in due course.
            ProbeOutcome::CouldNotRun { reason } => {
                self.probe_could_not_run(reason);
                return;
            }
        };
        let before = self.machine.streak.health();
        self.machine.streak = self.machine.streak.after(report.verdict);
        let health = self.machine.streak.health();
        let message = report.message.clone();
        if let Some(since) = self.machine.state.since() {
            self.note_verdict(report.verdict, since);
        }
        self.machine.last_probe = Some(report);
        match self.machine.state.clone() {
            ServiceState::Starting { instance, since, deadline } => match health {
                Health::Healthy => {
                    let after = self.now.saturating_duration_since(since);
                    self.tell(Happening::BecameReady { after });
                    self.run(instance.clone(), since, Health::Healthy);
                    self.emit(Effect::StartEnded(StartEnd::Ready { instance, after, checked: Checked::Yes }));
                }
                Health::Unknown | Health::Unhealthy => self.space_next_readiness_probe(since, deadline),
            },
            ServiceState::Running { instance, since, .. } => {
                match (before, health) {
                    (Health::Unhealthy, Health::Healthy) => self.tell(Happening::BecameHealthy),
                    (Health::Unknown | Health::Healthy, Health::Unhealthy) => {
                        self.tell(Happening::BecameUnhealthy { message });
                    }
                    (Health::Unknown | Health::Healthy, Health::Unknown | Health::Healthy)
                    | (Health::Unhealthy, Health::Unknown | Health::Unhealthy) => {}
                }
                self.run(instance, since, health);
                self.consider_recovery();
            }
            ServiceState::Unknown { .. }
            | ServiceState::Stopped
            | ServiceState::Waiting { .. }
            | ServiceState::Launching { .. }
            | ServiceState::Stopping { .. }
            | ServiceState::Backoff { .. }
            | ServiceState::Failed { .. } => {}
        }
    }

    pub(super) fn probe_could_not_run(&mut self, reason: String) {
        let note = format!("the health check could not run: {reason}");
        if !self.machine.notes.contains(&note) {
            self.machine.notes.push(note);
        }
        self.ask_again();
    }

    /// The probe said nothing: the next one comes as if it had not been.
    fn ask_again(&mut self) {
        if self.machine.next_probe.is_some() {
            return;
        }
        match self.machine.state.clone() {
            ServiceState::Starting { since, deadline, .. } => self.space_next_readiness_probe(since, deadline),
            ServiceState::Running { .. } => {
                self.machine.next_probe = match self.machine.probing() {
                    Probing::Continuous => Some(self.machine.policy.next_on_grid(self.now)),
                    Probing::WhileStarting => None,
                };
            }
            ServiceState::Unknown { .. }
            | ServiceState::Stopped
            | ServiceState::Waiting { .. }
            | ServiceState::Launching { .. }
            | ServiceState::Stopping { .. }
            | ServiceState::Backoff { .. }
            | ServiceState::Failed { .. } => {}
        }
    }

    pub(super) fn space_next_readiness_probe(&mut self, since: Instant, deadline: Instant) {
        let elapsed = self.now.saturating_duration_since(since);
        let due = self.now + self.machine.policy.readiness_delay(elapsed);
        self.machine.next_probe = Some(due.min(deadline));
    }

    /// What failed so far may have failed in the gap, and what is under way began before it.
    pub(super) fn woke(&mut self, probe_after: Duration) {
        let machine = &mut self.machine;
        machine.streak = machine.streak.forgiven();
        machine.illness.forget_failures();
        if machine.probe == InFlight::Yes {
            machine.probe = InFlight::AcrossGap;
        }
        if let (ServiceState::Running { .. }, Some(_)) = (&machine.state, machine.next_probe) {
            machine.next_probe = Some(self.now + probe_after);
        }
    }

    pub(super) fn tick(&mut self) {
        match self.machine.state.clone() {
            ServiceState::Starting { instance, since, deadline } if self.now >= deadline => {
                let machine = &self.machine;
                let message = match (&machine.last_probe, machine.notes.as_slice()) {
                    (Some(probe), _) => probe.message.clone(),
                    // What its own engine waits for.
                    (None, notes @ [_, ..]) if !instance.is_up_at_once() => notes.join("; "),
                    (None, _) => "the health check has not answered yet".to_owned(),
                };
                self.tell(Happening::NotReadyInTime { message: message.clone() });
                self.machine.streak = self.machine.streak.exhausted();
                // The process stays: killing it would destroy the evidence (A45).
                self.run(instance, since, Health::Unhealthy);
                self.emit(Effect::StartEnded(StartEnd::NotReadyInTime { message }));
            }
            ServiceState::Starting { instance, .. } | ServiceState::Running { instance, .. } => {
                if self.machine.next_probe.is_some_and(|due| due <= self.now) {
                    self.begin_probe(instance);
                }
            }
            // Told to stop, and not gone in time: it is shown as what it is, still running (faults, case 12).
            ServiceState::Stopping { instance, since, deadline }
                if self.machine.stopper == Stopper::Another && self.now >= deadline =>
            {
                self.run(instance, since, Health::Unknown);
                if let Queued::Start { .. } = self.dequeue() {
                    let message = "it was told to stop by someone else and does not end".to_owned();
                    let remedy = Some("stop it with --force, then start it".to_owned());
                    self.emit(Effect::StartEnded(StartEnd::LaunchFailed { message, remedy }));
                }
            }
            ServiceState::Unknown { .. }
            | ServiceState::Stopped
            | ServiceState::Waiting { .. }
            | ServiceState::Launching { .. }
            | ServiceState::Stopping { .. }
            | ServiceState::Backoff { .. }
            | ServiceState::Failed { .. } => {}
        }
    }
}
