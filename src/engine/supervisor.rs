//! The one task that owns the registry, the graph and the published snapshot.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::actor::{Actor, Contact, Crowd, Order, Report, Ways, boot_time, is_down, is_ready, sleep_until};
use super::handle::{Attempts, Checked, Command, Handle, Inspection};
use super::operate::{self, Circumstances};
use super::operation::{Operation, Plan, Refusal, Request, Targets, Verb};
use super::ports::{Backend, Host, LogSource, Probe, Store};
use super::{preflight, recovery};
use crate::graph::Graph;
use crate::lifecycle::backoff::LONGEST_DELAY;
use crate::lifecycle::machine::{Policy, Probing, Tending};
use crate::lifecycle::plan::plan;
use crate::model::{
    Actor as Cause, Check, Debt, Event, FailureReason, Instance, Owed, ProbeOutcome, ProbeVerdict, Registry,
    RestartOnFailure, Role, ServiceId, ServiceSnapshot, ServiceSpec, ServiceState, Snapshot, StateKind,
};
use crate::preflight::{Finding, HostFinding, judge_host};

/// Orders that may wait for one actor; an order is rare.
const ORDERS: usize = 16;

/// Reports that may wait for the supervisor.
const REPORTS: usize = 1_024;

/// Events that a slow reader may be behind before it misses some.
const EVENTS: usize = 1_024;

/// How often a leader looks at most whether what it owes can be started, when something has changed.
const DEBTS_INTERVAL: Duration = Duration::from_secs(1);

/// How long a start that was owed and tried is left alone.
const DEBT_RETRY: Duration = Duration::from_secs(60);

/// From one attempt of a one-shot check to the next (A47).
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The world, as the engine uses it.
#[derive(Clone)]
pub struct Ports {
    /// Starts, stops, observes.
    pub backend: Arc<dyn Backend>,
    /// Asks services how they are.
    pub probe: Arc<dyn Probe>,
    /// Knows this machine.
    pub host: Arc<dyn Host>,
    /// Keeps the timeline.
    pub store: Arc<dyn Store>,
    /// Has the last words of a failed start.
    pub logs: Arc<dyn LogSource>,
}

/// How much the engine does by itself.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether running services are probed at their interval.
    pub probing: Probing,
    /// Whether killed guardians are replaced.
    pub tending: Tending,
    /// Whether it acts on its own from the beginning; [`Handle::lead`] changes that. A leader also probes and tends continuously.
    pub role: Role,
}

/// Starts an engine on the current runtime. It observes every service at once, starts nothing, and ends when the last handle is dropped;
/// services go on.
pub fn spawn(registry: Registry, ports: Ports, options: Options) -> Handle {
    let (commands, inbox) = mpsc::channel(64);
    let (events, _) = broadcast::channel(EVENTS);
    let (reports, incoming) = mpsc::channel(REPORTS);
    let registry = Arc::new(registry);
    let empty = Snapshot { generation: 0, registry: Arc::clone(&registry), services: Vec::new(), role: options.role };
    let (publisher, snapshots) = watch::channel(Arc::new(empty));
    let mut supervisor = Supervisor {
        graph: Arc::new(Graph::new(&registry)),
        registered: names_of(&registry),
        changes: ports.backend.changes(),
        registry: Arc::clone(&registry),
        ports,
        options,
        roles: watch::channel(options.role).0,
        grid: Instant::now(),
        crowd: Crowd::new(),
        debts_due: None,
        tried: HashMap::new(),
        services: HashMap::new(),
        contacts: HashMap::new(),
        unsettled: HashSet::new(),
        early: Vec::new(),
        reports,
        incoming,
        events: events.clone(),
        publisher,
        generation: 0,
        actors: JoinSet::new(),
        actor_names: HashMap::new(),
        tasks: JoinSet::new(),
    };
    for spec in &registry.services {
        supervisor.add(Arc::clone(spec));
    }
    tokio::spawn(supervisor.run(inbox));
    Handle { commands, snapshots, events }
}

