//! What is there: the record, held against the processes that really live.

use std::io;
use std::time::{Duration, Instant, SystemTime};

use super::{BinaryBackend, transient};
use crate::engine::ports::BackendError;
use crate::host::process::{self, Stat};
use crate::model::{
    EDITED_NOTE, Ending, ExitRecord, FailureReason, Guardian, Instance, Intent, Observed, Presence, ProcessIdentity,
    ServiceId,
};
use crate::store::lock;
use crate::store::state::{Exit, Phase, ServiceRecord, Wanted};
use crate::store::state_reader::{self, Found};

/// How long a record that is about to be replaced (its service died a moment ago, its shim is writing) is read again.
const SETTLING: Duration = Duration::from_millis(50);

/// One look at a service.
#[derive(Debug)]
pub(super) struct Look {
    /// What the state file says, and its inode; `None` when there is none, or none that can be used.
    pub(super) record: Option<(Box<ServiceRecord>, u64)>,
    /// When that was written.
    pub(super) written_at: Option<SystemTime>,
    /// Why the state file cannot be used, if there is one.
    pub(super) unusable: Option<String>,
    /// The shim, if it lives.
    pub(super) shim: Option<ProcessIdentity>,
    /// The service's process, if it lives.
    pub(super) service: Option<ProcessIdentity>,
    /// Things worth knowing.
    pub(super) notes: Vec<String>,
    /// What lives of it although neither its process nor its shim does, and no file tells of it: nothing may be started beside that.
    pub(super) left_behind: Vec<Stat>,
}

impl Look {
    pub(super) fn nothing() -> Self {
        Self {
            record: None,
            written_at: None,
            unusable: None,
            shim: None,
            service: None,
            notes: Vec::new(),
            left_behind: Vec::new(),
        }
    }

    /// The service lives and its shim does not.
    pub(super) fn is_orphan(&self) -> bool {
        self.service.is_some() && self.shim.is_none()
    }

    /// Whether the service is the one that `earlier` saw: a killed shim was replaced, and nothing else happened.
    pub(super) fn is_adopted_from(&self, earlier: &Self) -> bool {
        self.service.is_some() && self.service == earlier.service
    }

    fn phase(&self) -> Option<Phase> {
        self.record.as_ref().map(|(record, _)| record.phase)
    }

    /// Whether the record speaks of something under way, and nobody is there who is at it.
    fn is_cut_short(&self) -> bool {
        self.shim.is_none()
            && self.service.is_none()
            && self.phase().is_some_and(|phase| !matches!(phase, Phase::Stopped | Phase::Failed))
    }

    /// Whether the shim must be about to write something else, unless it was stopped or is stuck.
    fn is_in_between(&self) -> bool {
        self.shim.is_some()
            && self.service.is_none()
            && matches!(
                self.phase(),
                Some(Phase::Starting | Phase::Running | Phase::Clearing | Phase::Stopped | Phase::Failed)
            )
    }
}

impl Look {
    /// No record, and nothing that holds a lock: never started in this home, or all that was known of it was removed.
    pub(super) fn knows_nothing(&self) -> bool {
        self.record.is_none() && self.shim.is_none() && self.service.is_none()
    }
}

/// Who may hold the lock of a service that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lock {
    /// Whoever looks: nobody else holds it.
    Ours,
    /// Perhaps somebody.
    Anybodys,
}

