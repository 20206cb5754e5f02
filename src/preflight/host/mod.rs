//! The machine as a whole: what on it would keep services from starting, or from surviving. Facts in, findings out.

mod facts;
mod judge;

pub use facts::{
    Clock, FileLimit, Logout, LogoutPolicy, PipeLimit, Platform, Reach, Space, StatePlace, Survey, Surveyed, Trial,
    Where,
};
pub use judge::judge_host;

use std::fmt;

use super::Verdict;

/// What a finding about the machine is about, in the order in which findings are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// The directory that holds logs and state.
    StateDirectory,
    /// Room on its file system.
    DiskSpace,
    /// How output gets into the logs.
    LogTransfer,
    /// How changes are noticed.
    FileWatching,
    /// How many files a process may have open.
    OpenFiles,
    /// How much output waits while nobody takes it.
    PipeBuffers,
    /// What happens to processes when their user logs out.
    Logout,
    /// Whether processes of others can be seen.
    ProcessVisibility,
    /// The wall clock.
    Clock,
    /// The Docker engine.
    Docker,
    /// The way to a Kubernetes cluster.
    Kubernetes,
}

impl Topic {
    /// The word that scripts read; stable.
    pub fn key(self) -> &'static str {
        match self {
            Self::StateDirectory => "state_directory",
            Self::DiskSpace => "disk_space",
            Self::LogTransfer => "log_transfer",
            Self::FileWatching => "file_watching",
            Self::OpenFiles => "open_files",
            Self::PipeBuffers => "pipe_buffers",
            Self::Logout => "logout",
            Self::ProcessVisibility => "process_visibility",
            Self::Clock => "clock",
            Self::Docker => "docker",
            Self::Kubernetes => "kubernetes",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::StateDirectory => "state directory",
            Self::DiskSpace => "disk space",
            Self::LogTransfer => "log transfer",
            Self::FileWatching => "file watching",
            Self::OpenFiles => "open files",
            Self::PipeBuffers => "pipe buffers",
            Self::Logout => "logout",
            Self::ProcessVisibility => "process visibility",
            Self::Clock => "clock",
            Self::Docker => "docker",
            Self::Kubernetes => "kubernetes",
        })
    }
}

/// One thing that was found out about the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFinding {
    /// What it is about.
    pub topic: Topic,
    /// Whether it stands in the way of a start or of a service's survival.
    pub verdict: Verdict,
    /// The sentence, without icon.
    pub message: String,
    /// What to do about it, for findings that are not passed.
    pub remedy: Option<String>,
}
