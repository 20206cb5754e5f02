//! What is asked of a service, and how that ended: starts, stops, and what they wait for.

use std::time::{Duration, Instant};

use super::{Effect, Queued, StartEnd, StopEnd, StopFailure, Stopper, Turn};
use crate::lifecycle::admission::{self, Admission, Checked};
use crate::model::{
    FailureReason, Happening, Health, Instance, Intent, Launch, LaunchOrigin, ServiceId, ServiceState, StopHow,
};

impl Turn {
    pub(super) fn start_requested(&mut self, on: Vec<ServiceId>) {
        if self.machine.n_stops > 0 {
            self.machine.intent = Some(Intent::Up);
            self.machine.queued = Queued::Start { on };
            return;
        }
        match admission::admit_start(&self.machine.state, self.machine.policy.checked) {
            Admission::Denied(_) => {
                let reason = match &self.machine.state {
                    ServiceState::Unknown { reason } => reason.clone(),
                    other => other.kind().to_string(),
                };
                self.emit(Effect::StartEnded(StartEnd::Denied { reason }));
            }
            Admission::AlreadySo => {
                self.machine.intent = Some(Intent::Up);
                if let Some(instance) = self.machine.state.instance().cloned() {
                    self.emit(Effect::StartEnded(StartEnd::AlreadyRunning(instance)));
                }
            }
            Admission::Accepted => self.accept_start(on),
        }
    }

    pub(super) fn restart_requested(&mut self) {
        let can_be_replaced = match self.machine.state {
            ServiceState::Starting { .. } | ServiceState::Running { .. } => self.machine.n_stops == 0,
            ServiceState::Unknown { .. }
            | ServiceState::Stopped
            | ServiceState::Waiting { .. }
            | ServiceState::Launching { .. }
            | ServiceState::Stopping { .. }
            | ServiceState::Backoff { .. }
            | ServiceState::Failed { .. } => false,
        };
        if can_be_replaced {
            self.machine.intent = Some(Intent::Up);
            self.tell(Happening::StartRequested);
            self.launch();
        } else {
            self.start_requested(Vec::new());
        }
    }

    pub(super) fn accept_start(&mut self, on: Vec<ServiceId>) {
        self.machine.intent = Some(Intent::Up);
        match self.machine.state.clone() {
            ServiceState::Stopped | ServiceState::Failed { .. } | ServiceState::Backoff { .. } => {
                self.tell(Happening::StartRequested);
                self.launch_after(on);
            }
            ServiceState::Waiting { on: waiting_on } => {
                if on.is_empty() {
                    self.launch();
                } else if on != waiting_on {
                    self.enter(ServiceState::Waiting { on });
                }
            }
            // An instance that nobody found healthy yet is waited for like a fresh one.
            ServiceState::Running { instance, since, .. } => match self.machine.policy.checked {
                Checked::Yes => self.wait_for_health(instance, since, self.now),
                // Its own engine says that it is not up: asking that one again is all there is to do.
                Checked::No => self.launch(),
            },
            ServiceState::Launching { .. } => {
                if let Queued::Stop { .. } = self.dequeue() {
                    let message = "it was asked to start again before the stop could begin".to_owned();
                    self.emit(Effect::StopEnded(StopEnd::Failed(StopFailure { message, remedy: None })));
                }
            }
            ServiceState::Starting { .. } => {}
            ServiceState::Stopping { .. } => self.machine.queued = Queued::Start { on },
            ServiceState::Unknown { .. } => {}
        }
    }

    pub(super) fn launch_after(&mut self, on: Vec<ServiceId>) {
        if on.is_empty() {
            self.launch();
        } else {
            self.enter(ServiceState::Waiting { on });
        }
    }

    pub(super) fn dependency_ready(&mut self, id: &ServiceId) {
        if let Queued::Start { on } = &mut self.machine.queued {
            on.retain(|waiting| waiting != id);
        }
        if let ServiceState::Waiting { on } = &mut self.machine.state {
            on.retain(|waiting| waiting != id);
            if on.is_empty() {
                self.launch();
            }
        }
    }

