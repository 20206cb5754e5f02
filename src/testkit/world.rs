//! A world that does what it is told: every port of the engine over one table of pretended services.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::engine::Ports;
use crate::engine::ports::{Backend, BackendError, ErrorKind, Host, IsWanted, LogSource, Probe, StopError, Store};
use crate::model::history::Hours;
use crate::model::{
    Check, Debt, Ending, Event, ExitRecord, FailureReason, Guardian, HealthHistory, HostPort, Instance, Intent, Launch,
    LaunchOrigin, Mode, Observed, Presence, ProbeOutcome, ProbeReport, ProbeVerdict, ProcessIdentity, Sample,
    ServiceId, ServiceSpec, StartHow, StopHow, StopMark,
};
use crate::preflight::{Conflict, FileFact, PortHolder, Requirement, Survey, Surveyed};

/// How a pretended service behaves. Times run on tokio's clock, which tests pause.
#[derive(Debug, Clone)]
pub struct Script {
    /// From the order to the instance.
    pub launch_takes: Duration,
    /// From the instance to the first good probe; `None`: never.
    pub ready_after: Option<Duration>,
    /// The error of a launch.
    pub launch_fails: Option<&'static str>,
    /// From the stop signal to the end; `None`: it ignores the signal.
    pub stop_takes: Option<Duration>,
    /// Whether its binary is there.
    pub is_installed: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            launch_takes: Duration::from_millis(2),
            ready_after: Some(Duration::from_millis(20)),
            launch_fails: None,
            stop_takes: Some(Duration::from_millis(5)),
            is_installed: true,
        }
    }
}

#[derive(Debug, Default)]
struct Pretended {
    script: Script,
    presence: Option<Presence>,
    /// How it was started: in another mode nothing of it is to be seen.
    mode: Option<Mode>,
    intent: Option<Intent>,
    unobservable: Option<&'static str>,
    is_sick: bool,
    dies: Option<FailureReason>,
    n_launches: usize,
    n_probes: usize,
}

#[derive(Debug, Default)]
struct Table {
    services: HashMap<String, Pretended>,
    deeds: Vec<String>,
    events: Vec<Event>,
    debts: HashMap<ServiceId, Debt>,
    stops: HashMap<ServiceId, StopMark>,
    n_stops: u64,
    samples: HashMap<String, Vec<Sample>>,
    /// Why no sample can be kept.
    full: Option<&'static str>,
    strangers: Vec<Conflict>,
    held_ports: HashMap<HostPort, PortHolder>,
    survey: Option<Survey>,
    next_pid: u32,
}

/// The world.
#[derive(Debug)]
pub struct World {
    table: Mutex<Table>,
    hints: mpsc::Sender<ServiceId>,
    hint_inbox: Mutex<Option<mpsc::Receiver<ServiceId>>>,
}

impl World {
    /// Nothing runs.
    pub fn new() -> Arc<Self> {
        let (hints, inbox) = mpsc::channel(64);
        Arc::new(Self {
            table: Mutex::new(Table { next_pid: 12_345, ..Table::default() }),
            hints,
            hint_inbox: Mutex::new(Some(inbox)),
        })
    }

