//! What a start needs, with what is there.

use std::sync::Arc;

use super::file::ComposeFile;
use super::place::{Located, absolute};
use super::{ComposeBackend, compose_spec};
use crate::engine::ports::{BackendError, ErrorKind};
use crate::model::{ComposeSpec, ServiceSpec};
use crate::preflight::Requirement;
use crate::store::directory;

/// What could not be done, for the words of every obstacle.
const TRIED: &str = "Compose cannot start this service";

/// How many ports are looked at: the rest of a long published range is left to the engine to refuse.
const MAX_PORTS: usize = 64;

impl ComposeBackend {
    /// Looks at everything a start needs. Makes and changes nothing.
    pub(super) async fn gather(&self, spec: &ServiceSpec) -> Vec<Requirement> {
        let Ok(compose) = compose_spec(spec) else {
            return vec![Requirement::UnsupportedMode { mode: spec.deployment.mode().as_str() }];
        };
        let (record, _) = self.records.read(&spec.id);
        let located = self.locate(compose, record.as_deref()).await;
        let mut requirements = vec![Requirement::ContainerEngine {
            problem: located.as_ref().err().map(|refusal| (refusal.words().to_owned(), refusal.remedy().to_owned())),
        }];
        let located = located.unwrap_or_default();
        match self.read_for(compose, &located, TRIED).await {
            Ok(file) => requirements.extend(self.gather_from_file(compose, &file, &located).await),
            Err(error) => {
                let remedy = error.remedy.unwrap_or_else(|| "`docker compose config` must work".to_owned());
                requirements.push(Requirement::Compose { problem: Some((error.message, remedy)) });
            }
        }
        requirements.push(Requirement::StateDirectory {
            path: self.layout.root().to_owned(),
            problem: directory::inspect(&self.layout).err().map(|unusable| (unusable.to_string(), unusable.remedy())),
        });
        requirements
    }

    /// The file with this service in it.
    pub(super) async fn read_for(
        &self,
        compose: &ComposeSpec,
        located: &Located,
        tried: &str,
    ) -> Result<Arc<ComposeFile>, BackendError> {
        let file = absolute(&compose.compose_file);
        // Its own choice is of interest where nobody else chose.
        let project = compose.project_name.as_deref();
        let read = self.files.read(&self.compose, &file, project, tried).await?;
        if read.service(&compose.service_name).is_none() {
            let project = match located.target.as_ref().map(|target| &target.project).or(read.project.as_ref()) {
                Some(project) => project.clone(),
                None => self.project_by_compose(compose, tried).await?,
            };
            return Err(BackendError {
                kind: ErrorKind::Misconfigured,
                message: format!("{tried}: {} has no service {}", file.display(), compose.service_name),
                remedy: Some(format!(
                    "correct `service_name` in the registry: the file has {} ({} config --services)",
                    read.service_names().join(", "),
                    self.typed(&file, &project).await
                )),
            });
        }
        Ok(read)
    }

    async fn gather_from_file(&self, compose: &ComposeSpec, file: &ComposeFile, located: &Located) -> Vec<Requirement> {
        let mut requirements = vec![Requirement::Compose { problem: None }];
        let Some(service) = file.service(&compose.service_name) else { return requirements };
        let own = match &file.project {
            Some(project) => Some(project.clone()),
            None => self.own_project_name(&compose.compose_file),
        };
        if let (None, Some(target), Some(own)) = (&compose.project_name, &located.target, own)
            && target.project != own
        {
            requirements.push(Requirement::ComposeProject { kept: target.project.clone(), own });
        }
        if let Some(image) = service.image.as_ref().filter(|_| !service.is_built && !located.is_running()) {
            let is_here = self.engine.has_image(image).await.unwrap_or(true);
            requirements.push(Requirement::Image { name: image.clone(), is_here });
        }
        let mut missing = Vec::new();
        for name in &service.depends_on {
            let other = ComposeSpec { service_name: name.clone(), ..compose.clone() };
            let project = located.target.as_ref().map(|target| target.project.clone());
            let other = ComposeSpec { project_name: other.project_name.clone().or(project), ..other };
            let is_running = self.locate(&other, None).await.is_ok_and(|found| found.is_running());
            if !is_running {
                missing.push(name.clone());
            }
        }
        if !missing.is_empty() {
            let project = located.target.as_ref().map(|target| target.project.clone()).or_else(|| file.project.clone());
            let project = project.or_else(|| self.own_project_name(&compose.compose_file)).unwrap_or_default();
            let typed = self.typed(&absolute(&compose.compose_file), &project).await;
            requirements.push(Requirement::ComposeDependencies { missing, typed });
        }
        // What it holds itself is no obstacle.
        if !located.is_running() {
            let mut holders: Vec<_> = self
                .host
                .port_holders(service.published.get(..MAX_PORTS).unwrap_or(&service.published))
                .await
                .into_iter()
                .collect();
            holders.sort_unstable_by_key(|(port, _)| *port);
            requirements.extend(holders.into_iter().map(|(port, holder)| Requirement::PublishedPort { port, holder }));
        }
        requirements
    }
}
