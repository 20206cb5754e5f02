//! What is known of one namespace: its Deployments and pods as the watches tell them, and whether they tell anything just now.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;

use super::objects::{Deployment, Pod};
use super::refusal::Refusal;

/// Which of the two collections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Collection {
    Deployments,
    Pods,
}

/// Whether a collection can be believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hearing {
    /// All of it was heard at least once.
    pub(super) is_listed: bool,
    /// Why nothing is heard now.
    pub(super) problem: Option<Refusal>,
    /// When something was heard last.
    pub(super) heard_at: Option<SystemTime>,
}

/// One Deployment with what belongs to it, at one moment.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) deployment: Option<Deployment>,
    pub(super) pods: Vec<Pod>,
    pub(super) deployments: Hearing,
    pub(super) pods_heard: Hearing,
}

/// A change on the shelf: the Deployments that it concerns.
pub(super) type Concerned = Vec<String>;

/// One namespace. The lock is held for moments, never across an await.
#[derive(Debug)]
pub(super) struct Shelf {
    namespace: String,
    content: Mutex<Content>,
    /// Counts changes.
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Content {
    deployments: BTreeMap<String, Deployment>,
    /// By Deployment, then by name.
    pods: BTreeMap<String, BTreeMap<String, Pod>>,
    hearing: [Hearing; 2],
}

impl Content {
    fn hearing(&mut self, collection: Collection) -> &mut Hearing {
        let [deployments, pods] = &mut self.hearing;
        match collection {
            Collection::Deployments => deployments,
            Collection::Pods => pods,
        }
    }
}

impl Shelf {
    pub(super) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), content: Mutex::default(), changed: watch::Sender::new(0) }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Tells of every change from now on.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn held(&self) -> MutexGuard<'_, Content> {
        // What is behind it is whole at any moment, so a panic elsewhere does not spoil it.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.send_modify(|n| *n += 1);
    }

    pub(super) fn view(&self, deployment: &str) -> View {
        let mut content = self.held();
        let (deployments, pods_heard) =
            (content.hearing(Collection::Deployments).clone(), content.hearing(Collection::Pods).clone());
        View {
            deployment: content.deployments.get(deployment).cloned(),
            pods: content.pods.get(deployment).into_iter().flat_map(BTreeMap::values).cloned().collect(),
            deployments,
            pods_heard,
        }
    }

    /// Whether both collections were heard, or why they are not is known.
    pub(super) fn is_settled(&self) -> bool {
        let content = self.held();
        content.hearing.iter().all(|hearing| hearing.is_listed || hearing.problem.is_some())
    }

    /// Takes over all Deployments there are.
    pub(super) fn list_deployments(&self, listed: Vec<Deployment>) -> Concerned {
        let mut content = self.held();
        let new: BTreeMap<String, Deployment> = listed.into_iter().map(|it| (it.metadata.name.clone(), it)).collect();
        let concerned = differing(&content.deployments, &new);
        content.deployments = new;
        drop(content);
        self.tell();
        concerned
    }

    /// Takes over all pods there are.
    pub(super) fn list_pods(&self, listed: Vec<Pod>) -> Concerned {
        let mut new: BTreeMap<String, BTreeMap<String, Pod>> = BTreeMap::new();
        for pod in listed {
            if let Some(deployment) = pod.deployment().map(str::to_owned) {
                new.entry(deployment).or_default().insert(pod.metadata.name.clone(), pod);
            }
        }
        let mut content = self.held();
        let concerned = differing(&content.pods, &new);
        content.pods = new;
        drop(content);
        self.tell();
        concerned
    }

    /// Takes over one Deployment, unless what is known is newer: a write's answer can be quicker than the watch, and slower.
    pub(super) fn put_deployment(&self, deployment: Deployment) -> Concerned {
        let name = deployment.metadata.name.clone();
        let mut content = self.held();
        let is_older = content.deployments.get(&name).is_some_and(|known| is_older(&deployment, known));
        if is_older {
            return Vec::new();
        }
        content.deployments.insert(name.clone(), deployment);
        drop(content);
        self.tell();
        vec![name]
    }

    pub(super) fn remove_deployment(&self, deployment: &Deployment) -> Concerned {
        let name = deployment.metadata.name.clone();
        let mut content = self.held();
        // Its name may have been given to a new one.
        if content.deployments.get(&name).is_some_and(|known| known.metadata.uid == deployment.metadata.uid) {
            content.deployments.remove(&name);
        }
        drop(content);
        self.tell();
        vec![name]
    }

    pub(super) fn put_pod(&self, pod: Pod) -> Concerned {
        let Some(deployment) = pod.deployment().map(str::to_owned) else { return Vec::new() };
        self.held().pods.entry(deployment.clone()).or_default().insert(pod.metadata.name.clone(), pod);
        self.tell();
        vec![deployment]
    }

    pub(super) fn remove_pod(&self, pod: &Pod) -> Concerned {
        let Some(deployment) = pod.deployment().map(str::to_owned) else { return Vec::new() };
        let mut content = self.held();
        if let Some(pods) = content.pods.get_mut(&deployment) {
            pods.remove(&pod.metadata.name);
            if pods.is_empty() {
                content.pods.remove(&deployment);
            }
        }
        drop(content);
        self.tell();
        vec![deployment]
    }

    /// Something was heard. Whether that ends a time in which nothing was.
    pub(super) fn heard(&self, collection: Collection) -> bool {
        let mut content = self.held();
        let hearing = content.hearing(collection);
        hearing.heard_at = Some(SystemTime::now());
        let is_news = !hearing.is_listed || hearing.problem.is_some();
        hearing.is_listed = true;
        hearing.problem = None;
        drop(content);
        if is_news {
            self.tell();
        }
        is_news
    }

    /// Nothing is heard. Whether that is news.
    pub(super) fn lost(&self, collection: Collection, refusal: &Refusal) -> bool {
        let mut content = self.held();
        let hearing = content.hearing(collection);
        let is_news = hearing.problem.as_ref() != Some(refusal);
        hearing.problem = Some(refusal.clone());
        drop(content);
        if is_news {
            self.tell();
        }
        is_news
    }
}

