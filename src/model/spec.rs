//! What the registry says of a service: fields F1 to F45 of the requirements, with defaults applied and variables expanded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{HostPort, PublishedPort, Secret, ServiceId};

/// One service as the registry describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceSpec {
    /// The name on every command line (F1, F2).
    pub id: ServiceId,
    /// Platform, infrastructure or utility (F3).
    pub kind: ServiceKind,
    /// Where the board lists it (F4).
    pub category: Category,
    /// One line for people (F5).
    pub description: String,
    /// Operations that need it (F6).
    pub required_for: Vec<String>,
    /// Services that must be healthy before this one starts (F7). A name that is not registered is an error in the registry's
    /// diagnostics and refuses the start; the service stays visible and can be stopped.
    pub dependencies: Vec<ServiceId>,
    /// Names that must not run beside it, registered or not (F8).
    pub conflicts: Vec<String>,
    /// How it runs (F9 to F27).
    pub deployment: Deployment,
    /// How to tell that it is well (F28 to F40).
    pub health_check: HealthCheck,
    /// When and how it is started and started again (F41 to F45).
    pub startup: Startup,
}

macro_rules! closed_set {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            /// Every value, in the guide's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value as the registry writes it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value that the registry writes as `text`, if there is one.
            pub fn from_name(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

closed_set! {
    /// What kind of service it is.
    ServiceKind {
        /// Part of the platform itself.
        Platform = "platform",
        /// Something the platform stands on.
        Infrastructure = "infrastructure",
        /// A helper.
        Utility = "utility",
    }
}

closed_set! {
    /// The heading below which the board lists a service.
    Category {
        /// Workflow coordination.
        Orchestration = "orchestration",
        /// Authentication.
        Auth = "auth",
        /// Name resolution.
        Dns = "dns",
        /// Git hosting.
        Git = "git",
        /// Artifact registries.
        Registry = "registry",
        /// Programming interfaces.
        Api = "api",
        /// User interfaces.
        Ui = "ui",
    }
}

closed_set! {
    /// How a service is deployed.
    Mode {
        /// A process on this host.
        Binary = "binary",
        /// A Docker container.
        Docker = "docker",
        /// A service of a Compose file.
        DockerCompose = "docker-compose",
        /// A Kubernetes Deployment.
        Kubernetes = "kubernetes",
        /// Something that runs elsewhere.
        Remote = "remote",
    }
}

/// How a service runs. The tables of modes that are not chosen are ignored (R16).
#[derive(Debug, Clone, PartialEq)]
pub enum Deployment {
    /// A process on this host.
    Binary(BinarySpec),
    /// A Docker container.
    Docker(DockerSpec),
    /// A service of a Compose file.
    DockerCompose(ComposeSpec),
    /// A Kubernetes Deployment.
    Kubernetes(KubernetesSpec),
    /// Something that runs elsewhere.
    Remote(RemoteSpec),
}

impl Deployment {
    /// The mode without its details.
    pub fn mode(&self) -> Mode {
        match self {
            Self::Binary(_) => Mode::Binary,
            Self::Docker(_) => Mode::Docker,
            Self::DockerCompose(_) => Mode::DockerCompose,
            Self::Kubernetes(_) => Mode::Kubernetes,
            Self::Remote(_) => Mode::Remote,
        }
    }
}

closed_set! {
    /// What becomes of a service's output when the disk of its log is full.
    OnFull {
        /// It is kept for a moment, then dropped and counted: the service goes on.
        Drop = "drop",
        /// It is kept for as long as it takes, and the service waits when the pipe is full too: nothing is lost.
        Block = "block",
    }
}

/// A process on this host (F10 to F13).
#[derive(Debug, Clone, PartialEq)]
pub struct BinarySpec {
    /// The program.
    pub binary_path: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Where it starts; the user's home when unset (A58).
    pub working_dir: Option<PathBuf>,
    /// Added to the inherited environment (R132).
    pub env: BTreeMap<String, Secret>,
    /// A file of `NAME=value` lines, added before `env`.
    pub env_file: Option<PathBuf>,
    /// The signal number that asks it to stop (SIGTERM unless set).
    pub stop_signal: i32,
    /// What becomes of its output when the disk is full.
    pub log_on_full: OnFull,
}

/// A Docker container (F14 to F18).
#[derive(Debug, Clone, PartialEq)]
pub struct DockerSpec {
    /// The image with its tag.
    pub image: String,
    /// `provisioning-<service>` unless set (A32).
    pub container_name: String,
    /// `host:container[/proto]`, as written.
    pub ports: Vec<String>,
    /// `host:container[:options]`, as written.
    pub volumes: Vec<String>,
    /// Docker's `--restart` value.
    pub restart_policy: Option<String>,
}

/// A service of a Compose file (F19 to F21).
#[derive(Debug, Clone, PartialEq)]
pub struct ComposeSpec {
    /// The Compose file.
    pub compose_file: PathBuf,
    /// The service in that file.
    pub service_name: String,
    /// The project. When unset, that of the first start, which is Compose's own choice.
    pub project_name: Option<String>,
}

/// A Kubernetes Deployment (F22 to F24).
#[derive(Debug, Clone, PartialEq)]
pub struct KubernetesSpec {
    /// `default` unless set.
    pub namespace: String,
    /// The service's name unless set.
    pub deployment_name: String,
    /// A manifest, or a directory of them.
    pub manifests_path: Option<PathBuf>,
}

/// Something that runs elsewhere (F25 to F27).
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteSpec {
    /// Its URL.
    pub endpoint: String,
    /// Whether TLS is expected; true for `https://` unless set.
    pub tls_enabled: bool,
    /// A file holding a bearer token.
    pub auth_token_path: Option<PathBuf>,
    /// A PEM file of the authorities that its certificate is verified against, instead of the system's.
    pub ca_path: Option<PathBuf>,
}

impl RemoteSpec {
    /// The endpoint as people may see it: a password in it is nobody's business.
    pub fn shown_endpoint(&self) -> String {
        let Some((scheme, rest)) = self.endpoint.split_once("://") else { return self.endpoint.clone() };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => format!("{scheme}://***@{host}{path}"),
            None => self.endpoint.clone(),
        }
    }
}

/// How to tell that a service is well (F28 to F40).
#[derive(Debug, Clone, PartialEq)]
pub struct HealthCheck {
    /// What to look at.
    pub check: Check,
    /// From the start of one check to the start of the next, once ready.
    pub interval: Duration,
    /// Failures in a row that make a service unhealthy; further attempts of a one-shot check (A47).
    pub retries: u32,
    /// How long one check may take.
    pub timeout: Duration,
    /// A fixed spacing of checks until ready; a short, growing one when unset.
    pub start_interval: Option<Duration>,
}

/// What a health check looks at.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// A request is answered with the expected status.
    Http {
        /// The URL.
        endpoint: String,
        /// 100 to 599.
        expected_status: u16,
        /// The request's method, in capitals.
        method: String,
    },
    /// A connection is accepted.
    Tcp {
        /// A name or an address.
        host: String,
        /// 1 to 65535.
        port: u16,
    },
    /// A shell line exits as expected.
    Command {
        /// Handed to `sh -c` unchanged.
        command: String,
        /// The expected exit code.
        expected_exit_code: i32,
    },
    /// A file is there, or is not.
    File {
        /// The file.
        path: PathBuf,
        /// False: healthy when absent.
        must_exist: bool,
    },
    /// Nothing is looked at; health stays unknown (R152).
    None,
}

