//! What an edit of the registry changed, service by service, and what of it a running instance would have to be restarted for.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;

use super::{BinarySpec, Deployment, Mode, Registry, Secret, ServiceId, ServiceSpec};

/// The note of a running service whose registry entry is not the one that it was started with.
pub const EDITED_NOTE: &str = "edited since it was started: restart it to apply the edit";

/// The difference between two registries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegistryDiff {
    /// Only in the new one, in its order.
    pub added: Vec<ServiceId>,
    /// In both and not the same, in the new one's order.
    pub changed: Vec<ServiceDiff>,
    /// Only in the old one, in its order.
    pub removed: Vec<ServiceId>,
}

/// What changed of one service. Never empty inside a [`RegistryDiff`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceDiff {
    /// Which service.
    pub id: ServiceId,
    /// What of it, in the order of the file's sections.
    pub fields: Vec<FieldDiff>,
}

/// One field that changed. Values are left out: they may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldDiff {
    /// As the file writes it, below the service: `deployment.binary.args`, `deployment.binary.env.LOG_LEVEL`.
    pub name: String,
    /// When an edit of it counts.
    pub effect: TakesEffect,
}

/// When an edit counts for what runs already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TakesEffect {
    /// At once.
    AtOnce,
    /// With the next start.
    WithNextStart,
}

impl fmt::Display for TakesEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AtOnce => "at once",
            Self::WithNextStart => "with the next start",
        })
    }
}

impl RegistryDiff {
    /// Compares two registries. Costs as much as both are long. Order in the file is no difference.
    pub fn between(old: &Registry, new: &Registry) -> Self {
        let before: HashMap<&ServiceId, &ServiceSpec> =
            old.services.iter().map(|spec| (&spec.id, spec.as_ref())).collect();
        let after: HashMap<&ServiceId, &ServiceSpec> =
            new.services.iter().map(|spec| (&spec.id, spec.as_ref())).collect();
        let mut diff = Self::default();
        for spec in &new.services {
            match before.get(&spec.id) {
                None => diff.added.push(spec.id.clone()),
                Some(old) => {
                    let changed = ServiceDiff::between(old, spec);
                    if !changed.fields.is_empty() {
                        diff.changed.push(changed);
                    }
                }
            }
        }
        diff.removed = old.services.iter().map(|spec| &spec.id).filter(|id| !after.contains_key(id)).cloned().collect();
        diff
    }

    /// Whether both registries say the same.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }

    /// The services that would have to be restarted, if they run, for all of their edits to count.
    pub fn to_restart(&self) -> impl Iterator<Item = &ServiceId> {
        self.changed.iter().filter(|changed| changed.needs_restart()).map(|changed| &changed.id)
    }
}

impl ServiceDiff {
    /// Compares two specifications of one service.
    pub fn between(old: &ServiceSpec, new: &ServiceSpec) -> Self {
        let mut fields = Fields(Vec::new());
        fields.at_once("type", old.kind == new.kind);
        fields.at_once("category", old.category == new.category);
        fields.at_once("description", old.description == new.description);
        fields.at_once("required_for", old.required_for == new.required_for);
        fields.at_once("dependencies", old.dependencies == new.dependencies);
        fields.at_once("conflicts", old.conflicts == new.conflicts);
        deployment(&mut fields, &old.deployment, &new.deployment);
        let (before, after) = (&old.health_check, &new.health_check);
        fields.at_once("health_check", before.check == after.check);
        fields.at_once("health_check.interval", before.interval == after.interval);
        fields.at_once("health_check.retries", before.retries == after.retries);
        fields.at_once("health_check.timeout", before.timeout == after.timeout);
        fields.at_once("health_check.start_interval", before.start_interval == after.start_interval);
        let (before, after) = (&old.startup, &new.startup);
        fields.at_once("startup.auto_start", before.auto_start == after.auto_start);
        fields.at_once("startup.start_timeout", before.start_timeout == after.start_timeout);
        fields.at_once("startup.start_order", before.start_order == after.start_order);
        fields.at_once("startup.stop_timeout", before.stop_timeout == after.stop_timeout);
        // The shim of a process restarts it by the rule that it was started with.
        let restart = match new.deployment.mode() {
            Mode::Binary => TakesEffect::WithNextStart,
            Mode::Docker | Mode::DockerCompose | Mode::Kubernetes | Mode::Remote => TakesEffect::AtOnce,
        };
        fields.note("startup.restart_on_failure", before.restart_on_failure == after.restart_on_failure, restart);
        Self { id: new.id.clone(), fields: fields.0 }
    }

    /// Whether what runs would have to be restarted for all of it to count.
    pub fn needs_restart(&self) -> bool {
        self.fields.iter().any(|field| field.effect == TakesEffect::WithNextStart)
    }
}

