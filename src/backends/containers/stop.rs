//! The end of containers: their own stop signal, a wait, and a kill only where one was asked for. The engine's own stop is not used: it
//! kills when its time has passed.

use std::time::Duration;

use bollard::models::ContainerStateStatusEnum as Status;
use bollard::query_parameters::{
    KillContainerOptionsBuilder, RemoveContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use futures::StreamExt as _;
use futures::future::join_all;
use tokio::time::Instant;

use super::{Container, Engine, Refusal};
use crate::engine::ports::StopError;
use crate::model::StopHow;

/// How long a killed container may take to be gone.
const AFTER_KILL: Duration = Duration::from_secs(10);

/// From one look to the next while the engine cannot be reached.
const PAUSE: Duration = Duration::from_millis(200);

impl Engine {
    /// Ends all of these together, and says which of them live when the time has passed.
    pub(crate) async fn end(
        &self,
        containers: &[Container],
        how: StopHow,
        grace: Duration,
        tried: &str,
    ) -> Result<(), StopError> {
        let ends = containers.iter().map(|container| self.end_one(container, how, grace, tried));
        let mut survivors = Vec::new();
        let mut waited = grace;
        for ended in join_all(ends).await {
            match ended {
                Ok(()) => {}
                Err(StopError::StillAlive { grace, survivors: more }) => {
                    waited = grace;
                    survivors.extend(more);
                }
                Err(error @ StopError::Backend(_)) => return Err(error),
            }
        }
        if survivors.is_empty() { Ok(()) } else { Err(StopError::StillAlive { grace: waited, survivors }) }
    }

    async fn end_one(
        &self,
        container: &Container,
        how: StopHow,
        grace: Duration,
        tried: &str,
    ) -> Result<(), StopError> {
        let failed = |refusal: Refusal| StopError::Backend(refusal.into_error(tried));
        let still_alive = |grace| StopError::StillAlive {
            grace,
            survivors: vec![format!("{} (PID {})", container.name, container.pid)],
        };
        if matches!(how, StopHow::Ask | StopHow::AskThenKill) {
            // By this very signal the engine knows that a stop is meant, and does not restart it.
            self.signal(&container.id, &container.stop_signal).await.map_err(failed)?;
            if container.status == Status::PAUSED {
                // It hears nothing while it is paused.
                self.unpause(&container.id).await.map_err(failed)?;
            }
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
    pub(crate) async fn signal(&self, id: &str, signal: &str) -> Result<(), Refusal> {
        let docker = self.client().await?;
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        match self.answer(docker.kill_container(id, Some(options))).await {
            Ok(()) | Err(Refusal::NotFound(_) | Refusal::Conflict(_)) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    /// Removes a container that does not run; its volumes stay. One that is gone already needs nothing.
    pub(crate) async fn remove(&self, id: &str) -> Result<(), Refusal> {
        let docker = self.client().await?;
        let options = RemoveContainerOptionsBuilder::default().v(false).force(false).build();
        match self.deed(docker.remove_container(id, Some(options))).await {
            Ok(()) | Err(Refusal::NotFound(_)) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    /// What is not paused needs nothing.
    pub(crate) async fn unpause(&self, id: &str) -> Result<(), Refusal> {
        let docker = self.client().await?;
        match self.answer(docker.unpause_container(id)).await {
            // An older engine says with an error of its own that it is not paused.
            Ok(()) | Err(Refusal::NotFound(_) | Refusal::Conflict(_)) => Ok(()),
            Err(Refusal::Failed(words)) if words.contains("is not paused") => Ok(()),
            // It ended at this very moment.
            Err(Refusal::Failed(words)) if words.contains("cannot resume a stopped container") => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    /// Waits until a container does not run, through an engine that is restarted meanwhile. Cancel safe.
    pub(crate) async fn wait_until_gone(&self, id: &str, at_most: Duration) -> Result<(), NotGone> {
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

    /// Waits for a removal that somebody else began. Cancel safe.
    pub(crate) async fn wait_until_removed(&self, id: &str, at_most: Duration) -> Result<(), Refusal> {
        let docker = self.client().await?;
        let options = WaitContainerOptionsBuilder::default().condition("removed").build();
        let mut ends = std::pin::pin!(docker.wait_container(id, Some(options)));
        // However the wait ends, what is there then decides.
        let _end = tokio::time::timeout(at_most, self.unless_gone(ends.next())).await;
        match self.inspect(id).await? {
            None => Ok(()),
            Some(container) => {
                Err(Refusal::Failed(format!("the removal of its container {} does not end", container.name)))
            }
        }
    }

    async fn wait_once(&self, id: &str) -> Result<(), Refusal> {
        let docker = self.client().await?;
        // Answered at once for one that has ended, so nothing can be missed between the signal and the wait.
        let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
        let mut ends = std::pin::pin!(docker.wait_container(id, Some(options)));
        match self.unless_gone(ends.next()).await? {
            Some(Ok(_) | Err(bollard::errors::Error::DockerContainerWaitError { .. })) => Ok(()),
            Some(Err(error)) => match self.refusal(&error) {
                Refusal::NotFound(_) => Ok(()),
                refusal => Err(refusal),
            },
            None => Err(Refusal::Failed("the engine ended the wait".to_owned())),
        }
    }
}

/// Why a wait ended without the container's end.
#[derive(Debug)]
pub(crate) enum NotGone {
    /// It runs.
    Alive,
    /// The engine cannot be asked.
    Unknown(Refusal),
}