    pub(super) fn start_abandoned(&mut self) {
        if let Queued::Start { .. } = self.machine.queued {
            self.machine.queued = Queued::Nothing;
            self.emit(Effect::StartEnded(StartEnd::Abandoned));
            return;
        }
        match &self.machine.state {
            ServiceState::Waiting { .. } => {
                self.machine.intent = None;
                self.enter(ServiceState::Stopped);
                self.emit(Effect::StartEnded(StartEnd::Abandoned));
            }
            ServiceState::Unknown { .. }
            | ServiceState::Stopped
            | ServiceState::Launching { .. }
            | ServiceState::Starting { .. }
            | ServiceState::Running { .. }
            | ServiceState::Stopping { .. }
            | ServiceState::Backoff { .. }
            | ServiceState::Failed { .. } => {}
        }
    }

    pub(super) fn launched(&mut self, launch: Launch) {
        let ServiceState::Launching { .. } = self.machine.state else {
            return;
        };
        self.tell(match launch.origin {
            LaunchOrigin::Started => Happening::Started(launch.instance.clone()),
            LaunchOrigin::FoundRunning => Happening::Adopted(launch.instance.clone()),
        });
        match self.dequeue() {
            Queued::Stop { how, grace } => self.begin_stop(launch.instance, launch.since, how, grace),
            Queued::Nothing | Queued::Start { .. } => {
                self.emit(Effect::StartLaunched(launch.clone()));
                match self.machine.policy.checked {
                    _ if !launch.instance.is_up_at_once() => self.wait_until_up(launch.instance, launch.since),
                    Checked::Yes => self.wait_for_health(launch.instance, launch.since, self.now),
                    Checked::No => {
                        let Launch { instance, since, .. } = launch;
                        self.run(instance.clone(), since, Health::Unknown);
                        self.emit(Effect::StartEnded(StartEnd::Ready {
                            instance,
                            after: Duration::ZERO,
                            checked: Checked::No,
                        }));
                    }
                }
            }
        }
    }

    pub(super) fn launch_failed(&mut self, message: String, remedy: Option<String>) {
        let ServiceState::Launching { .. } = self.machine.state else {
            return;
        };
        self.tell(Happening::StartFailed { reason: message.clone() });
        match self.dequeue() {
            Queued::Stop { .. } => {
                self.enter(ServiceState::Stopped);
                self.emit(Effect::StopEnded(StopEnd::NotRunning));
            }
            Queued::Nothing | Queued::Start { .. } => {
                self.enter(ServiceState::Failed { reason: FailureReason::CouldNotStart(message.clone()) });
                self.emit(Effect::StartEnded(StartEnd::LaunchFailed { message, remedy }));
            }
        }
    }

    pub(super) fn stopped_elsewhere(&mut self) {
        if let Queued::Start { .. } = self.machine.queued {
            self.machine.queued = Queued::Nothing;
        } else if let ServiceState::Waiting { .. } = self.machine.state {
            self.enter(ServiceState::Stopped);
        } else {
            // A launch hears it from its backend, and what runs is stopped.
            return;
        }
        self.machine.intent = Some(Intent::Down);
        self.emit(Effect::StartEnded(StartEnd::Superseded));
    }

    pub(super) fn launch_given_up(&mut self, end: StartEnd) {
        let ServiceState::Launching { .. } = self.machine.state else {
            return;
        };
        self.enter(ServiceState::Stopped);
        match self.dequeue() {
            Queued::Stop { .. } => self.emit(Effect::StopEnded(StopEnd::NotRunning)),
            Queued::Nothing | Queued::Start { .. } => {
                self.machine.intent = (end == StartEnd::Superseded).then_some(Intent::Down);
                self.emit(Effect::StartEnded(end));
            }
        }
    }