/// Numbers that grow, as all servers have them; where they are not numbers, what comes is taken.
fn is_older(deployment: &Deployment, known: &Deployment) -> bool {
    let version = |it: &Deployment| it.metadata.resource_version.parse::<u64>().ok();
    deployment.metadata.uid == known.metadata.uid
        && version(deployment).zip(version(known)).is_some_and(|(new, known)| new < known)
}

fn differing<T: PartialEq>(old: &BTreeMap<String, T>, new: &BTreeMap<String, T>) -> Concerned {
    let changed = new.iter().filter(|(name, it)| old.get(*name) != Some(*it)).map(|(name, _)| name.clone());
    let gone = old.keys().filter(|name| !new.contains_key(*name)).cloned();
    changed.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::Shelf;
    use crate::backends::kubernetes::objects::Deployment;

    fn deployment(uid: &str, version: &str, replicas: u32) -> Deployment {
        let mut deployment = Deployment::default();
        deployment.metadata.name = "web".to_owned();
        deployment.metadata.uid = uid.to_owned();
        deployment.metadata.resource_version = version.to_owned();
        deployment.spec.replicas = Some(replicas);
        deployment
    }

    fn replicas(shelf: &Shelf) -> Option<u32> {
        shelf.view("web").deployment.and_then(|it| it.spec.replicas)
    }

    #[test]
    fn an_older_word_on_a_deployment_does_not_replace_a_newer_one() {
        let shelf = Shelf::new("platform");
        assert_eq!(shelf.put_deployment(deployment("a", "100", 0)), ["web"]);
        assert!(shelf.put_deployment(deployment("a", "99", 2)).is_empty());
        assert_eq!(replicas(&shelf), Some(0));
        // Another one of the same name begins anew.
        assert_eq!(shelf.put_deployment(deployment("b", "7", 3)), ["web"]);
        assert_eq!(replicas(&shelf), Some(3));
        // The end of the first is no news for the second.
        shelf.remove_deployment(&deployment("a", "101", 0));
        assert_eq!(replicas(&shelf), Some(3));
    }
}
