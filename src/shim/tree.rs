//! Signalling a whole tree of processes, each of them through a descriptor that is verified after opening.

use std::collections::BTreeSet;

use rustix::process::Signal;

use crate::host::process::{self, Era, Stat};

/// The processes that were signalled already, so that none gets its stop signal twice.
#[derive(Debug, Default)]
pub(super) struct Signalled(BTreeSet<(u32, u64)>);

impl Signalled {
    /// Forgets everything: another signal begins.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Sends `signal` to all of `members` that did not get it, and wakes those that are stopped, since a stopped process acts on
    /// nothing but SIGKILL.
    pub(super) fn send(&mut self, era: &Era, members: &[Stat], signal: Signal) {
        let fresh: Vec<Stat> =
            members.iter().filter(|stat| self.0.insert((stat.pid, stat.start_ticks))).cloned().collect();
        process::signal_each(era, &fresh, signal);
        if signal != Signal::KILL {
            process::signal_each(era, &fresh, Signal::CONT);
        }
    }

    /// Whether this process got the signal of the moment.
    pub(super) fn has(&self, pid: u32, start_ticks: u64) -> bool {
        self.0.contains(&(pid, start_ticks))
    }

    /// Counts `members` as signalled: a signal to their group has reached them.
    pub(super) fn note(&mut self, members: &[Stat]) {
        self.0.extend(members.iter().map(|stat| (stat.pid, stat.start_ticks)));
    }
}

/// Signals a process group whose leader is a child of ours that was not yet waited for, so that its number means nothing else. All
/// of the group gets it at the same moment, also what is forked at that moment.
pub(super) fn signal_group(leader: u32, signal: Signal) {
    if let Some(group) = process::signallable(leader) {
        // An empty or vanished group is no error: the caller waits for the end of the tree, not for this.
        let _vanished = rustix::process::kill_process_group(group, signal);
        if signal != Signal::KILL {
            let _vanished = rustix::process::kill_process_group(group, Signal::CONT);
        }
    }
}