    /// The ports onto it.
    pub fn ports(self: &Arc<Self>) -> Ports {
        Ports {
            backend: Arc::clone(self) as _,
            probe: Arc::clone(self) as _,
            host: Arc::clone(self) as _,
            store: Arc::clone(self) as _,
            logs: Arc::clone(self) as _,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap()
    }

    /// Says how a service behaves from now on.
    pub fn script(&self, name: &str, script: Script) {
        self.table().services.entry(name.to_owned()).or_default().script = script;
    }

    /// Everything that was done, as `start a`, `stop a`, in order.
    pub fn deeds(&self) -> Vec<String> {
        self.table().deeds.clone()
    }

    /// The timeline, as `service: sentence`.
    pub fn timeline(&self) -> Vec<String> {
        self.table().events.iter().map(|event| format!("{}: {} ({})", event.service, event.what, event.actor)).collect()
    }

    /// What was kept of a service's health.
    pub fn samples(&self, name: &str) -> Vec<Sample> {
        self.table().samples.get(name).cloned().unwrap_or_default()
    }

    /// From now on no sample can be kept, for this reason; or all can.
    pub fn fill_disk(&self, why: Option<&'static str>) {
        self.table().full = why;
    }

    /// How often a service was launched.
    pub fn n_launches(&self, name: &str) -> usize {
        self.table().services.get(name).map_or(0, |service| service.n_launches)
    }

    /// How often a service was probed.
    pub fn n_probes(&self, name: &str) -> usize {
        self.table().services.get(name).map_or(0, |service| service.n_probes)
    }

    /// Makes probes of a service fail, or pass again.
    pub fn set_sick(&self, name: &str, is_sick: bool) {
        self.table().services.entry(name.to_owned()).or_default().is_sick = is_sick;
    }

    /// Something outside the registry runs.
    pub fn add_stranger(&self, conflict: Conflict) {
        self.table().strangers.push(conflict);
    }

    /// What a look at the machine finds.
    pub fn set_survey(&self, survey: Survey) {
        self.table().survey = Some(survey);
    }

    /// Somebody holds a port.
    pub fn hold_port(&self, port: u16, holder: PortHolder) {
        self.table().held_ports.insert(HostPort::tcp(port), holder);
    }

    /// The service is there, whoever started it; returns its instance. Its engine is told to look.
    pub async fn appears(&self, name: &str) -> Instance {
        let instance = {
            let mut table = self.table();
            let instance = table.new_instance();
            let service = table.services.entry(name.to_owned()).or_default();
            service.presence = Some(present(instance.clone(), Instant::now()));
            instance
        };
        self.hint(name).await;
        instance
    }

    /// Something else is seen of the service. Its engine is told to look.
    pub async fn shows(&self, name: &str, presence: Presence) {
        self.table().services.entry(name.to_owned()).or_default().presence = Some(presence);
        self.hint(name).await;
    }

    /// The service dies right after its next launch, and nobody is told to look.
    pub fn dies_after_launch(&self, name: &str, reason: FailureReason) {
        self.table().services.entry(name.to_owned()).or_default().dies = Some(reason);
    }

    /// Nothing can be seen of the service until `None`. Its engine is told to look.
    pub async fn hides(&self, name: &str, reason: Option<&'static str>) {
        self.table().services.entry(name.to_owned()).or_default().unobservable = reason;
        self.hint(name).await;
    }

    /// Another copy of the tool is told to stop it, and finds nothing that runs.
    pub async fn is_stopped_elsewhere(&self, name: &str) {
        self.record_stop(&ServiceId::new(name).unwrap());
        self.hint(name).await;
    }

    async fn hint(&self, name: &str) {
        // Without an engine nobody listens yet, and it will look by itself.
        let _ = self.hints.send(ServiceId::new(name).unwrap()).await;
    }
}

impl Table {
    fn new_instance(&mut self) -> Instance {
        self.next_pid += 1;
        let (pid, start_ticks) = (self.next_pid - 1, u64::from(self.next_pid));
        Instance::Process(ProcessIdentity { pid, start_ticks, boot_id: "boot".to_owned(), pid_namespace: 1 })
    }
}

/// An instance that runs, guarded, since then.
pub fn present(instance: Instance, since: Instant) -> Presence {
    Presence::Present { instance, since: since.into_std(), guardian: Guardian::Alive }
}

impl Backend for World {
    fn observe<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Result<Observed, BackendError>> {
        async move {
            let mut table = self.table();
            let service = table.services.entry(spec.id.to_string()).or_default();
            if let Some(reason) = service.unobservable {
                return Err(error(ErrorKind::Transient, reason));
            }
            let is_other_mode = service.mode.is_some_and(|mode| mode != spec.deployment.mode());
            let presence = service.presence.clone().filter(|_| !is_other_mode).unwrap_or(Presence::Absent);
            let last_exit = match &presence {
                Presence::Failed { reason: FailureReason::Died { ending, .. } } => {
                    Some(ExitRecord { ending: *ending, at: SystemTime::UNIX_EPOCH })
                }
                Presence::Failed { .. }
                | Presence::Absent
                | Presence::Present { .. }
                | Presence::Arriving { .. }
                | Presence::Leaving { .. }
                | Presence::RestartPending { .. } => None,
            };
            Ok(Observed { presence, entered: None, intent: service.intent, restarts: 0, last_exit, notes: Vec::new() })
        }
        .boxed()
    }

