//! Stopping the whole tree, and saying what does not go.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, timeout_at};

use super::launch::{FIRST_PAUSE, LONGEST_PAUSE};
use super::look::Look;
use super::{BinaryBackend, transient};
use crate::engine::ports::{BackendError, StopError};
use crate::host::descriptors::watchable;
use crate::host::process;
use crate::model::{Instance, ServiceId, ServiceSpec, StopHow};
use crate::store::directory::{self, Durability};
use crate::store::lock;
use crate::store::state::{Phase, Wanted};

/// How long what got SIGKILL may take to vanish: longer only when the kernel cannot let go of it.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

impl BinaryBackend {
    /// See [`crate::engine::ports::Backend::stop`].
    pub(super) async fn stop_tree(&self, spec: &ServiceSpec, how: StopHow, grace: Duration) -> Result<(), StopError> {
        let asked = match how {
            StopHow::Kill => self.stop_within(spec, Signal::USR1, grace.max(KILL_PATIENCE)).await,
            StopHow::Ask | StopHow::AskThenKill => self.stop_within(spec, Signal::TERM, grace).await,
        };
        match (asked, how) {
            (Err(StopError::StillAlive { .. }), StopHow::AskThenKill) => {
                self.stop_within(spec, Signal::USR1, KILL_PATIENCE).await
            }
            (result, _) => result,
        }
    }

