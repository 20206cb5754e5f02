//! One task per service: its machine, what it hears, and what it reports. What the machine wants to happen is done in `perform`.

mod message;
mod perform;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, broadcast, mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::memory::Memory;
use super::own_port::OwnPort;
use super::supervisor::Ports;
use crate::lifecycle::gap::{self, Clocks};
use crate::lifecycle::machine::{Effect, Input, Machine, Policy, Probing, Step, StopFailure, step};
use crate::lifecycle::recovery;
use crate::model::{
    Actor as Cause, Debt, EDITED_NOTE, Event, Health, Instance, Launch, LaunchOrigin, Owed, ProbeOutcome, ProbeReport,
    ProbeVerdict, Role, ServiceDiff, ServiceId, ServiceSnapshot, ServiceSpec, ServiceState, StartHow, StateKind,
    StopMark,
};
pub(super) use message::{Contact, News, Order, Report, Ways};
use perform::{Fetching, fetched_more, is_overtaken};

/// All services that start together probe at most this often.
const READINESS_PROBES_PER_SECOND: u32 = 5_000;

/// How many services may be launched at the same moment for each processor: a launch is two processes that write into the same few
/// directories, and more at once only wait for each other.
const LAUNCHES_PER_PROCESSOR: usize = 2;

/// The least that are launched at once, since a launch also waits: for the disk, and for another copy of the tool.
const MIN_LAUNCHES_AT_ONCE: usize = 4;

/// What all actors share: two counters, and nothing that is a truth about services.
#[derive(Debug, Clone)]
pub(super) struct Crowd {
    n_starting: Arc<AtomicUsize>,
    launches: Arc<Semaphore>,
}

impl Crowd {
    pub(super) fn new() -> Self {
        let n_processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let n_launches = (n_processors * LAUNCHES_PER_PROCESSOR).max(MIN_LAUNCHES_AT_ONCE);
        Self { n_starting: Arc::new(AtomicUsize::new(0)), launches: Arc::new(Semaphore::new(n_launches)) }
    }

    /// The shortest distance between two readiness probes of one service, given how many are starting.
    fn probe_spacing(&self) -> Duration {
        let n = u32::try_from(self.n_starting.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        Duration::from_secs(1) / READINESS_PROBES_PER_SECOND * n.min(10_000)
    }
}

/// One service's task.
pub(super) struct Actor {
    /// What the registry says.
    spec: Arc<ServiceSpec>,
    /// What the present instance was started with, where the registry was edited since in a way that only counts for the next one: it is
    /// looked at, tended and stopped as what it is, even when the service is to run in another mode.
    launched: Option<Arc<ServiceSpec>>,
    machine: Machine,
    memory: Memory,
    own_port: OwnPort,
    ports: Ports,
    crowd: Crowd,
    is_counted_as_starting: bool,
    roles: watch::Receiver<Role>,
    /// How the coming launch is meant, by the strongest of those who asked for it.
    start_how: StartHow,
    /// Whether the newest launch replaces what runs.
    is_replacing: bool,
    /// What the launch that is under way fetches first.
    preparation: Option<Fetching>,
    /// The number of the newest stop when the newest start was asked for; 0 for none. Shared with the launch that is under way.
    since: Arc<AtomicU64>,
    /// While it is launched for nobody: whether somebody asked for it meanwhile.
    joined: Option<Arc<AtomicBool>>,
    /// What is owed to it.
    debt: Option<Debt>,
    /// When something was last heard here.
    clocks: Clocks,
    /// When the probe that is under way has to have an answer.
    probe_due: Option<std::time::Instant>,
    cause: Cause,
    start_news: Vec<mpsc::Sender<(ServiceId, News)>>,
    stop_news: Vec<mpsc::Sender<(ServiceId, News)>>,
    reports: mpsc::Sender<Report>,
    events: broadcast::Sender<Event>,
    tasks: JoinSet<Input>,
    hint: Arc<Notify>,
    reported: Option<Arc<ServiceSnapshot>>,
}

impl Actor {
    /// Makes the actor and the way to it; [`Actor::run`] is its life.
    pub(super) fn new(spec: Arc<ServiceSpec>, policy: Policy, ports: Ports, crowd: Crowd, ways: Ways) -> Self {
        let Ways { roles, reports, events, hint } = ways;
        Self {
            machine: Machine::new(policy, Instant::now().into_std()),
            roles,
            clocks: Clocks { awake: Instant::now().into_std(), boot: boot_time() },
            probe_due: None,
            since: Arc::default(),
            joined: None,
            debt: None,
            memory: Memory::new(Arc::clone(&ports.store), &spec),
            spec,
            launched: None,
            own_port: OwnPort::default(),
            ports,
            crowd,
            is_counted_as_starting: false,
            start_how: StartHow::default(),
            is_replacing: false,
            preparation: None,
            cause: Cause::Outside,
            start_news: Vec::new(),
            stop_news: Vec::new(),
            reports,
            events,
            tasks: JoinSet::new(),
            hint,
            reported: None,
        }
    }

