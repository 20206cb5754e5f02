//! Fetching an image that the engine does not have, before a start begins: how far it is, and why it cannot be had.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::StreamExt as _;
use tokio::time::Instant;

use super::credentials::{self, Login};
use super::look::Found;
use super::{DockerBackend, container, docker_spec};
use crate::backends::containers::Refusal;
use crate::engine::ports::{BackendError, ErrorKind, Preparation};
use crate::model::{ServiceSpec, StartHow};

/// How often is told how far it is, at most.
const PACE: Duration = Duration::from_millis(250);

impl DockerBackend {
    /// See [`crate::engine::ports::Backend::prepare`]. The engine gives a pull up when the call is dropped, since its connection ends.
    pub(super) async fn fetch_image(
        &self,
        spec: &ServiceSpec,
        how: StartHow,
        news: &Preparation,
    ) -> Result<(), BackendError> {
        let docker_spec = docker_spec(spec)?;
        let refused = |refusal: Refusal| refusal.into_error(&format!("docker could not start {}", spec.id));
        if self.engine.has_image(&docker_spec.image).await.map_err(refused)? {
            return Ok(());
        }
        if let (StartHow::AsItIs, Found::Ours(container)) =
            (how, self.find(&spec.id, &docker_spec.container_name).await.map_err(refused)?)
            && (container.is_running()
                || container.label(container::SPEC_LABEL) == Some(container::spec_hash(spec, docker_spec).as_str()))
        {
            // A container that exists needs its image no more.
            return Ok(());
        }
        self.pull(&docker_spec.image, news).await
    }

    async fn pull(&self, image: &str, news: &Preparation) -> Result<(), BackendError> {
        tracing::info!(image, "pulling");
        news.tell(format!("pulling {image}"));
        let login = credentials::find(self.config_dir.as_deref(), credentials::registry_of(image)).await;
        let docker = self.engine.client().await.map_err(|refusal| failure(image, &refusal, &login))?;
        let options = CreateImageOptionsBuilder::default().from_image(&container::with_tag(image)).build();
        let mut steps = std::pin::pin!(docker.create_image(Some(options), None, login.for_engine()));
        let mut layers = Layers::default();
        // What comes thick and fast is told at this pace, and the newest of it always is.
        let mut due: Option<Instant> = None;
        let mut earliest = Instant::now();
        loop {
            let step = tokio::select! {
                step = steps.next() => step,
                () = tokio::time::sleep_until(due.unwrap_or(earliest)), if due.is_some() => {
                    news.tell(format!("pulling {image}{}", layers.words()));
                    earliest = Instant::now() + PACE;
                    due = None;
                    continue;
                }
            };
            let Some(step) = step else { break };
            layers.take(step.map_err(|error| failure(image, &self.engine.refusal(&error), &login))?);
            due.get_or_insert(earliest);
        }
        // A stream that breaks off can look like one that ends.
        match self.engine.has_image(image).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                Err(failure(image, &Refusal::Failed("the engine ended before it was done".to_owned()), &login))
            }
            Err(refusal) => Err(failure(image, &refusal, &login)),
        }
    }
}

/// What is known of an image's layers while it is pulled.
#[derive(Debug, Default)]
struct Layers {
    by_id: BTreeMap<String, Layer>,
}

#[derive(Debug, Default)]
struct Layer {
    /// In bytes; unknown until the layer's turn comes.
    n_total: u64,
    n_here: u64,
    is_done: bool,
}

impl Layers {
    fn take(&mut self, step: CreateImageInfo) {
        let (Some(id), Some(status)) = (step.id, step.status) else { return };
        let detail = step.progress_detail.unwrap_or_default();
        let bytes = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
        match status.as_str() {
            "Pulling fs layer" | "Waiting" => drop(self.by_id.entry(id).or_default()),
            "Downloading" => {
                let layer = self.by_id.entry(id).or_default();
                layer.n_here = bytes(detail.current);
                layer.n_total = bytes(detail.total).max(layer.n_here);
            }
            "Download complete" | "Verifying Checksum" | "Extracting" => {
                let layer = self.by_id.entry(id).or_default();
                layer.n_here = layer.n_total;
            }
            "Pull complete" | "Already exists" => {
                let layer = self.by_id.entry(id).or_default();
                layer.n_here = layer.n_total;
                layer.is_done = true;
            }
            // Such as "Pulling from library/nginx", whose id is the tag.
            _ => {}
        }
    }

    /// ` (1 of 3 layers, 12 of 48 MB)`; nothing before any layer is known.
    fn words(&self) -> String {
        if self.by_id.is_empty() {
            return String::new();
        }
        let n_done = self.by_id.values().filter(|layer| layer.is_done).count();
        let n = self.by_id.len();
        let layers = if n == 1 { "layer" } else { "layers" };
        let (n_here, n_total) =
            self.by_id.values().fold((0, 0), |(here, total), layer| (here + layer.n_here, total + layer.n_total));
        let size = if n_total == 0 { String::new() } else { format!(", {}", of(n_here, n_total)) };
        format!(" ({n_done} of {n} {layers}{size})")
    }
}