impl Check {
    /// The type as the registry writes it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Http { .. } => "http",
            Self::Tcp { .. } => "tcp",
            Self::Command { .. } => "command",
            Self::File { .. } => "file",
            Self::None => "none",
        }
    }
}

/// When and how a service is started and started again (F41 to F45).
#[derive(Debug, Clone, PartialEq)]
pub struct Startup {
    /// Whether `platform start` without names starts it (A69).
    pub auto_start: bool,
    /// How long to wait for health after a start.
    pub start_timeout: Duration,
    /// Decides between services that have no order between them, smaller first (R160).
    pub start_order: i64,
    /// Whether it is started again when it dies.
    pub restart_on_failure: RestartOnFailure,
    /// How long a stop may take before it counts as failed.
    pub stop_timeout: Duration,
}

/// What happens when a service dies by itself (F44, F45).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartOnFailure {
    /// It stays down.
    Never,
    /// It is started again.
    UpTo {
        /// Attempts before giving up; the count begins anew after a stable run.
        max_restarts: u32,
    },
}

impl ServiceSpec {
    /// How long a run may be unhealthy from its beginning before a leader acts on it: the start may take its time, and then `retries`
    /// checks have to fail.
    pub fn unhealthy_noticed_within(&self) -> Duration {
        let HealthCheck { interval, timeout, retries, .. } = &self.health_check;
        self.startup.start_timeout + (*interval + *timeout).saturating_mul((*retries).max(1))
    }

