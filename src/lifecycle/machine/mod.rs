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

use std::time::{Duration, Instant};

use super::admission::{self, Admission, Checked};
use super::streak::Streak;
use crate::model::{
    Check, Ending, ExitRecord, FailureReason, Guardian, Happening, Health, Instance, Intent, Launch, LaunchOrigin,
    Observed, Presence, ProbeOutcome, ProbeReport, ServiceId, ServiceSpec, ServiceState, StopHow,
};

/// The shortest delay between two probes of a service that is starting.
const SHORTEST_READINESS_DELAY: Duration = Duration::from_millis(1);

/// The longest delay between two probes of a service that is starting.
const LONGEST_READINESS_DELAY: Duration = Duration::from_millis(250);

/// Two moments no further apart are one: each look at a pause reads its end from two clocks, one after the other.
const ONE_MOMENT: Duration = Duration::from_millis(50);

/// Whether this engine keeps asking running services how they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Probing {
    /// At every interval: the console.
    Continuous,
    /// Only while a start waits: commands.
    WhileStarting,
}

/// Whether this engine replaces guardians that were killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tending {
    /// Yes: the console, and commands that act.
    Yes,
    /// No: commands that only read.
    No,
}

/// What the machine knows of its service's specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whether a health check is configured.
    pub checked: Checked,
    /// From the start of one probe to the start of the next, once ready.
    pub interval: Duration,
    /// A fixed spacing of probes until ready.
    pub start_interval: Option<Duration>,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
    /// How long a start may wait for health.
    pub start_timeout: Duration,
    /// How long a stop may take.
    pub stop_timeout: Duration,
    /// Whether running services are probed.
    pub probing: Probing,
    /// Whether killed guardians are replaced.
    pub tending: Tending,
    /// Probes of all services with one interval fall on one grid from here, so that an idle console wakes once for all of them.
    pub grid: Instant,
}

impl Policy {
    /// The policy of a service in an engine.
    pub fn new(spec: &ServiceSpec, probing: Probing, tending: Tending, grid: Instant) -> Self {
        Self {
            checked: match spec.health_check.check {
                Check::None => Checked::No,
                Check::Http { .. } | Check::Tcp { .. } | Check::Command { .. } | Check::File { .. } => Checked::Yes,
            },
            interval: spec.health_check.interval,
            start_interval: spec.health_check.start_interval,
            retries: spec.health_check.retries,
            start_timeout: spec.startup.start_timeout,
            stop_timeout: spec.startup.stop_timeout,
            probing,
            tending,
            grid,
        }
    }

    /// The first moment of the grid after `now`.
    fn next_on_grid(&self, now: Instant) -> Instant {
        let interval = self.interval.max(Duration::from_secs(1));
        let passed = now.saturating_duration_since(self.grid).as_nanos() / interval.as_nanos();
        let ticks = u32::try_from(passed + 1).unwrap_or(u32::MAX);
        self.grid.checked_add(interval.saturating_mul(ticks)).unwrap_or(now + interval)
    }

    /// How long to wait before the next probe of a service that has been starting for `elapsed`: a sixteenth of that, so that readiness
    /// is noticed at most a sixteenth late, and a slow start costs few probes.
    fn readiness_delay(&self, elapsed: Duration) -> Duration {
        self.start_interval.unwrap_or_else(|| (elapsed / 16).clamp(SHORTEST_READINESS_DELAY, LONGEST_READINESS_DELAY))
    }
}

/// What can happen to a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Somebody wants it to run, after these dependencies are ready.
    StartRequested {
        /// Dependencies that are not ready yet.
        on: Vec<ServiceId>,
    },
    /// A dependency that it waits for is ready.
    DependencyReady(ServiceId),
    /// The start that it waits in is given up: a dependency did not work, or the user cancelled.
    StartAbandoned,
    /// The backend made an instance, or found one.
    Launched(Launch),
    /// The backend could not make one.
    LaunchFailed {
        /// What and why.
        message: String,
        /// What to do.
        remedy: Option<String>,
    },
    /// Somebody wants it not to run.
    StopRequested {
        /// How hard.
        how: StopHow,
        /// How long it may take.
        grace: Duration,
    },
    /// The backend's stop ended.
    StopReported(Result<(), StopFailure>),
    /// The backend looked.
    Observed(Result<Observed, String>),
    /// A probe of that instance came back.
    Probed {
        /// Who was asked.
        instance: Instance,
        /// What came of it.
        outcome: ProbeOutcome,
    },
    /// A moment that [`Machine::next_wake`] named has come.
    Tick,
}

/// Why a stop did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopFailure {
    /// What still lives, or why it cannot be stopped.
    pub message: String,
    /// What to do.
    pub remedy: Option<String>,
}

