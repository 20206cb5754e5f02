//! Fetching a service's image before its start, by Compose, which knows the credentials and the file's own rules.

use super::failure::{self, Attempt};
use super::file::directory_of;
use super::place::absolute;
use super::{ComposeBackend, compose_spec};
use crate::engine::ports::{BackendError, Preparation};
use crate::model::ServiceSpec;

impl ComposeBackend {
    /// See [`crate::engine::ports::Backend::prepare`]. Dropping the call ends Compose, and with it the pull.
    pub(super) async fn fetch_image(&self, spec: &ServiceSpec, news: &Preparation) -> Result<(), BackendError> {
        let compose = compose_spec(spec)?;
        let tried = format!("Compose could not start {}", spec.id);
        let (record, _) = self.records.read(&spec.id);
        let located = self.locate(compose, record.as_deref()).await.map_err(|refusal| refusal.into_error(&tried))?;
        if located.is_running() {
            return Ok(());
        }
        let model = self.read_for(compose, &located, &tried).await?;
        let Some(service) = model.service(&compose.service_name) else { return Ok(()) };
        // What is built is no matter of a registry: `up` says what is missing.
        let Some(image) = service.image.as_ref().filter(|_| !service.is_built) else { return Ok(()) };
        if self.engine.has_image(image).await.map_err(|refusal| refusal.into_error(&tried))? {
            return Ok(());
        }
        news.tell(format!("pulling {image}"));
        tracing::info!(image, "pulling");
        let file = absolute(&compose.compose_file);
        let directory = directory_of(&file, &tried)?;
        let shown = file.display().to_string();
        let project = match located.target {
            Some(target) => target.project,
            None => self.project_by_compose(compose, &tried).await?,
        };
        let arguments = ["-f", &shown, "pull", "--quiet", &compose.service_name];
        let answer = self.compose.call(&arguments, None, &directory, Some(&project), self.patience).await?;
        if answer.has_succeeded {
            return Ok(());
        }
        let typed = self.typed(&file, &project).await;
        let attempt = Attempt { tried: &tried, file: &shown, service: &compose.service_name, typed: &typed };
        Err(failure::pull_failed(&answer.words, attempt))
    }
}