    /// Tells the shim once, and waits until nothing is left.
    async fn stop_within(&self, spec: &ServiceSpec, signal: Signal, patience: Duration) -> Result<(), StopError> {
        let deadline = Instant::now() + patience;
        let mut pause = FIRST_PAUSE;
        let mut asked = BTreeSet::new();
        loop {
            let look = self.look(&spec.id)?;
            if let Some(shim) = &look.shim {
                if let Some(pidfd) = self.signal(shim, signal)?
                    && !ended_by(pidfd, deadline).await?
                {
                    return Err(self.still_alive(&spec.id, patience)?);
                }
                // The one that was told is gone. Another one in its place means that somebody started the service after all of ours
                // was gone, for only then was the lock free: what is wanted later is not ours to stop.
                let now = self.look(&spec.id)?;
                if now.shim.is_some() && now.shim != look.shim && !now.is_adopted_from(&look) {
                    return Ok(());
                }
                // Its record says whether all went well; a killed one leaves an orphan.
                continue;
            }
            if look.is_orphan() {
                self.tend_seen(spec, look).await?;
            } else if self.settle_stopped(&spec.id, &look)? {
                return Ok(());
            } else {
                self.signal_remains(spec, signal, &mut asked)?;
            }
            if Instant::now() >= deadline {
                return Err(self.still_alive(&spec.id, patience)?);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// See [`crate::engine::ports::Backend::recover`]. The shim does nothing when it is at something else already.
    pub(super) async fn order_restart(&self, spec: &ServiceSpec, instance: &Instance) -> Result<(), BackendError> {
        let look = self.look(&spec.id)?;
        if look.service.is_none() || look.service.clone().map(Instance::Process).as_ref() != Some(instance) {
            return Ok(());
        }
        let Some(shim) = &look.shim else {
            self.tend_seen(spec, look).await?;
            return Err(transient(&spec.id, &std::io::Error::other("its shim had been killed and was replaced")));
        };
        self.signal(shim, Signal::URG).map(drop)
    }

    /// Shim and service were killed, and what the service had started was not: it is known by the lock that it inherited. Whoever holds
    /// it now is of that tree, since nobody else can have taken it meanwhile; only one who starts the service at this moment, which the
    /// second look tells. SIGKILL is sent again and again, the service's own stop signal once to each.
    fn signal_remains(
        &self,
        spec: &ServiceSpec,
        signal: Signal,
        asked: &mut BTreeSet<(u32, u64)>,
    ) -> Result<(), BackendError> {
        let Some((device, inode)) = lock::file_identity(&self.settings.layout.lock_file(&spec.id)) else {
            return Ok(());
        };
        let remains: Vec<process::Stat> = process::lock_holders(device, inode)
            .into_iter()
            .filter(|holder| holder.taken_by != holder.stat.pid && !self.is_shim_program(holder.stat.pid))
            .map(|holder| holder.stat)
            .collect();
        let now = self.look(&spec.id)?;
        if now.shim.is_some() || now.service.is_some() {
            return Ok(());
        }
        if signal == Signal::USR1 {
            process::signal_each(&self.era, &remains, Signal::KILL);
            return Ok(());
        }
        let fresh: Vec<process::Stat> =
            remains.into_iter().filter(|stat| asked.insert((stat.pid, stat.start_ticks))).collect();
        let stop_signal = Signal::from_named_raw(super::binary_spec(spec)?.stop_signal).unwrap_or(Signal::TERM);
        process::signal_each(&self.era, &fresh, stop_signal);
        // What is stopped acts on nothing but SIGKILL.
        process::signal_each(&self.era, &fresh, Signal::CONT);
        Ok(())
    }

    /// Nothing that can be named lives. If nothing holds the lock either, the wish is recorded and that is the end; otherwise
    /// another copy is at work, or something unknown is left of the tree.
    fn settle_stopped(&self, id: &ServiceId, look: &Look) -> Result<bool, BackendError> {
        let path = self.settings.layout.lock_file(id);
        let is_settled = look.record.as_ref().is_none_or(|(record, _)| record.phase == Phase::Stopped);
        if is_settled {
            return match lock::is_held(&path) {
                Ok(is_held) => Ok(!is_held),
                Err(error) => Err(transient(path.display(), &error)),
            };
        }
        // The record speaks of something that is gone. With the lock in hand we are the one who may write.
        let Some(_lock) = lock::try_lock(&path).map_err(|error| transient(path.display(), &error))? else {
            return Ok(false);
        };
        let now = self.look(id)?;
        if now.shim.is_some() || now.service.is_some() {
            return Ok(false);
        }
        if let Some((mut record, _)) = now.record {
            record.phase = Phase::Stopped;
            record.wanted = Wanted::Down;
            record.next_attempt = None;
            record.failure = None;
            let state = self.settings.layout.state_file(id);
            directory::replace(&state, record.to_json().as_bytes(), Durability::Durable)
                .map_err(|error| transient(state.display(), &error))?;
            let pid_file = self.settings.layout.pid_file(id);
            directory::remove(&pid_file).map_err(|error| transient(pid_file.display(), &error))?;
        }
        Ok(true)
    }

    fn still_alive(&self, id: &ServiceId, grace: Duration) -> Result<StopError, BackendError> {
        let look = self.look(id)?;
        let mut members = Vec::new();
        if let Some(shim) = &look.shim {
            members.extend(process::descendants(shim.pid));
        }
        if let Some(service) = &look.service {
            members.extend(process::stat(service.pid));
            members.extend(process::descendants(service.pid));
        }
        if let Some((device, inode)) = lock::file_identity(&self.settings.layout.lock_file(id)) {
            let is_shim = |pid| look.shim.as_ref().is_some_and(|shim| shim.pid == pid);
            let holders = process::lock_holders(device, inode).into_iter();
            members.extend(holders.map(|holder| holder.stat).filter(|stat| !is_shim(stat.pid)));
        }
        members.sort_by_key(|stat| stat.pid);
        members.dedup_by_key(|stat| stat.pid);
        // A name is chosen by its process, so it is printed as text that cannot be anything else.
        let survivors = members.iter().map(|stat| format!("{} (PID {})", stat.comm.escape_debug(), stat.pid)).collect();
        Ok(StopError::StillAlive { grace, survivors })
    }
}

/// Waits for the end of a process; false when the deadline came first. Cancel safe.
async fn ended_by(pidfd: OwnedFd, deadline: Instant) -> Result<bool, BackendError> {
    let watched = watchable(pidfd).map_err(|error| transient("pidfd", &error))?;
    match timeout_at(deadline, watched.readable()).await {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(error)) => Err(transient("pidfd", &error)),
        Err(_) => Ok(false),
    }
}
