//! What the engine needs from the world: five narrow traits that adapters implement.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::{mpsc, watch};

use crate::model::{
    Check, Debt, Event, Fact, HealthHistory, HostPort, Instance, Launch, Observed, ProbeOutcome, Sample, ServiceId,
    ServiceSpec, StartHow, StopHow, StopMark, Usage,
};
use crate::preflight::{Conflict, PortHolder, Requirement, Survey, Surveyed};

/// Starts, stops and observes services of one mode, or of several. Holds no policy: no retries, no timing but what it is told.
///
/// Every method may be called at any time, from any task, for any service, also while another one for the same service is under
/// way; the adapter keeps a second instance from starting (one lock per service).
pub trait Backend: Send + Sync {
    /// What is there now. Reads only: never starts, stops, locks for long, or writes.
    ///
    /// # Errors
    /// When the truth cannot be had now (engine unreachable, file unreadable); the state is then unknown, not stopped.
    fn observe<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Result<Observed, BackendError>>;

    /// Fetches what a start needs and this host does not have, such as an image; starts, changes and removes nothing. May take as long
    /// as it takes: no timeout of the service counts meanwhile, and no other start waits for it. Called before each [`Backend::start_if`].
    /// Cancel safe: a dropped call stops fetching.
    ///
    /// # Errors
    /// When it cannot be had; a start would fail for the same reason.
    fn prepare<'a>(
        &'a self,
        _spec: &'a ServiceSpec,
        _how: StartHow,
        _news: Preparation,
    ) -> BoxFuture<'a, Result<(), BackendError>> {
        std::future::ready(Ok(())).boxed()
    }

    /// Makes an instance exist, if `is_wanted` still says so at the moment from which on no stop can come in between, and says whether it
    /// was this call that made it; `None` when it is not wanted any more. What runs is left alone, however it is meant.
    ///
    /// Returns as soon as the instance exists, without waiting for health. When another copy of the tool is starting the service at
    /// this moment, waits for that one's result. Not cancel safe in the sense that a dropped call may still have started it: observe.
    ///
    /// # Errors
    /// When nothing runs afterwards; the error says why in words for people.
    fn start_if<'a>(
        &'a self,
        spec: &'a ServiceSpec,
        how: StartHow,
        is_wanted: &'a IsWanted<'a>,
    ) -> BoxFuture<'a, Result<Option<Launch>, BackendError>>;

    /// [`Backend::start_if`] for whoever has no second thoughts.
    ///
    /// # Errors
    /// The same.
    fn start<'a>(&'a self, spec: &'a ServiceSpec, how: StartHow) -> BoxFuture<'a, Result<Launch, BackendError>> {
        Box::pin(async move {
            self.start_if(spec, how, &|| true).await?.ok_or_else(|| BackendError {
                kind: ErrorKind::Transient,
                message: format!("{} was not started", spec.id),
                remedy: None,
            })
        })
    }

    /// Whether a restart of this service, while it runs, is left to its own engine, which replaces what runs bit by bit: then no stop is
    /// asked for, and [`Backend::start_if`] is called with [`StartHow::InPlace`].
    fn restarts_in_place(&self, _spec: &ServiceSpec) -> bool {
        false
    }

    /// Makes the whole tree of the instance go away, and keeps anything from bringing it back.
    ///
    /// Succeeds only when all of it is gone, and also when nothing ran. Dropping the call stops the waiting, not the stop.
    ///
    /// # Errors
    /// [`StopError::StillAlive`] when `grace` has passed and something lives (never with [`StopHow::Kill`] unless the kernel refuses).
    fn stop<'a>(&'a self, spec: &'a ServiceSpec, how: StopHow, grace: Duration)
    -> BoxFuture<'a, Result<(), StopError>>;

    /// Makes sure that an instance which lost its guardian (a killed shim) has one again, and that a start which was killed late is
    /// completed. Nothing to do for others, which costs next to nothing.
    ///
    /// # Errors
    /// When the guardian cannot be replaced; the instance is untouched.
    fn tend<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Result<(), BackendError>>;

    /// Has an unhealthy instance stopped, killed if it must be, and started again within its budget, by whoever guards it: the same that
    /// restarts it when it dies, so that one budget holds for both. Returns when that is ordered, not when it is done; does nothing when
    /// another instance runs.
    ///
    /// # Errors
    /// When the guardian cannot be told, or there is none: nothing was done then.
    fn recover<'a>(
        &'a self,
        spec: &'a ServiceSpec,
        _instance: &'a Instance,
    ) -> BoxFuture<'a, Result<(), BackendError>> {
        let message = format!("nothing here restarts a service of {} mode", spec.deployment.mode().as_str());
        Box::pin(std::future::ready(Err(BackendError { kind: ErrorKind::Permanent, message, remedy: None })))
    }

    /// Whether ends and restarts of this service are written to the timeline by its guardian, which always sees them, so that the many who
    /// may look at the service leave that to it.
    fn has_own_witness(&self, spec: &ServiceSpec) -> bool;

    /// What is worth knowing of a service beside its state, as last seen: facts that its mode alone has. Asks nobody.
    fn facts(&self, _spec: &ServiceSpec) -> Vec<Fact> {
        Vec::new()
    }

    /// What a start of this service needs, with what is there.
    fn requirements<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Vec<Requirement>>;

    /// Names of services that may have changed, from now on; a hint to observe again, never a truth. Called once for each engine.
    /// An adapter that misses something sends every name.
    fn changes(&self) -> mpsc::Receiver<ServiceId>;
}

