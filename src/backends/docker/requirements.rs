//! What a start needs, with what is there.

use super::look::Found;
use super::{DockerBackend, docker_spec};
use crate::backends::containers::Refusal;
use crate::model::ServiceSpec;
use crate::preflight::Requirement;
use crate::store::directory;

impl DockerBackend {
    /// Looks at everything a start needs. Makes and changes nothing.
    pub(super) async fn gather(&self, spec: &ServiceSpec) -> Vec<Requirement> {
        let Ok(docker_spec) = docker_spec(spec) else {
            return vec![Requirement::UnsupportedMode { mode: spec.deployment.mode().as_str() }];
        };
        let mut requirements =
            match self.gather_from_engine(spec, &docker_spec.container_name, &docker_spec.image).await {
                Ok(requirements) => requirements,
                Err(refusal) => {
                    let (cause, remedy) = (refusal.words().to_owned(), refusal.remedy().to_owned());
                    vec![Requirement::ContainerEngine { problem: Some((cause, remedy)) }]
                }
            };
        requirements.push(Requirement::StateDirectory {
            path: self.layout.root().to_owned(),
            problem: directory::inspect(&self.layout).err().map(|unusable| (unusable.to_string(), unusable.remedy())),
        });
        requirements
    }

    async fn gather_from_engine(
        &self,
        spec: &ServiceSpec,
        container_name: &str,
        image: &str,
    ) -> Result<Vec<Requirement>, Refusal> {
        let found = self.find(&spec.id, container_name).await?;
        // A container that exists needs its image no more.
        let is_here = self.engine.has_image(image).await? || matches!(found, Found::Ours(_));
        Ok(vec![
            Requirement::ContainerEngine { problem: None },
            Requirement::Image { name: image.to_owned(), is_here },
            Requirement::ContainerName { name: container_name.to_owned(), is_taken: matches!(found, Found::Foreign) },
        ])
    }
}
