//! Starting: what runs is found, what is stopped is started again, what is missing is made.

use std::time::Duration;

use bollard::Docker;
use bollard::models::ContainerStateStatusEnum as Status;
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions};

use super::look::Found;
use super::{DockerBackend, container, docker_spec};
use crate::backends::containers::{self, Container, PORT_REMEDY, Refusal, is_port_taken};
use crate::engine::ports::{BackendError, ErrorKind, IsWanted};
use crate::model::{DockerSpec, Launch, LaunchOrigin, ServiceSpec, StartHow};
use crate::store::state::Phase;

/// How long a start waits for a run that was told to stop.
const PATIENCE: Duration = Duration::from_secs(15);

impl DockerBackend {
    /// See [`crate::engine::ports::Backend::start_if`].
    pub(super) async fn start_or_find(
        &self,
        spec: &ServiceSpec,
        how: StartHow,
        is_wanted: &IsWanted<'_>,
    ) -> Result<Option<Launch>, BackendError> {
        let docker_spec = docker_spec(spec)?;
        let lock = self.records.locked(&spec.id).await?;
        if !is_wanted() {
            return Ok(None);
        }
        let tried = format!("docker could not start {}", spec.id);
        let refused = |refusal: Refusal| refusal.into_error(&tried);
        let docker = self.engine.client().await.map_err(refused)?;
        let name = &docker_spec.container_name;
        let found = match self.find(&spec.id, name).await.map_err(refused)? {
            Found::Nothing => None,
            Found::Foreign => return Err(taken(name)),
            Found::Ours(container) => Some(container),
        };
        if let Some(container) = found.as_ref().filter(|container| container.is_running()) {
            if !self.is_told_to_stop(spec, container) {
                if container.status == Status::PAUSED {
                    self.engine.unpause(&container.id).await.map_err(refused)?;
                }
                self.write(&lock, &spec.id, Phase::Running, Some(container))?;
                return Ok(Some(self.launch(container, LaunchOrigin::FoundRunning)));
            }
            self.engine.wait_until_gone(&container.id, PATIENCE).await.map_err(|_| BackendError {
                kind: ErrorKind::Transient,
                message: format!("{} was told to stop and has not ended yet", spec.id),
                remedy: Some("stop it with --force, then start it again".to_owned()),
            })?;
        }
        self.write(&lock, &spec.id, Phase::Starting, None)?;
        let id = match found {
            Some(container) => self.reuse(&docker, spec, docker_spec, (&container, how)).await,
            None => self.create(&docker, spec, docker_spec).await,
        };
        let started = match id {
            Ok(id) => self.engine.deed(docker.start_container(&id, None::<StartContainerOptions>)).await,
            Err(refusal) => Err(refusal),
        };
        started.map_err(|refusal| explain(refusal, &tried, docker_spec))?;
        match self.find(&spec.id, name).await.map_err(refused)? {
            Found::Ours(container) => {
                self.write(&lock, &spec.id, Phase::Running, Some(&container))?;
                Ok(Some(self.launch(&container, LaunchOrigin::Started)))
            }
            Found::Nothing | Found::Foreign => Err(BackendError {
                kind: ErrorKind::Transient,
                message: format!("{tried}: its container {name} was removed at once by somebody else"),
                remedy: None,
            }),
        }
    }

    fn launch(&self, container: &Container, origin: LaunchOrigin) -> Launch {
        Launch { instance: container.instance(), since: self.clock.since(&container.started_at), origin }
    }

    /// The id of a container that is as the registry says: the one that is there, or a new one in its place.
    async fn reuse(
        &self,
        docker: &Docker,
        spec: &ServiceSpec,
        docker_spec: &DockerSpec,
        (found, how): (&Container, StartHow),
    ) -> Result<String, Refusal> {
        if found.status == Status::RESTARTING {
            // What somebody asks for now comes now: the pause of the engine's own restart ends.
            self.engine.signal(&found.id, "SIGKILL").await?;
            if self.engine.wait_until_gone(&found.id, PATIENCE).await.is_err() {
                return Err(Refusal::Failed("its restart by the engine cannot be ended".to_owned()));
            }
        }
        let is_as_registered = how == StartHow::AsItIs
            && found.label(container::SPEC_LABEL) == Some(container::spec_hash(spec, docker_spec).as_str());
        // A tag may name another image by now; one that is gone from here is no reason to lose a container that works.
        let is_of_this_image = match self.engine.answer(docker.inspect_image(&docker_spec.image)).await {
            Ok(image) => image.id.is_none_or(|id| id == found.image),
            Err(_) => true,
        };
        let is_leaving = found.status == Status::REMOVING;
        if is_as_registered && is_of_this_image && !matches!(found.status, Status::DEAD | Status::REMOVING) {
            return Ok(found.id.clone());
        }
        // By its id, which was just proven ours; anonymous volumes stay.
        let remove = RemoveContainerOptionsBuilder::default().v(false).force(found.status == Status::DEAD).build();
        match self.engine.deed(docker.remove_container(&found.id, Some(remove))).await {
            Ok(()) | Err(Refusal::NotFound(_)) => {}
            // Somebody else removes it at this moment.
            Err(Refusal::Conflict(words)) if is_leaving || words.contains("already in progress") => {
                self.engine.wait_until_removed(&found.id, PATIENCE).await?;
            }
            Err(refusal) => return Err(refusal),
        }
        self.create(docker, spec, docker_spec).await
    }

    /// The id of a new container. The image was fetched before, see [`DockerBackend::fetch_image`].
    async fn create(&self, docker: &Docker, spec: &ServiceSpec, docker_spec: &DockerSpec) -> Result<String, Refusal> {
        let options = CreateContainerOptionsBuilder::default().name(&docker_spec.container_name).build();
        let body = container::body(spec, docker_spec, &self.home);
        Ok(self.engine.deed(docker.create_container(Some(options), body)).await?.id)
    }

    fn is_told_to_stop(&self, spec: &ServiceSpec, container: &Container) -> bool {
        let (record, _) = self.records.read(&spec.id);
        record.is_some_and(|record| containers::is_told_to_stop(&record, container))
    }
}

fn taken(name: &str) -> BackendError {
    BackendError {
        kind: ErrorKind::Misconfigured,
        message: format!("a container named {name} exists that is not ours; it was left alone"),
        remedy: Some(format!("docker rename {name} to something else, or change `container_name` in the registry")),
    }
}

/// With what to do where that is known.
fn explain(refusal: Refusal, tried: &str, docker: &DockerSpec) -> BackendError {
    let remedy = match &refusal {
        Refusal::NotFound(_) => Some(format!("docker pull {}", docker.image)),
        Refusal::Conflict(words) if words.contains("already in use") => return taken(&docker.container_name),
        Refusal::Failed(words) if is_port_taken(words) => Some(PORT_REMEDY.to_owned()),
        Refusal::Unreachable { .. } | Refusal::Conflict(_) | Refusal::Failed(_) => None,
    };
    let error = refusal.into_error(tried);
    BackendError { remedy: remedy.or(error.remedy), ..error }
}
