//! The adapters of this build: those that a feature can leave out are put in here, one function each.

use std::sync::Arc;

use crate::backends::ByMode;
use crate::config::Environment;
use crate::engine::ports::Host;
use crate::store::Layout;

/// What the engine is given to act on services and to look at the machine.
pub(super) struct Adapters {
    /// One adapter for each mode.
    pub(super) backend: ByMode,
    /// What is known of the machine; adapters of other engines add what they see.
    pub(super) host: Arc<dyn Host>,
}

impl Adapters {
    /// With those of other engines that this build has.
    pub(super) fn with_engines(self, environment: &Environment, layout: &Layout) -> Self {
        self.with_docker(environment, layout).with_remote()
    }

    #[cfg(feature = "remote")]
    fn with_remote(self) -> Self {
        use crate::backends::remote::RemoteBackend;
        use crate::model::Mode;

        Self { backend: self.backend.with(Mode::Remote, Arc::new(RemoteBackend::new())), ..self }
    }

    #[cfg(not(feature = "remote"))]
    fn with_remote(self) -> Self {
        self
    }

    #[cfg(feature = "docker")]
    fn with_docker(self, environment: &Environment, layout: &Layout) -> Self {
        use std::ffi::OsStr;
        use std::path::PathBuf;

        use crate::backends::docker::{DockerBackend, HostWithContainers, Settings};
        use crate::model::Mode;

        let set = |name: &str| environment.variables.get(OsStr::new(name)).filter(|value| !value.is_empty());
        let own = environment.home.as_ref().map(|home| home.join(".docker"));
        let directory = |name: &str| set(name).map(PathBuf::from).or_else(|| own.clone());
        let docker = DockerBackend::new(Settings {
            layout: layout.clone(),
            docker_host: set("DOCKER_HOST").map(|host| host.to_string_lossy().into()),
            docker_certificates: set("DOCKER_TLS_VERIFY").and_then(|_| directory("DOCKER_CERT_PATH")),
            docker_config: directory("DOCKER_CONFIG"),
        });
        Self {
            host: Arc::new(HostWithContainers::new(self.host, docker.clone())),
            backend: self
                .backend
                .with_usage(Mode::Docker, Arc::new(docker.clone()))
                // Its containers are containers like any other.
                .with_usage(Mode::DockerCompose, Arc::new(docker.clone()))
                .with_streams(Mode::Docker, Arc::new(docker)),
        }
    }

    #[cfg(not(feature = "docker"))]
    fn with_docker(self, _environment: &Environment, _layout: &Layout) -> Self {
        self
    }
}
