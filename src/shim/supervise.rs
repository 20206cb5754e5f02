//! The machine and its loop: see the diagram in [`super`].

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, WaitOptions};

use super::entry::Setting;
use super::launch::launch;
use super::output::{self, Output};
use super::tree::{Signalled, signal_group};
use crate::host::process::{self, since_boot};
use crate::lifecycle::backoff::Budget;
use crate::model::{Actor, Ending, Event, Happening, Instance, OnFull, ProcessIdentity};
use crate::store::Timeline;
use crate::store::directory::{self, Durability};
use crate::store::failpoint::failpoint;
use crate::store::handover::Report;
use crate::store::lock;
use crate::store::state::{Exit, Phase, ServiceRecord, Wanted, unix_millis};

/// How long what a dead service left behind may take to act on its stop signal before it is killed: the service is not coming back
/// to itself, and nothing else may start while the remains hold its port.
const CLEARING_PATIENCE: Duration = Duration::from_secs(1);

/// How often something that survived SIGKILL for the moment (it is waiting for a disk) is looked at.
const KILL_INTERVAL: Duration = Duration::from_millis(100);

/// A run shorter than this is not the one that was found unhealthy, but the next one: that takes a probe, and a start its time.
const YOUNGEST_UNHEALTHY: Duration = Duration::from_secs(1);

/// How often writing the state is tried again after the disk refused.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

/// One service and everything that belongs to it.
pub(super) struct Supervisor {
    pub(super) setting: Setting,
    pub(super) record: ServiceRecord,
    pub(super) output: Output,
    /// The service's lock; `None` while only an orphan holds it.
    pub(super) lock: Option<File>,
    /// The process whose end ends the run.
    pub(super) leader: Option<Leader>,
    pub(super) orphan: Option<OrphanTree>,
    /// When something has to happen although nothing happened, on the clock from boot.
    pub(super) timer: Option<Duration>,
    pub(super) signalled: Signalled,
    /// Whether SIGKILL is what everything gets.
    pub(super) kills: bool,
    /// Whether the run is being ended because it is unhealthy.
    pub(super) is_unhealthy: bool,
    pub(super) must_write: bool,
}

/// The process whose end ends the run.
pub(super) struct Leader {
    pub(super) identity: ProcessIdentity,
    /// Its start, on the clock from boot.
    pub(super) since: Duration,
    /// Whether it is our child and leads the process group of its own number: then the number is safe for a group signal until it
    /// was waited for.
    pub(super) leads_group: bool,
}

/// How a tree is watched whose parent we are not.
pub(super) struct OrphanTree {
    /// Readable at the end of the service's process.
    pub(super) pidfd: Option<OwnedFd>,
    /// Who took the lock that the tree inherited; by it the tree's members are told from a starter that came after them.
    pub(super) lock_taken_by: Option<u32>,
    /// The start of the service: whoever began before it is not of its tree.
    pub(super) start_ticks: u64,
    /// How the service ended, where that was seen.
    pub(super) ending: Option<Ending>,
    /// Since when nothing of the tree is seen although the lock is held.
    pub(super) unseen_since: Option<Duration>,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    End,
}

/// What ended a wait.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Woken {
    /// Whether a signal may have.
    by_signal: bool,
    /// Whether an orphan has ended.
    by_orphan: bool,
}

