//! Starting: the manifests are applied, and what was scaled to 0 gets the number of pods that it had.
//!
//! An apply that names `replicas` would undo a stop, or a scale by hand, and start the old template before the new one. So the number
//! that is there now is written into what is applied, which changes nothing and meets no conflict; scaling up is a write of its own.

use std::time::Instant;

use serde_json::{Value, json};

use super::apply;
use super::cluster::Ask;
use super::manifests::{self, Document};
use super::objects::Deployment;
use super::refusal::{Kind, MANAGER, Refusal};
use super::shelf::Collection;
use super::watch::path_of;
use super::{KubernetesBackend, Place, REMEMBERED};
use crate::engine::ports::{BackendError, ErrorKind, IsWanted};
use crate::model::{Launch, LaunchOrigin, ServiceSpec, StartHow};
use crate::store::scaled::{self, Scaled};

/// How often a write is tried again that somebody else was quicker than.
pub(super) const ATTEMPTS: usize = 5;

/// What every restart writes, like `kubectl rollout restart`.
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";

impl KubernetesBackend {
    /// See [`crate::engine::ports::Backend::start_if`].
    pub(super) async fn start_or_find(
        &self,
        spec: &ServiceSpec,
        how: StartHow,
        is_wanted: &IsWanted<'_>,
    ) -> Result<Option<Launch>, BackendError> {
        let place = Place::of(spec)?;
        let _lock = crate::backends::lock::locked(&self.layout, &spec.id).await?;
        if !is_wanted() {
            return Ok(None);
        }
        let tried = match how {
            StartHow::AsItIs | StartHow::Anew => format!("kubernetes could not start {}", spec.id),
            StartHow::InPlace => format!("kubernetes could not restart {}", spec.id),
        };
        self.launch(spec, &place, how).await.map(Some).map_err(|refusal| refusal.into_error(&tried))
    }

    async fn launch(&self, spec: &ServiceSpec, place: &Place<'_>, how: StartHow) -> Result<Launch, Refusal> {
        let before = self.raw(place).await?;
        let was = before.as_ref().map(deployment).transpose()?;
        let mut manifest_count = None;
        if let Some(path) = place.manifests {
            let documents = manifests::read(path).map_err(|error| {
                Refusal::new(Kind::Invalid, error.to_string())
                    .with_remedy("correct the manifest, or `manifests_path` in the registry")
            })?;
            manifest_count = self.apply_all(spec, place, documents, before.as_ref()).await?;
        }
        let mut now = self.read(place).await?.ok_or_else(|| missing(place))?;
        if now.metadata.deletion_timestamp.is_some() {
            return Err(Refusal::new(Kind::Stale, format!("the Deployment {} is being deleted", place.name))
                .with_remedy("wait until it is gone, then start again"));
        }
        if now.wanted() == 0 {
            now = self.scale_up(spec, place, now, manifest_count).await?;
            scaled::forget(&self.layout, &spec.id);
        } else if how == StartHow::InPlace && was.as_ref().is_some_and(|was| was.spec.template == now.spec.template) {
            // A changed template replaces all pods by itself.
            now = self.replace_pods(place, &now).await?;
        }
        let is_found = was.is_some_and(|was| was.wanted() > 0 && was.metadata.generation == now.metadata.generation);
        let origin = if is_found { LaunchOrigin::FoundRunning } else { LaunchOrigin::Started };
        self.watches.shelf(place.namespace).put_deployment(now.clone());
        Ok(Launch { instance: self.instance(place, &now), since: Instant::now(), origin })
    }

    /// Applies all of them. The count that the Deployment's own manifest names.
    async fn apply_all(
        &self,
        spec: &ServiceSpec,
        place: &Place<'_>,
        documents: Vec<Document>,
        before: Option<&Value>,
    ) -> Result<Option<u32>, Refusal> {
        let mut named = None;
        let mut warnings = Vec::new();
        let defined: Vec<String> = documents
            .iter()
            .filter(|it| it.kind == "CustomResourceDefinition")
            .filter_map(|it| it.value.pointer("/spec/names/kind").and_then(Value::as_str).map(str::to_owned))
            .collect();
        for mut document in documents {
            if document.is_deployment(place.namespace, place.name) {
                named = keep_count(&mut document, before);
            }
            let is_new = defined.contains(&document.kind);
            let reply = apply::apply(&self.cluster, &self.kinds, &document, place.namespace, is_new).await.map_err(
                |refusal| Refusal {
                    words: format!("{} ({}): {}", document.title(), document.place, refusal.words),
                    ..refusal
                },
            )?;
            tracing::info!(service = %spec.id, object = document.title(), made = reply.status == 201, "applied");
            warnings.extend(reply.warnings.into_iter().map(|it| format!("{}: {it}", document.title())));
        }
        self.warn(&spec.id, warnings);
        Ok(named)
    }