/// `12 of 48 MB`: both in the unit of the second.
fn of(n_here: u64, n_total: u64) -> String {
    let (unit, name) = match n_total {
        0..10_000 => (1, "bytes"),
        10_000..10_000_000 => (1_000, "kB"),
        _ => (1_000_000, "MB"),
    };
    format!("{} of {} {name}", n_here / unit, n_total / unit)
}

/// Why an image cannot be had, with what to do about it. The engine tells no more than words.
fn failure(image: &str, refusal: &Refusal, login: &Login) -> BackendError {
    if let Refusal::Unreachable { .. } = refusal {
        return refusal.clone().into_error("docker could not pull");
    }
    let words = refusal.words().trim();
    let lower = words.to_lowercase();
    let says = |fragments: &[&str]| fragments.iter().any(|fragment| lower.contains(fragment));
    let registry = credentials::registry_of(image);
    let (kind, remedy) = if says(&["denied", "unauthorized", "authentication required", "no basic auth"]) {
        let target = if registry == credentials::HUB { "" } else { registry };
        let login = format!("docker login {target}");
        (
            ErrorKind::Misconfigured,
            format!("{} if the image is private, or correct `image` in the registry", login.trim()),
        )
    } else if says(&["manifest unknown", "not found", "name unknown", "does not exist", "invalid reference"]) {
        (ErrorKind::Misconfigured, format!("{registry} has no such image or tag: correct `image` in the registry"))
    } else if says(&["no space left"]) {
        (ErrorKind::Transient, "make room for the engine, for example with docker system prune".to_owned())
    } else {
        (ErrorKind::Transient, format!("the engine must reach {registry}; try docker pull {image}, or load the image"))
    };
    let problem = login.problem().map(|problem| format!(" ({problem})")).unwrap_or_default();
    BackendError { kind, message: format!("{image} cannot be pulled: {words}{problem}"), remedy: Some(remedy) }
}

#[cfg(test)]
mod tests {
    use bollard::models::{CreateImageInfo, ProgressDetail};

    use super::{Layers, Login, failure};
    use crate::backends::containers::Refusal;
    use crate::engine::ports::ErrorKind;

    fn step(id: &str, status: &str, of: Option<(i64, i64)>) -> CreateImageInfo {
        CreateImageInfo {
            id: Some(id.to_owned()),
            status: Some(status.to_owned()),
            progress_detail: of.map(|(current, total)| ProgressDetail { current: Some(current), total: Some(total) }),
            ..CreateImageInfo::default()
        }
    }

    #[test]
    fn how_far_a_pull_is_counts_layers_and_bytes() {
        let mut layers = Layers::default();
        layers.take(step("1.27", "Pulling from library/nginx", None));
        assert_eq!(layers.words(), "");
        layers.take(step("a", "Pulling fs layer", None));
        assert_eq!(layers.words(), " (0 of 1 layer)");
        layers.take(step("b", "Already exists", None));
        layers.take(step("a", "Downloading", Some((12_400_000, 48_000_000))));
        assert_eq!(layers.words(), " (1 of 2 layers, 12 of 48 MB)");
        layers.take(step("a", "Extracting", Some((100, 48_000_000))));
        assert_eq!(layers.words(), " (1 of 2 layers, 48 of 48 MB)");
        layers.take(step("a", "Pull complete", None));
        assert_eq!(layers.words(), " (2 of 2 layers, 48 of 48 MB)");
    }

    #[test]
    fn each_reason_has_its_own_remedy() {
        let check = |image: &str, words: &str, kind, remedy: &str| {
            let error = failure(image, &Refusal::Failed(words.to_owned()), &Login::default());
            assert_eq!(error.kind, kind, "{words}");
            assert!(error.message.contains(words) && error.message.contains(image), "{error}");
            assert!(error.remedy.as_deref().is_some_and(|it| it.contains(remedy)), "{error:?}");
        };
        let (user, later) = (ErrorKind::Misconfigured, ErrorKind::Transient);
        check("reg.example/a:1", "pull access denied for a", user, "docker login reg.example if");
        check("a", "pull access denied for a, repository does not exist", user, "docker login if");
        check("a:9", "manifest for a:9 not found: manifest unknown", user, "no such image or tag");
        check("127.0.0.1:1/a", "dial tcp 127.0.0.1:1: connect: connection refused", later, "must reach 127.0.0.1:1");
        check("a", "write /var/lib/docker/x: no space left on device", later, "make room");
    }
}
