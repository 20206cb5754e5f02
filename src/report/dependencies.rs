//! O7 and O11: who needs whom, and the order of a start.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::style::Style;
use crate::graph::Graph;
use crate::model::{Registry, ServiceId, ServiceSpec};

/// `services dependencies --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DependenciesReport {
    /// In registry order; only the named one when one was named.
    pub services: Vec<ServiceDependencies>,
    /// Dependencies first: the order of a start. When one was named, what is started before it, and itself.
    pub startup_order: Vec<StartupPlace>,
    /// Circles, each as a path whose first service is repeated at the end.
    pub cycles: Vec<Vec<String>>,
}

/// Who one service needs, and who needs it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ServiceDependencies {
    /// Its name.
    pub name: String,
    /// `platform`, `infrastructure` or `utility`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// One of the seven categories.
    pub category: &'static str,
    /// What it needs directly and is registered, in registry order.
    pub depends_on: Vec<String>,
    /// What it needs directly and is not registered.
    pub not_registered: Vec<String>,
    /// Who needs it directly, in registry order.
    pub required_by: Vec<String>,
    /// The circle that it is in or above; null when there is none. It cannot be started then.
    pub cycle: Option<Vec<String>>,
}

/// A place in the order of a start.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StartupPlace {
    /// Its name.
    pub name: String,
    /// `start_order` of the registry, which decides between services that have no order between them.
    pub order: i64,
}

fn names(ids: &[ServiceId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

impl DependenciesReport {
    /// The report of all services, or of one.
    pub fn new(registry: &Registry, named: Option<&ServiceId>) -> Self {
        let graph = Graph::new(registry);
        let is_asked = |id: &ServiceId| named.is_none_or(|named| named == id);
        let service = |spec: &ServiceSpec| ServiceDependencies {
            name: spec.id.to_string(),
            kind: spec.kind.as_str(),
            category: spec.category.as_str(),
            depends_on: names(&graph.dependencies(&spec.id)),
            not_registered: names(graph.missing(&spec.id)),
            required_by: names(&graph.dependents(&spec.id)),
            cycle: graph.cycle_below(&spec.id).map(names),
        };
        let order: Vec<ServiceId> = match named {
            None => graph.startup_order().to_vec(),
            Some(id) => graph.all_dependencies(id).into_iter().chain([id.clone()]).collect(),
        };
        let orders = start_orders(registry);
        Self {
            services: registry.services.iter().filter(|spec| is_asked(&spec.id)).map(|spec| service(spec)).collect(),
            startup_order: order
                .iter()
                .filter(|id| graph.cycle_below(id).is_none())
                .map(|id| StartupPlace { name: id.to_string(), order: orders.get(id).copied().unwrap_or_default() })
                .collect(),
            cycles: match named {
                None => graph.cycles().iter().map(|path| names(path)).collect(),
                Some(id) => graph.cycle_below(id).map(names).into_iter().collect(),
            },
        }
    }
}

/// O7 for one service; without a name one block each, the startup order as a tree, and the circles (R109 to R114).
pub fn dependencies_text(registry: &Registry, named: Option<&ServiceId>, style: Style) -> String {
    let report = DependenciesReport::new(registry, named);
    let mut text = report.services.iter().map(block).collect::<Vec<_>>().join("\n");
    if named.is_none() {
        let graph = Graph::new(registry);
        if report.services.is_empty() {
            text.push_str("No services are registered\n");
        }
        if !report.startup_order.is_empty() {
            text.push_str("\nStartup order:\n");
            text.push_str(&tree(&graph, &start_orders(registry), style));
        }
        let stuck: Vec<&str> = report
            .services
            .iter()
            .filter(|service| service.cycle.is_some())
            .map(|service| service.name.as_str())
            .collect();
        if !stuck.is_empty() {
            text.push('\n');
            for cycle in &report.cycles {
                let _ = writeln!(text, "Circular dependency: {}", cycle.join(" -> "));
            }
            let _ = writeln!(text, "Cannot be started: {}", stuck.join(", "));
        }
    }
    text
}

fn block(service: &ServiceDependencies) -> String {
    let mut text = format!("## {}\n\n- Type: {}\n- Category: {}\n", service.name, service.kind, service.category);
    let missing: Vec<String> = service.not_registered.iter().map(|name| format!("{name} (not registered)")).collect();
    for (heading, names) in [
        ("Depends on", [service.depends_on.as_slice(), missing.as_slice()].concat()),
        ("Required by", service.required_by.clone()),
    ] {
        if !names.is_empty() {
            let _ = writeln!(text, "- {heading}:");
        }
        for name in names {
            let _ = writeln!(text, "  - {name}");
        }
    }
    if let Some(cycle) = &service.cycle {
        let _ = writeln!(text, "- Circular dependency: {}", cycle.join(" -> "));
    }
    text
}

fn start_orders(registry: &Registry) -> HashMap<ServiceId, i64> {
    registry.services.iter().map(|spec| (spec.id.clone(), spec.startup.start_order)).collect()
}

/// O11. Each service stands once: below the one of its dependencies that comes up last, as far as the depth tells; the first in startup
/// order among equals. What is in or above a circle has no place.
fn tree(graph: &Graph, orders: &HashMap<ServiceId, i64>, style: Style) -> String {
    let placed: Vec<&ServiceId> = graph.startup_order().iter().filter(|id| graph.cycle_below(id).is_none()).collect();
    let mut depths: HashMap<&ServiceId, usize> = HashMap::with_capacity(placed.len());
    let mut children: HashMap<ServiceId, Vec<&ServiceId>> = HashMap::new();
    let mut roots = Vec::new();
    for id in placed {
        let mut below = graph.dependencies(id);
        below.sort_by_key(|dependency| graph.startup_rank(dependency));
        let mut parent: Option<(usize, ServiceId)> = None;
        for dependency in below {
            let depth = depths.get(&dependency).copied().unwrap_or_default();
            if parent.as_ref().is_none_or(|(deepest, _)| depth > *deepest) {
                parent = Some((depth, dependency));
            }
        }
        match parent {
            None => {
                depths.insert(id, 0);
                roots.push(id);
            }
            Some((depth, parent)) => {
                depths.insert(id, depth + 1);
                children.entry(parent).or_default().push(id);
            }
        }
    }
    let (branch, last, line) = match style {
        Style::Emoji => ("├─> ", "└─> ", "│   "),
        Style::Ascii => ("|-> ", "`-> ", "|   "),
    };
    let mut text = String::new();
    // Its own stack: a chain of any length is drawn. Each entry is a service, what stands before its name, and before those below it.
    let mut open: Vec<(&ServiceId, String, String)> =
        roots.into_iter().rev().map(|id| (id, String::new(), String::new())).collect();
    while let Some((id, before, below)) = open.pop() {
        let _ = writeln!(text, "{before}{id} (order: {})", orders.get(id).copied().unwrap_or_default());
        for (place, child) in children.get(id).into_iter().flatten().rev().enumerate() {
            let (sign, rest) = if place == 0 { (last, "    ") } else { (branch, line) };
            open.push((child, format!("{below}{sign}"), format!("{below}{rest}")));
        }
    }
    text
}
