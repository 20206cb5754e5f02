//! Stopping: the end of all containers of the service, and of nothing else in the project.

use std::time::Duration;

use super::{ComposeBackend, compose_spec};
use crate::backends::containers::Container;
use crate::engine::ports::StopError;
use crate::model::{ServiceSpec, StopHow};
use crate::store::state::{Phase, Wanted};

impl ComposeBackend {
    /// See [`crate::engine::ports::Backend::stop`].
    pub(super) async fn stop_service(
        &self,
        spec: &ServiceSpec,
        how: StopHow,
        grace: Duration,
    ) -> Result<(), StopError> {
        let compose = compose_spec(spec)?;
        if self.engine.is_absent() {
            return Ok(());
        }
        let tried = format!("docker could not stop {}", spec.id);
        let (alive, place) = {
            // Held while it is looked, so that what a start makes at this moment is seen.
            let lock = self.records.locked(&spec.id).await?;
            let (record, _) = self.records.read(&spec.id);
            let located =
                self.locate(compose, record.as_deref()).await.map_err(|refusal| refusal.into_error(&tried))?;
            let alive: Vec<Container> = located.containers.into_iter().filter(Container::is_alive).collect();
            let place = located.place.or_else(|| record.as_ref().and_then(|record| record.compose.clone()));
            let is_to_be_written = !alive.is_empty() || record.is_some_and(|record| record.wanted == Wanted::Up);
            if is_to_be_written {
                let phase = if alive.is_empty() { Phase::Stopped } else { Phase::Stopping };
                self.write(&lock, &spec.id, phase, place.as_ref(), &alive)?;
            }
            (alive, place)
        };
        if alive.is_empty() {
            return Ok(());
        }
        self.engine.end(&alive, how, grace, &tried).await?;
        let lock = self.records.locked(&spec.id).await?;
        Ok(self.write(&lock, &spec.id, Phase::Stopped, place.as_ref(), &[])?)
    }
}