/// What has to happen outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Make an instance.
    Launch,
    /// Make it go away.
    Stop {
        /// How hard.
        how: StopHow,
        /// How long it may take.
        grace: Duration,
    },
    /// Ask it how it is.
    Probe {
        /// Whom.
        instance: Instance,
    },
    /// Replace its guardian.
    Tend,
    /// Tell the timeline.
    Tell(Happening),
    /// Tell those who wait for the start: it is being launched now.
    StartBegan,
    /// Tell those who wait for the start: it runs.
    StartLaunched(Launch),
    /// Tell those who wait for the start: it ended.
    StartEnded(StartEnd),
    /// Tell those who wait for the stop: it ended.
    StopEnded(StopEnd),
}

/// How a start ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartEnd {
    /// It ran, and was ready, before.
    AlreadyRunning(Instance),
    /// It is ready.
    Ready {
        /// What runs.
        instance: Instance,
        /// From the launch to the first good probe.
        after: Duration,
        /// Whether a probe said so.
        checked: Checked,
    },
    /// It could not be launched.
    LaunchFailed {
        /// What and why.
        message: String,
        /// What to do.
        remedy: Option<String>,
    },
    /// It ended while its health was waited for.
    Died {
        /// How.
        ending: Ending,
        /// How long it ran.
        after: Option<Duration>,
        /// The restart that its guardian will make: attempt, and how long until then.
        restart: Option<(u32, Duration)>,
    },
    /// It runs, but not healthy within `start_timeout`.
    NotReadyInTime {
        /// The last probe's answer.
        message: String,
    },
    /// Somebody asked for a stop meanwhile.
    Superseded,
    /// The wait for dependencies was given up.
    Abandoned,
    /// The state cannot be known, so nothing was done.
    Denied {
        /// Why it cannot be known.
        reason: String,
    },
}

/// How a stop ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopEnd {
    /// All of it is gone.
    Stopped,
    /// Nothing ran.
    NotRunning,
    /// Something lives.
    Failed(StopFailure),
}

/// What waits for the end of what is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InFlight {
    No,
    Yes,
}