    /// The loopback port of its http or tcp check, if it has one: the one nobody else may hold at its start (A54). What runs elsewhere
    /// takes no port here: whoever holds the one it is asked at is the way to it.
    pub fn health_port(&self) -> Option<u16> {
        if self.deployment.mode() == Mode::Remote {
            return None;
        }
        let (host, port) = match &self.health_check.check {
            Check::Tcp { host, port } => (host.as_str(), *port),
            Check::Http { endpoint, .. } => host_and_port(endpoint)?,
            Check::Command { .. } | Check::File { .. } | Check::None => return None,
        };
        is_loopback(host).then_some(port)
    }

    /// The ports that its container publishes on this host, where it has one.
    pub fn published_ports(&self) -> Vec<PublishedPort> {
        match &self.deployment {
            // What does not parse was reported when the registry was read.
            Deployment::Docker(docker) => {
                docker.ports.iter().filter_map(|text| PublishedPort::parse(text).ok()).collect()
            }
            Deployment::Binary(_)
            | Deployment::DockerCompose(_)
            | Deployment::Kubernetes(_)
            | Deployment::Remote(_) => Vec::new(),
        }
    }

    /// The ports of this host that nobody else may hold when it starts (A54): its loopback check's, and those it publishes. A cluster's
    /// services take none: what listens here for one of them listens whether it runs or not.
    pub fn host_ports(&self) -> BTreeSet<HostPort> {
        let checked = match &self.deployment {
            Deployment::Kubernetes(_) => None,
            Deployment::Binary(_) | Deployment::Docker(_) | Deployment::DockerCompose(_) | Deployment::Remote(_) => {
                self.health_port()
            }
        };
        let published = self.published_ports();
        let published = published.iter().flat_map(PublishedPort::host_ports);
        published.chain(checked.map(HostPort::tcp)).collect()
    }
}

/// The host and port of an `http` or `https` URL.
fn host_and_port(url: &str) -> Option<(&str, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let default_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit('@').next()?;
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => Some((host, port.parse().ok()?)),
        Some(_) | None => Some((authority, default_port)),
    }
}

/// Whether requests to a URL never leave this machine.
pub fn is_loopback_url(url: &str) -> bool {
    let Some((host, _)) = host_and_port(url) else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::{RemoteSpec, host_and_port, is_loopback, is_loopback_url};

    #[test]
    fn the_port_of_a_url_is_found() {
        assert_eq!(host_and_port("http://localhost:9090/health"), Some(("localhost", 9090)));
        assert_eq!(host_and_port("http://[::1]:8080/"), Some(("[::1]", 8080)));
        assert_eq!(host_and_port("http://[::1]/"), Some(("[::1]", 80)));
        assert_eq!(host_and_port("https://example.com/x"), Some(("example.com", 443)));
        assert_eq!(host_and_port("ftp://example.com/x"), None);
    }

    #[test]
    fn a_password_in_an_endpoint_is_not_shown() {
        let shown = |endpoint: &str| {
            let spec =
                RemoteSpec { endpoint: endpoint.to_owned(), tls_enabled: true, auth_token_path: None, ca_path: None };
            spec.shown_endpoint()
        };
        assert_eq!(shown("https://me:pw@example.com:1/x?y"), "https://***@example.com:1/x?y");
        assert_eq!(shown("https://example.com/a@b"), "https://example.com/a@b");
    }

    #[test]
    fn only_what_cannot_leave_the_machine_is_loopback() {
        for here in ["http://localhost:1/", "http://127.8.9.1/", "https://[::1]:4/", "https://me:pw@LOCALHOST/x"] {
            assert!(is_loopback_url(here), "{here}");
        }
        for elsewhere in ["http://localhost.example.com/", "http://10.0.0.1/", "http://0.0.0.0/", "http://[::2]/"] {
            assert!(!is_loopback_url(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn only_local_hosts_are_loopback() {
        assert!(is_loopback("127.0.0.1") && is_loopback("[::1]") && is_loopback("LOCALHOST"));
        assert!(!is_loopback("10.0.0.1") && !is_loopback("example.com"));
    }
}
