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
        self.with_containers(environment, layout).with_kubernetes(environment, layout).with_remote()
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
    fn with_containers(self, environment: &Environment, layout: &Layout) -> Self {
        use crate::backends::docker::{DockerBackend, HostWithContainers, Settings};
        use crate::model::Mode;

        let docker = DockerBackend::new(Settings {
            layout: layout.clone(),
            docker_host: text(environment, "DOCKER_HOST"),
            docker_certificates: docker_certificates(environment),
            docker_config: docker_directory(environment, "DOCKER_CONFIG"),
        });
        let adapters = Self {
            host: Arc::new(HostWithContainers::new(self.host, docker.clone())),
            backend: self
                .backend
                .with_usage(Mode::Docker, Arc::new(docker.clone()))
                // Its containers are containers like any other.
                .with_usage(Mode::DockerCompose, Arc::new(docker.clone()))
                .with_streams(Mode::Docker, Arc::new(docker.clone())),
        };
        adapters.with_compose(environment, layout, &docker)
    }

    #[cfg(feature = "kubernetes")]
    fn with_kubernetes(self, environment: &Environment, layout: &Layout) -> Self {
        use std::ffi::OsStr;

        use crate::backends::kubernetes::{Access, KubernetesBackend, Pace, Settings};
        use crate::model::Mode;

        let access = Access {
            kubeconfig: environment.variables.get(OsStr::new("KUBECONFIG")).cloned(),
            home: environment.home.clone(),
            program: None,
        };
        let kubernetes = KubernetesBackend::new(Settings { layout: layout.clone(), access, pace: Pace::default() });
        Self { backend: self.backend.with_streams(Mode::Kubernetes, Arc::new(kubernetes)), ..self }
    }

    #[cfg(not(feature = "kubernetes"))]
    fn with_kubernetes(self, _environment: &Environment, _layout: &Layout) -> Self {
        self
    }

    #[cfg(not(feature = "docker"))]
    fn with_containers(self, _environment: &Environment, _layout: &Layout) -> Self {
        self
    }

    #[cfg(feature = "docker")]
    fn with_compose(
        self,
        environment: &Environment,
        layout: &Layout,
        docker: &crate::backends::docker::DockerBackend,
    ) -> Self {
        use crate::backends::compose::{ComposeBackend, Settings};
        use crate::model::Mode;

        let settings = Settings {
            docker_host: text(environment, "DOCKER_HOST"),
            docker_certificates: docker_certificates(environment),
            project_name: text(environment, "COMPOSE_PROJECT_NAME"),
            ..Settings::new(layout.clone(), set(environment, "PATH").cloned(), Arc::clone(&self.host))
        };
        let compose = Arc::new(ComposeBackend::beside(settings, Some(docker)));
        Self { backend: self.backend.with_streams(Mode::DockerCompose, compose), ..self }
    }
}

#[cfg(feature = "docker")]
fn set<'a>(environment: &'a Environment, name: &str) -> Option<&'a std::ffi::OsString> {
    environment.variables.get(std::ffi::OsStr::new(name)).filter(|value| !value.is_empty())
}

#[cfg(feature = "docker")]
fn text(environment: &Environment, name: &str) -> Option<String> {
    set(environment, name).map(|value| value.to_string_lossy().into())
}

/// A directory of Docker's that the variable names, or else its usual one.
#[cfg(feature = "docker")]
fn docker_directory(environment: &Environment, name: &str) -> Option<std::path::PathBuf> {
    let usual = || environment.home.as_ref().map(|home| home.join(".docker"));
    set(environment, name).map(std::path::PathBuf::from).or_else(usual)
}

/// Where the certificates are, when the engine is to be reached with TLS.
#[cfg(feature = "docker")]
fn docker_certificates(environment: &Environment) -> Option<std::path::PathBuf> {
    set(environment, "DOCKER_TLS_VERIFY").and_then(|_| docker_directory(environment, "DOCKER_CERT_PATH"))
}
