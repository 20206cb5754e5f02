//! Drives one operation: hands its steps to the actors in order, and tells how it goes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::actor::{Contact, News, Order, is_own, is_ready};
use super::operation::{Failure, Plan, Progress, Proof, Role, Step, StepAction, Summary, Targets, Verb};
use super::preflight;
use super::supervisor::Ports;
use crate::graph::Graph;
use crate::lifecycle::admission::Checked;
use crate::lifecycle::machine::{StartEnd, StopEnd};
use crate::model::{Actor as Cause, Debt, Owed, ServiceId, ServiceSnapshot, Snapshot, StartHow, StopHow, StopMark};
use crate::preflight::{CheckKind, Finding, Verdict};

/// Lines of a service's log that are quoted when its start fails (R93).
const LAST_LINES: usize = 10;

/// How long an operation waits for them.
const LAST_LINES_PATIENCE: Duration = Duration::from_secs(2);

/// Everything an operation needs.
pub(super) struct Circumstances {
    pub(super) plan: Plan,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) graph: Arc<Graph>,
    pub(super) ports: Ports,
    pub(super) contacts: HashMap<ServiceId, Contact>,
    pub(super) progress: mpsc::Sender<Progress>,
    pub(super) cancel: CancellationToken,
}

/// Room for everything an operation will ever say, so that a reader who does not read never stops it.
pub(super) fn progress_room(plan: &Plan) -> usize {
    plan.steps.len() * 13 + plan.left_running.len() + 4
}

/// Room for all news of one service: stop, began, preparing, launched, ended, and some to spare.
const NEWS_PER_SERVICE: usize = 10;

/// Drives the operation to its end.
pub(super) async fn drive(circumstances: Circumstances) {
    let (news, inbox) = mpsc::channel(circumstances.plan.steps.len() * NEWS_PER_SERVICE + 1);
    let known = circumstances.snapshot.services.iter().map(|service| (service.id().clone(), Arc::clone(service)));
    let mut drive = Drive {
        known: known.collect(),
        on: circumstances,
        news,
        inbox,
        stops: HashMap::new(),
        ended: HashMap::new(),
        found_running: HashSet::new(),
    };
    for (service, dependents) in drive.on.plan.left_running.clone() {
        drive.tell(Progress::DependentsLeftRunning { service, dependents });
    }
    drive.take_the_place_of_what_was_asked_for();
    match drive.on.plan.request.verb {
        Verb::Start | Verb::StartUnchecked => drive.start().await,
        Verb::Stop => drive.stop(StopHow::Ask).await,
        Verb::StopForced { how } => drive.stop(how).await,
        Verb::StartOrRestart | Verb::Restart | Verb::RestartWithDependents => {
            drive.check().await;
            drive.stop_what_restarts().await;
            drive.start().await;
        }
    }
    drive.finish();
}

/// How a service's part ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Started,
    AlreadyRunning,
    Stopped,
    NotRunning,
    Failed,
    Skipped,
}

impl End {
    fn is_success(self) -> bool {
        match self {
            Self::Started | Self::AlreadyRunning | Self::Stopped | Self::NotRunning => true,
            Self::Failed | Self::Skipped => false,
        }
    }
}

struct Drive {
    on: Circumstances,
    /// The services of the snapshot by name.
    known: HashMap<ServiceId, Arc<ServiceSnapshot>>,
    news: mpsc::Sender<(ServiceId, News)>,
    inbox: mpsc::Receiver<(ServiceId, News)>,
    /// The newest stop of each service when this operation began.
    stops: HashMap<ServiceId, StopMark>,
    ended: HashMap<ServiceId, End>,
    /// Services that were said to run already: their readiness makes them no news.
    found_running: HashSet<ServiceId>,
}

impl Drive {
    fn tell(&self, progress: Progress) {
        // There is room for all of it; a reader that is gone is not missed.
        let _ = self.on.progress.try_send(progress);
    }