impl Supervisor {
    /// Starts the service for the first time, and reports.
    ///
    /// # Errors
    /// When nothing runs, after that was reported.
    pub(super) fn start(setting: Setting, lock: File, report: &UnixStream) -> io::Result<Option<Self>> {
        let id = &setting.handover.service;
        let opened = Output::open(&setting.layout.fifo(id), setting.layout.log_file(id), &setting.handover, 0);
        let output = match opened {
            Ok(output) => output,
            Err(error) => {
                Report::Failed(error.to_string()).send(report)?;
                return Err(error);
            }
        };
        let record = ServiceRecord {
            phase: Phase::Starting,
            wanted: Wanted::Up,
            shim: Some(setting.me.clone()),
            service: None,
            started_at: None,
            restarts: 0,
            failures: 0,
            streak: 0,
            exits: setting.handover.exits.clone(),
            next_attempt: None,
            spec_hash: setting.handover.spec_hash,
            dropped_bytes: 0,
            failure: None,
            compose: None,
        };
        let mut supervisor = Self {
            setting,
            record,
            output,
            lock: Some(lock),
            leader: None,
            orphan: None,
            timer: None,
            signalled: Signalled::default(),
            kills: false,
            is_unhealthy: false,
            must_write: false,
        };
        match supervisor.spawn() {
            Ok(identity) => {
                // The service lives on when nobody hears this.
                drop(Report::Started(identity).send(report));
                Ok(Some(supervisor))
            }
            Err(why) => {
                supervisor.record.phase = Phase::Failed;
                supervisor.record.failure = Some(why.clone());
                supervisor.write(Durability::Visible);
                Report::Failed(why).send(report)?;
                Ok(None)
            }
        }
    }

    /// Runs until the service is no longer wanted up, or cannot be kept up.
    ///
    /// # Errors
    /// When waiting itself fails; the service lives on then, as an orphan.
    pub(super) fn run(mut self) -> io::Result<()> {
        loop {
            let woken = self.wait()?;
            if let Some(orphan) = self.orphan.as_mut().filter(|_| woken.by_orphan) {
                orphan.note_ending(self.leader.as_ref());
            }
            if woken.by_signal {
                self.setting.signals.drain();
            }
            self.output.pump();
            if self.turn()? == Flow::End {
                return Ok(());
            }
            if self.output.dropped() != self.record.dropped_bytes {
                self.record.dropped_bytes = self.output.dropped();
                self.write(Durability::Visible);
            }
        }
    }