    fn start_if<'a>(
        &'a self,
        spec: &'a ServiceSpec,
        _how: StartHow,
        is_wanted: &'a IsWanted<'a>,
    ) -> BoxFuture<'a, Result<Option<Launch>, BackendError>> {
        async move {
            let script = self.table().services.entry(spec.id.to_string()).or_default().script.clone();
            tokio::time::sleep(script.launch_takes).await;
            if !is_wanted() {
                // Giving up takes its time, too.
                tokio::time::sleep(script.launch_takes).await;
                return Ok(None);
            }
            let mut table = self.table();
            table.deeds.push(format!("start {}", spec.id));
            if let Some(reason) = script.launch_fails {
                return Err(error(ErrorKind::Permanent, reason));
            }
            let instance = table.new_instance();
            let now = Instant::now();
            let service = table.services.entry(spec.id.to_string()).or_default();
            if let Some(Presence::Present { instance, since, .. }) = &service.presence {
                let origin = LaunchOrigin::FoundRunning;
                return Ok(Some(Launch { instance: instance.clone(), since: *since, origin }));
            }
            service.n_launches += 1;
            service.mode = Some(spec.deployment.mode());
            service.intent = Some(Intent::Up);
            service.presence = Some(match service.dies.take() {
                Some(reason) => Presence::Failed { reason },
                None => present(instance.clone(), now),
            });
            Ok(Some(Launch { instance, since: now.into_std(), origin: LaunchOrigin::Started }))
        }
        .boxed()
    }

    fn stop<'a>(
        &'a self,
        spec: &'a ServiceSpec,
        how: StopHow,
        grace: Duration,
    ) -> BoxFuture<'a, Result<(), StopError>> {
        async move {
            let takes = self.table().services.entry(spec.id.to_string()).or_default().script.stop_takes;
            let ends_after = match (how, takes) {
                (StopHow::Kill, _) => Some(Duration::from_millis(1)),
                (StopHow::Ask | StopHow::AskThenKill, Some(takes)) if takes <= grace => Some(takes),
                (StopHow::AskThenKill, Some(_) | None) => Some(grace),
                (StopHow::Ask, Some(_) | None) => None,
            };
            tokio::time::sleep(ends_after.unwrap_or(grace)).await;
            let mut table = self.table();
            if ends_after.is_none() {
                return Err(StopError::StillAlive { grace, survivors: vec![format!("{} (PID 1)", spec.id)] });
            }
            let service = table.services.entry(spec.id.to_string()).or_default();
            if service.mode.is_some_and(|mode| mode != spec.deployment.mode()) {
                return Ok(());
            }
            service.presence = None;
            service.mode = None;
            service.intent = Some(Intent::Down);
            table.deeds.push(format!("stop {}", spec.id));
            Ok(())
        }
        .boxed()
    }

    fn tend<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Result<(), BackendError>> {
        async move {
            let mut table = self.table();
            table.deeds.push(format!("tend {}", spec.id));
            if let Some(Presence::Present { guardian, .. }) =
                &mut table.services.entry(spec.id.to_string()).or_default().presence
            {
                *guardian = Guardian::Alive;
            }
            Ok(())
        }
        .boxed()
    }

    fn has_own_witness(&self, _spec: &ServiceSpec) -> bool {
        false
    }

    fn requirements<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Vec<Requirement>> {
        async move {
            let mut table = self.table();
            let service = table.services.entry(spec.id.to_string()).or_default();
            let found = if service.script.is_installed { FileFact::Executable } else { FileFact::Missing };
            vec![Requirement::Binary { path: format!("/opt/{}", spec.id).into(), found }]
        }
        .boxed()
    }

    fn changes(&self) -> mpsc::Receiver<ServiceId> {
        self.hint_inbox.lock().unwrap().take().unwrap_or_else(|| mpsc::channel(1).1)
    }
}