    /// Lives until the way to it is dropped. `policy_of` derives a policy from a changed specification.
    pub(super) async fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        policy_of: impl Fn(&ServiceSpec) -> Policy + Send,
    ) {
        enum Heard {
            Order(Option<Order>),
            Hint,
            Role,
            Task(Result<Input, JoinError>),
            Prepared,
            Tick,
        }
        if self.machine.probing() == Probing::Continuous {
            self.memory.read();
        }
        self.take_role();
        let observed = self.observe().await;
        self.take(observed);
        self.report().await;
        loop {
            let wake = self.machine.next_wake().map(Instant::from_std);
            let heard = tokio::select! {
                order = orders.recv() => Heard::Order(order),
                Some(ended) = self.tasks.join_next() => Heard::Task(ended),
                () = self.hint.notified() => Heard::Hint,
                Ok(()) = self.roles.changed() => Heard::Role,
                () = fetched_more(self.preparation.as_mut()) => Heard::Prepared,
                () = sleep_until(wake) => Heard::Tick,
            };
            match heard {
                Heard::Order(None) => return,
                Heard::Order(Some(order)) => self.obey(order, &policy_of),
                // A start for nobody was dropped in the moment in which a person joined it.
                Heard::Task(Ok(Input::LaunchGivenUp)) if self.take_joined() => self.perform(Effect::Launch),
                // One that gave way to a stop, after which somebody asked for a start again.
                Heard::Task(Ok(Input::LaunchOvertaken)) if !is_overtaken(&self.ports, &self.spec.id, &self.since) => {
                    self.perform(Effect::Launch);
                }
                Heard::Task(Ok(input)) => {
                    let is_failure = matches!(input, Input::LaunchFailed { .. });
                    if matches!(input, Input::Launched(_)) {
                        // Its end may have been hinted at, and looked at, before the launch was known here.
                        self.hint.notify_one();
                    }
                    self.take(input);
                    if is_failure && self.is_replacing {
                        // What was to be replaced still runs.
                        self.hint.notify_one();
                    }
                }
                Heard::Task(Err(error)) => self.task_failed(&error),
                Heard::Hint => {
                    let observed = self.observe().await;
                    self.take(observed);
                    if !self.start_news.is_empty() && is_overtaken(&self.ports, &self.spec.id, &self.since) {
                        self.take(Input::StoppedElsewhere);
                    }
                }
                Heard::Role => {
                    self.take_role();
                    // A guardian that died while nobody led is replaced now.
                    self.hint.notify_one();
                }
                Heard::Prepared => self.tell_preparation(),
                Heard::Tick => self.take(Input::Tick),
            }
            self.report().await;
        }
    }

    fn take_role(&mut self) {
        let role = *self.roles.borrow_and_update();
        self.machine.lead(role, Instant::now().into_std());
        self.memory.lead(role);
    }

    fn obey(&mut self, order: Order, policy_of: &impl Fn(&ServiceSpec) -> Policy) {
        match order {
            Order::Start { on, how, cause, since, news } => {
                self.cause = cause;
                self.since.store(since.map_or(0, StopMark::number), Ordering::SeqCst);
                self.start_how = self.start_how.max(how);
                self.start_news.push(news);
                if let Some(joined) = self.joined.as_ref().filter(|_| cause != Cause::Recovery) {
                    joined.store(true, Ordering::SeqCst);
                }
                self.take(match how {
                    StartHow::InPlace => Input::RestartRequested,
                    StartHow::AsItIs | StartHow::Anew => Input::StartRequested { on },
                });
            }
            Order::DependencyReady(id) => self.take(Input::DependencyReady(id)),
            Order::AbandonStart => {
                self.stop_fetching();
                self.take(Input::StartAbandoned);
            }
            Order::Stop { how, cause, news } => {
                self.stop_fetching();
                self.cause = cause;
                self.stop_news.push(news);
                self.take(Input::StopRequested { how, grace: self.spec.startup.stop_timeout });
            }
            Order::Recover(instance) => self.take(Input::RecoveryCleared { instance }),
            Order::HoldBack { instance, by, condition } => {
                self.take(Input::RecoveryHeldBack { instance, by, condition });
            }
            Order::Reconfigure(spec) => {
                self.machine.reconfigure(policy_of(&spec), Instant::now().into_std());
                self.memory.reconfigure(&spec);
                let launched = Arc::clone(self.instance_spec());
                let is_outdated =
                    may_have_instance(self.machine.state()) && ServiceDiff::between(&launched, &spec).needs_restart();
                self.launched = is_outdated.then_some(launched);
                self.spec = spec;
                // What it is now may be somewhere else.
                self.hint.notify_one();
            }
        }
    }