    fn cause(&self) -> Cause {
        self.on.plan.request.actor
    }

    fn service(&self, id: &ServiceId) -> Option<&Arc<ServiceSnapshot>> {
        self.known.get(id)
    }

    fn is_alive(&self, id: &ServiceId) -> bool {
        self.service(id).is_some_and(|service| service.state.is_alive())
    }

    fn fail(&mut self, service: &ServiceId, failure: Failure) {
        self.tell(Progress::Failed { service: service.clone(), failure });
        self.ended.insert(service.clone(), End::Failed);
    }

    fn skip(&mut self, service: &ServiceId, because: &ServiceId) {
        self.tell(Progress::Skipped { service: service.clone(), because: because.clone() });
        self.ended.insert(service.clone(), End::Skipped);
    }

    /// What a person asks for now is instead of what was owed before; a stop also of starts that wait, here or in other copies of the tool.
    fn take_the_place_of_what_was_asked_for(&mut self) {
        let request = &self.on.plan.request;
        let store = &self.on.ports.store;
        let services = self.on.plan.steps.iter().map(|step| &step.service);
        match request.verb {
            Verb::Stop | Verb::StopForced { .. } if request.actor == Cause::Recovery => {}
            // Those that do not run are no part of such a plan, and shall not run either.
            Verb::Stop | Verb::StopForced { .. } if request.targets == Targets::All => {
                self.known.keys().for_each(|id| store.record_stop(id));
            }
            Verb::Stop | Verb::StopForced { .. } => services.for_each(|id| store.record_stop(id)),
            Verb::Start | Verb::StartUnchecked | Verb::StartOrRestart | Verb::Restart | Verb::RestartWithDependents => {
                self.stops = services.clone().filter_map(|id| Some((id.clone(), store.last_stop(id)?))).collect();
                if request.actor != Cause::Recovery {
                    services.for_each(|id| store.forgive(id));
                }
            }
        }
    }

    fn forgive(&self, service: &ServiceId) {
        if self.on.plan.request.actor != Cause::Recovery {
            self.on.ports.store.forgive(service);
        }
    }

    /// A leader tries again when what it needs is well; what ran and goes on running is owed nothing.
    fn owe(&self, service: &ServiceId, because_of: &ServiceId) {
        let was_stopped = match self.on.plan.request.verb {
            Verb::Start | Verb::StartUnchecked => false,
            Verb::StartOrRestart | Verb::Restart | Verb::RestartWithDependents => true,
            Verb::Stop | Verb::StopForced { .. } => return,
        };
        if was_stopped || !self.is_alive(service) {
            self.on.ports.store.owe(&Debt {
                service: service.clone(),
                owed: Owed::StartAfter(because_of.clone()),
                failures: 0,
                streak: 0,
            });
            if let Some(contact) = self.on.contacts.get(service) {
                contact.hint.notify_one();
            }
        }
    }

    /// The steps that are not decided yet, in the plan's order.
    fn open_steps(&self) -> Vec<Step> {
        self.on.plan.steps.iter().filter(|step| !self.ended.contains_key(&step.service)).cloned().collect()
    }

    /// Pre-flight checks of everything that will be launched; targets that fail end here, with those who need them.
    async fn check(&mut self) {
        let steps: Vec<Step> = self
            .on
            .plan
            .steps
            .iter()
            .filter(|step| step.action == StepAction::Restart || !self.is_alive(&step.service))
            .cloned()
            .collect();
        let services: Vec<ServiceId> = steps.iter().map(|step| step.service.clone()).collect();
        for step in steps.iter().filter(|step| step.role == Role::Target) {
            self.tell(Progress::Checking(step.service.clone()));
        }
        let findings = preflight::check_all(&services, &self.on.snapshot, &self.on.graph, &self.on.ports).await;
        for step in &steps {
            let found = findings.get(&step.service).cloned().unwrap_or_default();
            if step.role == Role::Target {
                self.tell(Progress::Checked { service: step.service.clone(), findings: found.clone() });
            }
            if let Some(check) = first_failed_check(&found) {
                let findings = found
                    .into_iter()
                    .filter(|finding| finding.check == check && finding.verdict == Verdict::Failed)
                    .collect();
                self.fail(&step.service, Failure::Preflight { check, findings });
            }
        }
        self.skip_what_needs_the_failed();
    }