impl Probe for World {
    fn probe<'a>(&'a self, check: &'a Check, timeout: Duration) -> BoxFuture<'a, ProbeOutcome> {
        async move {
            let Check::Tcp { host, .. } = check else {
                return ProbeOutcome::CouldNotRun { reason: "the world only knows TCP checks".to_owned() };
            };
            let took = Duration::from_millis(1).min(timeout);
            tokio::time::sleep(took).await;
            let mut table = self.table();
            let service = table.services.entry(host.clone()).or_default();
            service.n_probes += 1;
            let is_well = match (&service.presence, service.script.ready_after) {
                (Some(Presence::Present { since, .. }), Some(after)) => {
                    !service.is_sick && Instant::now().into_std() >= *since + after
                }
                (Some(_) | None, Some(_) | None) => false,
            };
            let (verdict, message) = if is_well {
                (ProbeVerdict::Passed, format!("TCP connection to {host}:1 succeeded"))
            } else {
                (ProbeVerdict::Failed, format!("TCP connection to {host}:1 failed: connection refused"))
            };
            ProbeOutcome::Answered(ProbeReport { verdict, message, took })
        }
        .boxed()
    }
}

impl Host for World {
    fn running_strangers<'a>(&'a self, names: &'a [String]) -> BoxFuture<'a, Vec<Conflict>> {
        async move { self.table().strangers.iter().filter(|found| names.contains(&found.name)).cloned().collect() }
            .boxed()
    }

    fn port_holders<'a>(&'a self, ports: &'a [HostPort]) -> BoxFuture<'a, HashMap<HostPort, PortHolder>> {
        async move {
            let held = &self.table().held_ports;
            ports.iter().filter_map(|port| Some((*port, held.get(port)?.clone()))).collect()
        }
        .boxed()
    }

    fn stranger_on(&self, port: HostPort, pid: u32) -> BoxFuture<'_, Option<PortHolder>> {
        let holder = self.table().held_ports.get(&port).cloned();
        std::future::ready(holder.filter(|holder| holder.pid.is_some_and(|holder| holder != pid))).boxed()
    }

    /// What was put there; a world has no machine below it.
    fn survey(&self, _asked: Surveyed) -> BoxFuture<'_, Option<Survey>> {
        std::future::ready(self.table().survey.clone()).boxed()
    }

    fn is_of_tree(&self, pid: u32, service: u32) -> bool {
        pid == service
    }
}

impl Store for World {
    fn owe(&self, debt: &Debt) {
        self.table().debts.insert(debt.service.clone(), debt.clone());
    }

    fn forgive(&self, service: &ServiceId) {
        self.table().debts.remove(service);
    }

    fn record_stop(&self, service: &ServiceId) {
        let mut table = self.table();
        table.debts.remove(service);
        table.n_stops += 1;
        let mark = StopMark::new(table.n_stops);
        table.stops.insert(service.clone(), mark.expect("counted from 1"));
    }

    fn last_stop(&self, service: &ServiceId) -> Option<StopMark> {
        self.table().stops.get(service).copied()
    }

    fn debt(&self, service: &ServiceId) -> Option<Debt> {
        self.table().debts.get(service).cloned()
    }

    fn record(&self, event: &Event) {
        self.table().events.push(event.clone());
    }

    fn sample(&self, service: &ServiceId, sample: &Sample, _every: Duration) -> Result<(), String> {
        let mut table = self.table();
        if let Some(why) = table.full {
            return Err(why.to_owned());
        }
        table.samples.entry(service.to_string()).or_default().push(*sample);
        Ok(())
    }

    fn history(&self, service: &ServiceId, every: Duration, _now: SystemTime) -> HealthHistory {
        let mut history = HealthHistory::of_the_past(Hours::default(), [], every);
        let table = self.table();
        table.samples.get(service.as_str()).into_iter().flatten().for_each(|sample| history.push(*sample));
        history
    }
}

impl LogSource for World {
    fn last_lines<'a>(&'a self, spec: &'a ServiceSpec, _n_lines: usize) -> BoxFuture<'a, Vec<String>> {
        std::future::ready(vec![format!("last words of {}", spec.id)]).boxed()
    }
}

fn error(kind: ErrorKind, message: &str) -> BackendError {
    BackendError { kind, message: message.to_owned(), remedy: None }
}

/// An end by a non-zero exit.
pub fn died(code: i32) -> FailureReason {
    FailureReason::Died { ending: Ending::Exited(code), after: None }
}
