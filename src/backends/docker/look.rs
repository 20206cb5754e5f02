//! What is there: the container's own state, as the engine tells it.

use super::{DockerBackend, container, docker_spec};
use crate::backends::containers::{self, Container, Refusal};
use crate::engine::ports::BackendError;
use crate::model::{Intent, Mode, Observed, Presence, ServiceId, ServiceSpec};
use crate::store::state::Wanted;

/// What has the service's container name.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// A container that this home did not make.
    Foreign,
    /// Ours.
    Ours(Box<Container>),
}

impl DockerBackend {
    /// Looks at the container that has this service's name.
    pub(super) async fn find(&self, id: &ServiceId, container_name: &str) -> Result<Found, Refusal> {
        let found = self.engine.inspect(container_name).await?;
        Ok(found.map_or(Found::Nothing, |container| self.recognize(id, container)))
    }

    /// By the labels alone: a name proves nothing.
    fn recognize(&self, id: &ServiceId, container: Container) -> Found {
        let is_ours = container.label(container::SERVICE_LABEL) == Some(id.as_str())
            && container.label(container::HOME_LABEL) == Some(&self.home);
        if is_ours { Found::Ours(Box::new(container)) } else { Found::Foreign }
    }

    /// See [`crate::engine::ports::Backend::observe`]. Cancel safe.
    pub(super) async fn look(&self, spec: &ServiceSpec) -> Result<Observed, BackendError> {
        let docker = docker_spec(spec)?;
        self.watch.know(Mode::Docker, &spec.id, container::signature(&spec.id, docker));
        let (record, mut notes) = self.records.read(&spec.id);
        let intent = record.as_ref().map(|record| match record.wanted {
            Wanted::Up => Intent::Up,
            Wanted::Down => Intent::Down,
        });
        let mut observed = Observed {
            presence: Presence::Absent,
            entered: None,
            intent,
            restarts: 0,
            last_exit: None,
            notes: Vec::new(),
        };
        if self.engine.is_absent() {
            notes.push("Docker is not installed or not running".to_owned());
            observed.notes = notes;
            return Ok(observed);
        }
        let found = self
            .find(&spec.id, &docker.container_name)
            .await
            .map_err(|refusal| refusal.into_error(&format!("docker does not tell the state of {}", spec.id)))?;
        match found {
            Found::Nothing => {}
            Found::Foreign => notes.push(format!(
                "a container named {} exists that is not ours: it is left alone, and nothing can be started beside it",
                docker.container_name
            )),
            Found::Ours(container) => {
                if container.label(container::SPEC_LABEL) != Some(container::spec_hash(spec, docker).as_str()) {
                    notes
                        .push("the registry has changed since its container was made: a restart applies it".to_owned());
                }
                notes.extend(container.notes());
                observed.restarts = container.restarts;
                observed.last_exit = container.last_exit();
                observed.presence =
                    containers::presence(&self.engine, &self.clock, &container, record.as_deref()).await;
                if matches!(observed.presence, Presence::Failed { .. }) {
                    notes.extend(container.suspicion());
                }
                observed.entered = containers::entered(&observed.presence, &self.clock, &container);
            }
        }
        observed.notes = notes;
        Ok(observed)
    }
}