    /// In the plan's order, so that a failure reaches everything above it. Returns who was skipped now.
    fn skip_what_needs_the_failed(&mut self) -> Vec<ServiceId> {
        let mut skipped = Vec::new();
        for step in self.open_steps() {
            let broken = step.after.iter().find(|id| self.ended.get(*id).is_some_and(|end| !end.is_success()));
            if let Some(because) = broken.cloned() {
                self.skip(&step.service, &because);
                self.owe(&step.service, &because);
                skipped.push(step.service);
            }
        }
        skipped
    }

    /// Hands every start to its actor at once; each waits for what it needs.
    async fn start(&mut self) {
        let is_checked = match self.on.plan.request.verb {
            Verb::Start => true,
            Verb::StartUnchecked
            | Verb::StartOrRestart
            | Verb::Stop
            | Verb::StopForced { .. }
            | Verb::Restart
            | Verb::RestartWithDependents => false,
        };
        if is_checked {
            self.check().await;
        }
        let steps = self.open_steps();
        let mut waiting: HashMap<ServiceId, HashSet<ServiceId>> = HashMap::new();
        let mut held: HashSet<ServiceId> = HashSet::new();
        for step in &steps {
            let on: Vec<ServiceId> = step
                .after
                .iter()
                .filter(|id| !self.ended.contains_key(*id))
                .filter(|id| step.action == StepAction::Restart || !self.is_up_before(id))
                .cloned()
                .collect();
            waiting.insert(step.service.clone(), on.iter().cloned().collect());
            if step.action == StepAction::Start
                && let Some(instance) = self.service(&step.service).and_then(|s| s.state.instance()).cloned()
            {
                self.tell_found_running(&step.service, instance);
            }
            let how = self.start_how(step);
            if how == StartHow::InPlace && !on.is_empty() {
                // It goes on running until what it needs is back.
                held.insert(step.service.clone());
                continue;
            }
            self.order_start(&step.service, on, how).await;
        }
        let roles: HashMap<ServiceId, Role> = steps.iter().map(|step| (step.service.clone(), step.role)).collect();
        let mut open: HashSet<ServiceId> = roles.keys().filter(|id| !self.ended.contains_key(*id)).cloned().collect();
        while !open.is_empty() {
            let Some((id, news)) = self.next_news(&open).await else {
                return;
            };
            if !open.contains(&id) {
                continue;
            }
            match news {
                News::StartBegan => {
                    let role = roles.get(&id).copied().unwrap_or(Role::Dependency);
                    self.tell(Progress::Starting { service: id, role });
                }
                News::Preparing(what) => self.tell(Progress::Preparing { service: id, what }),
                News::Launched(launch) => {
                    if is_own(&launch) {
                        self.tell(Progress::Started { service: id.clone(), instance: launch.instance });
                    } else {
                        self.tell_found_running(&id, launch.instance);
                    }
                    if self.has_check(&id) {
                        self.tell(Progress::WaitingForHealth(id));
                    }
                }
                News::StartEnded(end) => {
                    open.remove(&id);
                    self.start_ended(&id, end, &steps, &mut waiting).await;
                    let is_free = |id: &ServiceId| waiting.get(id).is_none_or(HashSet::is_empty);
                    let free: Vec<ServiceId> =
                        held.iter().filter(|id| is_free(id) && !self.ended.contains_key(*id)).cloned().collect();
                    for id in free {
                        held.remove(&id);
                        self.order_start(&id, Vec::new(), StartHow::InPlace).await;
                    }
                    open.retain(|id| !(held.contains(id) && self.ended.contains_key(id)));
                }
                News::StopEnded(_) => {}
            }
        }
    }

