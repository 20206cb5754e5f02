//! What is there: the container's own state, as the engine tells it.

use std::time::{Duration, Instant, SystemTime};

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum as Status};
use bollard::query_parameters::{EventsOptionsBuilder, InspectContainerOptions};
use futures::StreamExt as _;

use super::engine::Refusal;
use super::{DockerBackend, container, docker_spec};
use crate::engine::ports::BackendError;
use crate::model::{
    Ending, ExitRecord, FailureReason, Guardian, Instance, Intent, Observed, Presence, ServiceId, ServiceSpec,
};
use crate::store::state::{Phase, ServiceRecord, Wanted};
use crate::store::state_reader::{self, Found as FoundRecord};

/// The engine's first pause before it restarts a container; it doubles each time.
const FIRST_RESTART_PAUSE: Duration = Duration::from_millis(100);
/// The engine's longest one.
const LONGEST_RESTART_PAUSE: Duration = Duration::from_secs(60);

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

/// A container of ours, as far as it matters here.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) status: Status,
    pub(super) pid: i64,
    /// As the engine writes it.
    pub(super) started_at: String,
    /// As the engine writes it.
    pub(super) finished_at: String,
    pub(super) exit_code: i64,
    pub(super) is_out_of_memory: bool,
    pub(super) error: String,
    pub(super) restarts: u32,
    pub(super) spec_hash: String,
    /// The id of the image it was made from.
    pub(super) image: String,
    /// The signal that its image wants for a stop.
    pub(super) stop_signal: String,
}

impl Container {
    /// This run of it.
    pub(super) fn instance(&self) -> Instance {
        Instance::Container { id: self.id.clone(), run: self.started_at.clone() }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.status, Status::RUNNING | Status::PAUSED | Status::STOPPING)
    }

    /// When this run began, in milliseconds since 1970.
    pub(super) fn started_millis(&self) -> Option<u64> {
        moment(&self.started_at).map(crate::store::state::unix_millis)
    }

    /// Shells and engines tell death by a signal by adding 128.
    pub(super) fn ending(&self) -> Ending {
        match i32::try_from(self.exit_code) {
            Ok(code @ 129..=159) => Ending::Signalled(code - 128),
            Ok(code) => Ending::Exited(code),
            Err(_) => Ending::Unknown,
        }
    }
}

/// A moment as the engine writes it; `None` for its zero, which stands for never.
pub(super) fn moment(text: &str) -> Option<SystemTime> {
    let timestamp: jiff::Timestamp = text.parse().ok()?;
    (timestamp.as_second() > 0).then(|| timestamp.into())
}

impl DockerBackend {
    /// Looks at the container that has this service's name.
    pub(super) async fn find(&self, id: &ServiceId, container_name: &str) -> Result<Found, Refusal> {
        let docker = self.engine.ask().await?;
        match docker.inspect_container(container_name, None::<InspectContainerOptions>).await {
            Ok(inspected) => Ok(self.recognize(id, inspected)),
            Err(error) => match self.engine.refusal(&error) {
                Refusal::NotFound(_) => Ok(Found::Nothing),
                refusal => Err(refusal),
            },
        }
    }

    /// By the labels alone: a name proves nothing.
    fn recognize(&self, id: &ServiceId, inspected: ContainerInspectResponse) -> Found {
        let config = inspected.config.unwrap_or_default();
        let labels = config.labels.unwrap_or_default();
        let is = |label: &str, value: &str| labels.get(label).is_some_and(|found| found == value);
        if !is(container::SERVICE_LABEL, id.as_str()) || !is(container::HOME_LABEL, &self.home) {
            return Found::Foreign;
        }
        let state = inspected.state.unwrap_or_default();
        Found::Ours(Box::new(Container {
            id: inspected.id.unwrap_or_default(),
            status: state.status.unwrap_or(Status::EMPTY),
            pid: state.pid.unwrap_or_default(),
            started_at: state.started_at.unwrap_or_default(),
            finished_at: state.finished_at.unwrap_or_default(),
            exit_code: state.exit_code.unwrap_or_default(),
            is_out_of_memory: state.oom_killed.unwrap_or_default(),
            error: state.error.unwrap_or_default(),
            restarts: inspected.restart_count.and_then(|n| u32::try_from(n).ok()).unwrap_or_default(),
            spec_hash: labels.get(container::SPEC_LABEL).cloned().unwrap_or_default(),
            image: inspected.image.unwrap_or_default(),
            stop_signal: config.stop_signal.filter(|signal| !signal.is_empty()).unwrap_or_else(|| "SIGTERM".to_owned()),
        }))
    }