    /// The Deployment with everything that the server knows of it.
    async fn raw(&self, place: &Place<'_>) -> Result<Option<Value>, Refusal> {
        let what = format!("get {}", place.resource());
        match self.cluster.send(&Ask::get(&what, place.path())).await {
            Ok(reply) => reply.json(&what).map(Some),
            Err(refusal) if refusal.kind == Kind::Missing => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    pub(super) async fn read(&self, place: &Place<'_>) -> Result<Option<Deployment>, Refusal> {
        self.raw(place).await?.as_ref().map(deployment).transpose()
    }

    /// Gives back the count that a stop remembered, or that the manifest names, or 1.
    async fn scale_up(
        &self,
        spec: &ServiceSpec,
        place: &Place<'_>,
        now: Deployment,
        named: Option<u32>,
    ) -> Result<Deployment, Refusal> {
        let here = scaled::read(&self.layout, &spec.id);
        let count = |now: &Deployment| remembered(now, here.as_ref()).or(named).filter(|n| *n > 0).unwrap_or(1);
        let started = self.changed(place, now.clone(), |now| {
            if now.wanted() > 0 {
                return None;
            }
            Some(json!({ "metadata": { "annotations": { REMEMBERED: null } }, "spec": { "replicas": count(now) } }))
        });
        match started.await {
            // A role may be allowed to scale and nothing else.
            Err(refused) if refused.kind == Kind::Forbidden => match self.scaled(place, &now, count(&now)).await {
                Err(refusal) if refusal.kind == Kind::Forbidden => Err(refused),
                other => other,
            },
            other => other,
        }
    }

    /// Scales what was read, and nothing that was changed since.
    pub(super) async fn scaled(&self, place: &Place<'_>, now: &Deployment, count: u32) -> Result<Deployment, Refusal> {
        let what = format!("patch {}/scale", place.resource());
        let patch =
            json!({ "metadata": { "resourceVersion": now.metadata.resource_version }, "spec": { "replicas": count } });
        let path = format!("{}/scale", place.path());
        let ask =
            Ask::sending("PATCH", &what, path, "application/merge-patch+json", &patch).with("fieldManager", MANAGER);
        self.cluster.send(&ask).await?;
        // The answer is a Scale.
        self.read(place).await?.ok_or_else(|| missing(place))
    }

    /// A rollout restart.
    async fn replace_pods(&self, place: &Place<'_>, now: &Deployment) -> Result<Deployment, Refusal> {
        if now.spec.paused {
            return Err(Refusal::new(Kind::Invalid, "its rollouts are paused, so nothing would happen")
                .with_remedy(format!("kubectl rollout resume {} --namespace {}", place.resource(), place.namespace)));
        }
        let at = jiff::Timestamp::now().to_string();
        let patch = json!({ "spec": { "template": { "metadata": { "annotations": { RESTARTED: at } } } } });
        self.patched(place, &patch).await
    }

    /// Makes a change that is only right for what was read: when somebody else was quicker, it is read and decided again.
    pub(super) async fn changed(
        &self,
        place: &Place<'_>,
        mut now: Deployment,
        change: impl Fn(&Deployment) -> Option<Value>,
    ) -> Result<Deployment, Refusal> {
        for attempt in 1.. {
            let Some(mut patch) = change(&now) else { return Ok(now) };
            if let Some(metadata) = patch.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.insert("resourceVersion".to_owned(), now.metadata.resource_version.clone().into());
            }
            match self.patched(place, &patch).await {
                Err(refusal) if refusal.kind == Kind::Stale && attempt < ATTEMPTS => {
                    now = self.read(place).await?.ok_or_else(|| missing(place))?;
                }
                other => return other,
            }
        }
        Ok(now)
    }

    async fn patched(&self, place: &Place<'_>, patch: &Value) -> Result<Deployment, Refusal> {
        let what = format!("patch {}", place.resource());
        let ask = Ask::sending("PATCH", &what, place.path(), "application/merge-patch+json", patch)
            .with("fieldManager", MANAGER);
        self.cluster.send(&ask).await?.json(&what)
    }
}

impl Place<'_> {
    fn path(&self) -> String {
        format!("{}/{}", path_of(Collection::Deployments, self.namespace), self.name)
    }

