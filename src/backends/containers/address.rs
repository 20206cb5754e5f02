//! Where an engine is and how it is reached: a socket, TCP, or TCP with certificates. What else `docker` knows is refused with a way out.

use std::path::{Path, PathBuf};

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, Docker};

/// Where the engine listens when nothing else is said.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// Seconds; every call sets its own.
const TIMEOUT: u64 = 120;

/// An engine's address, as the environment names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Address {
    host: Option<String>,
    certificates: Option<PathBuf>,
}

/// Why an address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unusable {
    pub(crate) why: String,
    pub(crate) remedy: String,
}

impl Address {
    /// `DOCKER_HOST`, and the directory of ca.pem, cert.pem and key.pem where `DOCKER_TLS_VERIFY` is set.
    pub(crate) fn new(host: Option<String>, certificates: Option<PathBuf>) -> Self {
        Self { host: host.filter(|host| !host.is_empty()), certificates }
    }

    /// As people know it.
    pub(crate) fn name(&self) -> String {
        self.host.clone().unwrap_or_else(|| format!("unix://{DEFAULT_SOCKET}"))
    }

    /// Whether nobody named one.
    pub(crate) fn is_usual(&self) -> bool {
        self.host.is_none()
    }

    /// Whether TLS is spoken there.
    #[cfg(feature = "tls")]
    pub(crate) fn is_secured(&self) -> bool {
        let is_tcp = |host: &String| host.starts_with("tcp://") || host.starts_with("https://");
        self.certificates.is_some() && self.host.as_ref().is_some_and(is_tcp)
    }

    /// The socket, where it is one.
    pub(crate) fn socket(&self) -> Option<&Path> {
        match &self.host {
            None => Some(Path::new(DEFAULT_SOCKET)),
            Some(host) => host.strip_prefix("unix://").map(Path::new),
        }
    }

    /// A client for it. Contacts nothing yet.
    pub(crate) fn client(&self) -> Result<Result<Docker, Error>, Unusable> {
        let name = self.name();
        let scheme = name.split_once("://").map_or("", |(scheme, _)| scheme);
        match (scheme, &self.certificates) {
            ("unix", _) => Ok(Docker::connect_with_unix(&name, TIMEOUT, API_DEFAULT_VERSION)),
            ("tcp" | "https", Some(directory)) => secured(&name, directory),
            ("tcp" | "http", _) => Ok(Docker::connect_with_http(&name, TIMEOUT, API_DEFAULT_VERSION)),
            ("https", None) => Err(Unusable {
                why: "https:// needs certificates".to_owned(),
                remedy: "set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to where ca.pem, cert.pem and key.pem are"
                    .to_owned(),
            }),
            ("ssh", _) => Err(Unusable {
                why: "ssh:// is not supported".to_owned(),
                remedy: format!(
                    "forward its socket (ssh -nNT -L /tmp/docker.sock:{DEFAULT_SOCKET} {}), then set DOCKER_HOST to unix:///tmp/docker.sock",
                    name.trim_start_matches("ssh://")
                ),
            }),
            _ => Err(Unusable {
                why: format!("{name} is no address that can be used"),
                remedy: "set DOCKER_HOST to unix:// or tcp://".to_owned(),
            }),
        }
    }
}

#[cfg(feature = "tls")]
fn secured(name: &str, directory: &Path) -> Result<Result<Docker, Error>, Unusable> {
    let [key, cert, ca] = ["key.pem", "cert.pem", "ca.pem"].map(|file| directory.join(file));
    for file in [&ca, &cert, &key] {
        if let Err(error) = std::fs::File::open(file) {
            return Err(Unusable {
                why: format!("{}: {error}", file.display()),
                remedy: "set DOCKER_CERT_PATH to the directory of ca.pem, cert.pem and key.pem".to_owned(),
            });
        }
    }
    crate::net::install_tls();
    Ok(Docker::connect_with_ssl(name, &key, &cert, &ca, TIMEOUT, API_DEFAULT_VERSION))
}

#[cfg(not(feature = "tls"))]
fn secured(_name: &str, _directory: &Path) -> Result<Result<Docker, Error>, Unusable> {
    Err(Unusable {
        why: "DOCKER_TLS_VERIFY is set, and this build has no TLS".to_owned(),
        remedy: "use a build with the feature tls".to_owned(),
    })
}