struct Supervisor {
    registry: Arc<Registry>,
    /// The registered services, and those that left the registry while they ran: what needs whom holds for them too.
    graph: Arc<Graph>,
    registered: HashSet<ServiceId>,
    ports: Ports,
    options: Options,
    /// The role as every actor hears of it.
    roles: watch::Sender<Role>,
    grid: Instant,
    crowd: Crowd,
    /// When to look whether something that is owed can be started.
    debts_due: Option<Instant>,
    /// When what was owed was last tried.
    tried: HashMap<ServiceId, Instant>,
    services: HashMap<ServiceId, Arc<ServiceSnapshot>>,
    contacts: HashMap<ServiceId, Contact>,
    /// Services that have not been looked at yet.
    unsettled: HashSet<ServiceId>,
    /// Commands that need to know the state of every service and came before that.
    early: Vec<Command>,
    reports: mpsc::Sender<Report>,
    incoming: mpsc::Receiver<Report>,
    changes: mpsc::Receiver<ServiceId>,
    events: broadcast::Sender<Event>,
    publisher: watch::Sender<Arc<Snapshot>>,
    generation: u64,
    actors: JoinSet<()>,
    actor_names: HashMap<Id, ServiceId>,
    tasks: JoinSet<()>,
}

impl Supervisor {
    async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        enum Heard {
            Command(Option<Command>),
            Reports,
            Hint(ServiceId),
            Debts,
            ActorEnded(Result<(Id, ()), JoinError>),
            TaskEnded(Result<(), JoinError>),
        }
        let mut reports = Vec::new();
        self.publish();
        self.answer_early();
        loop {
            let heard = tokio::select! {
                _ = self.incoming.recv_many(&mut reports, REPORTS) => Heard::Reports,
                command = inbox.recv() => Heard::Command(command),
                Some(id) = self.changes.recv() => Heard::Hint(id),
                () = sleep_until(self.debts_due) => Heard::Debts,
                Some(ended) = self.actors.join_next_with_id() => Heard::ActorEnded(ended),
                Some(ended) = self.tasks.join_next() => Heard::TaskEnded(ended),
            };
            match heard {
                Heard::Command(None) => return,
                Heard::Command(Some(command)) => self.take(command),
                Heard::Reports => self.take_reports(&mut reports),
                Heard::Hint(id) => {
                    if let Some(contact) = self.contacts.get(&id) {
                        contact.hint.notify_one();
                    }
                }
                Heard::Debts => self.pay_debts(),
                Heard::ActorEnded(ended) => self.actor_ended(&ended),
                Heard::TaskEnded(ended) => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "an operation failed inside");
                    }
                }
            }
        }
    }

    fn add(&mut self, spec: Arc<ServiceSpec>) {
        let (orders, order_inbox) = mpsc::channel(ORDERS);
        let hint = Arc::new(Notify::new());
        let (options, grid) = (self.options, self.grid.into_std());
        let policy_of = move |spec: &ServiceSpec| Policy::new(spec, options.probing, options.tending, grid);
        let id = spec.id.clone();
        let actor = Actor::new(
            Arc::clone(&spec),
            policy_of(&spec),
            self.ports.clone(),
            self.crowd.clone(),
            Ways {
                roles: self.roles.subscribe(),
                reports: self.reports.clone(),
                events: self.events.clone(),
                hint: Arc::clone(&hint),
            },
        );
        let task = self.actors.spawn(actor.run(order_inbox, policy_of));
        self.actor_names.insert(task.id(), id.clone());
        self.contacts.insert(id.clone(), Contact { orders, hint });
        self.unsettled.insert(id);
    }

    fn take_reports(&mut self, reports: &mut Vec<Report>) {
        let mut has_new_strangers = false;
        let mut questions = Vec::new();
        for report in reports.drain(..) {
            let snapshot = match report {
                Report::Seen(snapshot) => snapshot,
                Report::Consult { service, instance } => {
                    questions.push((service, instance));
                    continue;
                }
            };
            let id = snapshot.id().clone();
            if !self.contacts.contains_key(&id) {
                continue;
            }
            self.unsettled.remove(&id);
            self.note_lost(self.services.get(&id), &snapshot);
            let is_new_stranger = !self.registered.contains(&id) && !self.services.contains_key(&id);
            self.services.insert(id, snapshot);
            has_new_strangers |= is_new_stranger;
        }
        if self.drop_finished_strangers() || has_new_strangers {
            self.rebuild_graph();
        }
        self.publish();
        self.answer_early();
        if self.leads() {
            self.debts_due.get_or_insert_with(|| Instant::now() + DEBTS_INTERVAL);
        }
        // After everything that was reported together with them.
        for (service, instance) in questions {
            self.consult(service, instance);
        }
    }

    /// A service that left the registry while it ran goes when it stops. Whether one went.
    fn drop_finished_strangers(&mut self) -> bool {
        let gone: Vec<ServiceId> = self
            .services
            .values()
            .filter(|service| !self.registered.contains(service.id()) && !may_come_back(service))
            .map(|service| service.id().clone())
            .collect();
        for id in &gone {
            self.services.remove(id);
            self.contacts.remove(id);
        }
        !gone.is_empty()
    }

    /// The services that left the registry while they ran, by name.
    fn strangers(&self) -> Vec<&Arc<ServiceSnapshot>> {
        let mut strangers: Vec<&Arc<ServiceSnapshot>> =
            self.services.values().filter(|service| !self.registered.contains(service.id())).collect();
        strangers.sort_by(|a, b| a.id().cmp(b.id()));
        strangers
    }

    fn rebuild_graph(&mut self) {
        let strangers = self.strangers();
        self.graph = Arc::new(if strangers.is_empty() {
            Graph::new(&self.registry)
        } else {
            let mut all = (*self.registry).clone();
            all.services.extend(strangers.into_iter().map(|service| Arc::clone(&service.spec)));
            Graph::new(&all)
        });
    }

    fn publish(&mut self) {
        let registered = self.registry.services.iter().filter_map(|spec| self.services.get(&spec.id));
        let mut services: Vec<Arc<ServiceSnapshot>> = registered.cloned().collect();
        if services.len() < self.services.len() {
            services.extend(self.strangers().into_iter().map(with_stranger_note));
        }
        self.generation += 1;
        self.publisher.send_replace(Arc::new(Snapshot {
            generation: self.generation,
            registry: Arc::clone(&self.registry),
            services,
            role: *self.roles.borrow(),
        }));
    }

    fn answer_early(&mut self) {
        if self.unsettled.is_empty() {
            for command in std::mem::take(&mut self.early) {
                self.take(command);
            }
        }
    }

    fn take(&mut self, command: Command) {
        if !self.unsettled.is_empty() && !matches!(command, Command::Reload { .. } | Command::Lead { .. }) {
            self.early.push(command);
            return;
        }
        // Whoever no longer waits for an answer does not get one.
        match command {
            Command::Settled { answer } => {
                let _ = answer.send(());
            }
            Command::Plan { request, answer } => drop(answer.send(self.plan(request))),
            Command::Begin { request, answer } => drop(answer.send(self.begin(request))),
            Command::Check { services, attempts, answer } => self.check(services, attempts, answer),
            Command::Preflight { service, answer } => self.preflight(service, answer),
            Command::Inspect { services, answer } => self.inspect(services, answer),
            Command::Survey { answer } => self.survey(answer),
            Command::Reload { registry, answer } => {
                self.reload(registry);
                let _ = answer.send(());
            }
            Command::Lead { role, answer } => {
                if self.roles.send_replace(role) != role {
                    self.debts_due = Some(Instant::now() + DEBTS_INTERVAL);
                    self.publish();
                }
                let _ = answer.send(());
            }
        }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.publisher.borrow().clone()
    }

    fn plan(&self, request: Request) -> Result<Plan, Refusal> {
        plan(&self.graph, &self.snapshot(), request)
    }

    fn begin(&mut self, request: Request) -> Result<Operation, Refusal> {
        let plan = self.plan(request)?;
        let cancel = CancellationToken::new();
        let (progress, receiver) = mpsc::channel(operate::progress_room(&plan));
        self.tasks.spawn(operate::drive(Circumstances {
            plan: plan.clone(),
            snapshot: self.snapshot(),
            graph: Arc::clone(&self.graph),
            ports: self.ports.clone(),
            contacts: self.contacts.clone(),
            progress,
            cancel: cancel.clone(),
        }));
        Ok(Operation { plan, progress: receiver, cancel })
    }

    fn check(
        &mut self,
        services: Vec<ServiceId>,
        attempts: Attempts,
        answer: oneshot::Sender<Vec<(ServiceId, Checked)>>,
    ) {
        let (snapshot, ports) = (self.snapshot(), self.ports.clone());
        self.tasks.spawn(async move {
            let checks = services.into_iter().map(|id| {
                let service = snapshot.service(id.as_str()).cloned();
                let ports = &ports;
                async move {
                    let checked = match service {
                        Some(service) if service.state.is_alive() => check_one(&service.spec, attempts, ports).await,
                        Some(_) | None => Checked::NotRunning,
                    };
                    (id, checked)
                }
            });
            drop(answer.send(join_all(checks).await));
        });
    }

    fn leads(&self) -> bool {
        *self.roles.borrow() == Role::Leader
    }

    /// What failed for good while something that it needs was not well is owed a start, as if it had waited.
    fn note_lost(&self, before: Option<&Arc<ServiceSnapshot>>, now: &ServiceSnapshot) {
        let was_up = before.is_some_and(|before| before.state.is_alive() || before.kind() == StateKind::Backoff);
        let is_lost = match &now.state {
            ServiceState::Failed { reason: FailureReason::Died { .. } | FailureReason::GaveUp { .. } } => true,
            ServiceState::Failed { reason: FailureReason::CouldNotStart(_) | FailureReason::Unreachable(_) }
            | ServiceState::Unknown { .. }
            | ServiceState::Stopped
            | ServiceState::Waiting { .. }
            | ServiceState::Launching { .. }
            | ServiceState::Starting { .. }
            | ServiceState::Running { .. }
            | ServiceState::Stopping { .. }
            | ServiceState::Backoff { .. } => false,
        };
        if !(self.leads() && was_up && is_lost && now.spec.startup.restart_on_failure != RestartOnFailure::Never) {
            return;
        }
        if let Some(because_of) = self.needs_in_order(now.id()).into_iter().find(|id| !self.is_well(id)) {
            let owed = Owed::StartAfter(because_of);
            self.ports.store.owe(&Debt { service: now.id().clone(), owed, failures: 0, streak: 0 });
            if let Some(contact) = self.contacts.get(now.id()) {
                contact.hint.notify_one();
            }
        }
    }

    fn is_well(&self, id: &ServiceId) -> bool {
        self.services.get(id).is_some_and(|service| is_ready(service))
    }

    /// What a service needs, at any depth, in startup order.
    fn needs_in_order(&self, service: &ServiceId) -> Vec<ServiceId> {
        let mut needs = self.graph.all_dependencies(service);
        let places: HashMap<&ServiceId, usize> = self.graph.startup_order().iter().zip(0..).collect();
        needs.sort_by_key(|id| places.get(id).copied());
        needs
    }

    /// Starts what is owed a start and has all that it needs.
    fn pay_debts(&mut self) {
        self.debts_due = None;
        if !self.leads() {
            return;
        }
        let now = Instant::now();
        self.tried.retain(|_, at| now.duration_since(*at) < DEBT_RETRY);
        let boot = boot_time();
        let mut due: Vec<ServiceId> = Vec::new();
        for service in self.services.values() {
            let id = service.id();
            let is_down = is_down(&service.state) || service.kind() == StateKind::Backoff;
            if !is_down || !self.registered.contains(id) {
                continue;
            }
            match self.ports.store.debt(id).map(|debt| debt.owed) {
                // A moment of an earlier boot is no reason to wait for long.
                Some(Owed::StartAt(at)) if boot < at && at < boot + LONGEST_DELAY * 2 => {
                    let then = now + (at - boot);
                    self.debts_due = Some(self.debts_due.map_or(then, |due| due.min(then)));
                }
                Some(Owed::StartAt(_)) => due.push(id.clone()),
                Some(Owed::StartAfter(_)) if !self.tried.contains_key(id) => {
                    if self.graph.all_dependencies(id).iter().all(|need| self.is_well(need)) {
                        due.push(id.clone());
                    }
                }
                Some(Owed::StartAfter(_) | Owed::GaveUp | Owed::Nothing) | None => {}
            }
        }
        for id in due {
            self.tried.insert(id.clone(), now);
            let targets = Targets::Named(vec![id.clone()]);
            match self.begin(Request { verb: Verb::Start, targets, actor: Cause::Recovery }) {
                // It goes on by itself; what comes of it is in the timeline.
                Ok(operation) => drop(operation),
                Err(refusal) => tracing::warn!(service = %id, %refusal, "a start that is owed was refused"),
            }
        }
    }

    /// Finds out whether something that an unhealthy service needs is the reason, and tells it.
    fn consult(&mut self, service: ServiceId, instance: Instance) {
        let Some(contact) = self.contacts.get(&service) else { return };
        let needs: Vec<Arc<ServiceSnapshot>> =
            self.needs_in_order(&service).iter().filter_map(|id| self.services.get(id)).map(Arc::clone).collect();
        let (orders, probe) = (contact.orders.clone(), Arc::clone(&self.ports.probe));
        self.tasks.spawn(async move {
            let order = match recovery::root_cause(&needs, probe.as_ref()).await {
                None => Order::Recover(instance),
                Some((by, condition)) => Order::HoldBack { instance, by, condition },
            };
            // A service that left the registry meanwhile hears nothing.
            let _ = orders.send(order).await;
        });
    }

    fn preflight(&mut self, service: ServiceId, answer: oneshot::Sender<Vec<Finding>>) {
        let (snapshot, graph, ports) = (self.snapshot(), Arc::clone(&self.graph), self.ports.clone());
        self.tasks.spawn(async move {
            let mut all = graph.all_dependencies(&service);
            all.push(service.clone());
            let mut findings = preflight::check_all(&all, &snapshot, &graph, &ports).await;
            drop(answer.send(findings.remove(&service).unwrap_or_default()));
        });
    }

    fn inspect(&mut self, services: Option<Vec<ServiceId>>, answer: oneshot::Sender<Vec<Inspection>>) {
        let (snapshot, graph, ports) = (self.snapshot(), Arc::clone(&self.graph), self.ports.clone());
        self.tasks.spawn(async move {
            let order = match services {
                None => graph.startup_order().to_vec(),
                Some(services) => with_what_they_need(services, &graph),
            };
            let mut found = preflight::inspect_all(&order, &snapshot, &graph, &ports).await;
            let places: HashMap<&ServiceId, usize> = graph.services().zip(0..).collect();
            found.sort_by_key(|inspection| places.get(&inspection.service).copied());
            drop(answer.send(found));
        });
    }

    fn survey(&mut self, answer: oneshot::Sender<Vec<HostFinding>>) {
        let (snapshot, ports) = (self.snapshot(), self.ports.clone());
        self.tasks.spawn(async move {
            let found = ports.host.survey(preflight::asked_of_the_machine(&snapshot)).await;
            drop(answer.send(found.as_ref().map(judge_host).unwrap_or_default()));
        });
    }

    /// The difference of two registries, applied: what is unchanged is not touched, and nothing starts or stops.
    fn reload(&mut self, registry: Registry) {
        let registry = Arc::new(registry);
        let before: HashMap<&ServiceId, &Arc<ServiceSpec>> =
            self.registry.services.iter().map(|spec| (&spec.id, spec)).collect();
        // Compared with the registry in force, not with what the services reported last, which may be older.
        let edited: Vec<&Arc<ServiceSpec>> =
            registry.services.iter().filter(|spec| before.get(&spec.id) != Some(spec)).collect();
        for spec in edited {
            match self.contacts.get(&spec.id) {
                None => self.add(Arc::clone(spec)),
                Some(contact) => {
                    if contact.orders.try_send(Order::Reconfigure(Arc::clone(spec))).is_err() {
                        tracing::error!(service = %spec.id, "the edited registry could not be handed to this service");
                    }
                }
            }
        }
        self.registered = names_of(&registry);
        self.registry = registry;
        self.drop_finished_strangers();
        self.rebuild_graph();
        self.publish();
        self.answer_early();
    }

    fn actor_ended(&mut self, ended: &Result<(Id, ()), JoinError>) {
        let task = match ended {
            Ok((task, ())) => *task,
            Err(error) => error.id(),
        };
        let Some(id) = self.actor_names.remove(&task) else {
            return;
        };
        let Err(error) = ended else {
            return;
        };
        tracing::error!(service = %id, %error, "the task of a service failed");
        self.unsettled.remove(&id);
        self.contacts.remove(&id);
        if let Some(service) = self.services.get_mut(&id) {
            let mut changed = (**service).clone();
            changed.state = ServiceState::Unknown {
                reason: "the console's own task for it failed; see the program's own log, then open the console again"
                    .to_owned(),
            };
            *service = Arc::new(changed);
        }
        self.publish();
        self.answer_early();
    }
}