/// Who stops a service that is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    state: ServiceState,
    entered: Instant,
    intent: Option<Intent>,
    streak: Streak,
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
            state: ServiceState::Unknown { reason: "not looked at yet".to_owned() },
            entered: now,
            intent: None,
            streak,
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

    /// See [`Observed::restarts`].
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// See [`Observed::last_exit`].
    pub fn last_exit(&self) -> Option<ExitRecord> {
        self.last_exit
    }

    /// See [`Observed::notes`].
    pub fn notes(&self) -> &[String] {
        &self.notes
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

    fn enter(&mut self, state: ServiceState, now: Instant) {
        if self.state.kind() != state.kind() {
            self.entered = now;
        }
        if self.state.instance() != state.instance() {
            self.streak = Streak::new(self.policy.retries);
            self.last_probe = None;
            self.probe = InFlight::No;
        }
        self.next_probe = None;
        self.state = state;
    }

    /// When a running service is probed next.
    fn due_while_running(&self, now: Instant) -> Option<Instant> {
        match (self.policy.checked, self.policy.probing) {
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
        Input::DependencyReady(id) => turn.dependency_ready(&id),
        Input::StartAbandoned => turn.start_abandoned(),
        Input::Launched(launch) => turn.launched(launch),
        Input::LaunchFailed { message, remedy } => turn.launch_failed(message, remedy),
        Input::StopRequested { how, grace } => turn.stop_requested(how, grace),
        Input::StopReported(result) => turn.stop_reported(result),
        Input::Observed(Ok(observed)) => turn.observed(observed),
        Input::Observed(Err(reason)) => turn.not_observable(reason),
        Input::Probed { instance, outcome } => turn.probed(&instance, outcome),
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

    fn start_requested(&mut self, on: Vec<ServiceId>) {
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

    fn accept_start(&mut self, on: Vec<ServiceId>) {
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
            ServiceState::Running { instance, since, .. } => self.wait_for_health(instance, since, self.now),
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

    fn dequeue(&mut self) -> Queued {
        std::mem::replace(&mut self.machine.queued, Queued::Nothing)
    }

    fn launch_after(&mut self, on: Vec<ServiceId>) {
        if on.is_empty() {
            self.launch();
        } else {
            self.enter(ServiceState::Waiting { on });
        }
    }

    fn launch(&mut self) {
        let deadline = self.now + self.machine.policy.start_timeout;
        self.enter(ServiceState::Launching { deadline });
        self.emit(Effect::StartBegan);
        self.emit(Effect::Launch);
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

    fn dependency_ready(&mut self, id: &ServiceId) {
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

    fn start_abandoned(&mut self) {
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

    fn launched(&mut self, launch: Launch) {
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

    fn run(&mut self, instance: Instance, since: Instant, health: Health) {
        self.enter(ServiceState::Running { instance, since, health });
        self.machine.next_probe = self.machine.due_while_running(self.now);
    }

    fn launch_failed(&mut self, message: String, remedy: Option<String>) {
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

    fn stop_requested(&mut self, how: StopHow, grace: Duration) {
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
            Admission::AlreadySo => {
                self.machine.intent = Some(Intent::Down);
                self.enter(ServiceState::Stopped);
                self.emit(Effect::StopEnded(StopEnd::NotRunning));
            }
            Admission::Accepted => {
                self.machine.intent = Some(Intent::Down);
                self.tell(Happening::StopRequested);
                self.accept_stop(how, grace);
            }
        }
    }

    fn accept_stop(&mut self, how: StopHow, grace: Duration) {
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

    fn begin_stop(&mut self, instance: Instance, since: Instant, how: StopHow, grace: Duration) {
        let deadline = self.now + grace;
        self.enter(ServiceState::Stopping { instance, since, deadline });
        self.machine.stopper = Stopper::Us;
        self.order_stop(how, grace);
    }

    fn order_stop(&mut self, how: StopHow, grace: Duration) {
        self.machine.n_stops += 1;
        self.emit(Effect::Stop { how, grace });
    }

    fn stop_reported(&mut self, result: Result<(), StopFailure>) {
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

    fn stopped(&mut self) {
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

    fn observed(&mut self, observed: Observed) {
        let Observed { presence, entered, intent, restarts, last_exit, notes } = observed;
        let before = self.machine.state.kind();
        let machine = &mut self.machine;
        machine.restarts = restarts;
        machine.last_exit = last_exit.or(machine.last_exit);
        machine.notes = notes;
        if let Presence::Present { guardian: Guardian::Gone, .. } = &presence
            && machine.policy.tending == Tending::Yes
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
    fn date_back(&mut self, entered: Instant) {
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

    fn started_by_another(&mut self, instance: Instance, since: Instant) {
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

    fn observed_while_another_stops(&mut self, presence: Presence) {
        if let Presence::Leaving { .. } = presence {
            return;
        }
        let queued = self.dequeue();
        self.settle(presence);
        if let Queued::Start { on } = queued {
            self.start_requested(on);
        }
    }

    fn observed_while_starting(&mut self, presence: Presence, known: &Instance, since: Instant, deadline: Instant) {
        let ran_for = Some(self.now.saturating_duration_since(since));
        let end = match &presence {
            Presence::Present { instance, .. } if instance == known => return,
            // It died and its guardian was quicker than we: the wait goes on with the new instance, to the same deadline.
            Presence::Present { instance, since, .. } => {
                let (instance, since) = (instance.clone(), *since);
                self.enter(ServiceState::Starting { instance: instance.clone(), since, deadline });
                self.begin_probe(instance);
                return;
            }
            Presence::RestartPending { attempt, until, last } => StartEnd::Died {
                ending: *last,
                after: ran_for,
                restart: Some((*attempt, until.saturating_duration_since(self.now))),
            },
            Presence::Failed { reason } => match reason {
                FailureReason::CouldNotStart(message) => {
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

    /// Shows what was observed, and tells the timeline what that means.
    fn settle(&mut self, presence: Presence) {
        let had = self.machine.state.instance().cloned();
        match presence {
            Presence::Present { instance, since, .. } => {
                if had.as_ref() != Some(&instance) {
                    match had {
                        Some(_) => self.tell(Happening::Started(instance.clone())),
                        // What ran before this engine looked is no news.
                        None if matches!(self.machine.state, ServiceState::Unknown { .. }) => {}
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
                            FailureReason::Died { ending, .. } => self.tell(Happening::Died { ending }),
                            FailureReason::GaveUp { restarts, .. } => self.tell(Happening::GaveUp { restarts }),
                        }
                    }
                    self.enter(state);
                }
            }
        }
    }

    fn not_observable(&mut self, reason: String) {
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

    fn probed(&mut self, asked: &Instance, outcome: ProbeOutcome) {
        if self.machine.state.instance() != Some(asked) {
            return;
        }
        self.machine.probe = InFlight::No;
        let report = match outcome {
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

    fn probe_could_not_run(&mut self, reason: String) {
        let note = format!("the health check could not run: {reason}");
        if !self.machine.notes.contains(&note) {
            self.machine.notes.push(note);
        }
        match self.machine.state.clone() {
            ServiceState::Starting { since, deadline, .. } => self.space_next_readiness_probe(since, deadline),
            ServiceState::Running { .. } => {
                self.machine.next_probe = match self.machine.policy.probing {
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

    fn space_next_readiness_probe(&mut self, since: Instant, deadline: Instant) {
        let elapsed = self.now.saturating_duration_since(since);
        let due = self.now + self.machine.policy.readiness_delay(elapsed);
        self.machine.next_probe = Some(due.min(deadline));
    }

    fn tick(&mut self) {
        match self.machine.state.clone() {
            ServiceState::Starting { instance, since, deadline } if self.now >= deadline => {
                let message = self
                    .machine
                    .last_probe
                    .as_ref()
                    .map_or_else(|| "the health check has not answered yet".to_owned(), |probe| probe.message.clone());
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

#[cfg(test)]
mod table_test;

#[cfg(test)]
mod property_test;
