//! Gathers the facts that [`crate::preflight::judge`] judges, for all services of a plan at once.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures::future::join_all;

use super::handle::Inspection;
use super::supervisor::Ports;
use crate::graph::Graph;
use crate::model::{HostPort, Instance, Mode, ServiceId, ServiceSnapshot, ServiceSpec, Snapshot};
use crate::preflight::{
    Conflict, ConflictKind, DependencyFact, Facts, Finding, Platform, PortFact, PortHolder, Requirement, Surveyed,
    Verdict, judge, judge_circumstances, judge_requirements,
};

/// How many ports of one service are looked at: the rest of a long published range is left to its engine to refuse.
const MAX_PORTS: usize = 64;

/// The findings of each of `services`, which are in startup order so that a dependency's findings are known when its dependents are judged.
///
/// The machine is looked at once for all of them: a look costs the same for one service as for hundreds.
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

/// What the services ask of the machine.
pub(super) fn asked_of_the_machine(snapshot: &Snapshot) -> Surveyed {
    let count = |modes: &[Mode]| {
        snapshot.services.iter().filter(|service| modes.contains(&service.spec.deployment.mode())).count()
    };
    let uses = |modes: &[Mode]| if count(modes) > 0 { Platform::Used } else { Platform::Unused };
    Surveyed {
        n_binary: count(&[Mode::Binary]),
        uses_docker: uses(&[Mode::Docker, Mode::DockerCompose]),
        uses_kubernetes: uses(&[Mode::Kubernetes]),
    }
}

async fn facts_of_all(
    services: &[ServiceId],
    snapshot: &Snapshot,
    graph: &Graph,
    ports: &Ports,
) -> Vec<(Arc<ServiceSpec>, Facts)> {
    let known: HashMap<&str, &ServiceSnapshot> =
        snapshot.services.iter().map(|service| (service.id().as_str(), &**service)).collect();
    let checked: Vec<&ServiceSnapshot> = services.iter().filter_map(|id| known.get(id.as_str()).copied()).collect();
    let requirements = join_all(checked.iter().map(|service| ports.backend.requirements(&service.spec)));
    let (requirements, taken, strangers) =
        tokio::join!(requirements, taken_ports(&checked, ports), strangers(&checked, &known, ports));
    // What keeps each from starting, by name: what its dependents have to know.
    let mut problems: HashMap<ServiceId, String> = HashMap::new();
    let mut all = Vec::with_capacity(checked.len());
    for (service, requirements) in checked.into_iter().zip(requirements) {
        let spec = &service.spec;
        let conflicts = conflicts(spec, snapshot, &strangers);
        let mut taken = port_facts(service, &taken, snapshot, ports);
        // Ports that only its adapter knows.
        taken.extend(requirements.iter().filter_map(|requirement| match requirement {
            Requirement::PublishedPort { port, holder } => Some(port_fact(*port, holder, snapshot, ports)),
            _ => None,
        }));
        taken.retain(|fact| !is_told_by(&conflicts, fact));
        let facts = Facts {
            requirements,
            ports: taken,
            conflicts,
            dependencies: dependency_facts(spec, &known, graph, &problems),
        };
        if let Some(failed) = judge(spec, &facts).into_iter().find(|finding| finding.verdict == Verdict::Failed) {
            problems.insert(spec.id.clone(), failed.message);
        }
        all.push((Arc::clone(spec), facts));
    }
    all
}

async fn taken_ports(services: &[&ServiceSnapshot], ports: &Ports) -> HashMap<HostPort, PortHolder> {
    let wanted: Vec<HostPort> = services.iter().flat_map(|service| wanted_ports(&service.spec)).collect();
    ports.host.port_holders(&wanted).await
}

