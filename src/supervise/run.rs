//! The life of a `supervise`: from its claim to the moment at which nobody needs it.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::ear::Ear;
use super::lead::{self, Claim};
use super::notify::Notifier;
use crate::engine::handle::{EngineGone, Handle};
use crate::model::{Intent, Mode, Registry, Role, ServiceSnapshot, Snapshot, StateKind};
use crate::store::leader::{self, Held};

/// How long nothing has to be wanted before that counts: a restart is a stop and a start.
const SETTLED: Duration = Duration::from_secs(5);

/// How long what was started at the very moment of giving up may take to be seen.
const SECOND_LOOK: Duration = Duration::from_millis(250);

/// What it works with.
#[derive(Debug)]
pub struct Order {
    /// The engine, a follower so far.
    pub handle: Handle,
    /// Loads of the registry that differ from the one before, good or bad.
    pub edits: mpsc::Receiver<Registry>,
    /// Whether it goes when nothing is wanted up.
    pub staying: Staying,
    /// Who is told how it goes.
    pub notifier: Notifier,
}

/// Whether a `supervise` goes when nothing is wanted up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Staying {
    /// It ends by itself: the first command that starts something starts another.
    WhileNeeded,
    /// It stays until it is told to go: a service manager's.
    UntilTold,
}

/// Why it ended. Services are untouched in every case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is wanted up.
    NotNeeded,
    /// This signal came.
    Signal(&'static str),
    /// The directory of its home was removed or replaced.
    HomeGone,
    /// The engine has ended, which is a fault of its own.
    EngineGone,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNeeded => f.write_str("no service is wanted up"),
            Self::Signal(name) => write!(f, "{name}"),
            Self::HomeGone => f.write_str("its directory was removed or replaced"),
            Self::EngineGone => f.write_str("its engine has ended"),
        }
    }
}

/// What woke it.
enum Heard {
    Locks,
    Signal(&'static str),
    Snapshot(bool),
    Edit(Option<Box<Registry>>),
    NobodyNeedsIt,
    WatchdogDue,
}

/// Leads until it is told to go, or until nobody needs it.
///
/// # Errors
/// When no signal can be listened to.
pub async fn run(claim: Claim, order: Order) -> io::Result<Ended> {
    let signals = Signals::new()?;
    let mut post = Post { claim, lead: None, order, status: String::new(), idle_since: None };
    let ended = match post.serve(signals).await {
        Ok(ended) => ended,
        Err(EngineGone) => Ended::EngineGone,
    };
    post.order.notifier.stopping();
    // The locks go with the post, after the engine has heard that it leads no longer.
    let _gone = post.order.handle.lead(Role::Follower).await;
    Ok(ended)
}

struct Post {
    claim: Claim,
    lead: Option<Held>,
    order: Order,
    status: String,
    idle_since: Option<Instant>,
}

impl Post {
    async fn serve(&mut self, mut signals: Signals) -> Result<Ended, EngineGone> {
        let mut ear = Ear::new();
        let (supervise_lock, leader_lock) = (self.claim.layout.supervise_lock(), self.claim.layout.leader_lock());
        let mut snapshots = self.order.handle.snapshots();
        self.order.handle.settled().await?;
        self.order.notifier.ready();
        let mut edits_are_open = true;
        let mut watchdog = self.order.notifier.watchdog().map(|every| Instant::now() + every);
        loop {
            ear.listen(&[&supervise_lock, &leader_lock]);
            if !self.claim.is_current() {
                return Ok(Ended::HomeGone);
            }
            self.take_the_lead().await?;
            let snapshot = snapshots.borrow_and_update().clone();
            self.look_at(&snapshot);
            let idle_until = self.idle_since.map(|since| since + SETTLED);
            // Every arm is cancel safe: channels, signals, descriptors and timers.
            let heard = tokio::select! {
                biased;
                name = signals.next() => Heard::Signal(name),
                () = ear.heard() => Heard::Locks,
                edit = self.order.edits.recv(), if edits_are_open => Heard::Edit(edit.map(Box::new)),
                changed = snapshots.changed() => Heard::Snapshot(changed.is_ok()),
                () = sleep_until(idle_until) => Heard::NobodyNeedsIt,
                () = sleep_until(watchdog) => Heard::WatchdogDue,
            };
            match heard {
                Heard::Locks | Heard::Snapshot(true) => {}
                Heard::Snapshot(false) => return Err(EngineGone),
                Heard::Signal(name) => return Ok(Ended::Signal(name)),
                Heard::Edit(None) => edits_are_open = false,
                Heard::Edit(Some(registry)) => self.put_in_force(*registry).await?,
                Heard::WatchdogDue => {
                    self.order.notifier.alive();
                    watchdog = self.order.notifier.watchdog().map(|every| Instant::now() + every);
                }
                Heard::NobodyNeedsIt => {
                    if self.leave_unless_needed().await? {
                        return Ok(Ended::NotNeeded);
                    }
                }
            }
        }
    }