/// What was found so far.
struct Fields(Vec<FieldDiff>);

impl Fields {
    fn note(&mut self, name: impl Into<String>, is_same: bool, effect: TakesEffect) {
        if !is_same {
            self.0.push(FieldDiff { name: name.into(), effect });
        }
    }

    fn at_once(&mut self, name: &str, is_same: bool) {
        self.note(name, is_same, TakesEffect::AtOnce);
    }

    fn with_next_start(&mut self, name: impl Into<String>, is_same: bool) {
        self.note(name, is_same, TakesEffect::WithNextStart);
    }
}

fn deployment(fields: &mut Fields, old: &Deployment, new: &Deployment) {
    match (old, new) {
        (Deployment::Binary(old), Deployment::Binary(new)) => binary(fields, old, new),
        (Deployment::Docker(old), Deployment::Docker(new)) => {
            fields.with_next_start("deployment.docker.image", old.image == new.image);
            fields.with_next_start("deployment.docker.container_name", old.container_name == new.container_name);
            fields.with_next_start("deployment.docker.ports", old.ports == new.ports);
            fields.with_next_start("deployment.docker.volumes", old.volumes == new.volumes);
            fields.with_next_start("deployment.docker.restart_policy", old.restart_policy == new.restart_policy);
        }
        (Deployment::DockerCompose(old), Deployment::DockerCompose(new)) => {
            fields.with_next_start("deployment.docker_compose.compose_file", old.compose_file == new.compose_file);
            fields.with_next_start("deployment.docker_compose.service_name", old.service_name == new.service_name);
            fields.with_next_start("deployment.docker_compose.project_name", old.project_name == new.project_name);
        }
        (Deployment::Kubernetes(old), Deployment::Kubernetes(new)) => {
            fields.with_next_start("deployment.kubernetes.namespace", old.namespace == new.namespace);
            fields.with_next_start("deployment.kubernetes.deployment_name", old.deployment_name == new.deployment_name);
            fields.with_next_start("deployment.kubernetes.manifests_path", old.manifests_path == new.manifests_path);
        }
        (Deployment::Remote(old), Deployment::Remote(new)) => {
            // Nothing was launched that could go on as it was.
            fields.at_once("deployment.remote.endpoint", old.endpoint == new.endpoint);
            fields.at_once("deployment.remote.tls_enabled", old.tls_enabled == new.tls_enabled);
            fields.at_once("deployment.remote.auth_token_path", old.auth_token_path == new.auth_token_path);
            fields.at_once("deployment.remote.ca_path", old.ca_path == new.ca_path);
        }
        (Deployment::Remote(_), _) => fields.at_once("deployment.mode", false),
        (
            Deployment::Binary(_) | Deployment::Docker(_) | Deployment::DockerCompose(_) | Deployment::Kubernetes(_),
            _,
        ) => fields.with_next_start("deployment.mode", false),
    }
}

fn binary(fields: &mut Fields, old: &BinarySpec, new: &BinarySpec) {
    let at = |field: &str| format!("deployment.binary.{field}");
    fields.with_next_start(at("binary_path"), old.binary_path == new.binary_path);
    fields.with_next_start(at("args"), old.args == new.args);
    fields.with_next_start(at("working_dir"), is_same_path(old.working_dir.as_deref(), new.working_dir.as_deref()));
    let mut names: BTreeMap<&str, (Option<&Secret>, Option<&Secret>)> = BTreeMap::new();
    for (name, value) in &old.env {
        names.entry(name).or_default().0 = Some(value);
    }
    for (name, value) in &new.env {
        names.entry(name).or_default().1 = Some(value);
    }
    for (name, (before, after)) in names {
        fields.with_next_start(at(&format!("env.{name}")), before == after);
    }
    fields.with_next_start(at("env_file"), is_same_path(old.env_file.as_deref(), new.env_file.as_deref()));
    fields.with_next_start(at("stop_signal"), old.stop_signal == new.stop_signal);
    fields.with_next_start(at("log_on_full"), old.log_on_full == new.log_on_full);
}

/// As text: `a//b` and `a/b` name one file but are two edits, and an edit is what is looked for.
fn is_same_path(one: Option<&Path>, other: Option<&Path>) -> bool {
    one.map(Path::as_os_str) == other.map(Path::as_os_str)
}

#[cfg(test)]
mod tests {
    use super::{RegistryDiff, ServiceDiff};
    use crate::model::{Check, Deployment, OnFull, RemoteSpec, RestartOnFailure, Secret, ServiceSpec};
    use crate::testkit::builders::{ids, registry, service};
    use std::time::Duration;

