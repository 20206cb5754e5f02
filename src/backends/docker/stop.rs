//! Stopping: the container's end, and what was asked in the state file before and after it.

use std::time::Duration;

use super::look::Found;
use super::{DockerBackend, docker_spec};
use crate::engine::ports::StopError;
use crate::model::{ServiceSpec, StopHow};
use crate::store::state::Phase;

impl DockerBackend {
    /// See [`crate::engine::ports::Backend::stop`].
    pub(super) async fn stop_container(
        &self,
        spec: &ServiceSpec,
        how: StopHow,
        grace: Duration,
    ) -> Result<(), StopError> {
        let docker_spec = docker_spec(spec)?;
        let name = &docker_spec.container_name;
        if self.engine.is_absent() {
            return Ok(());
        }
        let tried = format!("docker could not stop {}", spec.id);
        let found = self.find(&spec.id, name).await.map_err(|refusal| refusal.into_error(&tried))?;
        let Found::Ours(container) = found else {
            // Nothing of ours: what has the name is not ours to stop.
            return Ok(());
        };
        let is_alive = container.is_alive();
        let phase = if is_alive { Phase::Stopping } else { Phase::Stopped };
        {
            let lock = self.records.locked(&spec.id).await?;
            self.write(&lock, &spec.id, phase, Some(&container))?;
        }
        if !is_alive {
            return Ok(());
        }
        self.engine.end(std::slice::from_ref(&container), how, grace, &tried).await?;
        let lock = self.records.locked(&spec.id).await?;
        Ok(self.write(&lock, &spec.id, Phase::Stopped, Some(&container))?)
    }
}