    /// See [`crate::engine::ports::Backend::observe`]. Cancel safe.
    pub(super) async fn look(&self, spec: &ServiceSpec) -> Result<Observed, BackendError> {
        let docker = docker_spec(spec)?;
        self.watch.know(&spec.id, &docker.container_name);
        let (record, mut notes) = self.record(&spec.id);
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
                if container.spec_hash != container::spec_hash(spec, docker) {
                    notes
                        .push("the registry has changed since its container was made: a restart applies it".to_owned());
                }
                if container.status == Status::PAUSED {
                    notes.push(format!("it is paused (docker unpause {})", docker.container_name));
                }
                if container.is_out_of_memory {
                    notes.push("its last run ended because memory was exhausted".to_owned());
                }
                observed.restarts = container.restarts;
                observed.last_exit =
                    moment(&container.finished_at).map(|at| ExitRecord { ending: container.ending(), at });
                observed.presence = self.presence(&container, record.as_deref()).await;
                observed.entered = match observed.presence {
                    // Nothing but an end makes it so, except for a container that never ran.
                    Presence::Absent | Presence::Failed { .. } | Presence::RestartPending { .. } => {
                        moment(&container.finished_at).map(|_| self.since(&container.finished_at))
                    }
                    Presence::Present { .. } | Presence::Leaving { .. } => None,
                };
            }
        }
        observed.notes = notes;
        Ok(observed)
    }

    async fn presence(&self, container: &Container, record: Option<&ServiceRecord>) -> Presence {
        let since = self.since(&container.started_at);
        let instance = container.instance();
        match container.status {
            Status::RUNNING | Status::PAUSED => {
                let is_leaving = record.is_some_and(|record| {
                    record.phase == Phase::Stopping && record.started_at == container.started_millis()
                });
                if is_leaving {
                    Presence::Leaving { instance, since }
                } else {
                    Presence::Present { instance, since, guardian: Guardian::Alive }
                }
            }
            Status::STOPPING => Presence::Leaving { instance, since },
            Status::RESTARTING => {
                let pause = FIRST_RESTART_PAUSE.saturating_mul(2_u32.saturating_pow(container.restarts));
                Presence::RestartPending {
                    attempt: container.restarts.saturating_add(1),
                    until: self.since(&container.finished_at) + pause.min(LONGEST_RESTART_PAUSE),
                    last: container.ending(),
                }
            }
            Status::EMPTY | Status::CREATED | Status::REMOVING | Status::EXITED | Status::DEAD => {
                match record.map(|record| record.wanted) {
                    Some(Wanted::Up) => self.down_though_wanted(container).await,
                    Some(Wanted::Down) | None => Presence::Absent,
                }
            }
        }
    }

    async fn down_though_wanted(&self, container: &Container) -> Presence {
        if container.status == Status::CREATED {
            return match container.error.trim() {
                "" => Presence::Absent,
                error => Presence::Failed { reason: FailureReason::CouldNotStart(error.to_owned()) },
            };
        }
        if self.was_asked_to_end(container).await {
            return Presence::Absent;
        }
        let ending = container.ending();
        let reason = if container.restarts > 0 && ending != Ending::Exited(0) {
            FailureReason::GaveUp { ending, restarts: container.restarts }
        } else {
            let began = moment(&container.started_at);
            let after = began.zip(moment(&container.finished_at)).and_then(|(from, to)| to.duration_since(from).ok());
            FailureReason::Died { ending, after }
        };
        Presence::Failed { reason }
    }

    /// Whether somebody ended the run through the engine (`docker stop`) and not by killing it: then it is stopped, not failed (R136).
    /// The engine remembers its newest events; where it has forgotten these, an exit that a stop would have caused counts as one.
    async fn was_asked_to_end(&self, container: &Container) -> bool {
        let looks_so = matches!(container.ending(), Ending::Exited(0) | Ending::Signalled(2 | 15));
        let (Ok(docker), Some(finished)) = (self.engine.ask().await, moment(&container.finished_at)) else {
            return looks_so;
        };
        let filters = [
            ("type".to_owned(), vec!["container".to_owned()]),
            ("container".to_owned(), vec![container.id.clone()]),
            ("event".to_owned(), vec!["kill".to_owned(), "die".to_owned()]),
        ];
        let options = EventsOptionsBuilder::default()
            .since(&event_time(moment(&container.started_at).unwrap_or(finished)))
            // The end is recorded a moment before it is told.
            .until(&event_time(finished + Duration::from_secs(2)))
            .filters(&filters.into())
            .build();
        let mut events = std::pin::pin!(docker.events(Some(options)));
        let mut was_asked = false;
        while let Some(Ok(event)) = events.next().await {
            match event.action.as_deref() {
                Some("die") => return was_asked,
                Some("kill") => {
                    let attributes = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
                    was_asked |= attributes.get("signal").is_some_and(|signal| signal != "9");
                }
                Some(_) | None => {}
            }
        }
        looks_so
    }

    /// What was recorded of this service, with what is worth knowing about that.
    pub(super) fn record(&self, id: &ServiceId) -> (Option<Box<ServiceRecord>>, Vec<String>) {
        let path = self.layout.state_file(id);
        match state_reader::read(&path) {
            Ok(FoundRecord::Record(record, _, _)) => (Some(record), Vec::new()),
            Ok(FoundRecord::Nothing) => (None, Vec::new()),
            Ok(FoundRecord::Unusable(why)) => (None, vec![format!("{} cannot be used: {why}", path.display())]),
            Err(error) => (None, vec![format!("{}: {error}", path.display())]),
        }
    }

    /// A moment of the engine's clock on ours: the same one each time it is asked for.
    pub(super) fn since(&self, text: &str) -> Instant {
        let (instant, system) = self.began;
        let Some(at) = moment(text) else { return instant };
        match system.duration_since(at) {
            Ok(before) => instant.checked_sub(before).unwrap_or(instant),
            Err(after) => instant.checked_add(after.duration()).unwrap_or(instant),
        }
    }
}

/// A moment as the engine's event stream takes it.
pub(super) fn event_time(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:09}", since.as_secs(), since.subsec_nanos())
}
