//! Stopping: scaled to 0 in one write that remembers the count, then a wait until the pods are gone. Nothing is deleted; only `--force`
//! takes pods that do not end by themselves, with a second of grace, so that their node still has to confirm that they are gone.
//!
//! Whoever may scale a Deployment and not patch it can stop it all the same: then the count is remembered in this home alone.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::cluster::Ask;
use super::launch::{ATTEMPTS, missing};
use super::objects::{Deployment, Pod};
use super::refusal::{Kind, Refusal};
use super::shelf::{Collection, View};
use super::watch::path_of;
use super::{KubernetesBackend, Place, REMEMBERED};
use crate::engine::ports::StopError;
use crate::model::{ServiceSpec, StopHow};
use crate::store::scaled::{self, Scaled};

/// How long pods that were killed may take to be gone.
const AFTER_KILL: Duration = Duration::from_secs(15);

impl KubernetesBackend {
    /// See [`crate::engine::ports::Backend::stop`].
    pub(super) async fn scale_down(&self, spec: &ServiceSpec, how: StopHow, grace: Duration) -> Result<(), StopError> {
        let place = Place::of(spec)?;
        let tried = format!("kubernetes could not stop {}", spec.id);
        let failed = |refusal: Refusal| StopError::Backend(refusal.into_error(&tried));
        let deadline = Instant::now() + grace;
        {
            let _lock = crate::backends::lock::locked(&self.layout, &spec.id).await?;
            let Some(now) = self.read(&place).await.map_err(failed)? else { return Ok(()) };
            let stopped = self.changed(&place, now, |now| {
                let count = now.wanted();
                (count > 0).then(|| {
                    let remember = json!({ REMEMBERED: count.to_string() });
                    json!({ "metadata": { "annotations": remember }, "spec": { "replicas": 0 } })
                })
            });
            let stopped = match stopped.await {
                // A role may be allowed to scale and nothing else.
                Err(refusal) if refusal.kind == Kind::Forbidden => self.scale_to_zero(spec, &place, refusal).await,
                Ok(stopped) => {
                    scaled::forget(&self.layout, &spec.id);
                    Ok(stopped)
                }
                other => other,
            };
            match stopped {
                Ok(stopped) => {
                    self.watches.shelf(place.namespace).put_deployment(stopped);
                }
                // Somebody deleted it meanwhile.
                Err(refusal) if refusal.kind == Kind::Missing => return Ok(()),
                Err(refusal) => return Err(failed(refusal)),
            }
        }
        if matches!(how, StopHow::Ask | StopHow::AskThenKill) {
            match self.until_gone(&place, deadline).await {
                Ok(()) => return Ok(()),
                Err(NotGone::Unknown(refusal)) => return Err(failed(refusal)),
                Err(NotGone::Alive(survivors)) if how == StopHow::Ask => {
                    return Err(StopError::StillAlive { grace, survivors });
                }
                Err(NotGone::Alive(_)) => {}
            }
        }
        // Those that are there now; nothing new comes at 0.
        self.until_seen(&place, Instant::now() + AFTER_KILL).await;
        for pod in self.watches.shelf(place.namespace).view(place.name).pods {
            self.kill(&place, &pod).await.map_err(failed)?;
        }
        match self.until_gone(&place, Instant::now() + AFTER_KILL).await {
            Ok(()) => Ok(()),
            Err(NotGone::Unknown(refusal)) => Err(failed(refusal)),
            Err(NotGone::Alive(survivors)) => Err(StopError::StillAlive { grace: AFTER_KILL, survivors }),
        }
    }

