//! A container as far as it matters here: what the engine says of it, and what that means.

use std::collections::HashMap;

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum as Status, HealthStatusEnum};
use bollard::query_parameters::InspectContainerOptions;

use super::clock::moment;
use super::engine::{Engine, Refusal};
use crate::model::{Ending, ExitRecord, Instance};
use crate::store::state::unix_millis;

const MIB: u64 = 1024 * 1024;

/// A container, at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) id: String,
    /// Without the slash that the engine writes before it.
    pub(crate) name: String,
    pub(crate) labels: HashMap<String, String>,
    pub(crate) status: Status,
    pub(crate) pid: i64,
    /// As the engine writes it.
    pub(crate) started_at: String,
    /// As the engine writes it.
    pub(crate) finished_at: String,
    pub(crate) exit_code: i64,
    pub(crate) is_out_of_memory: bool,
    /// The most memory that it may use, in bytes, where there is a limit of its own.
    pub(crate) memory_limit: Option<u64>,
    pub(crate) error: String,
    pub(crate) restarts: u32,
    /// The id of the image it was made from.
    pub(crate) image: String,
    /// The signal that its image wants for a stop.
    pub(crate) stop_signal: String,
    /// Its own health check fails, with the words of the last attempt.
    pub(crate) unhealthy: Option<String>,
}

impl From<ContainerInspectResponse> for Container {
    fn from(inspected: ContainerInspectResponse) -> Self {
        let config = inspected.config.unwrap_or_default();
        let state = inspected.state.unwrap_or_default();
        let unhealthy = state.health.filter(|health| health.status == Some(HealthStatusEnum::UNHEALTHY));
        Self {
            id: inspected.id.unwrap_or_default(),
            name: inspected.name.unwrap_or_default().trim_start_matches('/').to_owned(),
            labels: config.labels.unwrap_or_default(),
            status: state.status.unwrap_or(Status::EMPTY),
            pid: state.pid.unwrap_or_default(),
            started_at: state.started_at.unwrap_or_default(),
            finished_at: state.finished_at.unwrap_or_default(),
            exit_code: state.exit_code.unwrap_or_default(),
            is_out_of_memory: state.oom_killed.unwrap_or_default(),
            memory_limit: inspected
                .host_config
                .and_then(|host| host.memory)
                .and_then(|bytes| u64::try_from(bytes).ok())
                .filter(|bytes| *bytes > 0),
            error: state.error.unwrap_or_default(),
            restarts: inspected.restart_count.and_then(|n| u32::try_from(n).ok()).unwrap_or_default(),
            image: inspected.image.unwrap_or_default(),
            stop_signal: config.stop_signal.filter(|signal| !signal.is_empty()).unwrap_or_else(|| "SIGTERM".to_owned()),
            unhealthy: unhealthy.map(|health| {
                let last = health.log.unwrap_or_default().pop().and_then(|result| result.output);
                last.unwrap_or_default().lines().next().unwrap_or_default().trim().to_owned()
            }),
        }
    }
}

impl Container {
    /// This run of it.
    pub(crate) fn instance(&self) -> Instance {
        Instance::Container { id: self.id.clone(), run: self.started_at.clone() }
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.status, Status::RUNNING | Status::PAUSED | Status::STOPPING)
    }

    /// It runs, or the engine is about to run it again.
    pub(crate) fn is_alive(&self) -> bool {
        self.is_running() || self.status == Status::RESTARTING
    }

    /// When this run began, in milliseconds since 1970.
    pub(crate) fn started_millis(&self) -> Option<u64> {
        moment(&self.started_at).map(unix_millis)
    }

    /// Shells and engines tell death by a signal by adding 128.
    pub(crate) fn ending(&self) -> Ending {
        match i32::try_from(self.exit_code) {
            Ok(137) if self.is_out_of_memory => Ending::OutOfMemory,
            Ok(code @ 129..=159) => Ending::Signalled(code - 128),
            Ok(code) => Ending::Exited(code),
            Err(_) => Ending::Unknown,
        }
    }

    /// How its last run ended, where one did.
    pub(crate) fn last_exit(&self) -> Option<ExitRecord> {
        moment(&self.finished_at).map(|at| ExitRecord { ending: self.ending(), at })
    }

    /// The value of a label.
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }

    /// What is worth knowing beside its state.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> {
        let paused = (self.status == Status::PAUSED).then(|| format!("it is paused (docker unpause {})", self.name));
        let memory = self.is_out_of_memory.then(|| match self.memory_limit {
            Some(limit) => format!("memory ran out in its last run: its limit is {} MiB", limit.div_ceil(MIB)),
            None => "memory ran out in its last run: the machine's, since it has no limit of its own".to_owned(),
        });
        let unhealthy = self.unhealthy.as_ref().filter(|_| self.is_running()).map(|words| match words.as_str() {
            "" => format!("its container's own health check fails ({})", self.name),
            words => format!("its container's own health check fails ({}): {words}", self.name),
        });
        let removal = match self.status {
            Status::REMOVING => Some("its container is being removed".to_owned()),
            Status::DEAD => Some(format!(
                "its container is dead, since docker could not remove it: a start tries again (docker rm -f {} says why)",
                self.name
            )),
            _ => None,
        };
        [paused, memory, removal, unhealthy].into_iter().flatten()
    }
}

impl Container {
    /// Of one that failed: what its engine may have missed. It learns of exhausted memory and of an end in two messages, and where the end
    /// comes first it forgets the other.
    pub(crate) fn suspicion(&self) -> Option<String> {
        let limit = self.memory_limit.filter(|_| self.exit_code == 137 && !self.is_out_of_memory)?;
        let limit = limit.div_ceil(MIB);
        Some(format!(
            "memory may have run out in its last run: its limit is {limit} MiB, and docker does not always notice"
        ))
    }
}

impl Engine {
    /// The container of this name or id; `None` where there is none. Cancel safe.
    pub(crate) async fn inspect(&self, name: &str) -> Result<Option<Container>, Refusal> {
        let docker = self.client().await?;
        match self.answer(docker.inspect_container(name, None::<InspectContainerOptions>)).await {
            Ok(inspected) => Ok(Some(inspected.into())),
            Err(Refusal::NotFound(_)) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// Whether this image is here. Cancel safe.
    pub(crate) async fn has_image(&self, image: &str) -> Result<bool, Refusal> {
        let docker = self.client().await?;
        match self.answer(docker.inspect_image(image)).await {
            Ok(_) => Ok(true),
            Err(Refusal::NotFound(_)) => Ok(false),
            Err(refusal) => Err(refusal),
        }
    }
}