fn names_of(registry: &Registry) -> HashSet<ServiceId> {
    registry.services.iter().map(|spec| spec.id.clone()).collect()
}

/// Whether a service that nobody may start any more is worth showing: it lives, is on its way, or its guardian will start it again.
fn may_come_back(service: &ServiceSnapshot) -> bool {
    match service.state {
        // What could not be looked at, such as a container without an engine, would stay for good.
        ServiceState::Unknown { .. } | ServiceState::Stopped | ServiceState::Failed { .. } => false,
        ServiceState::Waiting { .. }
        | ServiceState::Launching { .. }
        | ServiceState::Starting { .. }
        | ServiceState::Running { .. }
        | ServiceState::Stopping { .. }
        | ServiceState::Backoff { .. } => true,
    }
}

/// The services and what they need at any depth, in startup order.
fn with_what_they_need(mut open: Vec<ServiceId>, graph: &Graph) -> Vec<ServiceId> {
    let mut reached: HashSet<ServiceId> = HashSet::new();
    while let Some(id) = open.pop() {
        if !reached.contains(&id) {
            open.extend(graph.dependencies(&id));
            reached.insert(id);
        }
    }
    graph.startup_order().iter().filter(|id| reached.contains(*id)).cloned().collect()
}

fn with_stranger_note(service: &Arc<ServiceSnapshot>) -> Arc<ServiceSnapshot> {
    let mut noted = (**service).clone();
    noted.notes.push("not in the registry any more; it can be stopped".to_owned());
    Arc::new(noted)
}

/// One one-shot check (A47).
async fn check_one(spec: &ServiceSpec, attempts: Attempts, ports: &Ports) -> Checked {
    if spec.health_check.check == Check::None {
        return Checked::NoCheck;
    }
    let mut left = match attempts {
        Attempts::One => 0,
        Attempts::WithRetries => spec.health_check.retries,
    };
    loop {
        let outcome = ports.probe.probe_service(&spec).await;
        let has_passed = matches!(
            &outcome,
            ProbeOutcome::Answered(report) if report.verdict == ProbeVerdict::Passed
        );
        if has_passed || left == 0 {
            return Checked::Probed(outcome);
        }
        left -= 1;
        tokio::time::sleep(RETRY_DELAY).await;
    }
}