/// A port that is held by the service itself is no conflict (R187).
fn port_facts(
    service: &ServiceSnapshot,
    taken: &HashMap<HostPort, PortHolder>,
    snapshot: &Snapshot,
    ports: &Ports,
) -> Vec<PortFact> {
    let fact = |port: HostPort| {
        let holder = taken.get(&port)?;
        if holds(service, port, holder, ports) {
            return None;
        }
        Some(port_fact(port, holder, snapshot, ports))
    };
    wanted_ports(&service.spec).filter_map(fact).collect()
}

fn port_fact(port: HostPort, holder: &PortHolder, snapshot: &Snapshot, ports: &Ports) -> PortFact {
    let owner = snapshot.services.iter().find(|other| holds(other, port, holder, ports));
    PortFact { port, holder: holder.clone(), service: owner.map(|owner| owner.id().clone()) }
}

fn wanted_ports(spec: &ServiceSpec) -> impl Iterator<Item = HostPort> + use<> {
    spec.host_ports().into_iter().take(MAX_PORTS)
}

/// Whether it is this service that holds the port.
fn holds(service: &ServiceSnapshot, port: HostPort, holder: &PortHolder, ports: &Ports) -> bool {
    let Some(running) = service.state.instance() else { return false };
    match running {
        // Its engine holds what it publishes: it would not run otherwise.
        Instance::Container { .. } => service
            .spec
            .published_ports()
            .iter()
            .any(|it| it.protocol == port.protocol && it.host.contains(&port.number)),
        Instance::Process(_) | Instance::Deployment { .. } | Instance::Endpoint(_) => {
            holder.pid.zip(running.pid()).is_some_and(|(pid, top)| ports.host.is_of_tree(pid, top))
        }
    }
}

/// Whether what holds the port is a conflict already: the registry's own words for it say more than the port.
fn is_told_by(conflicts: &[Conflict], fact: &PortFact) -> bool {
    conflicts.iter().any(|conflict| match conflict.kind {
        ConflictKind::Service => fact.service.as_ref().is_some_and(|service| service.as_str() == conflict.name),
        ConflictKind::Process { pid } => fact.holder.pid == Some(pid),
        ConflictKind::SystemdUnit | ConflictKind::Container => false,
    })
}

/// What runs of all names that are conflicts and no services of ours.
async fn strangers(
    services: &[&ServiceSnapshot],
    known: &HashMap<&str, &ServiceSnapshot>,
    ports: &Ports,
) -> Vec<Conflict> {
    let names: BTreeSet<&String> = services.iter().flat_map(|service| &service.spec.conflicts).collect();
    let names: Vec<String> = names.into_iter().filter(|name| !known.contains_key(name.as_str())).cloned().collect();
    if names.is_empty() { Vec::new() } else { ports.host.running_strangers(&names).await }
}

/// As the registry names them, whoever was found first.
fn conflicts(spec: &ServiceSpec, snapshot: &Snapshot, strangers: &[Conflict]) -> Vec<Conflict> {
    let mut conflicts = registered_conflicts(spec, snapshot);
    conflicts.extend(strangers.iter().filter(|found| spec.conflicts.contains(&found.name)).cloned());
    conflicts.sort_by_key(|conflict| spec.conflicts.iter().position(|name| *name == conflict.name));
    conflicts
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

/// A dependency is available when it runs, or when its own checks pass (R169).
fn dependency_facts(
    spec: &ServiceSpec,
    known: &HashMap<&str, &ServiceSnapshot>,
    graph: &Graph,
    problems: &HashMap<ServiceId, String>,
) -> Vec<DependencyFact> {
    let missing = graph
        .missing(&spec.id)
        .iter()
        .map(|id| DependencyFact { id: id.clone(), problem: Some("is not registered".to_owned()) });
    let registered = graph.dependencies(&spec.id).into_iter().map(|id| {
        let runs = known.get(id.as_str()).is_some_and(|service| service.state.is_alive());
        let problem = if runs { None } else { problems.get(&id).cloned() };
        DependencyFact { id, problem }
    });
    missing.chain(registered).collect()
}