    async fn order_start(&mut self, id: &ServiceId, on: Vec<ServiceId>, how: StartHow) {
        let since = self.stops.get(id).copied();
        self.order(id, Order::Start { on, how, cause: self.cause(), since, news: self.news.clone() }).await;
    }

    /// Whether a restart leaves it running, and has its own engine replace what runs.
    fn is_replaced_in_place(&self, step: &Step) -> bool {
        step.action == StepAction::Restart
            && self
                .service(&step.service)
                .is_some_and(|it| it.state.is_alive() && self.on.ports.backend.restarts_in_place(&it.spec))
    }

    /// With `--force`, a target is made anew; what it needs is not (R137).
    fn start_how(&self, step: &Step) -> StartHow {
        if self.is_replaced_in_place(step) {
            return StartHow::InPlace;
        }
        match (self.on.plan.request.verb, step.role) {
            (Verb::StartUnchecked | Verb::StartOrRestart, Role::Target) => StartHow::Anew,
            (Verb::StartUnchecked | Verb::StartOrRestart, Role::Dependency)
            | (Verb::Start | Verb::Stop | Verb::StopForced { .. } | Verb::Restart | Verb::RestartWithDependents, _) => {
                StartHow::AsItIs
            }
        }
    }

    /// Whether a dependency needs no waiting for: it was up and well when the operation began, and is not restarted by it.
    fn is_up_before(&self, id: &ServiceId) -> bool {
        let is_restarted =
            self.on.plan.steps.iter().any(|step| step.service == *id && step.action == StepAction::Restart);
        !is_restarted && self.service(id).is_some_and(|service| is_ready(service))
    }

    fn has_check(&self, id: &ServiceId) -> bool {
        self.service(id).is_some_and(|service| service.spec.health_check.check != crate::model::Check::None)
    }

    async fn start_ended(
        &mut self,
        id: &ServiceId,
        end: StartEnd,
        steps: &[Step],
        waiting: &mut HashMap<ServiceId, HashSet<ServiceId>>,
    ) {
        // A service that was skipped answers once more, when it has given its wait up.
        if self.ended.contains_key(id) {
            return;
        }
        match end {
            StartEnd::AlreadyRunning(instance) => {
                self.tend(id).await;
                self.tell_found_running(id, instance);
                self.ended.insert(id.clone(), End::AlreadyRunning);
            }
            StartEnd::Ready { after, checked, .. } => {
                let proof = match checked {
                    Checked::Yes => Proof::Probe,
                    Checked::No => Proof::NoCheck,
                };
                self.tell(Progress::Ready { service: id.clone(), proof, after });
                let was_up = self.found_running.contains(id);
                self.ended.insert(id.clone(), if was_up { End::AlreadyRunning } else { End::Started });
            }
            StartEnd::LaunchFailed { message, remedy } => self.fail(id, Failure::Launch { message, remedy }),
            StartEnd::Died { ending, after, restart } => {
                let last_lines = self.last_lines(id).await;
                self.fail(id, Failure::DiedDuringStart { ending, after, last_lines, restart });
            }
            StartEnd::NotReadyInTime { message } => {
                let within = self.service(id).map_or_else(Default::default, |s| s.spec.startup.start_timeout);
                let last_lines = self.last_lines(id).await;
                self.fail(id, Failure::NotReadyInTime { within, message, last_lines });
            }
            StartEnd::Superseded => self.fail(id, Failure::Superseded),
            StartEnd::Abandoned => self.fail(id, Failure::Cancelled),
            StartEnd::Denied { reason } => {
                let remedy = Some("nothing is started while its state is unknown".to_owned());
                self.fail(id, Failure::Launch { message: reason, remedy });
            }
        }
        let is_success = self.ended.get(id).is_some_and(|end| end.is_success());
        for step in steps.iter().filter(|step| step.after.contains(id)) {
            if !waiting.get_mut(&step.service).is_some_and(|on| on.remove(id)) {
                continue;
            }
            if is_success {
                self.order(&step.service, Order::DependencyReady(id.clone())).await;
            }
        }
        if !is_success {
            for skipped in self.skip_what_needs_the_failed() {
                self.order(&skipped, Order::AbandonStart).await;
            }
        }
    }

