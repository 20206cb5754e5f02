//! Containers among what runs on this machine without being registered (A52).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::query_parameters::ListContainersOptionsBuilder;
use futures::future::{BoxFuture, FutureExt as _};

use super::DockerBackend;
use crate::engine::ports::Host;
use crate::model::HostPort;
use crate::preflight::{Conflict, ConflictKind, PortHolder, Survey, Surveyed};

/// How long a check of conflicts waits for the engine: a check goes on without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Another host's view, with the running containers added to it.
pub struct HostWithContainers {
    host: Arc<dyn Host>,
    docker: DockerBackend,
}

impl HostWithContainers {
    /// The engine is asked only for names that `host` does not find.
    pub fn new(host: Arc<dyn Host>, docker: DockerBackend) -> Self {
        Self { host, docker }
    }

    async fn containers(&self, names: &[String]) -> Vec<Conflict> {
        if names.is_empty() || self.docker.engine.is_absent() {
            return Vec::new();
        }
        let list = async {
            let docker = self.docker.engine.client().await?;
            let running = ListContainersOptionsBuilder::default().all(false).build();
            docker.list_containers(Some(running)).await.map_err(|error| self.docker.engine.refusal(&error))
        };
        let containers = match tokio::time::timeout(PATIENCE, list).await {
            Ok(Ok(containers)) => containers,
            Ok(Err(refusal)) => {
                tracing::debug!(why = refusal.words(), "containers are left out of the check of conflicts");
                return Vec::new();
            }
            Err(_) => return Vec::new(),
        };
        let running: Vec<String> = containers.into_iter().flat_map(|it| it.names.unwrap_or_default()).collect();
        let is_running = |name: &str| running.iter().any(|it| it.strip_prefix('/') == Some(name));
        let found = names.iter().filter(|name| is_running(name));
        found.map(|name| Conflict { name: name.clone(), kind: ConflictKind::Container }).collect()
    }
}

impl Host for HostWithContainers {
    fn running_strangers<'a>(&'a self, names: &'a [String]) -> BoxFuture<'a, Vec<Conflict>> {
        async move {
            let mut conflicts = self.host.running_strangers(names).await;
            let is_new = |name: &&String| !conflicts.iter().any(|conflict| conflict.name == **name);
            let others: Vec<String> = names.iter().filter(is_new).cloned().collect();
            conflicts.extend(self.containers(&others).await);
            conflicts
        }
        .boxed()
    }

    fn port_holders<'a>(&'a self, ports: &'a [HostPort]) -> BoxFuture<'a, HashMap<HostPort, PortHolder>> {
        self.host.port_holders(ports)
    }

    fn stranger_on(&self, port: HostPort, pid: u32) -> BoxFuture<'_, Option<PortHolder>> {
        self.host.stranger_on(port, pid)
    }

    fn survey(&self, asked: Surveyed) -> BoxFuture<'_, Option<Survey>> {
        self.host.survey(asked)
    }

    fn is_of_tree(&self, pid: u32, service: u32) -> bool {
        self.host.is_of_tree(pid, service)
    }
}
