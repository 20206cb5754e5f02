//! Where a service's containers are: in which project, under which name, by the labels that Compose gives them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptionsBuilder;
use futures::future::try_join_all;

use super::ComposeBackend;
use crate::backends::containers::{Container, Refusal, Signature};
use crate::model::ComposeSpec;
use crate::store::state::{ComposeRecord, ServiceRecord};

pub(super) const PROJECT_LABEL: &str = "com.docker.compose.project";
pub(super) const SERVICE_LABEL: &str = "com.docker.compose.service";
const NUMBER_LABEL: &str = "com.docker.compose.container-number";
/// `True` on containers of `run`, which are no instances of the service.
const ONE_OFF_LABEL: &str = "com.docker.compose.oneoff";
const FILES_LABEL: &str = "com.docker.compose.project.config_files";
const DIRECTORY_LABEL: &str = "com.docker.compose.project.working_dir";

/// What was found of a service.
#[derive(Debug, Default)]
pub(super) struct Located {
    /// Where a start would put it, where that is known without asking Compose.
    pub(super) target: Option<ComposeRecord>,
    /// Where the containers are, which is elsewhere when they still run as an earlier registry said.
    pub(super) place: Option<ComposeRecord>,
    /// All of them, by their numbers.
    pub(super) containers: Vec<Container>,
    /// Other projects that were made from the same file.
    pub(super) others: Vec<String>,
}

impl Located {
    pub(super) fn is_running(&self) -> bool {
        self.containers.iter().any(Container::is_running)
    }

    /// The container that stands for the service: the first one that runs, else the first one.
    pub(super) fn leader(&self) -> Option<&Container> {
        self.containers.iter().find(|it| it.is_running()).or_else(|| self.containers.first())
    }

    /// What runs is not what the registry says by now.
    pub(super) fn is_former(&self) -> bool {
        self.place.is_some() && self.place != self.target
    }
}

/// The number that Compose gave it.
pub(super) fn number(container: &Container) -> u32 {
    container.label(NUMBER_LABEL).and_then(|number| number.parse().ok()).unwrap_or(u32::MAX)
}

/// Where the registry, or else the record of an earlier start, puts a service.
fn target(spec: &ComposeSpec, record: Option<&ServiceRecord>) -> Option<ComposeRecord> {
    let pinned = record.and_then(|record| record.compose.as_ref()).map(|pinned| &pinned.project);
    let project = spec.project_name.as_ref().or(pinned)?;
    Some(ComposeRecord { project: project.clone(), service: spec.service_name.clone() })
}

/// By what the events of a service's containers are recognized.
pub(super) fn signature(spec: &ComposeSpec, record: Option<&ServiceRecord>) -> Signature {
    let mut labels = vec![(SERVICE_LABEL, spec.service_name.clone())];
    if let Some(target) = target(spec, record) {
        labels.push((PROJECT_LABEL, target.project));
    }
    Signature { name: None, labels }
}

impl ComposeBackend {
    /// Looks for the service's containers, whoever made them. Cancel safe.
    pub(super) async fn locate(&self, spec: &ComposeSpec, record: Option<&ServiceRecord>) -> Result<Located, Refusal> {
        let mut projects = self.projects_with(&spec.service_name).await?;
        let target = target(spec, record);
        let pinned = record.and_then(|record| record.compose.as_ref());
        let Some(target) = target else {
            // Nothing was started from here yet: what was made from this very file is it.
            let own = self.own_project_name(&spec.compose_file);
            projects.retain(|_, found| found.iter().any(|container| is_of_file(container, &spec.compose_file)));
            let is_alive = |found: &Vec<ContainerSummary>| found.iter().any(is_alive);
            let chosen = projects
                .keys()
                .find(|project| own.as_ref() == Some(*project))
                .or_else(|| projects.iter().find(|(_, found)| is_alive(found)).map(|(project, _)| project))
                .or_else(|| projects.keys().next())
                .cloned();
            let Some(project) = chosen else { return Ok(Located::default()) };
            let found = projects.remove(&project).unwrap_or_default();
            let place = Some(ComposeRecord { project, service: spec.service_name.clone() });
            let containers = self.inspect_all(found).await?;
            return Ok(Located { target: place.clone(), place, containers, others: projects.into_keys().collect() });
        };
        let found = projects.remove(&target.project).unwrap_or_default();
        if let Some(pinned) = pinned.filter(|pinned| **pinned != target && !found.iter().any(is_alive)) {
            // The registry was edited while it ran.
            let former = if pinned.service == target.service {
                projects.remove(&pinned.project)
            } else {
                self.projects_with(&pinned.service).await?.remove(&pinned.project)
            };
            let former = former.unwrap_or_default();
            if former.iter().any(is_alive) {
                let containers = self.inspect_all(former).await?;
                return Ok(Located {
                    target: Some(target),
                    place: Some(pinned.clone()),
                    containers,
                    others: Vec::new(),
                });
            }
        }
        let containers = self.inspect_all(found).await?;
        Ok(Located { place: Some(target.clone()), target: Some(target), containers, others: Vec::new() })
    }

