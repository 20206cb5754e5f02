//! What a face may ask of the engine.

use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::operation::{Operation, Plan, Refusal, Request};
use crate::lifecycle::explain::explain;
use crate::model::{Event, ProbeOutcome, Registry, Role, ServiceId, Snapshot};
use crate::preflight::{Finding, HostFinding};

/// A cheap, clonable way to the engine. The engine ends when the last handle is dropped; services go on.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
    pub(super) events: broadcast::Sender<Event>,
}

/// How often a one-shot check tries (A47).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempts {
    /// One attempt.
    One,
    /// Up to `retries` further attempts, one second apart; the first success wins.
    WithRetries,
}

/// The answer of a one-shot check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// It does not run, so nothing was asked (R65).
    NotRunning,
    /// It runs, and no check is configured (R152).
    NoCheck,
    /// It runs and was asked; the deciding attempt's answer.
    Probed(ProbeOutcome),
}

/// Everything that the pre-flight checks of one service found, good findings included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Whose.
    pub service: ServiceId,
    /// What it needs whatever else runs just now: its program, its directories, its engine.
    pub requirements: Vec<Finding>,
    /// What may be otherwise in a minute: who holds its ports, what runs beside it, whether what it needs could be started.
    pub circumstances: Vec<Finding>,
}

/// What happened to the engine while it was asked: it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the engine has ended")]
pub struct EngineGone;

/// What travels down to the supervisor.
#[derive(Debug)]
pub(super) enum Command {
    Plan { request: Request, answer: oneshot::Sender<Result<Plan, Refusal>> },
    Begin { request: Request, answer: oneshot::Sender<Result<Operation, Refusal>> },
    Check { services: Vec<ServiceId>, attempts: Attempts, answer: oneshot::Sender<Vec<(ServiceId, Checked)>> },
    Preflight { service: ServiceId, answer: oneshot::Sender<Vec<Finding>> },
    Inspect { services: Option<Vec<ServiceId>>, answer: oneshot::Sender<Vec<Inspection>> },
    Survey { answer: oneshot::Sender<Vec<HostFinding>> },
    Settled { answer: oneshot::Sender<()> },
    Reload { registry: Registry, answer: oneshot::Sender<()> },
    Lead { role: Role, answer: oneshot::Sender<()> },
}

impl Handle {
    /// The newest snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    /// A receiver that is woken by each new snapshot.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// The feed of what happens from now on. A reader that lags misses entries and reads the snapshot again.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Waits until every service was observed once, and returns that snapshot.
    ///
    /// # Errors
    /// [`EngineGone`].
    pub async fn settled(&self) -> Result<Arc<Snapshot>, EngineGone> {
        self.ask(|answer| Command::Settled { answer }).await?;
        Ok(self.snapshot())
    }

    /// What a request would do, without doing it.
    ///
    /// # Errors
    /// [`EngineGone`]; the inner [`Refusal`] says why the request would be refused.
    pub async fn plan(&self, request: Request) -> Result<Result<Plan, Refusal>, EngineGone> {
        self.ask(|answer| Command::Plan { request, answer }).await
    }

    /// Why a service is not as it should be, in one sentence; `None` when it is, or when there is no such service.
    pub fn explain(&self, service: &ServiceId) -> Option<String> {
        let snapshot = self.snapshot();
        let found = snapshot.service(service.as_str())?;
        explain(found, &snapshot, tokio::time::Instant::now().into_std())
    }

    /// Begins an operation. It goes on when the [`Operation`] is dropped.
    ///
    /// # Errors
    /// [`EngineGone`]; the inner [`Refusal`] says why nothing was begun.
    pub async fn begin(&self, request: Request) -> Result<Result<Operation, Refusal>, EngineGone> {
        self.ask(|answer| Command::Begin { request, answer }).await
    }

    /// Really probes the running ones of `services` now, all at once, and returns the answers in the given order (R67, R103).
    ///
    /// # Errors
    /// [`EngineGone`].
    pub async fn check(
        &self,
        services: Vec<ServiceId>,
        attempts: Attempts,
    ) -> Result<Vec<(ServiceId, Checked)>, EngineGone> {
        self.ask(|answer| Command::Check { services, attempts, answer }).await
    }

    /// Runs the pre-flight checks of one service, good findings included, without starting anything. Empty for an unknown service.
    ///
    /// # Errors
    /// [`EngineGone`].
    pub async fn preflight(&self, service: ServiceId) -> Result<Vec<Finding>, EngineGone> {
        self.ask(|answer| Command::Preflight { service, answer }).await
    }

    /// Runs the pre-flight checks of every service at once, without starting anything. In registry order.
    ///
    /// # Errors
    /// [`EngineGone`].
    pub async fn inspect(&self) -> Result<Vec<Inspection>, EngineGone> {
        self.ask(|answer| Command::Inspect { services: None, answer }).await
    }

    /// [`Handle::inspect`] of these services and of what they need.
    ///
    /// # Errors
    /// [`EngineGone`].
    pub async fn inspect_only(&self, services: Vec<ServiceId>) -> Result<Vec<Inspection>, EngineGone> {
        self.ask(|answer| Command::Inspect { services: Some(services), answer }).await
    }

    /// Looks at the machine as a whole: what on it keeps services from starting or surviving, good findings included. Empty when it
    /// could not be looked at. May take seconds where something does not answer.
    ///
    /// # Errors
    /// [`EngineGone`].
    pub async fn survey(&self) -> Result<Vec<HostFinding>, EngineGone> {
        self.ask(|answer| Command::Survey { answer }).await
    }

    /// Puts another registry in force: services that are unchanged are not touched, nothing is started or stopped.
    ///
    /// # Errors
    /// [`EngineGone`].
    pub async fn reload(&self, registry: Registry) -> Result<(), EngineGone> {
        self.ask(|answer| Command::Reload { registry, answer }).await
    }

    /// Makes this engine the one that acts on its own, or no longer: for whoever holds the leader's lock, before anything is done with it
    /// and before it is given up. When this returns, [`Snapshot::role`] says so, and what was under way for a former leader ends as it
    /// would have; nothing new is begun.
    ///
    /// # Errors
    /// [`EngineGone`].
    pub async fn lead(&self, role: Role) -> Result<(), EngineGone> {
        self.ask(|answer| Command::Lead { role, answer }).await
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, EngineGone> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| EngineGone)?;
        answered.await.map_err(|_| EngineGone)
    }
}