/// Whether a start is still meant. Asked with the service's lock in hand, so it answers at once.
pub type IsWanted<'a> = dyn Fn() -> bool + Send + Sync + 'a;

/// Tells how far a preparation is: the newest words replace the ones before, and nobody has to listen.
#[derive(Debug)]
pub struct Preparation(watch::Sender<Option<String>>);

impl Preparation {
    /// With the place where its newest words are; `None` until there are any.
    pub fn new() -> (Self, watch::Receiver<Option<String>>) {
        let (sender, receiver) = watch::channel(None);
        (Self(sender), receiver)
    }

    /// In words for people, as a fragment: `pulling nginx:1.27 (12 of 48 MB)`. The same words again are no news.
    pub fn tell(&self, words: String) {
        self.0.send_if_modified(|told| {
            let is_news = told.as_ref() != Some(&words);
            *told = Some(words);
            is_news
        });
    }
}

impl Drop for Preparation {
    /// What is ready needs no words.
    fn drop(&mut self) {
        self.0.send_if_modified(|told| told.take().is_some());
    }
}

/// Why a backend could not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BackendError {
    /// Whether trying again can help.
    pub kind: ErrorKind,
    /// What failed, on what, and why.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Later it may work.
    Transient,
    /// It will fail again.
    Permanent,
    /// The registry or the host has to be changed first.
    Misconfigured,
}

/// Why a stop did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StopError {
    /// The grace time has passed.
    #[error("still running after {} s: {}", grace.as_secs(), survivors.join(", "))]
    StillAlive {
        /// How long was waited.
        grace: Duration,
        /// What lives, as people know it: `sleep (PID 4711)`.
        survivors: Vec<String>,
    },
    /// The mode, or the host, does not allow it.
    #[error("{0}")]
    Backend(#[from] BackendError),
}

/// Runs one attempt of a health check.
pub trait Probe: Send + Sync {
    /// Asks once and gives up after `timeout`, whatever the other side does. Cancel safe: a dropped call leaves no process behind.
    fn probe<'a>(&'a self, check: &'a Check, timeout: Duration) -> BoxFuture<'a, ProbeOutcome>;

    /// The same for a service's own check, with what the registry gives for asking it: a remote one's token and authority.
    fn probe_service<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, ProbeOutcome> {
        self.probe(&spec.health_check.check, spec.health_check.timeout)
    }
}

/// What is known of this machine beyond our own services.
pub trait Host: Send + Sync {
    /// Which of `names` run here without being registered: as a process, a systemd unit, a container (A52).
    fn running_strangers<'a>(&'a self, names: &'a [String]) -> BoxFuture<'a, Vec<Conflict>>;

    /// Who has which of these ports on the loopback interface; those that nobody has are left out. One look for all of them.
    fn port_holders<'a>(&'a self, ports: &'a [HostPort]) -> BoxFuture<'a, HashMap<HostPort, PortHolder>>;