    pub(super) fn stop_requested(&mut self, how: StopHow, grace: Duration) {
        if let Queued::Start { .. } = self.machine.queued {
            self.machine.queued = Queued::Nothing;
            self.emit(Effect::StartEnded(StartEnd::Superseded));
        }
        match admission::admit_stop(&self.machine.state) {
            Admission::Denied(_) => {
                let message = match &self.machine.state {
                    ServiceState::Unknown { reason } => reason.clone(),
                    other => other.kind().to_string(),
                };
                self.emit(Effect::StopEnded(StopEnd::Failed(StopFailure { message, remedy: None })));
            }
            // So it was when it was last looked at; another copy of the tool may have started it since.
            Admission::AlreadySo => {
                self.machine.intent = Some(Intent::Down);
                self.order_stop(how, grace);
            }
            Admission::Accepted => {
                self.machine.intent = Some(Intent::Down);
                self.tell(Happening::StopRequested);
                self.accept_stop(how, grace);
            }
        }
    }

    pub(super) fn accept_stop(&mut self, how: StopHow, grace: Duration) {
        match self.machine.state.clone() {
            ServiceState::Waiting { .. } => {
                self.enter(ServiceState::Stopped);
                self.emit(Effect::StartEnded(StartEnd::Superseded));
                self.emit(Effect::StopEnded(StopEnd::NotRunning));
            }
            ServiceState::Launching { .. } => {
                self.machine.queued = Queued::Stop { how, grace };
                self.emit(Effect::StartEnded(StartEnd::Superseded));
            }
            ServiceState::Starting { instance, since, .. } => {
                self.emit(Effect::StartEnded(StartEnd::Superseded));
                self.begin_stop(instance, since, how, grace);
            }
            ServiceState::Running { instance, since, .. } => self.begin_stop(instance, since, how, grace),
            // Asking again while it stops asks the backend again, perhaps harder; the first answer ends the stop.
            ServiceState::Stopping { .. } => {
                self.machine.stopper = Stopper::Us;
                self.order_stop(how, grace);
            }
            // There is no instance to show; the guardian is asked to give up.
            // Nor after a failure, but what is recorded as wanted must no longer be.
            ServiceState::Backoff { .. } | ServiceState::Failed { .. } => self.order_stop(how, grace),
            ServiceState::Unknown { .. } | ServiceState::Stopped => {}
        }
    }

    pub(super) fn begin_stop(&mut self, instance: Instance, since: Instant, how: StopHow, grace: Duration) {
        let deadline = self.now + grace;
        self.enter(ServiceState::Stopping { instance, since, deadline });
        self.machine.stopper = Stopper::Us;
        self.order_stop(how, grace);
    }

    pub(super) fn order_stop(&mut self, how: StopHow, grace: Duration) {
        self.machine.n_stops += 1;
        self.emit(Effect::Stop { how, grace });
    }

    pub(super) fn stop_reported(&mut self, result: Result<(), StopFailure>) {
        self.machine.n_stops = self.machine.n_stops.saturating_sub(1);
        self.machine.has_stopped |= result.is_ok();
        if self.machine.n_stops > 0 {
            return;
        }
        let has_stopped = std::mem::replace(&mut self.machine.has_stopped, false);
        let queued = self.dequeue();
        match result {
            Err(failure) if !has_stopped => {
                self.tell(Happening::StopFailed { reason: failure.message.clone() });
                // It is shown as what it is: still running (faults, case 12).
                if let ServiceState::Stopping { instance, since, .. } = self.machine.state.clone() {
                    self.run(instance, since, Health::Unknown);
                }
                self.emit(Effect::StopEnded(StopEnd::Failed(failure)));
            }
            Ok(()) | Err(_) => self.stopped(),
        }
        if let Queued::Start { on } = queued {
            self.start_requested(on);
        }
    }

    pub(super) fn stopped(&mut self) {
        self.machine.restarts = 0;
        let had_nothing = match self.machine.state {
            ServiceState::Stopped | ServiceState::Failed { .. } => true,
            ServiceState::Unknown { .. }
            | ServiceState::Waiting { .. }
            | ServiceState::Launching { .. }
            | ServiceState::Starting { .. }
            | ServiceState::Running { .. }
            | ServiceState::Stopping { .. }
            | ServiceState::Backoff { .. } => false,
        };
        self.enter(ServiceState::Stopped);
        if had_nothing {
            self.emit(Effect::StopEnded(StopEnd::NotRunning));
        } else {
            self.tell(Happening::Stopped);
            self.emit(Effect::StopEnded(StopEnd::Stopped));
        }
    }
}
