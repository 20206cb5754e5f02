//! Starting: what runs is found, and Compose makes the rest.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use bollard::models::ContainerStateStatusEnum as Status;

use super::failure::{self, Attempt};
use super::file::directory_of;
use super::place::{Located, absolute, number};
use super::{ComposeBackend, compose_spec};
use crate::backends::containers::{self, Container, NotGone, Refusal};
use crate::engine::ports::{BackendError, ErrorKind, IsWanted};
use crate::model::{ComposeSpec, Launch, LaunchOrigin, ServiceId, ServiceSpec, StartHow};
use crate::store::lock;
use crate::store::state::{ComposeRecord, Phase, ServiceRecord};

/// How long a start waits for a run that was told to stop.
const PATIENCE: Duration = Duration::from_secs(15);

/// What `up` does with containers that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Present {
    /// Those whose definition has changed are made anew.
    Refreshed,
    /// All of them are made anew.
    MadeAnew,
    /// They are left as they are: they run.
    Left,
}

/// Whether it runs and nobody has told it to stop.
fn is_up(located: &Located, record: Option<&ServiceRecord>) -> bool {
    let is_leaving = |it: &Container| record.is_some_and(|record| containers::is_told_to_stop(record, it));
    located.is_running() && !located.containers.iter().any(is_leaving)
}

impl ComposeBackend {
    /// See [`crate::engine::ports::Backend::start_if`].
    pub(super) async fn start_or_find(
        &self,
        spec: &ServiceSpec,
        how: StartHow,
        is_wanted: &IsWanted<'_>,
    ) -> Result<Option<Launch>, BackendError> {
        let compose = compose_spec(spec)?;
        let lock = self.records.locked(&spec.id).await?;
        if !is_wanted() {
            return Ok(None);
        }
        let tried = format!("Compose could not start {}", spec.id);
        let refused = |refusal: Refusal| refusal.into_error(&tried);
        let (record, _) = self.records.read(&spec.id);
        let record = record.as_deref();
        let located = self.locate(compose, record).await.map_err(refused)?;
        if is_up(&located, record) {
            let located = self.complete(spec, compose, located, record, &lock, &tried).await?;
            return self.launch(&located, LaunchOrigin::FoundRunning, &tried).map(Some);
        }
        for container in located.containers.iter().filter(|it| it.is_alive()) {
            if container.status == Status::RESTARTING {
                // What somebody asks for now comes now: the pause of the engine's own restart ends.
                self.engine.signal(&container.id, "SIGKILL").await.map_err(refused)?;
            }
            self.engine.wait_until_gone(&container.id, PATIENCE).await.map_err(|not_gone| match not_gone {
                NotGone::Unknown(refusal) => refused(refusal),
                NotGone::Alive => BackendError {
                    kind: ErrorKind::Transient,
                    message: format!("{} was told to stop and has not ended yet", spec.id),
                    remedy: Some("stop it with --force, then start it again".to_owned()),
                },
            })?;
        }
        let place = match located.target {
            Some(target) => target,
            None => ComposeRecord {
                project: self.project_by_compose(compose, &tried).await?,
                service: compose.service_name.clone(),
            },
        };
        self.write(&lock, &spec.id, Phase::Starting, Some(&place), &[])?;
        let present = match how {
            StartHow::AsItIs | StartHow::InPlace => Present::Refreshed,
            StartHow::Anew => Present::MadeAnew,
        };
        let was_pinned = record.is_some_and(|record| record.compose.is_some());
        let up = self.up(spec, compose, &place, present, &lock, &tried).await;
        let (record, _) = self.records.read(&spec.id);
        let located = self.locate(compose, record.as_deref()).await;
        if let Err(error) = up {
            // A project in which nothing was ever made is nothing to keep.
            if !was_pinned && located.is_ok_and(|located| located.containers.is_empty()) {
                self.write(&lock, &spec.id, Phase::Starting, None, &[])?;
            }
            return Err(error);
        }
        let mut located = located.map_err(refused)?;
        self.remove_replaced(&mut located).await.map_err(refused)?;
        self.write(&lock, &spec.id, Phase::Running, Some(&place), &located.containers)?;
        self.launch(&located, LaunchOrigin::Started, &tried).map(Some)
    }

    /// See [`crate::engine::ports::Backend::tend`]: what a killed start left half-done is done, where its containers run already.
    pub(super) async fn complete_interrupted(&self, spec: &ServiceSpec) -> Result<(), BackendError> {
        let compose = compose_spec(spec)?;
        let is_begun = |record: Option<Box<ServiceRecord>>| record.filter(|record| record.phase == Phase::Starting);
        if is_begun(self.records.read(&spec.id).0).is_none() {
            return Ok(());
        }
        // Whoever is at it ends first.
        let lock = self.records.locked(&spec.id).await?;
        let Some(record) = is_begun(self.records.read(&spec.id).0) else { return Ok(()) };
        let record = Some(&*record);
        let tried = format!("a start of {} that was killed could not be completed", spec.id);
        let located = self.locate(compose, record).await.map_err(|refusal| refusal.into_error(&tried))?;
        if is_up(&located, record) {
            self.complete(spec, compose, located, record, &lock, &tried).await?;
        }
        Ok(())
    }

