//! Specifications and registries in a line or two.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    AutoSupervise, BinarySpec, Category, Check, Deployment, HealthCheck, OnFull, Registry, RegistrySource,
    RestartOnFailure, ServiceId, ServiceKind, ServiceSpec, Startup,
};

/// The id of that name.
pub fn id(name: &str) -> ServiceId {
    ServiceId::new(name).unwrap()
}

/// The ids of those names, separated by blanks.
pub fn ids(names: &str) -> Vec<ServiceId> {
    names.split_whitespace().map(id).collect()
}

/// A binary-mode service without a health check that needs `dependencies` (separated by blanks).
pub fn service(name: &str, dependencies: &str) -> ServiceSpec {
    ServiceSpec {
        id: id(name),
        kind: ServiceKind::Platform,
        category: Category::Api,
        description: format!("the {name} service"),
        required_for: Vec::new(),
        dependencies: ids(dependencies),
        conflicts: Vec::new(),
        deployment: Deployment::Binary(BinarySpec {
            binary_path: PathBuf::from("/bin/true"),
            args: Vec::new(),
            working_dir: None,
            env: BTreeMap::new(),
            env_file: None,
            stop_signal: 15,
            log_on_full: OnFull::Drop,
        }),
        health_check: HealthCheck {
            check: Check::None,
            interval: Duration::from_secs(10),
            retries: 3,
            timeout: Duration::from_secs(5),
            start_interval: None,
        },
        startup: Startup {
            auto_start: false,
            start_timeout: Duration::from_secs(30),
            start_order: 100,
            restart_on_failure: RestartOnFailure::Never,
            stop_timeout: Duration::from_secs(10),
        },
    }
}

/// The same with a TCP check, whose port a [`super::world::World`] knows the service by.
pub fn checked_service(name: &str, dependencies: &str) -> ServiceSpec {
    let mut spec = service(name, dependencies);
    spec.health_check.check = Check::Tcp { host: name.to_owned(), port: 1 };
    spec
}

/// The same, restarted up to three times when it fails.
pub fn restarted_service(name: &str, dependencies: &str) -> ServiceSpec {
    let mut spec = checked_service(name, dependencies);
    spec.startup.restart_on_failure = RestartOnFailure::UpTo { max_restarts: 3 };
    spec
}

/// A registry of those services, in that order.
pub fn registry(services: impl IntoIterator<Item = ServiceSpec>) -> Registry {
    Registry {
        source: RegistrySource::BuiltIn,
        services: services.into_iter().map(Arc::new).collect(),
        set_aside: Vec::new(),
        auto_supervise: AutoSupervise::On,
        diagnostics: Vec::new(),
    }
}