    /// Leads as soon as the console that does so far has given way.
    async fn take_the_lead(&mut self) -> Result<(), EngineGone> {
        if self.lead.is_some() {
            return Ok(());
        }
        match leader::take(&self.claim.layout.leader_lock(), &self.claim.note) {
            Ok(Some(lead)) => {
                self.lead = Some(lead);
                tracing::info!("supervise leads");
                self.order.handle.lead(Role::Leader).await
            }
            Ok(None) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "the lead could not be taken");
                Ok(())
            }
        }
    }

    fn look_at(&mut self, snapshot: &Snapshot) {
        let is_needed = self.order.staying == Staying::UntilTold || is_needed(snapshot);
        self.idle_since = if is_needed { None } else { self.idle_since.or_else(|| Some(Instant::now())) };
        let status = match &self.lead {
            Some(_) => standing(snapshot),
            None => match lead::leader(&self.claim.layout) {
                Some(leader) => format!("waiting for {leader} to give way"),
                None => "about to lead".to_owned(),
            },
        };
        if status != self.status {
            self.order.notifier.status(&status);
            self.status = status;
        }
    }

    /// A load that is worse than what is in force changes nothing.
    async fn put_in_force(&mut self, load: Registry) -> Result<(), EngineGone> {
        let in_force = self.order.handle.snapshot();
        if in_force.registry.is_better_than(&load) {
            for found in &load.diagnostics {
                tracing::warn!("the edited registry is not put in force: {found}");
            }
            return Ok(());
        }
        self.order.notifier.reloading();
        self.order.handle.reload(load).await?;
        self.order.notifier.ready();
        tracing::info!("the edited registry is in force");
        Ok(())
    }

    /// Gives both locks up, and takes them again if something was started by somebody who still saw them held, and therefore started no
    /// other `supervise`. Whether it leaves.
    async fn leave_unless_needed(&mut self) -> Result<bool, EngineGone> {
        self.order.handle.lead(Role::Follower).await?;
        self.lead = None;
        self.claim.release();
        tokio::time::sleep(SECOND_LOOK).await;
        if !is_needed(&self.order.handle.snapshot()) {
            return Ok(true);
        }
        // Somebody else may be the one by now, which is as good.
        Ok(!self.claim.renew())
    }
}

/// Whether a leader has something to do: something is wanted up, or is on its way.
fn is_needed(snapshot: &Snapshot) -> bool {
    snapshot.services.iter().any(|service| match (service.intent, service.spec.deployment.mode()) {
        (Some(Intent::Up), _) => true,
        // What nobody here started may run for ever: an endpoint, somebody's container.
        (Some(Intent::Down) | None, Mode::Binary) => service.state.is_alive(),
        (Some(Intent::Down) | None, Mode::Docker | Mode::DockerCompose | Mode::Kubernetes | Mode::Remote) => false,
    })
}

/// How it goes, in one line.
fn standing(snapshot: &Snapshot) -> String {
    let in_trouble = |service: &&std::sync::Arc<ServiceSnapshot>| {
        matches!(service.kind(), StateKind::Failed | StateKind::Backoff)
            || service.health() == crate::model::Health::Unhealthy
    };
    let (n_running, n_all) = (snapshot.n_running(), snapshot.services.len());
    match snapshot.services.iter().filter(in_trouble).count() {
        0 => format!("leading: {n_running} of {n_all} services run"),
        n => format!("leading: {n_running} of {n_all} services run, {n} in trouble"),
    }
}

/// The signals that end it.
struct Signals([(Signal, &'static str); 4]);

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self([
            (signal(SignalKind::terminate())?, "SIGTERM"),
            (signal(SignalKind::interrupt())?, "SIGINT"),
            (signal(SignalKind::hangup())?, "SIGHUP"),
            (signal(SignalKind::quit())?, "SIGQUIT"),
        ]))
    }

    /// Cancel safe.
    async fn next(&mut self) -> &'static str {
        let [(a, a_name), (b, b_name), (c, c_name), (d, d_name)] = &mut self.0;
        tokio::select! {
            Some(()) = a.recv() => a_name,
            Some(()) = b.recv() => b_name,
            Some(()) = c.recv() => c_name,
            Some(()) = d.recv() => d_name,
        }
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