    /// Whoever asks for a start of what runs finds it looked after when that is answered, also where this engine ends with the answer.
    async fn tend(&self, id: &ServiceId) {
        let Some(spec) = self.service(id).map(|service| Arc::clone(&service.spec)) else { return };
        if let Err(error) = self.on.ports.backend.tend(&spec).await {
            tracing::warn!(service = %spec.id, %error, "the guardian could not be replaced");
        }
    }

    fn tell_found_running(&mut self, id: &ServiceId, instance: crate::model::Instance) {
        if self.found_running.insert(id.clone()) {
            self.tell(Progress::AlreadyRunning { service: id.clone(), instance });
        }
    }

    async fn last_lines(&self, id: &ServiceId) -> Vec<String> {
        let Some(spec) = self.service(id).map(|service| Arc::clone(&service.spec)) else { return Vec::new() };
        // The failure is the news: it does not wait long for what was said before it.
        let lines = self.on.ports.logs.last_lines(&spec, LAST_LINES);
        tokio::time::timeout(LAST_LINES_PATIENCE, lines).await.unwrap_or_default()
    }

    /// Stops in the plan's order; a service is not stopped while something that needs it could not be.
    async fn stop(&mut self, how: StopHow) {
        let steps = self.open_steps();
        self.stop_steps(&steps, how).await;
    }

    /// Before a restart: what runs of the plan's restarts, dependents first. What is stopped stays open for its start.
    async fn stop_what_restarts(&mut self) {
        let mut steps: Vec<Step> = self
            .open_steps()
            .into_iter()
            .filter(|step| step.action == StepAction::Restart && self.is_alive(&step.service))
            .filter(|step| !self.is_replaced_in_place(step))
            .collect();
        let members: HashSet<ServiceId> = steps.iter().map(|step| step.service.clone()).collect();
        let mut needed_by: HashMap<ServiceId, Vec<ServiceId>> = HashMap::new();
        for step in &steps {
            for needed in step.after.iter().filter(|id| members.contains(*id)) {
                needed_by.entry(needed.clone()).or_default().push(step.service.clone());
            }
        }
        steps.reverse();
        for step in &mut steps {
            step.after = needed_by.remove(&step.service).unwrap_or_default();
        }
        self.stop_steps(&steps, StopHow::Ask).await;
        for id in members {
            if self.ended.get(&id).is_some_and(|end| end.is_success()) {
                self.ended.remove(&id);
            }
        }
        self.skip_what_needs_the_failed();
    }

    async fn stop_steps(&mut self, steps: &[Step], how: StopHow) {
        let members: HashSet<&ServiceId> = steps.iter().map(|step| &step.service).collect();
        let mut blocked: Vec<Step> = steps.to_vec();
        let mut open: HashSet<ServiceId> = HashSet::new();
        loop {
            // Steps only wait for earlier ones, so one pass in order decides everything that can be decided now.
            for step in std::mem::take(&mut blocked) {
                let broken = step.after.iter().find(|id| self.ended.get(*id).is_some_and(|end| !end.is_success()));
                if let Some(because) = broken.cloned() {
                    self.skip(&step.service, &because);
                } else if step.after.iter().any(|id| members.contains(id) && !self.ended.contains_key(id)) {
                    blocked.push(step);
                } else {
                    if self.is_alive(&step.service) {
                        self.tell(Progress::Stopping(step.service.clone()));
                    }
                    open.insert(step.service.clone());
                    self.order(&step.service, Order::Stop { how, cause: self.cause(), news: self.news.clone() }).await;
                }
            }
            open.retain(|id| !self.ended.contains_key(id));
            if open.is_empty() && blocked.is_empty() {
                return;
            }
            if open.is_empty() {
                continue;
            }
            let Some((id, news)) = self.next_news(&open).await else {
                return;
            };
            if let News::StopEnded(end) = news
                && open.remove(&id)
            {
                self.stop_ended(id, end);
            }
        }
    }

