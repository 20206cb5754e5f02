//! What is there: the state of all containers of a service, as the engine tells it.

use super::place::{self, Located};
use super::{ComposeBackend, compose_spec};
use crate::backends::containers::{self, Container};
use crate::engine::ports::BackendError;
use crate::model::{Guardian, Intent, Mode, Observed, Presence, ServiceSpec};
use crate::store::state::{ServiceRecord, Wanted};

impl ComposeBackend {
    /// See [`crate::engine::ports::Backend::observe`]. Compose is not asked. Cancel safe.
    pub(super) async fn look(&self, spec: &ServiceSpec) -> Result<Observed, BackendError> {
        let compose = compose_spec(spec)?;
        let (record, mut notes) = self.records.read(&spec.id);
        self.watch.know(Mode::DockerCompose, &spec.id, place::signature(compose, record.as_deref()));
        let intent = record.as_ref().map(|record| match record.wanted {
            Wanted::Up => Intent::Up,
            Wanted::Down => Intent::Down,
        });
        let nothing = Observed {
            presence: Presence::Absent,
            entered: None,
            intent,
            restarts: 0,
            last_exit: None,
            notes: Vec::new(),
        };
        if self.engine.is_absent() {
            notes.push("Docker is not installed or not running".to_owned());
            return Ok(Observed { notes, ..nothing });
        }
        let located = self
            .locate(compose, record.as_deref())
            .await
            .map_err(|refusal| refusal.into_error(&format!("docker does not tell the state of {}", spec.id)))?;
        notes.extend(notes_on(&located));
        let Some((decisive, presence)) = self.decisive(&located, record.as_deref()).await else {
            return Ok(Observed { notes, ..nothing });
        };
        let presence = match presence {
            Presence::Present { instance, since, .. } if self.is_interrupted(&spec.id, record.as_deref()) => {
                Presence::Present { instance, since, guardian: Guardian::Gone }
            }
            other => other,
        };
        let exits = located.containers.iter().filter_map(Container::last_exit);
        Ok(Observed {
            entered: containers::entered(&presence, &self.clock, decisive),
            presence,
            restarts: located.containers.iter().map(|it| it.restarts).sum(),
            last_exit: exits.max_by_key(|exit| exit.at),
            notes,
            ..nothing
        })
    }

    /// What the service is, and the container by which it is so: it lives as long as one of them does, and has failed when one has.
    async fn decisive<'a>(
        &self,
        located: &'a Located,
        record: Option<&ServiceRecord>,
    ) -> Option<(&'a Container, Presence)> {
        if let Some(leader) = located.leader().filter(|leader| leader.is_running()) {
            return Some((leader, containers::presence(&self.engine, &self.clock, leader, record).await));
        }
        let mut least = None;
        for container in &located.containers {
            let presence = containers::presence(&self.engine, &self.clock, container, record).await;
            let rank = |presence: &Presence| match presence {
                Presence::Present { .. } | Presence::Arriving { .. } | Presence::Leaving { .. } => 3,
                Presence::RestartPending { .. } => 2,
                Presence::Failed { .. } => 1,
                Presence::Absent => 0,
            };
            if least.as_ref().is_none_or(|(_, found)| rank(&presence) > rank(found)) {
                least = Some((container, presence));
            }
        }
        least
    }
}

fn notes_on(located: &Located) -> Vec<String> {
    let mut notes = Vec::new();
    let n_all = located.containers.len();
    let down: Vec<&Container> = located.containers.iter().filter(|it| !it.is_running()).collect();
    if located.is_running() && !down.is_empty() {
        let names: Vec<String> = down.iter().map(|it| format!("{} {}", it.name, it.ending())).collect();
        notes.push(format!("{} of its {n_all} containers do not run: {}", down.len(), names.join(", ")));
    }
    if let (true, Some(place)) = (located.is_former(), &located.place) {
        notes.push(format!(
            "it runs as {} of project {}, as the registry said when it was started: a restart applies the registry",
            place.service, place.project
        ));
    }
    if let (false, Some(place)) = (located.others.is_empty(), &located.place) {
        notes.push(format!(
            "its Compose file also runs as project {}; this is project {} (`project_name` in the registry decides)",
            located.others.join(", "),
            place.project
        ));
    }
    notes.extend(located.containers.iter().flat_map(Container::notes));
    notes
}
