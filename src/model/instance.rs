//! What runs: an instance is more than a number, so that a recycled PID is never taken for a service.

use std::fmt;
use std::time::SystemTime;

/// A process that no other process, ever, is equal to: a PID counts only with the moment its process began (A37).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProcessIdentity {
    /// The process.
    pub pid: u32,
    /// Field 22 of `/proc/<pid>/stat`: clock ticks from boot to the start of the process.
    pub start_ticks: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// The inode of `/proc/self/ns/pid`, which numbers the PID.
    pub pid_namespace: u64,
}

/// One run of a service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Instance {
    /// A process of this host.
    Process(ProcessIdentity),
    /// One run of a container, which keeps its id when it is started again.
    Container {
        /// The full id.
        id: String,
        /// When this run began, in the engine's own words.
        run: String,
    },
    /// A Deployment with one template of its pods. How many there are of them does not make it another one.
    Deployment {
        /// The kubeconfig's context, which names cluster and user.
        context: String,
        /// The namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// `metadata.uid`.
        uid: String,
        /// A number for the template.
        template: u64,
    },
    /// An endpoint that answers.
    Endpoint(String),
}

impl Instance {
    /// Whether it is up as soon as it exists. Where it is not, its own engine says when it is.
    pub fn is_up_at_once(&self) -> bool {
        match self {
            Self::Process(_) | Self::Container { .. } | Self::Endpoint(_) => true,
            Self::Deployment { .. } => false,
        }
    }

    /// Where it is, where a mistake about that would be grave: `context kind-dev, namespace platform`.
    pub fn place(&self) -> Option<String> {
        match self {
            Self::Deployment { context, namespace, .. } => Some(format!("context {context}, namespace {namespace}")),
            Self::Process(_) | Self::Container { .. } | Self::Endpoint(_) => None,
        }
    }

    /// The PID, where there is one.
    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::Process(identity) => Some(identity.pid),
            Self::Container { .. } | Self::Deployment { .. } | Self::Endpoint(_) => None,
        }
    }
}

impl fmt::Display for Instance {
    /// As a sentence says it: `PID 12345`, `container 0123456789ab`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(identity) => write!(f, "PID {}", identity.pid),
            Self::Container { id, .. } => write!(f, "container {}", id.get(..12).unwrap_or(id)),
            Self::Deployment { context, namespace, name, .. } => {
                write!(f, "deployment {name}, context {context}, namespace {namespace}")
            }
            Self::Endpoint(url) => write!(f, "endpoint {url}"),
        }
    }
}

/// How a process came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// It called exit with this code.
    Exited(i32),
    /// This signal ended it.
    Signalled(i32),
    /// Nobody was there to see it.
    Unknown,
    /// It was stopped, because it was unhealthy, to be started again.
    Unhealthy,
    /// The kernel killed it, because the memory that it may use was exhausted, and its engine saw that.
    OutOfMemory,
}

impl fmt::Display for Ending {
    /// As a sentence says it after the service's name: `exited with code 7`, `was killed by SIGKILL`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Signalled(signal) => write!(f, "was killed by {}", SignalName(*signal)),
            Self::Unknown => f.write_str("ended, nobody saw how"),
            Self::Unhealthy => f.write_str("was unhealthy"),
            Self::OutOfMemory => f.write_str("ran out of memory and was killed (exit code 137)"),
        }
    }
}

/// Prints a Linux signal number by its name.
struct SignalName(i32);

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            1 => "SIGHUP",
            2 => "SIGINT",
            3 => "SIGQUIT",
            4 => "SIGILL",
            5 => "SIGTRAP",
            6 => "SIGABRT",
            7 => "SIGBUS",
            8 => "SIGFPE",
            9 => "SIGKILL",
            10 => "SIGUSR1",
            11 => "SIGSEGV",
            12 => "SIGUSR2",
            13 => "SIGPIPE",
            14 => "SIGALRM",
            15 => "SIGTERM",
            24 => "SIGXCPU",
            25 => "SIGXFSZ",
            31 => "SIGSYS",
            other => return write!(f, "signal {other}"),
        };
        f.write_str(name)
    }
}

/// An exit that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExitRecord {
    /// How.
    pub ending: Ending,
    /// When, by the wall clock.
    pub at: SystemTime,
}