    /// `deployments/web`.
    pub(super) fn resource(&self) -> String {
        format!("deployments/{}", self.name)
    }
}

fn deployment(object: &Value) -> Result<Deployment, Refusal> {
    serde_json::from_value(object.clone())
        .map_err(|error| Refusal::new(Kind::Server, format!("its Deployment cannot be read: {error}")))
}

pub(super) fn missing(place: &Place<'_>) -> Refusal {
    let words = format!("there is no Deployment {} in the namespace {}", place.name, place.namespace);
    Refusal::new(Kind::Missing, words).with_remedy(match place.manifests {
        Some(path) => {
            format!("{} must hold one, or `deployment_name` and `namespace` are to be corrected", path.display())
        }
        None => "set `manifests_path` in the registry, or correct `deployment_name` and `namespace`".to_owned(),
    })
}

/// What the last stop remembered, in the cluster or, where it may not write there, in this home.
fn remembered(now: &Deployment, here: Option<&Scaled>) -> Option<u32> {
    let written = now.metadata.annotations.get(REMEMBERED);
    let is_newest = |here: &&Scaled| here.uid == now.metadata.uid && here.written.as_ref() == written;
    here.filter(is_newest).map(|here| here.replicas).or_else(|| written.and_then(|n| n.parse().ok()))
}

/// Writes the count that is there into what is applied, where the manifest names one or ours does already. The count it named.
fn keep_count(document: &mut Document, before: Option<&Value>) -> Option<u32> {
    let count =
        |value: &Value| value.pointer("/spec/replicas").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    let named = count(&document.value);
    if let Some(before) = before
        && (named.is_some() || apply::owns_replicas(before))
        && let Some(spec) = document.value.get_mut("spec").and_then(Value::as_object_mut)
    {
        spec.insert("replicas".to_owned(), count(before).unwrap_or(1).into());
    }
    named
}

/// For a service of another mode.
pub(super) fn wrong_mode(spec: &ServiceSpec) -> BackendError {
    BackendError {
        kind: ErrorKind::Misconfigured,
        message: format!("{} is not a service of kubernetes mode", spec.id),
        remedy: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::keep_count;
    use crate::backends::kubernetes::manifests::Document;

    /// What is named, and what is applied.
    fn kept(manifest: Option<u32>, before: Option<Value>) -> (Option<u32>, Option<u64>) {
        let mut document = Document {
            place: String::new(),
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            name: "web".to_owned(),
            namespace: None,
            value: json!({ "spec": {} }),
        };
        if let Some(n) = manifest {
            document.value = json!({ "spec": { "replicas": n } });
        }
        let named = keep_count(&mut document, before.as_ref());
        (named, document.value.pointer("/spec/replicas").and_then(Value::as_u64))
    }

    #[test]
    fn an_apply_never_changes_the_number_of_pods() {
        let there = |n: u32| Some(json!({ "spec": { "replicas": n } }));
        assert_eq!(kept(Some(2), None), (Some(2), Some(2)), "what is new is made as it is written");
        assert_eq!(kept(Some(2), there(3)), (Some(2), Some(3)), "a scale by hand stays");
        assert_eq!(kept(Some(2), there(0)), (Some(2), Some(0)), "what is stopped is started by a write of its own");
        assert_eq!(kept(None, there(3)), (None, None), "a count that is somebody else's stays with them");
        let ours = json!([{ "manager": "provisioning-tui", "operation": "Apply", "fieldsV1": { "f:spec": { "f:replicas": {} } } }]);
        let owned = json!({ "spec": { "replicas": 3 }, "metadata": { "managedFields": ours } });
        assert_eq!(kept(None, Some(owned)), (None, Some(3)), "a line that was taken out does not drop it to 1");
    }
}
