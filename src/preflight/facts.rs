//! What has to be known before a start can be judged.

use std::path::PathBuf;

use crate::model::{HostPort, ServiceId};

/// Everything that was gathered about one service that is about to start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// What its backend needs and whether it is there.
    pub requirements: Vec<Requirement>,
    /// The ports it wants and that somebody holds.
    pub ports: Vec<PortFact>,
    /// What runs and conflicts with it.
    pub conflicts: Vec<Conflict>,
    /// Its direct dependencies.
    pub dependencies: Vec<DependencyFact>,
}

/// Something a backend needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// The program of a binary-mode service.
    Binary {
        /// Expanded.
        path: PathBuf,
        /// What is there.
        found: FileFact,
    },
    /// The directory a binary-mode service starts in.
    WorkingDirectory {
        /// Expanded.
        path: PathBuf,
        /// What is there.
        found: FileFact,
    },
    /// A file that has to be readable: `env_file`.
    File {
        /// Expanded.
        path: PathBuf,
        /// The field that names it.
        field: &'static str,
        /// What is there.
        found: FileFact,
    },
    /// The directory that holds logs and state must be writable and ours.
    StateDirectory {
        /// Where.
        path: PathBuf,
        /// Why it cannot be used, if so: with the path that is meant, and what to do.
        problem: Option<(String, String)>,
    },
    /// The engine that runs containers.
    ContainerEngine {
        /// Why it cannot be used, if so: a sentence, and what to do.
        problem: Option<(String, String)>,
    },
    /// The image of a container.
    Image {
        /// With its tag.
        name: String,
        /// Whether the engine has it.
        is_here: bool,
    },
    /// The name of a container.
    ContainerName {
        /// Which.
        name: String,
        /// Whether a container has it that is not ours.
        is_taken: bool,
    },
    /// Compose and its file, with this service in it.
    Compose {
        /// Why it cannot be used, if so: a sentence, and what to do.
        problem: Option<(String, String)>,
    },
    /// Services of the Compose file that this one depends on and that do not run: they are not ours to start.
    ComposeDependencies {
        /// As the file names them.
        missing: Vec<String>,
        /// The program with its options, for a person to go on typing.
        typed: String,
    },
    /// The Compose project is kept although Compose would choose another one by now.
    ComposeProject {
        /// What it is.
        kept: String,
        /// What Compose would choose.
        own: String,
    },
    /// A port of this host that its containers publish and that somebody holds.
    PublishedPort {
        /// The port.
        port: HostPort,
        /// Who holds it.
        holder: PortHolder,
    },
    /// A file that requests to a service need: its token, its authority.
    RequestFile {
        /// Why it cannot be used: a sentence, and what to do.
        problem: (String, String),
    },
    /// The endpoint of a service that runs elsewhere.
    Endpoint {
        /// As people may see it.
        url: String,
        /// How it answers, or why not and what to do.
        answer: Result<String, (String, Option<String>)>,
        /// Whether something that it needs may be the way to it, and perhaps does not run yet.
        may_come: bool,
    },
    /// The cluster that runs Deployments.
    Cluster {
        /// Which, and where in it: `context kind-dev, namespace platform (https://…)`.
        place: String,
        /// Why it cannot be used, if so: a sentence, and what to do.
        problem: Option<(String, String)>,
        /// Whether there is a usable kubeconfig.
        is_configured: bool,
    },
    /// Something in the cluster that is missing or not allowed.
    ClusterObject {
        /// A sentence.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// Something that cannot be done there, although a start can.
    ClusterLimit {
        /// A sentence.
        limit: String,
        /// What to do.
        remedy: String,
    },
    /// A kubeconfig that is not for its owner alone.
    OpenKubeconfig {
        /// The file.
        path: PathBuf,
        /// What others can do with it, as a participle.
        deed: &'static str,
    },
    /// The manifests of a Deployment.
    Manifests {
        /// A file or a directory.
        path: PathBuf,
        /// Why they cannot be used, if so, with file, line and column.
        problem: Option<String>,
    },
    /// The mode is known but cannot act in this version.
    UnsupportedMode {
        /// As the registry writes it.
        mode: &'static str,
    },
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileFact {
    /// A regular file that we may execute.
    Executable,
    /// A regular file that we may not execute.
    NotExecutable,
    /// A directory.
    Directory,
    /// Something else: a device, a socket.
    Other,
    /// Nothing.
    Missing,
    /// It cannot be looked at; the system's words.
    Unreadable(String),
}

/// A port that the service wants and that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortFact {
    /// The port.
    pub port: HostPort,
    /// Who holds it.
    pub holder: PortHolder,
    /// The registered service that this is a process of, if it is one.
    pub service: Option<ServiceId>,
}

/// Who holds a port. The process of another user can be hidden from us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortHolder {
    /// The process, where it can be seen.
    pub pid: Option<u32>,
    /// Its program, where it can be seen.
    pub program: Option<String>,
}

/// Something that runs and conflicts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// As the registry names it.
    pub name: String,
    /// How it was found.
    pub kind: ConflictKind,
}

/// How a running conflict was found (A52).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConflictKind {
    /// It is registered and runs.
    Service,
    /// A process of that name.
    Process {
        /// Which.
        pid: u32,
    },
    /// An active systemd unit of that name.
    SystemdUnit,
    /// A running container of that name.
    Container,
}

/// A direct dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependencyFact {
    /// Which.
    pub id: ServiceId,
    /// Why it is neither running nor can be started, if so.
    pub problem: Option<String>,
}