impl BinaryBackend {
    /// Looks until the picture is not one of a change under way, for a short while at most. Cancel safe.
    /// What runs although it was started from another specification than the one with this hash says so in its notes.
    pub(super) async fn observe_settled(
        &self,
        id: &ServiceId,
        spec_hash: Option<u64>,
    ) -> Result<Observed, BackendError> {
        let deadline = Instant::now() + SETTLING;
        let mut has_ended = false;
        loop {
            let mut look = self.look(id)?;
            // The shim may have written its last word, and ended, after the record was read and before it was looked for.
            if look.is_cut_short() && !std::mem::replace(&mut has_ended, true) {
                continue;
            }
            if look.is_in_between() && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            }
            self.look_behind_a_stale_record(&mut look);
            for identity in look.shim.iter().chain(&look.service) {
                self.watches.watch_process(&self.era, id, identity);
            }
            self.watches.know(id);
            if let (Some(shim), Some(service)) = (&look.shim, &look.service) {
                look.notes.extend(daemons_note(&process::daemons_of(shim.pid, service.pid)));
            }
            let started_from =
                look.record.as_ref().filter(|_| look.service.is_some()).map(|(record, _)| record.spec_hash);
            let mut observed = self.observed(id, look)?;
            if started_from.is_some_and(|started_from| Some(started_from) != spec_hash) {
                observed.notes.push(EDITED_NOTE.to_owned());
            }
            return Ok(observed);
        }
    }

    /// One look. Reads only.
    pub(super) fn look(&self, id: &ServiceId) -> Result<Look, BackendError> {
        self.look_as(id, Lock::Anybodys)
    }

    /// One look by whoever holds the service's lock, so that nobody else has to be looked for who might.
    pub(super) fn look_locked(&self, id: &ServiceId) -> Result<Look, BackendError> {
        self.look_as(id, Lock::Ours)
    }

    fn look_as(&self, id: &ServiceId, lock: Lock) -> Result<Look, BackendError> {
        let path = self.settings.layout.state_file(id);
        let found = state_reader::read(&path).map_err(|error| transient(path.display(), &error))?;
        let mut look = Look::nothing();
        match found {
            Found::Nothing => {
                match lock {
                    Lock::Anybodys => self.look_without_record(id, &mut look),
                    Lock::Ours => {}
                }
                if look.knows_nothing() && !self.settings.layout.complete_marker().exists() {
                    look = self.look_for_lost(id);
                }
            }
            Found::Unusable(why) => {
                look.notes.push(format!("{} cannot be used: {why}", path.display()));
                look.unusable = Some(why);
                self.look_without_record(id, &mut look);
            }
            Found::Record(record, inode, written_at) => {
                look.shim = record.shim.clone().filter(|shim| self.era.is_alive(shim));
                look.service = record.service.clone().filter(|service| self.era.is_alive(service));
                if look.service.is_none() && look.shim.is_none() && record.phase == Phase::Starting {
                    look.service = record.shim.as_ref().and_then(|shim| self.lost_child(shim));
                }
                if let Some(foreign) = record.shim.as_ref().filter(|shim| !self.era.covers(shim)) {
                    self.note_foreign(id, &record, foreign, &mut look)?;
                }
                if record.dropped_bytes > 0 {
                    look.notes
                        .push(format!("{} bytes of output were dropped: the disk was full", record.dropped_bytes));
                }
                look.record = Some((record, inode));
                look.written_at = Some(written_at);
            }
        }
        Ok(look)
    }

    /// A shim whose disk is full goes on from memory, and what it recorded last is not so any more: what it has made since is its child.
    fn look_behind_a_stale_record(&self, look: &mut Look) {
        let (Some(shim), None, Some((record, _))) = (&look.shim, &look.service, &look.record) else { return };
        let is_overdue = match record.phase {
            Phase::Running => true,
            Phase::Backoff => {
                record.next_attempt.is_some_and(|at| Duration::from_nanos(at) + SETTLING < process::since_boot())
            }
            Phase::Starting | Phase::Clearing | Phase::Stopping | Phase::Stopped | Phase::Failed => false,
        };
        if !is_overdue {
            return;
        }
        let child = process::descendants(shim.pid)
            .into_iter()
            .filter(|stat| stat.parent == shim.pid && stat.group == stat.pid && stat.session == shim.pid)
            .min_by_key(|stat| stat.start_ticks);
        if let Some(child) = child {
            look.service = Some(self.era.identity(&child));
            look.notes.push("its state could not be written: is the disk full?".to_owned());
            if let Some((record, _)) = &mut look.record {
                record.phase = Phase::Running;
            }
        }
    }

    /// The record is of another boot, where nothing of it can live, or of another PID namespace, where it can.
    fn note_foreign(
        &self,
        id: &ServiceId,
        record: &ServiceRecord,
        shim: &ProcessIdentity,
        look: &mut Look,
    ) -> Result<(), BackendError> {
        if matches!(record.phase, Phase::Stopped | Phase::Failed) {
            return Ok(());
        }
        if shim.boot_id != self.era.boot_id {
            look.notes.push("the machine was restarted since it ran".into());
            return Ok(());
        }
        let path = self.settings.layout.lock_file(id);
        if lock::is_held(&path).map_err(|error| transient(path.display(), &error))? {
            let elsewhere = io::Error::other("it runs in another PID namespace (a container?), act on it there");
            return Err(transient(id, &elsewhere));
        }
        Ok(())
    }

    /// The process that a shim made right before it was killed, before it could write that down. It leads its group in the shim's
    /// session, whose number is not given out again as long as anybody is in it.
    fn lost_child(&self, shim: &ProcessIdentity) -> Option<ProcessIdentity> {
        if !self.era.covers(shim) {
            return None;
        }
        process::session_members(shim.pid)
            .into_iter()
            .filter(|stat| stat.group == stat.pid && stat.pid != shim.pid && stat.start_ticks >= shim.start_ticks)
            .min_by_key(|stat| stat.start_ticks)
            .map(|stat| self.era.identity(&stat))
    }

    /// Without a usable record, the lock tells whether something lives, and `/proc` who holds it.
    fn look_without_record(&self, id: &ServiceId, look: &mut Look) {
        let layout = &self.settings.layout;
        // A lock that cannot be looked at is reported by the start that needs it.
        if !lock::is_held(&layout.lock_file(id)).unwrap_or(false) {
            return;
        }
        let Some((device, inode)) = lock::file_identity(&layout.lock_file(id)) else { return };
        let holders = process::lock_holders(device, inode);
        let is_shim = |stat: &Stat| {
            lock::file_identity(&layout.shim_lock_file(id))
                .is_some_and(|(device, inode)| process::lock_taker(stat.pid, device, inode).is_some())
        };
        let shim = holders.iter().map(|holder| &holder.stat).find(|stat| is_shim(stat)).cloned();
        // One that took an orphan over holds its own lock alone, since the orphan holds the service's.
        let shim = shim.or_else(|| {
            let (device, inode) = lock::file_identity(&layout.shim_lock_file(id))?;
            let holders = process::lock_holders(device, inode).into_iter().map(|holder| holder.stat);
            holders.into_iter().find(|stat| self.is_shim_program(stat.pid))
        });
        // A service leads a group in the session of its shim. That tells it from the starter, which took the lock itself, from a
        // copy of the starter that is about to become a shim (in the starter's group), and from a shim (which leads its session).
        let service = holders
            .iter()
            .filter(|holder| holder.taken_by != holder.stat.pid && !self.is_shim_program(holder.stat.pid))
            .map(|holder| &holder.stat)
            .filter(|stat| stat.group == stat.pid && stat.session != stat.pid)
            .min_by_key(|stat| stat.start_ticks);
        look.shim = shim.map(|stat| self.era.identity(&stat));
        look.service = service.map(|stat| self.era.identity(stat));
    }

    pub(super) fn is_shim_program(&self, pid: u32) -> bool {
        let executable = std::fs::read_link(format!("/proc/{pid}/exe"));
        executable.is_ok_and(|path| {
            path.file_name() == self.settings.shim.path.file_name()
                || path.file_name() == Some(std::ffi::OsStr::new("provisioning-shim"))
        })
    }

    fn observed(&self, id: &ServiceId, look: Look) -> Result<Observed, BackendError> {
        let record = look.record.as_ref().map(|(record, _)| record.as_ref());
        let presence = match (&look.service, &look.shim) {
            // A guardian whose record was removed has to write it again, which is tending too.
            (Some(service), shim) => present(service, shim.is_some() && record.is_some(), look.phase()),
            (None, Some(shim)) => match record {
                Some(record) => watched_but_down(record, shim),
                None => Presence::Absent,
            },
            (None, None) => match record {
                Some(record) => self.down(id, record)?,
                None => Presence::Absent,
            },
        };
        // Of a run that ended with its shim, nobody wrote down when.
        let is_told = matches!(look.phase(), Some(Phase::Failed | Phase::Backoff | Phase::Stopping));
        let entered = look.written_at.filter(|_| is_told).and_then(on_our_clock);
        Ok(Observed {
            presence,
            entered,
            intent: record.map(|record| match record.wanted {
                Wanted::Up => Intent::Up,
                Wanted::Down => Intent::Down,
            }),
            restarts: record.map_or(0, |record| record.restarts),
            last_exit: record.and_then(|record| record.exits.last()).map(exit_record),
            notes: look.notes,
        })
    }

    /// Neither the shim nor the service lives.
    fn down(&self, id: &ServiceId, record: &ServiceRecord) -> Result<Presence, BackendError> {
        let is_of_this_boot = record.shim.as_ref().is_some_and(|shim| shim.boot_id == self.era.boot_id);
        Ok(match record.phase {
            Phase::Stopped | Phase::Stopping => Presence::Absent,
            Phase::Failed => Presence::Failed { reason: failure(record) },
            // A restart of the machine is nobody's failure.
            Phase::Starting | Phase::Running | Phase::Clearing | Phase::Backoff if !is_of_this_boot => Presence::Absent,
            Phase::Starting => {
                let path = self.settings.layout.lock_file(id);
                let is_held = lock::is_held(&path).map_err(|error| transient(path.display(), &error))?;
                // Held: somebody else is at it again.
                if is_held {
                    Presence::Absent
                } else {
                    Presence::Failed { reason: FailureReason::CouldNotStart("its shim was killed".into()) }
                }
            }
            Phase::Running => Presence::Failed { reason: FailureReason::Died { ending: Ending::Unknown, after: None } },
            Phase::Clearing | Phase::Backoff => Presence::Failed { reason: failure(record) },
        })
    }
}

