//! What is there: the watched Deployment and its pods, in the engine's terms.

use std::time::{Duration, Instant, SystemTime};

use super::judge::{Judgement, Serving, Standing, judge};
use super::objects::{Deployment, Pod};
use super::shelf::View;
use super::{KubernetesBackend, Place, REMEMBERED};
use crate::engine::ports::{BackendError, ErrorKind};
use crate::model::{
    Fact, FailureReason, Guardian, Instance, Intent, Observed, Presence, Serves, ServiceId, ServiceSpec,
};
use crate::store::scaled;

/// How long a look waits for the first word of the cluster.
const FIRST_WORD: Duration = Duration::from_secs(25);

impl KubernetesBackend {
    /// See [`crate::engine::ports::Backend::observe`]. Cancel safe.
    pub(super) async fn look(&self, spec: &ServiceSpec) -> Result<Observed, BackendError> {
        let place = Place::of(spec)?;
        self.watches.know(&spec.id, place.namespace, place.name);
        let shelf = self.watches.shelf(place.namespace);
        let mut changes = shelf.changes();
        let deadline = tokio::time::Instant::now() + FIRST_WORD;
        while !shelf.is_settled() {
            if tokio::time::timeout_at(deadline, changes.changed()).await.is_err() {
                return Err(unknown(spec, "the cluster has not answered yet", None, None));
            }
        }
        let view = shelf.view(place.name);
        let now = SystemTime::now();
        if let Some(refusal) = &view.deployments.problem {
            let known = view.deployments.is_listed.then(|| last_known(&view, now));
            return Err(unknown(spec, &refusal.words, known, refusal.remedy.clone()));
        }
        let mut notes = Vec::new();
        if let Some(refusal) = &view.pods_heard.problem {
            notes.push(format!("its pods cannot be seen: {}", refusal.words));
        }
        notes.extend(self.warnings(&spec.id));
        let Some(deployment) = &view.deployment else {
            return Ok(Observed {
                presence: Presence::Absent,
                entered: None,
                intent: None,
                restarts: 0,
                last_exit: None,
                notes,
            });
        };
        let pods: Vec<&Pod> = view.pods.iter().collect();
        let judgement = judge(deployment, &pods, now);
        if let Some(after) = judgement.again_in {
            self.watches.look_again(&spec.id, after + Duration::from_millis(50));
        }
        Ok(self.observed(&spec.id, &place, deployment, judgement, notes))
    }

    /// What is known without asking: where it is, and how its pods are.
    pub(super) fn known_facts(&self, spec: &ServiceSpec) -> Vec<Fact> {
        let Ok(place) = Place::of(spec) else { return Vec::new() };
        let mut facts = Vec::new();
        if let Some(context) = self.cluster.context() {
            facts.push(Fact::new("Context", format!("{context}, namespace {}", place.namespace)));
        }
        let view = self.watches.shelf(place.namespace).view(place.name);
        if let Some(deployment) = view.deployment.filter(|_| view.deployments.problem.is_none()) {
            let pods: Vec<&Pod> = view.pods.iter().collect();
            facts.push(Fact::new("Pods", judge(&deployment, &pods, SystemTime::now()).sentence));
        }
        facts
    }

    fn observed(
        &self,
        id: &ServiceId,
        place: &Place<'_>,
        deployment: &Deployment,
        judgement: Judgement,
        mut notes: Vec<String>,
    ) -> Observed {
        let instance = self.instance(place, deployment);
        let since = judgement.since.map_or_else(Instant::now, |at| self.since(at));
        let is_well =
            matches!(judgement.standing, Standing::Ready | Standing::Stopped) && judgement.troubles.is_empty();
        let intent = if deployment.wanted() > 0 {
            Some(Intent::Up)
        } else {
            let is_of_it = |here: &scaled::Scaled| here.uid == deployment.metadata.uid;
            let is_remembered = || scaled::read(&self.layout, id).as_ref().is_some_and(is_of_it);
            (deployment.metadata.annotations.contains_key(REMEMBERED) || is_remembered()).then_some(Intent::Down)
        };
        let presence = match judgement.standing {
            Standing::Stopped => Presence::Absent,
            Standing::Stopping { .. } => Presence::Leaving { instance, since },
            Standing::Ready => Presence::Present { instance, since, guardian: Guardian::Alive },
            Standing::Arriving(Serving::Some) => Presence::Arriving { instance, since, serves: Serves::Yes },
            Standing::Arriving(Serving::None) => Presence::Arriving { instance, since, serves: Serves::No },
            Standing::Looping { attempt, until, last } => {
                Presence::RestartPending { attempt, until: self.since(until), last }
            }
            Standing::Stuck { reason } => Presence::Failed { reason: FailureReason::CouldNotStart(reason) },
        };
        if !is_well || deployment.spec.paused {
            let mut told = vec![judgement.sentence];
            // What makes it fail is told as its reason.
            let is_reason = |it: &String| matches!(&presence, Presence::Failed { reason: FailureReason::CouldNotStart(reason) } if reason == it);
            told.extend(judgement.troubles.into_iter().filter(|it| !is_reason(it)));
            told.append(&mut notes);
            notes = told;
        }
        Observed {
            presence,
            entered: None,
            intent,
            restarts: judgement.restarts,
            last_exit: judgement.last_exit,
            notes,
        }
    }

    pub(super) fn instance(&self, place: &Place<'_>, deployment: &Deployment) -> Instance {
        Instance::Deployment {
            context: self.cluster.context().unwrap_or_default().to_owned(),
            namespace: place.namespace.to_owned(),
            name: place.name.to_owned(),
            uid: deployment.metadata.uid.clone(),
            template: deployment.spec.template,
        }
    }

    /// A moment of the cluster's clock on ours: the same one each time it is asked for.
    fn since(&self, at: SystemTime) -> Instant {
        let (instant, system) = self.began;
        match system.duration_since(at) {
            Ok(before) => instant.checked_sub(before).unwrap_or(instant),
            Err(after) => instant.checked_add(after.duration()).unwrap_or(instant),
        }
    }
}

/// The last known truth with its own time, which does not change while nothing new is heard.
fn last_known(view: &View, now: SystemTime) -> String {
    let at = view.deployments.heard_at.unwrap_or(now);
    let time = jiff::Timestamp::try_from(at).map_or_else(
        |_| "an unknown time".to_owned(),
        |at| at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string(),
    );
    let pods: Vec<&Pod> = view.pods.iter().collect();
    let what = view
        .deployment
        .as_ref()
        .map_or_else(|| "there was no such Deployment".to_owned(), |deployment| judge(deployment, &pods, now).sentence);
    format!("last heard at {time}: {what}")
}

fn unknown(spec: &ServiceSpec, why: &str, known: Option<String>, remedy: Option<String>) -> BackendError {
    let known = known.map(|known| format!("; {known}")).unwrap_or_default();
    BackendError {
        kind: ErrorKind::Transient,
        message: format!("kubernetes does not tell the state of {}: {why}{known}", spec.id),
        remedy,
    }
}

impl KubernetesBackend {
    /// Remembers what the server warned of when it was last started.
    pub(super) fn warn(&self, id: &ServiceId, warnings: Vec<String>) {
        let mut held = self.warned.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        held.insert(id.clone(), warnings);
    }

    fn warnings(&self, id: &ServiceId) -> Vec<String> {
        let held = self.warned.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        held.get(id).cloned().unwrap_or_default()
    }
}
