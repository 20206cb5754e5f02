//! Taking over a service whose shim was killed.
//!
//! We are not its parent: its end is seen through a pidfd, its exit code only when we look before its new parent has waited for it (the
//! kernel keeps it for longer, but tells it through a call that has no safe form), and the end of its whole tree by the service's
//! lock becoming free, since the tree inherited it.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::entry::Setting;
use super::output::Output;
use super::supervise::{Flow, Leader, OrphanTree, Supervisor};
use super::tree::Signalled;
use crate::host::process::{self, Stat, since_boot};
use crate::model::Ending;
use crate::store::directory::Durability;
use crate::store::handover::{Orphan, Report};
use crate::store::lock;
use crate::store::state::{Phase, ServiceRecord, Wanted};

/// How often an orphan's remains are looked at.
const REMAINS_INTERVAL: Duration = Duration::from_millis(20);

/// How long the lock of a vanished tree may be held by somebody unseen (a look at it takes it for a moment too) before we believe that
/// another copy has started the service anew.
const UNSEEN_PATIENCE: Duration = Duration::from_millis(200);

/// Takes over an orphan and reports; `None` when there is nothing to take over any more.
///
/// # Errors
/// When it cannot be taken over, after that was reported. It is untouched then.
pub(super) fn take_over(setting: Setting, orphan: Orphan, report: &UnixStream) -> io::Result<Option<Supervisor>> {
    let id = setting.handover.service.clone();
    // The shim's lock is ours, so nobody else writes the state now. If it changed since it was read for us, somebody was faster.
    let state = setting.layout.state_file(&id);
    let inode = std::fs::symlink_metadata(state).map_or(0, |found| std::os::unix::fs::MetadataExt::ino(&found));
    let pidfd = if inode == orphan.state_inode { setting.era.open(&orphan.service)? } else { None };
    let Some(pidfd) = pidfd else {
        Report::Tended.send(report)?;
        return Ok(None);
    };
    let opened = Output::open_orphan(
        orphan.service.pid,
        &setting.layout.fifo(&id),
        setting.layout.log_file(&id),
        &setting.handover,
        orphan.dropped_bytes,
    );
    let output = match opened {
        Ok(output) => output,
        Err(error) => {
            Report::Failed(error.to_string()).send(report)?;
            return Err(error);
        }
    };
    let lock_taken_by = lock::file_identity(&setting.layout.lock_file(&id))
        .and_then(|(device, inode)| process::lock_taker(orphan.service.pid, device, inode));
    let lock = lock::try_lock(&setting.layout.lock_file(&id)).ok().flatten();
    let age = process::age(orphan.service.start_ticks);
    let record = ServiceRecord {
        phase: if orphan.is_stopping { Phase::Stopping } else { Phase::Running },
        wanted: if orphan.is_stopping { Wanted::Down } else { Wanted::Up },
        shim: Some(setting.me.clone()),
        service: Some(orphan.service.clone()),
        started_at: Some(orphan.started_at).filter(|&at| at != 0),
        restarts: orphan.restarts,
        failures: orphan.failures,
        streak: orphan.streak,
        exits: setting.handover.exits.clone(),
        next_attempt: None,
        spec_hash: setting.handover.spec_hash,
        dropped_bytes: orphan.dropped_bytes,
        failure: None,
        compose: None,
    };
    let start_ticks = orphan.service.start_ticks;
    let mut supervisor = Supervisor {
        setting,
        record,
        output,
        // Free when the service closed what it had inherited: then it is ours to hold again.
        lock,
        leader: Some(Leader { identity: orphan.service, since: since_boot().saturating_sub(age), leads_group: false }),
        orphan: Some(OrphanTree { pidfd: Some(pidfd), lock_taken_by, start_ticks, unseen_since: None, ending: None }),
        timer: None,
        signalled: Signalled::default(),
        kills: false,
        is_unhealthy: false,
        must_write: false,
    };
    supervisor.write(Durability::Visible);
    if let Some(leader) = &supervisor.leader {
        supervisor.write_pid(leader.identity.pid);
    }
    // It goes on when nobody hears this.
    drop(Report::Tended.send(report));
    Ok(Some(supervisor))
}

impl OrphanTree {
    /// What lives of the tree: the service and its descendants, and whoever inherited the lock from the same starter.
    pub(super) fn members(&self, leader: Option<&Leader>, setting: &Setting) -> Vec<Stat> {
        let mut members = Vec::new();
        if let Some(stat) = leader.and_then(|leader| setting.era.living(&leader.identity)) {
            members = process::descendants(stat.pid);
            members.push(stat);
        }
        let file = lock::file_identity(&setting.layout.lock_file(&setting.handover.service));
        if let (Some((device, inode)), Some(taken_by)) = (file, self.lock_taken_by) {
            // A starter that came after the tree's end holds the lock too: it took it itself, or began before the service.
            members.extend(process::lock_holders(device, inode).into_iter().filter_map(|holder| {
                let is_ours = holder.taken_by == taken_by
                    && holder.stat.pid != taken_by
                    && holder.stat.pid != std::process::id()
                    && holder.stat.start_ticks >= self.start_ticks;
                is_ours.then_some(holder.stat)
            }));
        }
        members.sort_by_key(|stat| stat.pid);
        members.dedup_by_key(|stat| stat.pid);
        members
    }

    /// Looks how the service ended, first thing after it did: its new parent is woken at the same moment, and nobody can be asked once it
    /// has waited for it.
    pub(super) fn note_ending(&mut self, leader: Option<&Leader>) {
        if self.ending.is_none()
            && let Some(identity) = leader.map(|leader| &leader.identity)
            && self.pidfd.is_some()
        {
            self.ending = process::unreaped_ending(identity.pid, identity.start_ticks);
        }
    }

    /// When to look again: the end of a stranger's child is told to nobody but init.
    pub(super) fn timer(&self) -> Option<Duration> {
        self.pidfd.is_none().then(|| since_boot() + REMAINS_INTERVAL)
    }

    fn service_has_ended(&self) -> bool {
        let Some(pidfd) = &self.pidfd else { return true };
        let mut descriptors = [PollFd::new(pidfd, PollFlags::IN)];
        matches!(poll(&mut descriptors, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1..))
    }
}

impl Supervisor {
    /// Acts on the end of an orphan and of its tree.
    pub(super) fn look_at_orphan(&mut self) -> io::Result<Flow> {
        let Some(orphan) = self.orphan.as_mut() else { return Ok(Flow::Continue) };
        if !orphan.service_has_ended() {
            return Ok(Flow::Continue);
        }
        orphan.pidfd = None;
        let ending = self.leader.is_some().then_some(orphan.ending.unwrap_or(Ending::Unknown));
        let path = self.setting.layout.lock_file(&self.setting.handover.service);
        let lock = match self.lock.take() {
            Some(lock) => Some(lock),
            None => lock::try_lock(&path)?,
        };
        if let Some(lock) = lock {
            self.lock = Some(lock);
            self.orphan = None;
            self.timer = None;
            return self.after_ends(ending, false);
        }
        let Some(orphan) = self.orphan.as_mut() else { return Ok(Flow::Continue) };
        if orphan.members(None, &self.setting).is_empty() {
            let since = *orphan.unseen_since.get_or_insert_with(since_boot);
            let is_taken = since_boot().saturating_sub(since) >= UNSEEN_PATIENCE;
            // Once somebody else has started it, its record is no longer ours to write.
            return Ok(if is_taken { Flow::End } else { Flow::Continue });
        }
        orphan.unseen_since = None;
        self.after_ends(ending, true)
    }
}