fn present(service: &ProcessIdentity, has_shim: bool, phase: Option<Phase>) -> Presence {
    let instance = Instance::Process(service.clone());
    let since = process::started_at(service.start_ticks);
    // While its process lives, only an unhealthy one is cleared away.
    if matches!(phase, Some(Phase::Stopping | Phase::Clearing)) {
        return Presence::Leaving { instance, since };
    }
    Presence::Present { instance, since, guardian: if has_shim { Guardian::Alive } else { Guardian::Gone } }
}

/// The shim lives and the service's process does not.
fn watched_but_down(record: &ServiceRecord, shim: &ProcessIdentity) -> Presence {
    let last = record.exits.last().map_or(Ending::Unknown, |exit| exit.ending);
    let instance = || Instance::Process(record.service.clone().unwrap_or_else(|| shim.clone()));
    let since =
        || record.service.as_ref().map_or_else(Instant::now, |service| process::started_at(service.start_ticks));
    match record.phase {
        Phase::Backoff => Presence::RestartPending {
            attempt: record.streak.saturating_add(1),
            until: record.next_attempt.map_or_else(Instant::now, from_boot),
            last,
        },
        // The process is gone, and others of its tree are not.
        Phase::Stopping => Presence::Leaving { instance: instance(), since: since() },
        Phase::Clearing | Phase::Running => {
            Presence::RestartPending { attempt: record.streak.saturating_add(1), until: Instant::now(), last }
        }
        Phase::Failed => Presence::Failed { reason: failure(record) },
        // It is about to be there, or it has just gone.
        Phase::Starting | Phase::Stopped => Presence::Absent,
    }
}