    fn wait(&self) -> io::Result<Woken> {
        let mut descriptors = Vec::with_capacity(3);
        descriptors.push(PollFd::from_borrowed_fd(self.setting.signals.descriptor(), PollFlags::IN));
        if let Some(fifo) = self.output.descriptor() {
            descriptors.push(PollFd::from_borrowed_fd(fifo, PollFlags::IN));
        }
        let pidfd = self.orphan.as_ref().and_then(|orphan| orphan.pidfd.as_ref());
        if let Some(pidfd) = pidfd {
            descriptors.push(PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN));
        }
        let write_again = self.must_write.then(|| since_boot() + WRITE_AGAIN);
        let orphan = self.orphan.as_ref().and_then(OrphanTree::timer);
        let due = [self.timer, self.output.timer(), orphan, write_again].into_iter().flatten().min();
        let timeout = due.map(|due| due.saturating_sub(since_boot())).map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        match poll(&mut descriptors, timeout.as_ref()) {
            Ok(_) => {
                let has_news = |descriptor: Option<&PollFd<'_>>| descriptor.is_some_and(|it| !it.revents().is_empty());
                Ok(Woken {
                    // What arrives from now on makes the descriptor readable again.
                    by_signal: has_news(descriptors.first()),
                    by_orphan: pidfd.is_some() && has_news(descriptors.last()),
                })
            }
            Err(rustix::io::Errno::INTR) => Ok(Woken { by_signal: true, by_orphan: false }),
            Err(error) => Err(error.into()),
        }
    }

    /// Looks at everything that may have happened. A stop comes first: it beats whatever else is pending.
    fn turn(&mut self) -> io::Result<Flow> {
        if self.setting.signals.take_kill() {
            self.kills = true;
            self.signalled.clear();
            if self.stop() == Flow::End {
                return Ok(Flow::End);
            }
        }
        if self.setting.signals.take_stop() && self.record.phase != Phase::Stopping && self.stop() == Flow::End {
            return Ok(Flow::End);
        }
        if self.setting.signals.take_unhealthy() {
            self.end_unhealthy_run();
        }
        if self.setting.signals.take_rewrite() {
            // First, since a held lock without a record would be taken for a start that has not come to its process yet.
            self.write(Durability::Visible);
            self.hold_present_locks();
            if let Some(leader) = &self.leader {
                self.write_pid(leader.identity.pid);
            }
        } else if self.must_write {
            self.write(Durability::Visible);
        }
        if self.setting.signals.take_child() && self.reap()? == Flow::End {
            return Ok(Flow::End);
        }
        if self.orphan.is_some() && self.look_at_orphan()? == Flow::End {
            return Ok(Flow::End);
        }
        if self.timer.is_some_and(|due| due <= since_boot()) {
            self.timer = None;
            return self.timer_fired();
        }
        Ok(Flow::Continue)
    }

    /// Takes the locks that count now, where those that are held belong to files that somebody removed. What the service inherited stays
    /// as it is: that it lives is in the record.
    ///
    /// False when that is not possible: the directory is gone, or somebody else has started the service anew.
    fn hold_present_locks(&mut self) -> bool {
        let id = &self.setting.handover.service;
        let (lock_file, shim_lock_file) = (self.setting.layout.lock_file(id), self.setting.layout.shim_lock_file(id));
        if !lock::is_at(&self.setting.shim_lock, &shim_lock_file)
            && let Ok(Some(fresh)) = lock::try_lock(&shim_lock_file)
        {
            self.setting.shim_lock = fresh;
        }
        if self.lock.as_ref().is_some_and(|held| !lock::is_at(held, &lock_file))
            && let Ok(Some(fresh)) = lock::try_lock(&lock_file)
        {
            self.lock = Some(fresh);
        }
        lock::is_at(&self.setting.shim_lock, &shim_lock_file)
            && self.lock.as_ref().is_none_or(|held| lock::is_at(held, &lock_file))
    }

    fn timer_fired(&mut self) -> io::Result<Flow> {
        match self.record.phase {
            Phase::Backoff => Ok(self.start_again()),
            Phase::Clearing => {
                if self.is_unhealthy && !self.kills {
                    self.tell(Actor::Recovery, Happening::Escalated { after: self.setting.handover.stop_patience });
                }
                self.kills = true;
                self.signalled.clear();
                self.signal_tree();
                self.reap()
            }
            Phase::Stopping => {
                self.signal_tree();
                self.reap()
            }
            Phase::Starting | Phase::Running | Phase::Stopped | Phase::Failed => Ok(Flow::Continue),
        }
    }

    // ---- stopping ----

    /// Ends a run that the leader found unhealthy, as a failure: what follows is decided as after any other. Without force there is no
    /// SIGKILL for a person's stop, since a person can decide; nobody is there to decide now.
    fn end_unhealthy_run(&mut self) {
        let is_meant =
            self.leader.as_ref().is_some_and(|leader| since_boot().saturating_sub(leader.since) >= YOUNGEST_UNHEALTHY);
        if self.record.phase != Phase::Running || !is_meant || self.setting.handover.max_restarts.is_none() {
            return;
        }
        self.is_unhealthy = true;
        self.record.phase = Phase::Clearing;
        self.write(Durability::Visible);
        self.signal_tree();
        self.timer = Some(since_boot() + self.setting.handover.stop_patience);
    }

    /// Records that the service shall not run, and begins to make it so.
    fn stop(&mut self) -> Flow {
        self.record.wanted = Wanted::Down;
        self.record.next_attempt = None;
        if self.record.phase == Phase::Backoff {
            return self.end(Phase::Stopped, Durability::Durable);
        }
        self.record.phase = Phase::Stopping;
        // A person's stop may wait for longer than an unhealthy run's end would have, and does not kill.
        self.timer = None;
        self.is_unhealthy = false;
        self.write(Durability::Visible);
        self.signal_tree();
        // The one who asked waits for our end, which comes after this: so the disk may take its time beside the service's own.
        self.write(Durability::Durable);
        self.arm_sweep();
        Flow::Continue
    }

    /// Sends the signal of the moment to all of the tree that did not get it yet.
    fn signal_tree(&mut self) {
        let signal = if self.kills { Signal::KILL } else { self.stop_signal() };
        let mut members = self.members();
        if let Some(leader) = self.leader.as_ref().filter(|leader| leader.leads_group) {
            let group = leader.identity.pid;
            let is_first = members.iter().any(|stat| stat.pid == group);
            if is_first && !self.signalled.has(group, leader.identity.start_ticks) {
                signal_group(group, signal);
                let (in_group, elsewhere): (Vec<_>, Vec<_>) = members.into_iter().partition(|stat| stat.group == group);
                self.signalled.note(&in_group);
                members = elsewhere;
            }
        }
        self.signalled.send(&self.setting.era, &members, signal);
    }

    fn stop_signal(&self) -> Signal {
        // The registry admits named signals only.
        Signal::from_named_raw(self.setting.handover.stop_signal).unwrap_or(Signal::TERM)
    }

    /// Everything of the tree that lives.
    fn members(&self) -> Vec<process::Stat> {
        let mut members = process::descendants(std::process::id());
        if let Some(orphan) = &self.orphan {
            members.extend(orphan.members(self.leader.as_ref(), &self.setting));
        }
        members
    }

    /// Killing is repeated until nothing is left. The kernel tells of each end, so this only covers what was missed meanwhile.
    fn arm_sweep(&mut self) {
        if self.kills {
            self.timer = Some(since_boot() + KILL_INTERVAL);
        }
    }

    // ---- ends ----

    /// Waits for everything that has ended, and acts on the leader's end and on the end of the whole tree.
    fn reap(&mut self) -> io::Result<Flow> {
        let mut ending = None;
        let has_children = loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(None) => break true,
                Ok(Some((pid, status))) => {
                    let is_leader = self.leader.as_ref().is_some_and(|leader| {
                        u32::try_from(pid.as_raw_pid()).is_ok_and(|pid| pid == leader.identity.pid)
                    });
                    if is_leader {
                        ending = Some(match (status.exit_status(), status.terminating_signal()) {
                            (Some(code), _) => Ending::Exited(code),
                            (None, Some(signal)) => Ending::Signalled(signal),
                            (None, None) => Ending::Unknown,
                        });
                    }
                }
                Err(rustix::io::Errno::CHILD) => break false,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        self.after_ends(ending, has_children || self.orphan.is_some())
    }

    /// `ending` is the leader's, if it ended; `tree_lives` whether anything else is left.
    pub(super) fn after_ends(&mut self, ending: Option<Ending>, tree_lives: bool) -> io::Result<Flow> {
        if let Some(ending) = ending {
            self.note_end(ending);
        }
        Ok(match self.record.phase {
            Phase::Running if self.leader.is_some() => Flow::Continue,
            Phase::Running if !tree_lives => self.decide(),
            Phase::Running => self.left_behind(ending),
            Phase::Clearing if !tree_lives => self.decide(),
            Phase::Stopping if !tree_lives => self.end(Phase::Stopped, Durability::Visible),
            Phase::Clearing | Phase::Stopping => {
                if ending.is_some() {
                    // How it ended is known from now on, whatever the rest of it does.
                    self.write(Durability::Visible);
                }
                // What was forked while the others were being signalled.
                self.signal_tree();
                self.arm_sweep();
                Flow::Continue
            }
            Phase::Starting | Phase::Backoff | Phase::Stopped | Phase::Failed => Flow::Continue,
        })
    }

    fn note_end(&mut self, ending: Ending) {
        failpoint!("shim-before-exit-record");
        let ending = if self.is_unhealthy { Ending::Unhealthy } else { ending };
        let ran_for = self.leader.take().map_or(Duration::ZERO, |leader| since_boot().saturating_sub(leader.since));
        self.record.push_exit(Exit {
            ending,
            at: unix_millis(SystemTime::now()),
            ran_for: u64::try_from(ran_for.as_millis()).unwrap_or(u64::MAX),
        });
    }

    /// The leader is gone and others of its tree are not. After a good end they are the service (it put itself into the
    /// background); after a bad one they are remains that have to go before anything is started.
    fn left_behind(&mut self, ending: Option<Ending>) -> Flow {
        if ending == Some(Ending::Exited(0)) && self.orphan.is_none() {
            let heir = process::descendants(std::process::id()).into_iter().min_by_key(|stat| stat.start_ticks);
            if let Some(heir) = heir {
                let identity = self.setting.era.identity(&heir);
                self.record.service = Some(identity.clone());
                self.leader = Some(Leader { identity, since: since_boot(), leads_group: false });
                self.write(Durability::Visible);
                self.write_pid(heir.pid);
                return Flow::Continue;
            }
        }
        self.record.phase = Phase::Clearing;
        self.write(Durability::Visible);
        self.signal_tree();
        self.timer = Some(since_boot() + CLEARING_PATIENCE);
        Flow::Continue
    }

    /// Nothing is left: is it started again?
    fn decide(&mut self) -> Flow {
        self.kills = false;
        self.signalled.clear();
        self.is_unhealthy = false;
        let last = self.record.exits.last();
        let (ending, ran_for) = last.map_or((Ending::Unknown, 0), |exit| (exit.ending, exit.ran_for));
        let (author, noticed_within) = match ending {
            Ending::Unhealthy => (Actor::Recovery, self.setting.handover.noticed_within),
            Ending::Exited(_) | Ending::Signalled(_) | Ending::Unknown | Ending::OutOfMemory => {
                (Actor::Outside, Duration::ZERO)
            }
        };
        let budget = Budget { failures: self.record.failures, streak: self.record.streak }
            .after_run(Duration::from_millis(ran_for), noticed_within);
        self.record.failures = budget.failures;
        self.record.streak = budget.streak;
        let may_restart =
            ending != Ending::Exited(0) && self.setting.handover.max_restarts.is_some_and(|most| budget.allows(most));
        self.tell(author, Happening::Died { ending });
        if !may_restart {
            if budget.streak > 0 && ending != Ending::Exited(0) {
                self.tell(Actor::Recovery, Happening::GaveUp { restarts: budget.streak });
            }
            return self.end(Phase::Failed, Durability::Visible);
        }
        match budget.delay(random()) {
            Duration::ZERO => self.start_again(),
            pause => {
                let attempt = budget.attempt();
                self.tell(Actor::Recovery, Happening::RestartScheduled { attempt, after: pause });
                let due = since_boot() + pause;
                self.timer = Some(due);
                self.record.phase = Phase::Backoff;
                self.record.next_attempt = u64::try_from(due.as_nanos()).ok();
                self.write(Durability::Visible);
                self.remove_pid();
                Flow::Continue
            }
        }
    }

    fn start_again(&mut self) -> Flow {
        if !self.hold_present_locks() {
            // Whatever was started here since the files were removed is not ours, and there must not be two.
            return Flow::End;
        }
        self.record.restarts = self.record.restarts.saturating_add(1);
        self.record.streak = self.record.streak.saturating_add(1);
        match self.spawn() {
            Ok(identity) => {
                self.tell(Actor::Recovery, Happening::Started(Instance::Process(identity)));
                Flow::Continue
            }
            Err(why) => {
                self.record.failure = Some(why);
                let now = unix_millis(SystemTime::now());
                self.record.push_exit(Exit { ending: Ending::Unknown, at: now, ran_for: 0 });
                self.decide()
            }
        }
    }

    // ---- the process ----

    /// Makes the process and records it.
    fn spawn(&mut self) -> Result<ProcessIdentity, String> {
        self.record.phase = Phase::Starting;
        self.record.next_attempt = None;
        // Before the process exists: should this shim be killed right after making it, then this names the session to look in.
        match self.try_write(Durability::Visible) {
            Ok(()) => {}
            // A full disk keeps nobody from being started who asks for it now, and sees why. But it must not keep down what ran.
            Err(error) if self.record.restarts == 0 => return Err(format!("its state could not be written: {error}")),
            Err(_) => self.must_write = true,
        }
        let lock = self.lock.as_ref().ok_or("its lock is not held")?;
        failpoint!("shim-before-process");
        let pid = launch(&self.setting.handover, lock, &self.output)?;
        failpoint!("shim-after-process");
        let since = since_boot();
        // Nobody but us can wait for it, so it stays visible even when it has ended already.
        let stat = process::stat(pid).ok_or("/proc does not show its process")?;
        let identity = self.setting.era.identity(&stat);
        self.leader = Some(Leader { identity: identity.clone(), since, leads_group: true });
        self.record.phase = Phase::Running;
        self.record.service = Some(identity.clone());
        self.record.started_at = Some(unix_millis(SystemTime::now()));
        self.record.failure = None;
        self.output.mark_start(self.setting.handover.service.as_str(), pid);
        self.write(Durability::Visible);
        failpoint!("shim-after-state");
        self.write_pid(pid);
        Ok(identity)
    }

    // ---- files ----

    /// Ends: everything is gone, recorded and moved to the log.
    pub(super) fn end(&mut self, phase: Phase, durability: Durability) -> Flow {
        if self.output.on_full() == OnFull::Block {
            self.wait_for_room();
        }
        self.output.finish();
        failpoint!("shim-before-last-state");
        self.record.dropped_bytes = self.output.dropped();
        self.record.phase = phase;
        self.remove_pid();
        self.write(durability);
        Flow::End
    }

    /// Gives the last words of a service whose output must not be lost a moment for the full disk to have room again: so long as a stop
    /// within its time allows, and not when it is forced. What is left then has nobody to hold it.
    fn wait_for_room(&mut self) {
        let patience = output::PATIENCE.min(self.setting.handover.stop_patience / 2);
        let deadline = since_boot() + patience;
        while !self.output.move_rest() && !self.kills && since_boot() < deadline {
            let descriptor = PollFd::from_borrowed_fd(self.setting.signals.descriptor(), PollFlags::IN);
            let pause = Timespec { tv_sec: 0, tv_nsec: output::RETRY.subsec_nanos().into() };
            match poll(&mut [descriptor], Some(&pause)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
            self.setting.signals.drain();
            self.kills |= self.setting.signals.take_kill();
        }
    }

    /// Writes to the timeline what happened without anybody asking: the shim is the one witness that is always there, so consoles and
    /// commands leave these entries to it. A timeline that cannot be written changes nothing for the service.
    fn tell(&self, actor: Actor, what: Happening) {
        let event = Event { at: SystemTime::now(), service: self.setting.handover.service.clone(), what, actor };
        drop(Timeline::new(&self.setting.layout).append(&event));
    }

    /// Writes the state; a disk that refuses is tried again, and the service runs on meanwhile.
    pub(super) fn write(&mut self, durability: Durability) {
        self.must_write = self.try_write(durability).is_err();
    }

    fn try_write(&self, durability: Durability) -> io::Result<()> {
        let path = self.setting.layout.state_file(&self.setting.handover.service);
        directory::replace(&path, self.record.to_json().as_bytes(), durability)
    }

    /// For people only, so a failure changes nothing.
    pub(super) fn write_pid(&self, pid: u32) {
        let path = self.setting.layout.pid_file(&self.setting.handover.service);
        drop(directory::replace(&path, format!("{pid}\n").as_bytes(), Durability::Visible));
    }

    fn remove_pid(&self) {
        drop(directory::remove(&self.setting.layout.pid_file(&self.setting.handover.service)));
    }
}

/// A number that nobody can foresee, and that differs between shims that decide at the same moment.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(std::process::id())
}