    /// The containers of this service in every project, by project.
    async fn projects_with(&self, service: &str) -> Result<BTreeMap<String, Vec<ContainerSummary>>, Refusal> {
        let docker = self.engine.client().await?;
        let labels = vec![format!("{SERVICE_LABEL}={service}")];
        let options =
            ListContainersOptionsBuilder::default().all(true).filters(&[("label".to_owned(), labels)].into()).build();
        let found = self.engine.answer(docker.list_containers(Some(options))).await?;
        let mut projects: BTreeMap<String, Vec<ContainerSummary>> = BTreeMap::new();
        for container in found {
            let label = |name: &str| container.labels.as_ref().and_then(|labels| labels.get(name));
            let is_one_off = label(ONE_OFF_LABEL).is_some_and(|value| value.eq_ignore_ascii_case("true"));
            if let Some(project) = label(PROJECT_LABEL).filter(|_| !is_one_off).cloned() {
                projects.entry(project).or_default().push(container);
            }
        }
        Ok(projects)
    }

    async fn inspect_all(&self, found: Vec<ContainerSummary>) -> Result<Vec<Container>, Refusal> {
        let ids = found.into_iter().filter_map(|container| container.id);
        let engine = &self.engine;
        let inspected = try_join_all(ids.map(|id| async move { engine.inspect(&id).await })).await?;
        // One that is gone meanwhile is not there.
        let mut containers: Vec<Container> = inspected.into_iter().flatten().collect();
        containers.sort_by(|a, b| (number(a), &a.started_at, &a.id).cmp(&(number(b), &b.started_at, &b.id)));
        Ok(containers)
    }

    /// The rule of the first generation, and that of the second for a file without a `name`.
    pub(super) fn own_project_name(&self, file: &Path) -> Option<String> {
        let directory = absolute(file).parent()?.to_owned();
        let named = self.project_name.clone().or_else(|| project_of_env_file(&directory.join(".env")));
        match named {
            Some(name) => Some(normalized(&name)),
            None => directory.file_name().map(|name| normalized(&name.to_string_lossy())),
        }
    }
}

/// Without following links: Compose does not either, and a project is named after the directory as it is written.
pub(super) fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

fn is_alive(container: &ContainerSummary) -> bool {
    use bollard::models::ContainerSummaryStateEnum as State;
    matches!(container.state, Some(State::RUNNING | State::PAUSED | State::RESTARTING))
}

/// Whether Compose made it from this file. Relative paths are so to the project's directory.
fn is_of_file(container: &ContainerSummary, file: &Path) -> bool {
    let label = |name: &str| container.labels.as_ref().and_then(|labels| labels.get(name)).map(String::as_str);
    let directory = Path::new(label(DIRECTORY_LABEL).unwrap_or("/"));
    let wanted = absolute(file);
    let resolved = wanted.canonicalize();
    label(FILES_LABEL).unwrap_or_default().split(',').map(|named| directory.join(named)).any(|named| {
        named == wanted || matches!((&resolved, named.canonicalize()), (Ok(wanted), Ok(named)) if *wanted == named)
    })
}

/// What of a name Compose keeps, of `NAME` and of a directory's name alike.
fn normalized(name: &str) -> String {
    let kept = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let name: String = name.to_lowercase().chars().filter(kept).collect();
    let name = name.trim_start_matches(['-', '_']);
    if name.is_empty() { "default".to_owned() } else { name.to_owned() }
}

/// `COMPOSE_PROJECT_NAME` of the file beside the Compose file, which both generations read.
fn project_of_env_file(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let value = text.lines().find_map(|line| {
        let (name, value) = line.trim().split_once('=')?;
        (name.trim() == "COMPOSE_PROJECT_NAME").then_some(value.trim())
    })?;
    Some(value.trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::normalized;

    #[test]
    fn a_project_is_named_after_its_directory_as_compose_does() {
        assert_eq!(normalized("My Platform_2.0"), "myplatform_20");
        assert_eq!(normalized("_-a"), "a");
        assert_eq!(normalized("…"), "default");
    }
}
