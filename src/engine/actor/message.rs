//! What an actor is told, and what it tells.

use std::sync::Arc;

use tokio::sync::{Notify, broadcast, mpsc, watch};

use crate::lifecycle::machine::{StartEnd, StopEnd};
use crate::model::{
    Actor as Cause, Event, Instance, Launch, Role, ServiceId, ServiceSnapshot, ServiceSpec, StartHow, StopHow, StopMark,
};

/// What an actor is told.
#[derive(Debug)]
pub(in crate::engine) enum Order {
    /// Run, after these are ready. News comes until [`News::StartEnded`].
    Start {
        on: Vec<ServiceId>,
        how: StartHow,
        cause: Cause,
        /// The newest stop when this was asked for: a later one makes it void.
        since: Option<StopMark>,
        news: mpsc::Sender<(ServiceId, News)>,
    },
    /// One of them is ready.
    DependencyReady(ServiceId),
    /// Stop waiting for them.
    AbandonStart,
    /// Do not run. News comes until [`News::StopEnded`].
    Stop { how: StopHow, cause: Cause, news: mpsc::Sender<(ServiceId, News)> },
    /// It is unhealthy, and nothing that it needs is the reason.
    Recover(Instance),
    /// It is unhealthy, and something that it needs is not well.
    HoldBack { instance: Instance, by: ServiceId, condition: String },
    /// The registry says something else now.
    Reconfigure(Arc<ServiceSpec>),
}

/// What an operation hears from the services it ordered something.
#[derive(Debug)]
pub(in crate::engine) enum News {
    StartBegan,
    /// Something is fetched first. Comes once for each start.
    Preparing(String),
    Launched(Launch),
    StartEnded(StartEnd),
    StopEnded(StopEnd),
}

/// What the supervisor hears from all services.
#[derive(Debug)]
pub(in crate::engine) enum Report {
    /// How it is now.
    Seen(Arc<ServiceSnapshot>),
    /// It is unhealthy and would be restarted: is something that it needs the reason? Answered by an order.
    Consult { service: ServiceId, instance: Instance },
}

/// The supervisor's way to an actor.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Contact {
    pub(in crate::engine) orders: mpsc::Sender<Order>,
    /// "Look again": many hints before the next look are one look.
    pub(in crate::engine) hint: Arc<Notify>,
}

/// An actor's ways in and out, but for its orders.
pub(in crate::engine) struct Ways {
    pub(in crate::engine) roles: watch::Receiver<Role>,
    pub(in crate::engine) reports: mpsc::Sender<Report>,
    pub(in crate::engine) events: broadcast::Sender<Event>,
    pub(in crate::engine) hint: Arc<Notify>,
}
