//! Stopping: the image's own stop signal, a wait, and a kill only where one was asked for.

use std::time::Duration;

use bollard::models::ContainerStateStatusEnum as Status;
use bollard::query_parameters::{KillContainerOptionsBuilder, WaitContainerOptionsBuilder};
use futures::StreamExt as _;
use tokio::time::Instant;

use super::engine::Refusal;
use super::look::{Container, Found};
use super::{DockerBackend, docker_spec};
use crate::engine::ports::{BackendError, ErrorKind, StopError};
use crate::model::{ServiceSpec, StopHow};
use crate::store::state::Phase;

/// How long a killed container may take to be gone.
const AFTER_KILL: Duration = Duration::from_secs(10);

/// From one look to the next while the engine cannot be reached.
const PAUSE: Duration = Duration::from_millis(200);

impl DockerBackend {
    /// See [`crate::engine::ports::Backend::stop`]. The engine's own stop is not used: it kills when its time has passed.
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
        let is_alive = container.is_running() || container.status == Status::RESTARTING;
        let phase = if is_alive { Phase::Stopping } else { Phase::Stopped };
        {
            let lock = self.locked(&spec.id).await?;
            self.write(&lock, &spec.id, phase, Some(&container))?;
        }
        if !is_alive {
            return Ok(());
        }
        self.end(&container, name, how, grace, &tried).await?;
        let lock = self.locked(&spec.id).await?;
        Ok(self.write(&lock, &spec.id, Phase::Stopped, Some(&container))?)
    }

    async fn end(
        &self,
        container: &Container,
        name: &str,
        how: StopHow,
        grace: Duration,
        tried: &str,
    ) -> Result<(), StopError> {
        let failed = |refusal: Refusal| StopError::Backend(refusal.into_error(tried));
        let still_alive =
            |grace| StopError::StillAlive { grace, survivors: vec![format!("{name} (PID {})", container.pid)] };
        if matches!(how, StopHow::Ask | StopHow::AskThenKill) {
            // By this very signal the engine knows that a stop is meant, and does not restart it.
            self.signal(&container.id, &container.stop_signal).await.map_err(failed)?;
            match self.wait_until_gone(&container.id, grace).await {
                Ok(()) => return Ok(()),
                Err(NotGone::Unknown(refusal)) => return Err(failed(refusal)),
                Err(NotGone::Alive) if how == StopHow::Ask => return Err(still_alive(grace)),
                Err(NotGone::Alive) => {}
            }
        }
        self.signal(&container.id, "SIGKILL").await.map_err(failed)?;
        match self.wait_until_gone(&container.id, AFTER_KILL).await {
            Ok(()) => Ok(()),
            Err(NotGone::Unknown(refusal)) => Err(failed(refusal)),
            Err(NotGone::Alive) => Err(still_alive(AFTER_KILL)),
        }
    }

    /// What has ended already, or is gone, needs no signal.
    async fn signal(&self, id: &str, signal: &str) -> Result<(), Refusal> {
        let docker = self.engine.ask().await?;
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        match docker.kill_container(id, Some(options)).await.map_err(|error| self.engine.refusal(&error)) {
            Ok(()) | Err(Refusal::NotFound(_) | Refusal::Conflict(_)) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    /// Waits until a container does not run, through an engine that is restarted meanwhile. Cancel safe.
    pub(super) async fn wait_until_gone(&self, id: &str, at_most: Duration) -> Result<(), NotGone> {
        let deadline = Instant::now() + at_most;
        loop {
            let problem = match tokio::time::timeout_at(deadline, self.wait_once(id)).await {
                Err(_) => return Err(NotGone::Alive),
                Ok(Ok(())) => return Ok(()),
                Ok(Err(problem)) => problem,
            };
            if Instant::now() + PAUSE >= deadline {
                return Err(NotGone::Unknown(problem));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn wait_once(&self, id: &str) -> Result<(), Refusal> {
        let docker = self.engine.stream().await?;
        // Answered at once for one that has ended, so nothing can be missed between the signal and the wait.
        let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
        let mut ends = std::pin::pin!(docker.wait_container(id, Some(options)));
        match ends.next().await {
            Some(Ok(_) | Err(bollard::errors::Error::DockerContainerWaitError { .. })) => Ok(()),
            Some(Err(error)) => match self.engine.refusal(&error) {
                Refusal::NotFound(_) => Ok(()),
                refusal => Err(refusal),
            },
            None => Err(Refusal::Failed("the engine ended the wait".to_owned())),
        }
    }
}

/// Why a wait ended without the container's end.
#[derive(Debug)]
pub(super) enum NotGone {
    /// It runs.
    Alive,
    /// The engine cannot be asked.
    Unknown(Refusal),
}

impl From<NotGone> for BackendError {
    fn from(not_gone: NotGone) -> Self {
        match not_gone {
            NotGone::Alive => Self { kind: ErrorKind::Transient, message: "it has not ended".to_owned(), remedy: None },
            NotGone::Unknown(refusal) => refusal.into_error("docker does not tell whether it has ended"),
        }
    }
}