    /// Who has the port that a service is asked at, when it is proven that nobody of the tree of this process of it has. Costs little where
    /// the process has it itself.
    fn stranger_on(&self, port: HostPort, pid: u32) -> BoxFuture<'_, Option<PortHolder>>;

    /// Everything about the machine as a whole that keeps services from starting or surviving; `None` when it could not be looked at.
    /// May take seconds where something does not answer; leaves nothing behind.
    fn survey(&self, asked: Surveyed) -> BoxFuture<'_, Option<Survey>>;

    /// Whether `pid` belongs to the tree of this process of a service, daemons included (R187: a port held by the service itself).
    fn is_of_tree(&self, pid: u32, service: u32) -> bool;
}

/// Where the timeline and the health history are kept.
pub trait Store: Send + Sync {
    /// Appends to the timeline. Best effort: a full disk must not keep a service from starting, so failures are logged, not returned.
    fn record(&self, event: &Event);

    /// Records that a start is owed, for any later leader. Best effort, like the timeline.
    fn owe(&self, debt: &Debt);

    /// Records that none is.
    fn forgive(&self, service: &ServiceId);

    /// What is owed to a service. Reads only, and little.
    fn debt(&self, service: &ServiceId) -> Option<Debt>;

    /// Records that a person stopped it: no start is owed any more, and a start that was asked for before, of any copy of the tool, is void
    /// where it has not begun. Best effort.
    fn record_stop(&self, service: &ServiceId);

    /// The newest stop that was recorded. Reads only, and little.
    fn last_stop(&self, service: &ServiceId) -> Option<StopMark>;

    /// Appends to a service's health history. For an engine that leads alone: others would write the same a second time. `every` is the
    /// planned distance of two probes.
    ///
    /// # Errors
    /// When the sample is lost, as a fragment for people; nothing else is affected.
    fn sample(&self, service: &ServiceId, sample: &Sample, every: Duration) -> Result<(), String>;

    /// What is remembered of a service's health; nothing where nothing can be read. Reads only.
    fn history(&self, service: &ServiceId, every: Duration, now: SystemTime) -> HealthHistory;
}

/// The output of services that write to no log file of ours, for the faces.
pub trait OutputSource: std::fmt::Debug + Send + Sync {
    /// Its newest `n_lines`, in batches of which the first may be empty, then, when it is followed, what comes, across restarts, until
    /// the receiver is dropped. `None` for a service whose log is a file, or cannot be had. Called on a runtime with I/O and time.
    fn output(&self, spec: &ServiceSpec, n_lines: usize, following: Following) -> Option<mpsc::Receiver<Vec<Output>>>;
}

/// What services use of the machine, for the faces.
pub trait UsageSource: std::fmt::Debug + Send + Sync {
    /// Asked once, cheaply; `None` where it is not known, or the instance has gone. Nothing is kept up for a later question. Cancel safe.
    fn usage<'a>(&'a self, spec: &'a ServiceSpec, instance: &'a Instance) -> BoxFuture<'a, Option<Usage>>;
}

/// A source for a program that shows none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoUsage;

impl UsageSource for NoUsage {
    fn usage<'a>(&'a self, _: &'a ServiceSpec, _: &'a Instance) -> BoxFuture<'a, Option<Usage>> {
        std::future::ready(None).boxed()
    }
}

/// Whether a reader stays when it has read what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Following {
    /// It waits for more.
    Yes,
    /// It leaves.
    No,
}

/// A piece of a service's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A line without its end: the service's bytes, not fit for a terminal.
    Line(Vec<u8>),
    /// The service was started here.
    Started {
        /// What runs since then.
        instance: Instance,
        /// When, where that is known.
        at: Option<SystemTime>,
    },
    /// It has printed nothing yet: why not.
    NoneYet(String),
    /// Why its output cannot be read.
    Problem(String),
}

/// A source for a program without such services.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoOutput;

impl OutputSource for NoOutput {
    fn output(&self, _: &ServiceSpec, _: usize, _: Following) -> Option<mpsc::Receiver<Vec<Output>>> {
        None
    }
}

/// Where the lines of a service come from, for the faces.
pub trait LogSource: Send + Sync {
    /// The newest lines of a failed start, for M11; empty when there are none.
    fn last_lines<'a>(&'a self, spec: &'a ServiceSpec, n_lines: usize) -> BoxFuture<'a, Vec<String>>;
}
