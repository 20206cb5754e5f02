//! What a container of ours prints.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::mpsc;

use super::look::Found;
use super::{DockerBackend, docker_spec};
use crate::backends::containers::{Container, NoContainer, Origin, read_output};
use crate::engine::ports::{Following, Output, OutputSource};
use crate::model::{ServiceId, ServiceSpec};

impl OutputSource for DockerBackend {
    fn output(&self, spec: &ServiceSpec, n_lines: usize, following: Following) -> Option<mpsc::Receiver<Vec<Output>>> {
        let name = docker_spec(spec).ok()?.container_name.clone();
        let origin = OfThisName { backend: self.clone(), id: spec.id.clone(), name };
        Some(read_output(Arc::clone(&self.engine), origin, n_lines, following))
    }
}

struct OfThisName {
    backend: DockerBackend,
    id: ServiceId,
    name: String,
}

impl Origin for OfThisName {
    fn current(&self) -> BoxFuture<'_, Result<Container, NoContainer>> {
        let name = &self.name;
        async move {
            match self.backend.find(&self.id, name).await {
                Ok(Found::Ours(container)) => Ok(*container),
                Ok(Found::Nothing) => Err(NoContainer::Missing(format!("No log yet: there is no container {name}"))),
                Ok(Found::Foreign) => {
                    Err(NoContainer::Foreign(format!("the container {name} is not ours, so its output is not shown")))
                }
                Err(refusal) => Err(NoContainer::Unknown(refusal)),
            }
        }
        .boxed()
    }

    fn starts(&self) -> (&'static str, Vec<String>) {
        ("container", vec![self.name.clone()])
    }
}
