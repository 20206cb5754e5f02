//! Server-side apply of documents of any kind, with our own field manager and never by force over somebody else's fields.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::cluster::{Ask, Cluster, Reply};
use super::manifests::Document;
use super::refusal::{Kind, MANAGER, Refusal};

/// How long a kind may take to be known after its definition was applied.
const NEW_KINDS: Duration = Duration::from_secs(10);
/// From one look for it to the next.
const PAUSE: Duration = Duration::from_millis(250);

/// The kinds of one group's version, as far as they were asked for.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    by_version: Mutex<BTreeMap<String, Vec<Resource>>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Resource {
    name: String,
    #[serde(default)]
    namespaced: bool,
    kind: String,
}

#[derive(Deserialize)]
struct Resources {
    #[serde(default = "Vec::new")]
    resources: Vec<Resource>,
}

/// `v1` is the core's, `apps/v1` a group's.
fn base(api_version: &str) -> String {
    if api_version.contains('/') { format!("/apis/{api_version}") } else { format!("/api/{api_version}") }
}

impl Kinds {
    /// Where an object is. Only the group's own version is asked, so that a group whose server is down does no harm to others.
    async fn path(&self, cluster: &Cluster, document: &Document, namespace: &str) -> Result<String, Refusal> {
        let version = &document.api_version;
        let find =
            |known: &[Resource]| known.iter().find(|it| it.kind == document.kind && !it.name.contains('/')).cloned();
        let mut by_version = self.by_version.lock().await;
        let resource = match by_version.get(version).and_then(|known| find(known)) {
            Some(resource) => resource,
            None => {
                let what = format!("find the kind {} of {version}", document.kind);
                let listed: Resources = cluster.send(&Ask::get(&what, base(version))).await?.json(&what)?;
                let found = find(&listed.resources);
                by_version.insert(version.clone(), listed.resources);
                found.ok_or_else(|| {
                    Refusal::new(Kind::Missing, format!("the cluster knows {version}, but no {} in it", document.kind))
                        .with_remedy("check `apiVersion` and `kind`; a custom resource needs its definition to be installed first")
                })?
            }
        };
        let namespace = document.namespace.as_deref().unwrap_or(namespace);
        let place = if resource.namespaced { format!("/namespaces/{namespace}") } else { String::new() };
        Ok(format!("{}{place}/{}/{}", base(version), resource.name, document.name))
    }
}

/// Applies one document. `is_kind_new` when the definition of its kind was applied just before.
pub(super) async fn apply(
    cluster: &Cluster,
    kinds: &Kinds,
    document: &Document,
    namespace: &str,
    is_kind_new: bool,
) -> Result<Reply, Refusal> {
    let deadline = Instant::now() + NEW_KINDS;
    let path = loop {
        match kinds.path(cluster, document, namespace).await {
            Ok(path) => break path,
            Err(refusal) if refusal.kind == Kind::Missing && is_kind_new && Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(refusal) => return Err(refusal),
        }
    };
    let what = format!("apply {}", document.title());
    let send = async |force: bool| {
        let ask = Ask::sending("PATCH", &what, &path, "application/apply-patch+yaml", &document.value)
            .with("fieldManager", MANAGER)
            .with("force", force.to_string());
        cluster.send(&ask).await
    };
    match send(false).await {
        // A field that we have scaled or patched is ours by another operation, and still ours.
        Err(refusal) if refusal.kind == (Kind::Owned { by_us: true }) => send(true).await,
        other => other,
    }
}

/// Whether our earlier applies own the number of replicas: leaving it out would drop it to 1.
pub(super) fn owns_replicas(object: &Value) -> bool {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    entries.into_iter().flatten().any(|entry| {
        let is = |key: &str, value: &str| entry.get(key).and_then(Value::as_str) == Some(value);
        is("manager", MANAGER) && is("operation", "Apply") && entry.pointer("/fieldsV1/f:spec/f:replicas").is_some()
    })
}