    /// The names of what changed; what needs a restart ends with `!`.
    fn changed(edit: impl FnOnce(&mut ServiceSpec)) -> Vec<String> {
        let old = service("web", "database");
        let mut new = old.clone();
        edit(&mut new);
        let diff = ServiceDiff::between(&old, &new);
        let mark = |effect| if effect == super::TakesEffect::WithNextStart { "!" } else { "" };
        diff.fields.iter().map(|field| format!("{}{}", field.name, mark(field.effect))).collect()
    }

    fn binary(spec: &mut ServiceSpec) -> &mut crate::model::BinarySpec {
        match &mut spec.deployment {
            Deployment::Binary(binary) => binary,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn added_changed_and_removed_services_are_told_apart_and_the_rest_is_left_out() {
        let old = registry([service("a", ""), service("b", ""), service("c", "")]);
        let mut edited = service("c", "");
        edited.description = "another".to_owned();
        let new = registry([service("d", ""), edited, service("a", "")]);
        let diff = RegistryDiff::between(&old, &new);
        assert_eq!((&diff.added, &diff.removed), (&ids("d"), &ids("b")));
        assert_eq!(diff.changed.iter().map(|changed| changed.id.as_str()).collect::<Vec<_>>(), ["c"]);
        assert_eq!(diff.to_restart().count(), 0);
    }

    #[test]
    fn another_order_in_the_file_is_no_difference() {
        let diff = RegistryDiff::between(
            &registry([service("a", ""), service("b", "a")]),
            &registry([service("b", "a"), service("a", "")]),
        );
        assert!(diff.is_empty(), "{diff:?}");
    }

    #[test]
    fn what_is_executed_needs_a_restart() {
        assert_eq!(changed(|spec| binary(spec).args.push("-v".to_owned())), ["deployment.binary.args!"]);
        assert_eq!(changed(|spec| binary(spec).stop_signal = 2), ["deployment.binary.stop_signal!"]);
        assert_eq!(changed(|spec| binary(spec).log_on_full = OnFull::Block), ["deployment.binary.log_on_full!"]);
        let remote =
            RemoteSpec { endpoint: "http://x".to_owned(), tls_enabled: false, auth_token_path: None, ca_path: None };
        assert_eq!(changed(|spec| spec.deployment = Deployment::Remote(remote)), ["deployment.mode!"]);
        let up_to_five = RestartOnFailure::UpTo { max_restarts: 5 };
        assert_eq!(
            changed(|spec| spec.startup.restart_on_failure = up_to_five),
            ["startup.restart_on_failure!"],
            "the shim has the rule from the start"
        );
    }

    #[test]
    fn nothing_was_launched_of_what_runs_elsewhere() {
        let remote = |endpoint: &str| RemoteSpec {
            endpoint: endpoint.to_owned(),
            tls_enabled: false,
            auth_token_path: None,
            ca_path: None,
        };
        let [mut old, mut new] = [service("a", ""), service("a", "")];
        old.deployment = Deployment::Remote(remote("http://x"));
        new.deployment = Deployment::Remote(remote("http://y"));
        assert!(!ServiceDiff::between(&old, &new).needs_restart());
        assert!(!ServiceDiff::between(&old, &service("a", "")).needs_restart());
    }

    #[test]
    fn what_the_engine_reads_counts_at_once() {
        let edits = changed(|spec| {
            spec.description = "another".to_owned();
            spec.dependencies.clear();
            spec.health_check.check = Check::Tcp { host: "localhost".to_owned(), port: 9 };
            spec.health_check.interval = Duration::from_secs(1);
            spec.startup.auto_start = true;
            spec.startup.stop_timeout = Duration::from_secs(1);
        });
        let expected = [
            "description",
            "dependencies",
            "health_check",
            "health_check.interval",
            "startup.auto_start",
            "startup.stop_timeout",
        ];
        assert_eq!(edits, expected);
    }

    #[test]
    fn variables_are_named_and_their_values_are_not() {
        let mut old = service("web", "");
        binary(&mut old).env.insert("KEPT".to_owned(), Secret::new("1"));
        binary(&mut old).env.insert("GONE".to_owned(), Secret::new("1"));
        binary(&mut old).env.insert("TOKEN".to_owned(), Secret::new("hunter1"));
        let mut new = old.clone();
        binary(&mut new).env.remove("GONE");
        binary(&mut new).env.insert("TOKEN".to_owned(), Secret::new("hunter2"));
        binary(&mut new).env.insert("NEW".to_owned(), Secret::new("1"));
        let diff = ServiceDiff::between(&old, &new);
        let names: Vec<&str> = diff.fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["GONE", "NEW", "TOKEN"].map(|name| format!("deployment.binary.env.{name}")));
        assert!(!format!("{diff:?}").contains("hunter"));
    }
}
