//! Leading in the absence of `supervise`: what a console and `monitor` do while they are open.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

use super::ear::Ear;
use super::lead;
use crate::engine::handle::{EngineGone, Handle};
use crate::model::{LeaderKind, Leadership, Role};
use crate::store::leader::{self, Held, Note};
use crate::store::{Layout, lock};

/// How long a stop of this process may take to reach all of its threads.
const STOPPING: Duration = Duration::from_secs(1);

/// Leads whenever nobody else does and no `supervise` runs, and gives way as soon as one does. Says in `leadership` who leads. Before this
/// process is stopped by Ctrl+Z the lead is given up. Ends when the engine has ended, or nobody is left to be told; dropping it gives
/// the lead up too, after which the engine must not go on.
///
/// Nothing is created for it: without a state directory there is nothing to lead.
pub async fn campaign(
    layout: Layout,
    kind: LeaderKind,
    registry: Option<PathBuf>,
    handle: Handle,
    leadership: watch::Sender<Option<Leadership>>,
) {
    let note = match lead::note(kind, registry) {
        Ok(note) => note,
        Err(error) => return tracing::warn!(%error, "this program cannot lead"),
    };
    let mut candidate = Candidate { layout, note, handle, lead: None };
    if let Err(EngineGone) = candidate.run(&leadership).await {
        tracing::debug!("the engine has ended, and the lead with it");
    }
}

struct Candidate {
    layout: Layout,
    note: Note,
    handle: Handle,
    lead: Option<Held>,
}

impl Candidate {
    async fn run(&mut self, leadership: &watch::Sender<Option<Leadership>>) -> Result<(), EngineGone> {
        let mut ear = Ear::new();
        // Without it, Ctrl+Z stops this process with the lead in its hands, and `supervise` waits until it goes on.
        let mut suspensions = signal(SignalKind::from_raw(Signal::TSTP.as_raw())).ok();
        let mut continuations = signal(SignalKind::from_raw(Signal::CONT.as_raw())).ok();
        let locks = [self.layout.supervise_lock(), self.layout.leader_lock()];
        loop {
            for path in &locks {
                // Without its directory, it is the directory that is waited for.
                drop(leader::prepare(path));
            }
            ear.listen(&[&locks[0], &locks[1]]);
            self.look().await?;
            let found = match &self.lead {
                Some(_) => Leadership::Here,
                None => lead::leader(&self.layout).map_or(Leadership::Nobody, Leadership::Another),
            };
            let found = Some(found);
            leadership.send_if_modified(|known| std::mem::replace(known, found.clone()) != found);
            tokio::select! {
                () = ear.heard() => {}
                () = leadership.closed() => return self.give_up().await,
                Some(()) = next(suspensions.as_mut()) => {
                    self.give_up().await?;
                    leadership.send_replace(Some(Leadership::Nobody));
                    match stop_this_process() {
                        // The stop reaches this thread a moment later, which must not take the lead again in it.
                        Ok(()) => drop(timeout(STOPPING, next(continuations.as_mut())).await),
                        Err(error) => tracing::warn!(%error, "this process could not be suspended"),
                    }
                }
            }
        }
    }

    /// Takes the lead, keeps it, or gives it up.
    async fn look(&mut self) -> Result<(), EngineGone> {
        // What cannot be looked at is not led.
        let gives_way = lock::is_held(&self.layout.supervise_lock()).unwrap_or(true);
        if gives_way || self.lead.as_ref().is_some_and(|lead| !lead.is_current()) {
            self.give_up().await?;
        }
        if gives_way || self.lead.is_some() || !self.layout.state().is_dir() {
            return Ok(());
        }
        match leader::take(&self.layout.leader_lock(), &self.note) {
            Ok(Some(lead)) => {
                tracing::info!("this {} leads from now on: no supervise runs", self.note.kind);
                self.lead = Some(lead);
                self.handle.lead(Role::Leader).await
            }
            Ok(None) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "the lead could not be taken");
                Ok(())
            }
        }
    }

    /// The engine first, the lock after it.
    async fn give_up(&mut self) -> Result<(), EngineGone> {
        if let Some(lead) = self.lead.take() {
            self.handle.lead(Role::Follower).await?;
            drop(lead);
            tracing::info!("this {} no longer leads", self.note.kind);
        }
        Ok(())
    }
}

async fn next(signals: Option<&mut tokio::signal::unix::Signal>) -> Option<()> {
    match signals {
        Some(signals) => signals.recv().await,
        None => std::future::pending().await,
    }
}

fn stop_this_process() -> io::Result<()> {
    Ok(rustix::process::kill_process(rustix::process::getpid(), Signal::STOP)?)
}
