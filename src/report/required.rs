//! O6: what an operation of the platform needs, and whether it is there.

use serde::Serialize;

use super::text::safe;
use crate::model::{Registry, ServiceId, Snapshot, StateKind};

/// `services check OPERATION --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CheckReport {
    /// The operation, as given.
    pub operation: String,
    /// The services that name it in `required_for`, in registry order.
    pub required: Vec<String>,
    /// Whether each of them runs. True when none is required.
    pub all_running: bool,
    /// Those that do not run.
    pub not_running: Vec<String>,
    /// Every operation that the registry names, in the order in which it names them first.
    pub known_operations: Vec<String>,
}

impl CheckReport {
    /// The answer for `operation`, whose name has to match exactly (A11).
    pub fn new(operation: &str, snapshot: &Snapshot) -> Self {
        let not_running = not_running(operation, snapshot);
        Self {
            operation: operation.to_owned(),
            required: required(operation, &snapshot.registry).map(ToString::to_string).collect(),
            all_running: not_running.is_empty(),
            not_running: not_running.iter().map(ToString::to_string).collect(),
            known_operations: known_operations(&snapshot.registry).into_iter().map(str::to_owned).collect(),
        }
    }

    /// O6.
    pub fn text(&self) -> String {
        let required = if self.required.is_empty() { "none".to_owned() } else { self.required.join(", ") };
        let mut text = format!(
            "Operation: {}\nRequired services: {required}\nAll running: {}\n",
            safe(&self.operation),
            self.all_running
        );
        if !self.not_running.is_empty() {
            text.push_str(&format!("Not running: {}\n", self.not_running.join(", ")));
        }
        text
    }

    /// What is said of an operation that no service names (R108); `None` for one that is named.
    pub fn unknown_note(&self) -> Option<String> {
        if !self.required.is_empty() {
            return None;
        }
        let known = if self.known_operations.is_empty() {
            "no service names any operation in `required_for`".to_owned()
        } else {
            format!("the known operations are {}", self.known_operations.join(", "))
        };
        Some(format!("note: no service is required for {}; {known}", self.operation))
    }
}

/// The services that name `operation` in `required_for`, in registry order.
pub fn required<'a>(operation: &'a str, registry: &'a Registry) -> impl Iterator<Item = &'a ServiceId> {
    registry
        .services
        .iter()
        .filter(move |spec| spec.required_for.iter().any(|name| name == operation))
        .map(|spec| &spec.id)
}

/// Those of the required services that do not run, in registry order.
pub fn not_running(operation: &str, snapshot: &Snapshot) -> Vec<ServiceId> {
    let runs =
        |id: &ServiceId| snapshot.service(id.as_str()).is_some_and(|service| service.kind() == StateKind::Running);
    required(operation, &snapshot.registry).filter(|id| !runs(id)).cloned().collect()
}

/// Every operation that a service is required for, each once, in the order of first mention.
pub fn known_operations(registry: &Registry) -> Vec<&str> {
    let mut known: Vec<&str> = Vec::new();
    for name in registry.services.iter().flat_map(|spec| &spec.required_for) {
        if !known.contains(&name.as_str()) {
            known.push(name);
        }
    }
    known
}
