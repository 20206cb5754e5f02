//! Where the files are: P3, P4 and P5 of the requirements.

use std::path::{Path, PathBuf};

use crate::model::ServiceId;

/// The environment variable that moves everything below `~/.provisioning/services` to another directory (R218).
pub const SERVICES_DIR_VARIABLE: &str = "PROVISIONING_SERVICES_DIR";

/// The directories and file names below one root. A value: nothing is created or looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Everything below `root`, which is `~/.provisioning/services` unless it was moved.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The root itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `pids/`.
    pub fn pids(&self) -> PathBuf {
        self.root.join("pids")
    }

    /// `logs/`.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// `state/`.
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// The number alone, for people; never read back for a decision.
    pub fn pid_file(&self, id: &ServiceId) -> PathBuf {
        self.pids().join(format!("{id}.pid"))
    }

    /// The service's bytes. Rotated files add `.1`, `.2` and so on, the newest being `.1`.
    pub fn log_file(&self, id: &ServiceId) -> PathBuf {
        self.logs().join(format!("{id}.log"))
    }

    /// Identity, exits, restarts.
    pub fn state_file(&self, id: &ServiceId) -> PathBuf {
        self.state().join(format!("{id}.json"))
    }

    /// Held by the shim and inherited by the service: free means that neither lives. Never unlinked.
    pub fn lock_file(&self, id: &ServiceId) -> PathBuf {
        self.state().join(format!("{id}.lock"))
    }

    /// Held by the shim alone: free beside a held [`Layout::lock_file`] means that the shim was killed. Never unlinked.
    pub fn shim_lock_file(&self, id: &ServiceId) -> PathBuf {
        self.state().join(format!("{id}.shim-lock"))
    }

    /// The FIFO that the service writes to.
    pub fn fifo(&self, id: &ServiceId) -> PathBuf {
        self.state().join(format!("{id}.out"))
    }

    /// The timeline, one JSON object a line.
    pub fn events(&self) -> PathBuf {
        self.state().join("events.jsonl")
    }

    /// `state/history/`, made by the first leader.
    pub fn history(&self) -> PathBuf {
        self.state().join("history")
    }

    /// A service's health history.
    pub fn history_file(&self, id: &ServiceId) -> PathBuf {
        self.history().join(format!("{id}.health"))
    }

    /// Held by whoever acts on its own. Begins with a dot, which no service's name does, so that it is the lock of no service. Never
    /// unlinked.
    pub fn leader_lock(&self) -> PathBuf {
        self.state().join(".leader.lock")
    }

    /// Held by the one `supervise` of this home, also while it waits for the leader's lock: who leads only in its absence gives way.
    /// Never unlinked.
    pub fn supervise_lock(&self) -> PathBuf {
        self.state().join(".supervise.lock")
    }

    /// There once it was said that `supervise` is started in the background.
    pub fn supervise_said(&self) -> PathBuf {
        self.state().join(".supervise-was-explained")
    }

    /// There once every process of this home was found to have its state beside it: a directory without it may have taken the place of
    /// one that was removed while services ran.
    pub fn complete_marker(&self) -> PathBuf {
        self.state().join(".complete")
    }

    /// The log of our own programs.
    pub fn own_log(&self) -> PathBuf {
        self.root.join("provisioning.log")
    }
}