    async fn observe(&mut self) -> Input {
        let observed = self.ports.backend.observe(self.instance_spec()).await;
        self.debt = self.ports.store.debt(&self.spec.id);
        Input::Observed(observed.map_err(|error| error.message).map(|observed| match &self.debt {
            Some(debt) => recovery::with_debt(observed, debt, Instant::now().into_std(), boot_time()),
            None => observed,
        }))
    }

    /// What the present instance was started with.
    fn instance_spec(&self) -> &Arc<ServiceSpec> {
        self.launched.as_ref().unwrap_or(&self.spec)
    }

    /// Takes one input in and performs the effects.
    fn take(&mut self, input: Input) {
        let now = Instant::now().into_std();
        self.notice_gap(now);
        if let Input::Probed { .. } = input {
            self.probe_due = None;
        }
        let is_void = self.machine.is_probed_across_gap();
        self.take_at(input, now, is_void);
    }

    /// Tells the machine when this program did not run for a while.
    fn notice_gap(&mut self, now: std::time::Instant) {
        let clocks = Clocks { awake: now, boot: boot_time() };
        let due = self.machine.next_wake().into_iter().chain(self.probe_due).min();
        let gap = gap::between(std::mem::replace(&mut self.clocks, clocks), clocks, due);
        if let Some(gap) = gap {
            tracing::info!(service = %self.spec.id, ?gap, "nothing ran here for a while");
            let seed = RandomState::new().hash_one(&self.spec.id);
            let probe_after = gap::pause_after(self.spec.health_check.interval, seed);
            self.take_at(Input::Woke { probe_after }, now, false);
        }
    }

    fn take_at(&mut self, input: Input, now: std::time::Instant, is_void: bool) {
        let answer = if let Input::Probed { instance, outcome: ProbeOutcome::Answered(report) } = &input
            && !(is_void && report.verdict == ProbeVerdict::Failed)
        {
            Some((instance.clone(), report.clone(), self.machine.state().health()))
        } else {
            None
        };
        let Step { machine, effects } = step(self.machine.clone(), input, now);
        self.machine = machine;
        self.remember(answer);
        if !may_have_instance(self.machine.state()) {
            self.launched = None;
        }
        if !matches!(self.machine.state(), ServiceState::Launching { .. }) {
            self.preparation = None;
        }
        self.count_starting();
        self.machine.space_probes(now + self.crowd.probe_spacing());
        for effect in effects {
            self.perform(effect);
        }
        if let Some(look) = self.own_port.due(&self.machine, &self.spec) {
            let host = Arc::clone(&self.ports.host);
            self.tasks.spawn(async move {
                look.look(&*host).await;
                Input::Tick
            });
        }
    }

    /// What is seen of an instance before it is ready says how it starts, not how it is.
    fn remember(&mut self, answer: Option<(Instance, ProbeReport, Health)>) {
        let state = self.machine.state();
        if let Some((instance, report, before)) = answer
            && state.kind() == StateKind::Running
            && state.instance() == Some(&instance)
        {
            self.memory.answered(&report, before, state.health());
        }
        self.memory.look(&self.machine);
    }