    /// Without the right to write the number down in the cluster, this home remembers it. `refused` is why that is so.
    async fn scale_to_zero(
        &self,
        spec: &ServiceSpec,
        place: &Place<'_>,
        refused: Refusal,
    ) -> Result<Deployment, Refusal> {
        let mut attempt = 1;
        loop {
            let now = self.read(place).await?.ok_or_else(|| missing(place))?;
            if now.wanted() == 0 {
                return Ok(now);
            }
            let written = now.metadata.annotations.get(REMEMBERED).cloned();
            let remembered = Scaled { uid: now.metadata.uid.clone(), replicas: now.wanted(), written };
            scaled::write(&self.layout, &spec.id, &remembered).map_err(|error| {
                let words = format!("its number of pods, {}, cannot be remembered here either: {error}", now.wanted());
                Refusal { words: format!("{}; {words}", refused.words), ..refused.clone() }
            })?;
            match self.scaled(place, &now, 0).await {
                Err(refusal) if refusal.kind == Kind::Stale && attempt < ATTEMPTS => attempt += 1,
                Err(refusal) if refusal.kind == Kind::Forbidden => {
                    scaled::forget(&self.layout, &spec.id);
                    return Err(refused);
                }
                other => return other,
            }
        }
    }

    /// By its uid: a pod of that name that came later is another one.
    async fn kill(&self, place: &Place<'_>, pod: &Pod) -> Result<(), Refusal> {
        let name = &pod.metadata.name;
        let path = format!("{}/{name}", path_of(Collection::Pods, place.namespace));
        let body = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "gracePeriodSeconds": 1,
            "preconditions": { "uid": pod.metadata.uid },
        });
        let ask = Ask::sending("DELETE", format!("delete pods/{name}"), path, "application/json", &body);
        match self.cluster.send(&ask).await {
            Ok(_) => Ok(()),
            Err(refusal) if matches!(refusal.kind, Kind::Missing | Kind::Stale) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    /// Waits until its controller has seen what was written, or until the deadline.
    async fn until_seen(&self, place: &Place<'_>, deadline: Instant) {
        let is_seen = |view: &View| {
            view.deployment.as_ref().is_none_or(|it| it.status.observed_generation >= it.metadata.generation)
        };
        self.until(place, deadline, is_seen).await;
    }

    /// Waits until no pod of it is left. Cancel safe.
    async fn until_gone(&self, place: &Place<'_>, deadline: Instant) -> Result<(), NotGone> {
        let is_gone = |view: &View| {
            let is_seen =
                view.deployment.as_ref().is_none_or(|it| it.status.observed_generation >= it.metadata.generation);
            // Without sight of the pods, the Deployment's own count has to do.
            let has_pods = match &view.pods_heard.problem {
                None => view.pods.iter().any(|pod| !pod.has_ended()),
                Some(_) => view.deployment.as_ref().is_some_and(|it| it.status.replicas > 0),
            };
            is_seen && !has_pods && view.deployments.problem.is_none() && view.deployments.is_listed
        };
        if self.until(place, deadline, is_gone).await {
            return Ok(());
        }
        let view = self.watches.shelf(place.namespace).view(place.name);
        match view.deployments.problem {
            Some(refusal) => Err(NotGone::Unknown(refusal)),
            None => {
                let mut survivors: Vec<String> =
                    view.pods.iter().filter(|pod| !pod.has_ended()).map(survivor).collect();
                if survivors.is_empty() {
                    survivors.push(format!("the Deployment {}, whose controller has not acted", place.name));
                }
                Err(NotGone::Alive(survivors))
            }
        }
    }

    /// Whether it came to be so in time. Woken by the watches, never by a clock.
    async fn until(&self, place: &Place<'_>, deadline: Instant, is_so: impl Fn(&View) -> bool) -> bool {
        let shelf = self.watches.shelf(place.namespace);
        let mut changes = shelf.changes();
        loop {
            changes.mark_unchanged();
            if is_so(&shelf.view(place.name)) {
                return true;
            }
            match tokio::time::timeout_at(deadline, changes.changed()).await {
                Ok(Ok(())) => {}
                // The shelf lives as long as this does.
                Ok(Err(_)) | Err(_) => return false,
            }
        }
    }
}

fn survivor(pod: &Pod) -> String {
    let node = &pod.spec.node_name;
    if node.is_empty() {
        format!("pod {}", pod.metadata.name)
    } else {
        format!("pod {} (node {node})", pod.metadata.name)
    }
}

/// Why a wait ended without the pods' end.
enum NotGone {
    /// These live.
    Alive(Vec<String>),
    /// The cluster cannot be asked.
    Unknown(Refusal),
}
