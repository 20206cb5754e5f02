//! What a start in the cluster needs, with what is there.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use futures::future::join_all;
use serde_json::{Value, json};

use super::cluster::Ask;
use super::manifests::{self, Document};
use super::refusal::{Kind, Refusal};
use super::{KubernetesBackend, Place};
use crate::model::ServiceSpec;
use crate::preflight::Requirement;
use crate::store::directory;

/// What is done to a Deployment: starting, stopping and restarting are all of these.
const NEEDED: [(&str, &str, &str); 3] = [PATCH, ("watch", "apps", "deployments"), ("watch", "", "pods")];
const PATCH: (&str, &str, &str) = ("patch", "apps", "deployments");
/// Enough to stop, and to start what has no manifests.
const SCALE: (&str, &str, &str) = ("patch", "apps", "deployments/scale");

/// A kubeconfig holds credentials and names programs that are run: others should neither read nor change it. Said, and no more, as kubectl
/// and helm do, since its modes are often not in the hands of who uses it.
fn openness(path: PathBuf) -> Option<Requirement> {
    let mode = std::fs::metadata(&path).ok()?.mode();
    let deed = match mode & 0o077 {
        0 => return None,
        others if others & 0o022 != 0 => "changed",
        _ => "read",
    };
    Some(Requirement::OpenKubeconfig { path, deed })
}

impl KubernetesBackend {
    /// Looks at everything a start needs. Makes and changes nothing.
    pub(super) async fn gather(&self, spec: &ServiceSpec) -> Vec<Requirement> {
        let Ok(place) = Place::of(spec) else {
            return vec![Requirement::UnsupportedMode { mode: spec.deployment.mode().as_str() }];
        };
        let mut requirements = Vec::new();
        let documents = place.manifests.map(manifests::read).transpose();
        let (documents, problem) = match documents {
            Ok(documents) => (documents, None),
            Err(error) => (None, Some(error.to_string())),
        };
        if let Some(path) = place.manifests {
            requirements.push(Requirement::Manifests { path: path.to_owned(), problem });
        }
        requirements.extend(self.cluster.files().into_iter().filter_map(openness));
        match self.ask_cluster(&place, documents.as_deref()).await {
            Ok(asked) => requirements.extend(asked),
            Err(refusal) => requirements.push(Requirement::Cluster {
                place: String::new(),
                problem: Some((
                    refusal.words,
                    refusal.remedy.unwrap_or_else(|| "`kubectl version` must work".to_owned()),
                )),
                is_configured: refusal.kind != Kind::Configuration,
            }),
        }
        requirements.push(Requirement::StateDirectory {
            path: self.layout.root().to_owned(),
            problem: directory::inspect(&self.layout).err().map(|unusable| (unusable.to_string(), unusable.remedy())),
        });
        requirements
    }

    async fn ask_cluster(
        &self,
        place: &Place<'_>,
        documents: Option<&[Document]>,
    ) -> Result<Vec<Requirement>, Refusal> {
        // Answered without any permission, but not with bad credentials.
        self.cluster.send(&Ask::get("ask for its version", "/version")).await?;
        let server = self.cluster.server().await?;
        let context = self.cluster.context().unwrap_or_default();
        let mut requirements = vec![Requirement::Cluster {
            place: format!("context {context}, namespace {} ({server})", place.namespace),
            problem: None,
            is_configured: true,
        }];
        let namespace = place.namespace;
        let is_made =
            documents.into_iter().flatten().any(|document| document.kind == "Namespace" && document.name == namespace);
        let what = format!("get the namespace {namespace}");
        match self.cluster.send(&Ask::get(what, format!("/api/v1/namespaces/{namespace}"))).await {
            Ok(_) => {}
            // A role inside of it does not allow that, and does not have to.
            Err(refusal) if refusal.kind == Kind::Forbidden => {}
            Err(refusal) if refusal.kind == Kind::Missing => {
                if !is_made {
                    requirements.push(Requirement::ClusterObject {
                        problem: format!("Namespace not found: {namespace} (context {context})"),
                        remedy: format!("kubectl create namespace {namespace}, or add it to the manifests"),
                    });
                }
                return Ok(requirements);
            }
            Err(refusal) => return Err(refusal),
        }
        let answers = join_all(NEEDED.map(|(verb, group, resource)| self.may(verb, group, resource, namespace))).await;
        for (answer, (verb, _, resource)) in answers.into_iter().zip(NEEDED) {
            if answer? {
                continue;
            }
            let is_enough = (verb, "apps", resource) == PATCH && place.manifests.is_none();
            if is_enough && self.may(SCALE.0, SCALE.1, SCALE.2, namespace).await? {
                requirements.push(Requirement::ClusterLimit {
                    limit: format!(
                        "You may only scale deployments in the namespace {namespace} (context {context}): a stop is remembered on \
                         this machine alone, and a restart is refused"
                    ),
                    remedy: format!("ask the cluster's administrator for the permission to {verb} {resource}"),
                });
            } else {
                requirements.push(Requirement::ClusterObject {
                    problem: format!("You may not {verb} {resource} in the namespace {namespace} (context {context})"),
                    remedy: format!("ask the cluster's administrator for the permission to {verb} {resource}"),
                });
            }
        }
        let is_in_manifests = documents.into_iter().flatten().any(|it| it.is_deployment(namespace, place.name));
        if !is_in_manifests && self.read(place).await?.is_none() {
            requirements.push(Requirement::ClusterObject {
                problem: format!(
                    "Deployment not found: {} in the namespace {namespace} (context {context})",
                    place.name
                ),
                remedy: match place.manifests {
                    Some(path) => format!(
                        "{} holds no such Deployment either: correct `deployment_name` or `namespace`",
                        path.display()
                    ),
                    None => {
                        "set `manifests_path` in the registry, or correct `deployment_name` and `namespace`".to_owned()
                    }
                },
            });
        }
        Ok(requirements)
    }

    /// A review of our own access: 201 also when the answer is no.
    async fn may(&self, verb: &str, group: &str, resource: &str, namespace: &str) -> Result<bool, Refusal> {
        let what = format!("ask whether one may {verb} {resource}");
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": { "namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": subresource } },
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        match self.cluster.send(&Ask::sending("POST", &what, path, "application/json", &review)).await {
            Ok(reply) => {
                let answer: Value = reply.json(&what)?;
                Ok(answer.pointer("/status/allowed").and_then(Value::as_bool).unwrap_or(false))
            }
            // Where that cannot be asked, the start itself tells.
            Err(refusal) if matches!(refusal.kind, Kind::Forbidden | Kind::Missing) => Ok(true),
            Err(refusal) => Err(refusal),
        }
    }
}