    fn count_starting(&mut self) {
        let is_starting = matches!(self.machine.state(), ServiceState::Starting { .. });
        if is_starting != self.is_counted_as_starting {
            self.is_counted_as_starting = is_starting;
            if is_starting {
                self.crowd.n_starting.fetch_add(1, Ordering::Relaxed);
            } else {
                self.crowd.n_starting.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// A task of ours panicked: whatever waits for its end hears that it failed, and the truth is looked at again.
    fn task_failed(&mut self, error: &JoinError) {
        tracing::error!(service = %self.spec.id, %error, "a task of the engine failed");
        let message = "a task of the engine failed; see the program's own log".to_owned();
        self.take(Input::LaunchFailed { message: message.clone(), remedy: None });
        if matches!(self.machine.state(), ServiceState::Stopping { .. }) {
            self.take(Input::StopReported(Err(StopFailure { message, remedy: None })));
        }
        self.hint.notify_one();
    }

    async fn report(&mut self) {
        let mut notes = self.machine.notes().to_vec();
        if self.launched.is_some() && !notes.iter().any(|note| note == EDITED_NOTE) {
            notes.push(EDITED_NOTE.to_owned());
        }
        notes.extend(self.memory.note());
        notes.extend(self.own_port.note().map(str::to_owned));
        if let Some(Debt { owed: Owed::StartAfter(other), .. }) =
            self.debt.as_ref().filter(|_| is_down(self.machine.state()))
        {
            notes.push(format!("it is started as soon as {other} is well, by whoever leads then"));
        }
        let snapshot = ServiceSnapshot {
            spec: Arc::clone(&self.spec),
            intent: self.machine.intent(),
            state: self.machine.state().clone(),
            entered: self.machine.entered(),
            next_probe: self.machine.next_probe(),
            last_probe: self.machine.last_probe().cloned(),
            history: Arc::clone(self.memory.history()),
            restarts: self.machine.restarts(),
            last_exit: self.machine.last_exit(),
            preparing: self.preparation.as_ref().and_then(|fetching| fetching.words.borrow().clone()),
            notes,
            facts: self.ports.backend.facts(self.instance_spec()),
        };
        if self.reported.as_ref().is_some_and(|reported| looks_the_same(reported, &snapshot)) {
            return;
        }
        let snapshot = Arc::new(snapshot);
        self.reported = Some(Arc::clone(&snapshot));
        // The supervisor ends before its actors only when everything ends.
        let _ = self.reports.send(Report::Seen(snapshot)).await;
    }
}

/// Whether nothing of it runs, is on its way, or will come back by itself.
pub(super) fn is_down(state: &ServiceState) -> bool {
    match state {
        ServiceState::Stopped | ServiceState::Failed { .. } => true,
        ServiceState::Unknown { .. }
        | ServiceState::Waiting { .. }
        | ServiceState::Launching { .. }
        | ServiceState::Starting { .. }
        | ServiceState::Running { .. }
        | ServiceState::Stopping { .. }
        | ServiceState::Backoff { .. } => false,
    }
}

/// Whether something of an earlier launch may be there: it runs, is on its way, or will come back as it was.
fn may_have_instance(state: &ServiceState) -> bool {
    match state {
        ServiceState::Unknown { .. }
        | ServiceState::Launching { .. }
        | ServiceState::Starting { .. }
        | ServiceState::Running { .. }
        | ServiceState::Stopping { .. }
        | ServiceState::Backoff { .. } => true,
        ServiceState::Stopped | ServiceState::Waiting { .. } | ServiceState::Failed { .. } => false,
    }
}

/// Whether nobody could tell the two apart but by the moment of the next probe, which alone is no news.
fn looks_the_same(a: &ServiceSnapshot, b: &ServiceSnapshot) -> bool {
    Arc::ptr_eq(&a.spec, &b.spec)
        && Arc::ptr_eq(&a.history, &b.history)
        && a.intent == b.intent
        && a.state == b.state
        && a.last_probe == b.last_probe
        && a.restarts == b.restarts
        && a.last_exit == b.last_exit
        && a.preparing == b.preparing
        && a.notes == b.notes
        && a.facts == b.facts
}

impl Drop for Actor {
    fn drop(&mut self) {
        if self.is_counted_as_starting {
            self.crowd.n_starting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The clock that goes on while the machine is suspended.
pub(super) fn boot_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(time).unwrap_or_default()
}

/// Cancel safe.
pub(super) async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// What a start's news say about who made the instance, for progress.
pub(super) fn is_own(launch: &Launch) -> bool {
    launch.origin == LaunchOrigin::Started
}

/// Whether a service needs no waiting for: it runs and is not known to be unwell.
pub(super) fn is_ready(service: &ServiceSnapshot) -> bool {
    match &service.state {
        ServiceState::Running { health, .. } => match service.spec.health_check.check {
            crate::model::Check::None => *health != Health::Unhealthy,
            crate::model::Check::Http { .. }
            | crate::model::Check::Tcp { .. }
            | crate::model::Check::Command { .. }
            | crate::model::Check::File { .. } => *health == Health::Healthy,
        },
        ServiceState::Unknown { .. }
        | ServiceState::Stopped
        | ServiceState::Waiting { .. }
        | ServiceState::Launching { .. }
        | ServiceState::Starting { .. }
        | ServiceState::Stopping { .. }
        | ServiceState::Backoff { .. }
        | ServiceState::Failed { .. } => false,
    }
}