fn failure(record: &ServiceRecord) -> FailureReason {
    let last = record.exits.last();
    let ending = last.map_or(Ending::Unknown, |exit| exit.ending);
    if let Some(why) = &record.failure {
        return FailureReason::CouldNotStart(why.clone());
    }
    if record.streak > 0 && ending != Ending::Exited(0) {
        return FailureReason::GaveUp { ending, restarts: record.streak };
    }
    let after = last.filter(|exit| exit.ending != Ending::Unknown).map(|exit| Duration::from_millis(exit.ran_for));
    FailureReason::Died { ending, after }
}

fn exit_record(exit: &Exit) -> ExitRecord {
    ExitRecord { ending: exit.ending, at: SystemTime::UNIX_EPOCH + Duration::from_millis(exit.at) }
}

/// Processes of a service that are nobody's children but its shim's.
fn daemons_note(daemons: &[Stat]) -> Option<String> {
    // Names are chosen by their processes.
    let named = |stat: &Stat| format!("{} (PID {})", stat.comm.escape_debug(), stat.pid);
    match daemons {
        [] => None,
        [one] => Some(format!("{} left its process group; it is stopped with the rest", named(one))),
        [first, others @ ..] => Some(format!(
            "{} and {} more left its process group; they are stopped with the rest",
            named(first),
            others.len()
        )),
    }
}

/// A moment of the wall clock on ours; `None` for one that is still to come, which a set clock can make of a past one.
fn on_our_clock(moment: SystemTime) -> Option<Instant> {
    let ago = SystemTime::now().duration_since(moment).ok()?;
    Instant::now().checked_sub(ago)
}

/// A moment on the clock from boot, on ours.
fn from_boot(nanoseconds: u64) -> Instant {
    let moment = Duration::from_nanos(nanoseconds);
    let now = process::since_boot();
    let here = Instant::now();
    if moment >= now {
        here.checked_add(moment - now).unwrap_or(here)
    } else {
        here.checked_sub(now - moment).unwrap_or(here)
    }
}
