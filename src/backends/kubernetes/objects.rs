//! What is read of Deployments and pods: the fields that matter here, all of them optional, since servers leave counts of 0 out.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Deserializer};

/// `metadata` of anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) resource_version: String,
    pub(super) generation: i64,
    pub(super) creation_timestamp: Option<String>,
    pub(super) deletion_timestamp: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) owner_references: Vec<Owner>,
}

/// Who made an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Owner {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) controller: bool,
}

/// A Deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Deployment {
    pub(super) metadata: Metadata,
    pub(super) spec: DeploymentSpec,
    pub(super) status: DeploymentStatus,
}

/// What is wanted of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct DeploymentSpec {
    /// 1 where it is absent.
    pub(super) replicas: Option<u32>,
    pub(super) paused: bool,
    /// A number for the pods' template: told apart from another one, never looked into.
    #[serde(deserialize_with = "number_of")]
    pub(super) template: u64,
}

/// What its controller saw last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DeploymentStatus {
    pub(super) observed_generation: i64,
    pub(super) replicas: u32,
    pub(super) updated_replicas: u32,
    pub(super) ready_replicas: u32,
    pub(super) available_replicas: u32,
    #[serde(deserialize_with = "or_default")]
    pub(super) conditions: Vec<Condition>,
}

/// One condition of a Deployment or of a pod. They come in no order and may be missing: see [`condition`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) message: String,
}

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Pod {
    pub(super) metadata: Metadata,
    pub(super) spec: PodSpec,
    pub(super) status: PodStatus,
}

/// What is wanted of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodSpec {
    pub(super) node_name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) containers: Vec<Container>,
}

/// A container as it is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Container {
    pub(super) name: String,
}

/// How a pod is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodStatus {
    pub(super) phase: String,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) start_time: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) conditions: Vec<Condition>,
    #[serde(deserialize_with = "or_default")]
    pub(super) container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "or_default")]
    pub(super) init_container_statuses: Vec<ContainerStatus>,
}

/// How a container is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ContainerStatus {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) ready: bool,
    pub(super) restart_count: u32,
    #[serde(rename = "containerID")]
    pub(super) container_id: String,
    pub(super) state: ContainerState,
    pub(super) last_state: ContainerState,
}

/// One of three, or none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct ContainerState {
    pub(super) waiting: Option<Waiting>,
    pub(super) running: Option<Running>,
    pub(super) terminated: Option<Terminated>,
}

/// It waits to be started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Waiting {
    pub(super) reason: String,
    pub(super) message: String,
}

/// It runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Running {
    pub(super) started_at: Option<String>,
}

/// It has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Terminated {
    pub(super) exit_code: i32,
    pub(super) signal: i32,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) started_at: Option<String>,
    pub(super) finished_at: Option<String>,
}

impl Deployment {
    /// How many pods it shall have.
    pub(super) fn wanted(&self) -> u32 {
        self.spec.replicas.unwrap_or(1)
    }
}

impl Pod {
    /// The Deployment that it belongs to: its controller is a ReplicaSet, whose name is the Deployment's with the hash of the template.
    pub(super) fn deployment(&self) -> Option<&str> {
        let owner = self.metadata.owner_references.iter().find(|owner| owner.controller)?;
        let hash = self.metadata.labels.get("pod-template-hash")?;
        let name = owner.name.strip_suffix(hash.as_str())?.strip_suffix('-')?;
        (owner.kind == "ReplicaSet").then_some(name)
    }

    /// It was told to end.
    pub(super) fn is_leaving(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// All its containers have ended for good. What was evicted stays in the list like this and is nothing that runs.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed") && !self.is_leaving()
    }

    /// Its own word for being ready, which alone tells of a silent node.
    pub(super) fn is_ready(&self) -> bool {
        condition(&self.status.conditions, "Ready").is_some_and(|it| it.status == "True")
    }
}

/// Finds a condition by its type.
pub(super) fn condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.kind == kind)
}

/// A moment as the API writes it; `None` for 1970, which stands for never.
pub(super) fn moment(text: &str) -> Option<SystemTime> {
    let timestamp: jiff::Timestamp = text.parse().ok()?;
    (timestamp.as_second() > 0).then(|| timestamp.into())
}

/// FNV-1a, 64 bits, of the value with its keys in order: the same in every version of this program.
fn number_of<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    Ok(value.to_string().bytes().fold(0xcbf2_9ce4_8422_2325, mix))
}

/// `null` where a list or a map is expected is an empty one.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