    /// Whether somebody began to start it, and neither ended that nor is at it. Asks nobody.
    pub(super) fn is_interrupted(&self, id: &ServiceId, record: Option<&ServiceRecord>) -> bool {
        record.is_some_and(|record| record.phase == Phase::Starting)
            && lock::is_held(&self.layout.lock_file(id)).is_ok_and(|is_held| !is_held)
    }

    /// Makes of what runs all that a start would make of it, and says so to every copy of the tool.
    async fn complete(
        &self,
        spec: &ServiceSpec,
        compose: &ComposeSpec,
        mut located: Located,
        record: Option<&ServiceRecord>,
        lock: &File,
        tried: &str,
    ) -> Result<Located, BackendError> {
        let refused = |refusal: Refusal| refusal.into_error(tried);
        for paused in located.containers.iter().filter(|it| it.status == Status::PAUSED) {
            self.engine.unpause(&paused.id).await.map_err(refused)?;
        }
        // An `up` that was killed late has made the new one run, and not yet removed the old one.
        self.remove_replaced(&mut located).await.map_err(refused)?;
        let located = match &located.place {
            // Some of several are down: Compose completes them.
            Some(place) if !located.is_former() && !located.containers.iter().all(Container::is_running) => {
                self.up(spec, compose, place, Present::Left, lock, tried).await?;
                self.locate(compose, record).await.map_err(refused)?
            }
            Some(_) | None => located,
        };
        self.write(lock, &spec.id, Phase::Running, located.place.as_ref(), &located.containers)?;
        Ok(located)
    }

    /// Removes what an interrupted `up` left behind: it makes the new container before it removes the old one, which has the same number,
    /// and the first generation never comes back to that. Volumes stay.
    async fn remove_replaced(&self, located: &mut Located) -> Result<(), Refusal> {
        let running: Vec<u32> = located.containers.iter().filter(|it| it.is_running()).map(number).collect();
        let is_replaced = |it: &Container| !it.is_alive() && number(it) != u32::MAX && running.contains(&number(it));
        for container in located.containers.extract_if(.., |it| is_replaced(it)) {
            tracing::info!(container.name, "removing what an interrupted start left behind");
            self.engine.remove(&container.id).await?;
        }
        Ok(())
    }

    fn launch(&self, located: &Located, origin: LaunchOrigin, tried: &str) -> Result<Launch, BackendError> {
        let leader = located.leader().ok_or_else(|| BackendError {
            kind: ErrorKind::Transient,
            message: format!("{tried}: there is no container of it (is it scaled to 0, or was it removed at once?)"),
            remedy: None,
        })?;
        Ok(Launch { instance: leader.instance(), since: self.clock.since(&leader.started_at), origin })
    }

    /// What Compose would call the project of this file.
    pub(super) async fn project_by_compose(&self, spec: &ComposeSpec, tried: &str) -> Result<String, BackendError> {
        let own = || self.own_project_name(&spec.compose_file);
        let project = if self.compose.program().await?.is_first_generation() {
            own()
        } else {
            self.files
                .read(&self.compose, &absolute(&spec.compose_file), None, tried)
                .await?
                .project
                .clone()
                .or_else(own)
        };
        project.ok_or_else(|| BackendError {
            kind: ErrorKind::Misconfigured,
            message: format!("{tried}: no project name follows from {}", spec.compose_file.display()),
            remedy: Some("set `project_name` in the registry".to_owned()),
        })
    }

    async fn up(
        &self,
        spec: &ServiceSpec,
        compose: &ComposeSpec,
        place: &ComposeRecord,
        present: Present,
        lock: &File,
        tried: &str,
    ) -> Result<(), BackendError> {
        let file = absolute(&compose.compose_file);
        let directory = directory_of(&file, tried)?;
        let shown = file.display().to_string();
        let mut arguments = vec!["-f", &shown, "up", "-d", "--no-deps", "--no-build", "--quiet-pull"];
        match present {
            Present::Refreshed => {}
            Present::MadeAnew => arguments.push("--force-recreate"),
            Present::Left => arguments.push("--no-recreate"),
        }
        arguments.push(&place.service);
        tracing::info!(service = %spec.id, project = place.project, "calling compose up");
        let answer = self.compose.call(&arguments, Some(lock), &directory, Some(&place.project), self.patience).await?;
        if answer.has_succeeded {
            return Ok(());
        }
        let typed = self.typed(&file, &place.project).await;
        let attempt = Attempt { tried, file: &shown, service: &place.service, typed: &typed };
        Err(failure::explain(&answer.words, attempt))
    }

    /// What a person would type to go on.
    pub(super) async fn typed(&self, file: &Path, project: &str) -> String {
        let name = self.compose.program().await.map_or("docker compose", |program| program.name());
        format!("{name} -p {project} -f {}", file.display())
    }
}
