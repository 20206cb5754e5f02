//! Gathers the facts that [`crate::preflight::judge`] judges, for all services of a plan at once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::future::join_all;

use super::handle::Inspection;
use super::supervisor::Ports;
use crate::graph::Graph;
use crate::model::{Instance, ServiceId, ServiceSpec, Snapshot};
use crate::preflight::{
    Conflict, ConflictKind, DependencyFact, Facts, Finding, PortFact, Verdict, judge, judge_circumstances,
    judge_requirements,
};

/// The findings of each of `services`, which are in startup order so that a dependency's findings are known when its dependents are judged.
pub(super) async fn check_all(
    services: &[ServiceId],
    snapshot: &Snapshot,
    graph: &Graph,
    ports: &Ports,
) -> HashMap<ServiceId, Vec<Finding>> {
    let facts = facts_of_all(services, snapshot, graph, ports).await;
    facts.into_iter().map(|(spec, facts)| (spec.id.clone(), judge(&spec, &facts))).collect()
}

/// The same findings, apart by whether they hold whatever else runs. In the order of `services`, which are in startup order.
pub(super) async fn inspect_all(
    services: &[ServiceId],
    snapshot: &Snapshot,
    graph: &Graph,
    ports: &Ports,
) -> Vec<Inspection> {
    let facts = facts_of_all(services, snapshot, graph, ports).await;
    let inspection = |(spec, facts): (Arc<ServiceSpec>, Facts)| Inspection {
        requirements: judge_requirements(&facts),
        circumstances: judge_circumstances(&spec, &facts),
        service: spec.id.clone(),
    };
    facts.into_iter().map(inspection).collect()
}

async fn facts_of_all(
    services: &[ServiceId],
    snapshot: &Snapshot,
    graph: &Graph,
    ports: &Ports,
) -> Vec<(Arc<ServiceSpec>, Facts)> {
    let specs: Vec<Arc<ServiceSpec>> = services
        .iter()
        .filter_map(|id| snapshot.service(id.as_str()))
        .map(|service| Arc::clone(&service.spec))
        .collect();
    let strangers = strangers(&specs, snapshot, ports).await;
    let gathered = join_all(specs.iter().map(|spec| gather(spec, &strangers, snapshot, ports))).await;
    // What keeps each from starting, by name: what its dependents have to know.
    let mut problems: HashMap<ServiceId, String> = HashMap::new();
    let mut all = Vec::with_capacity(specs.len());
    for (spec, mut facts) in specs.into_iter().zip(gathered) {
        facts.dependencies = dependency_facts(&spec, snapshot, graph, &problems);
        if let Some(failed) = judge(&spec, &facts).into_iter().find(|finding| finding.verdict == Verdict::Failed) {
            problems.insert(spec.id.clone(), failed.message);
        }
        all.push((spec, facts));
    }
    all
}

async fn gather(spec: &ServiceSpec, strangers: &[Conflict], snapshot: &Snapshot, ports: &Ports) -> Facts {
    let (requirements, taken) = tokio::join!(ports.backend.requirements(spec), taken_ports(spec, snapshot, ports));
    let mut conflicts = registered_conflicts(spec, snapshot);
    conflicts.extend(strangers.iter().filter(|stranger| spec.conflicts.contains(&stranger.name)).cloned());
    // As the registry names them, whoever was found first.
    conflicts.sort_by_key(|conflict| spec.conflicts.iter().position(|name| *name == conflict.name));
    Facts { requirements, ports: taken, conflicts, dependencies: Vec::new() }
}

/// A port that is held by the service itself is no conflict (R187).
async fn taken_ports(spec: &ServiceSpec, snapshot: &Snapshot, ports: &Ports) -> Vec<PortFact> {
    let Some(port) = spec.health_port() else {
        return Vec::new();
    };
    let Some(holder) = ports.host.port_holder(port).await else {
        return Vec::new();
    };
    let own = snapshot.service(spec.id.as_str()).and_then(|service| service.state.instance()).and_then(Instance::pid);
    let is_own = match (holder.pid, own) {
        (Some(pid), Some(own)) => ports.host.is_descendant(pid, own),
        (None, _) | (_, None) => false,
    };
    if is_own { Vec::new() } else { vec![PortFact { port, holder }] }
}

/// Registered conflicts count in both directions (A53).
fn registered_conflicts(spec: &ServiceSpec, snapshot: &Snapshot) -> Vec<Conflict> {
    snapshot
        .services
        .iter()
        .filter(|other| other.id() != &spec.id && other.state.is_alive())
        .filter(|other| {
            spec.conflicts.iter().any(|name| name == other.id().as_str())
                || other.spec.conflicts.iter().any(|name| name == spec.id.as_str())
        })
        .map(|other| Conflict { name: other.id().to_string(), kind: ConflictKind::Service })
        .collect()
}

/// What runs of all the unregistered names that any of `specs` conflicts with: every process is looked at once, and not once a service.
async fn strangers(specs: &[Arc<ServiceSpec>], snapshot: &Snapshot, ports: &Ports) -> Vec<Conflict> {
    let mut seen = HashSet::new();
    let names: Vec<String> = specs
        .iter()
        .flat_map(|spec| &spec.conflicts)
        .filter(|name| seen.insert(name.as_str()) && snapshot.service(name).is_none())
        .cloned()
        .collect();
    if names.is_empty() { Vec::new() } else { ports.host.running_strangers(&names).await }
}

/// A dependency is available when it runs, or when its own checks pass (R169).
fn dependency_facts(
    spec: &ServiceSpec,
    snapshot: &Snapshot,
    graph: &Graph,
    problems: &HashMap<ServiceId, String>,
) -> Vec<DependencyFact> {
    let missing = graph
        .missing(&spec.id)
        .iter()
        .map(|id| DependencyFact { id: id.clone(), problem: Some("is not registered".to_owned()) });
    let registered = graph.dependencies(&spec.id).into_iter().map(|id| {
        let runs = snapshot.service(id.as_str()).is_some_and(|service| service.state.is_alive());
        let problem = if runs { None } else { problems.get(&id).cloned() };
        DependencyFact { id, problem }
    });
    missing.chain(registered).collect()
}
