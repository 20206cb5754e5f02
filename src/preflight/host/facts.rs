//! What is gathered about the machine.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// What the registry asks of the machine: only that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Surveyed {
    /// How many services run as processes of this machine.
    pub n_binary: usize,
    /// Whether a service needs the Docker engine.
    pub uses_docker: Platform,
    /// Whether a service needs a Kubernetes cluster.
    pub uses_kubernetes: Platform,
}

/// Whether a platform is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Platform {
    /// By at least one service.
    Used,
    /// By none, so that nothing is said of it.
    #[default]
    Unused,
}

/// Everything that was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// What was asked.
    pub asked: Surveyed,
    /// Whether the superuser asked: some limits are not for them.
    pub is_superuser: bool,
    /// Where logs and state are.
    pub state: StatePlace,
    /// Room there; `Err` in the system's words.
    pub space: Result<Space, String>,
    /// Moving bytes from a pipe into a file there with `splice(2)`.
    pub splice: Trial,
    /// Making as many inotify instances as a console and a shim need.
    pub inotify: Trial,
    /// `RLIMIT_NOFILE`.
    pub open_files: FileLimit,
    /// `fs.pipe-user-pages-soft`; `None` where it cannot be read.
    pub pipes: Option<PipeLimit>,
    /// What happens at logout.
    pub logout: Logout,
    /// The `hidepid` option of `/proc`, where it hides something.
    pub hidepid: Option<String>,
    /// The wall clock.
    pub clock: Clock,
    /// The Docker engine, where it was asked for.
    pub docker: Option<Reach>,
    /// A kubeconfig, where it was asked for.
    pub kubernetes: Option<Reach>,
}

/// The directory of logs and state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatePlace {
    /// Where.
    pub path: PathBuf,
    /// Why it cannot be used and what to do, if so.
    pub problem: Option<(String, String)>,
}

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that we may still write.
    pub free: u64,
    /// Files that may still be made; `None` where the file system does not count them.
    pub free_files: Option<u64>,
}

/// What came of trying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// It works.
    Works,
    /// The system refused, in its words.
    Refused(String),
    /// It could not be tried, and why.
    NotTried(String),
}

/// How many files one process may have open; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLimit {
    /// What holds now.
    pub soft: Option<u64>,
    /// What it may be raised to.
    pub hard: Option<u64>,
}

/// How much all pipes of one user may buffer before new ones get the smallest buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PipeLimit {
    /// In pages; 0 is no limit.
    pub soft_pages: u64,
    /// Bytes.
    pub page: u64,
}

/// What happens to our processes when their user logs out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Logout {
    /// No login manager runs: nothing.
    NoManager,
    /// systemd-logind runs.
    Logind {
        /// Where this process stands, and so what it starts.
        place: Where,
        /// What it does with what stands in a session.
        policy: LogoutPolicy,
        /// Whether the user's manager goes on without a login (`loginctl enable-linger`).
        lingers: bool,
        /// The user, by name where it is known.
        user: String,
    },
}

/// Where in the tree of control groups a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// In the scope of a login session (ssh, a console).
    Session,
    /// Below the user's manager (a desktop's terminal, a user unit).
    UserManager,
    /// Elsewhere: a system service, a container.
    Elsewhere,
}

/// `KillUserProcesses` of `logind.conf(5)`, for this user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogoutPolicy {
    /// What stands in a session is killed with it.
    Kills,
    /// It is left alone.
    Spares,
    /// It could not be found out.
    Unknown,
}

/// The wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// What it says.
    pub now: SystemTime,
    /// When the program was built, where that is known: no clock that runs right is before it.
    pub earliest: SystemTime,
    /// How far the newest of our files lies in the future, if it does.
    pub ahead: Option<Duration>,
}

/// Whether something outside answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// It does; how it is reached.
    Answers(String),
    /// It is not there.
    Absent(String),
    /// It is there, and we may not use it.
    Forbidden(String),
}