    fn stop_ended(&mut self, id: ServiceId, end: StopEnd) {
        match end {
            StopEnd::Stopped => {
                // A leader may have recorded what it owes while this was going on.
                self.forgive(&id);
                self.tell(Progress::Stopped(id.clone()));
                self.ended.insert(id, End::Stopped);
            }
            StopEnd::NotRunning => {
                self.forgive(&id);
                self.tell(Progress::NotRunning(id.clone()));
                self.ended.insert(id, End::NotRunning);
            }
            StopEnd::Failed(failure) => {
                self.fail(&id, Failure::Stop { message: failure.message, remedy: failure.remedy });
            }
        }
    }

    async fn order(&mut self, id: &ServiceId, order: Order) {
        let is_sent = match self.on.contacts.get(id) {
            Some(contact) => contact.orders.send(order).await.is_ok(),
            None => false,
        };
        if !is_sent && !self.ended.contains_key(id) {
            let message = "the engine's task for it has ended; see the program's own log".to_owned();
            self.fail(id, Failure::Launch { message, remedy: None });
        }
    }

    /// The next news, or, when the wait is given up, `None` after those who are `open` were told and recorded as cancelled.
    async fn next_news(&mut self, open: &HashSet<ServiceId>) -> Option<(ServiceId, News)> {
        let news = tokio::select! {
            news = self.inbox.recv() => news,
            () = self.on.cancel.cancelled() => None,
        };
        if news.is_none() {
            for step in self.open_steps() {
                self.order(&step.service, Order::AbandonStart).await;
                self.fail(&step.service, Failure::Cancelled);
            }
            debug_assert!(open.iter().all(|id| self.ended.contains_key(id)), "an open step was not ended");
        }
        news
    }

    fn finish(self) {
        // A debt is paid by trying: what goes wrong now is not the other service's fault.
        if self.on.plan.request.actor == Cause::Recovery {
            let tried = self.ended.iter().filter(|(_, end)| **end != End::Skipped);
            for (service, _) in tried {
                match self.on.ports.store.debt(service) {
                    Some(debt) if matches!(debt.owed, Owed::StartAt(_)) => {
                        self.on.ports.store.owe(&Debt { owed: Owed::Nothing, ..debt });
                    }
                    Some(Debt { owed: Owed::StartAfter(_), .. }) => self.on.ports.store.forgive(service),
                    Some(_) | None => {}
                }
            }
        }
        let mut summary = Summary::default();
        for step in &self.on.plan.steps {
            let list = match self.ended.get(&step.service) {
                Some(End::Started) => &mut summary.started,
                Some(End::AlreadyRunning) => &mut summary.already_running,
                Some(End::Stopped) => &mut summary.stopped,
                Some(End::NotRunning) => &mut summary.not_running,
                Some(End::Failed) | None => &mut summary.failed,
                Some(End::Skipped) => &mut summary.skipped,
            };
            list.push(step.service.clone());
        }
        self.tell(Progress::Finished(summary));
    }
}

/// The first check that failed, in the order in which they run (R168).
fn first_failed_check(findings: &[Finding]) -> Option<CheckKind> {
    findings.iter().filter(|finding| finding.verdict == Verdict::Failed).map(|finding| finding.check).min()
}
