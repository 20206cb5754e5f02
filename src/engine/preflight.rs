//! Gathers the facts that [`crate::preflight::judge`] judges, for all services of a plan at once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::future::join_all;

use super::handle::Examination;
use super::supervisor::Ports;
use crate::graph::Graph;
use crate::model::{Instance, Mode, ServiceId, ServiceSpec, Snapshot};
use crate::preflight::{
    CheckKind, Conflict, ConflictKind, DependencyFact, Facts, Finding, Platform, PortFact, Surveyed, Verdict, judge,
    judge_host,
};

/// The findings of each of `services`, which are in startup order so that a dependency's findings are known when its dependents are judged.
pub(super) async fn check_all(
    services: &[ServiceId],
    snapshot: &Snapshot,
    graph: &Graph,
    ports: &Ports,
) -> HashMap<ServiceId, Vec<Finding>> {
    let specs: Vec<&Arc<ServiceSpec>> =
        services.iter().filter_map(|id| snapshot.service(id.as_str())).map(|service| &service.spec).collect();
    let gathered = join_all(specs.iter().map(|spec| gather(spec, snapshot, ports))).await;
    let mut findings: HashMap<ServiceId, Vec<Finding>> = HashMap::new();
    for (spec, mut facts) in specs.iter().zip(gathered) {
        facts.dependencies = dependency_facts(spec, snapshot, graph, &findings);
        findings.insert(spec.id.clone(), judge(spec, &facts));
    }
    findings
}

/// Everything about all services, and the machine as a whole.
pub(super) async fn examine(snapshot: &Snapshot, graph: &Graph, ports: &Ports) -> Examination {
    let uses = |wanted: &[Mode]| {
        let is_used = snapshot.services.iter().any(|service| wanted.contains(&service.spec.deployment.mode()));
        if is_used { Platform::Used } else { Platform::Unused }
    };
    let asked = Surveyed {
        n_binary: snapshot.services.iter().filter(|service| service.spec.deployment.mode() == Mode::Binary).count(),
        uses_docker: uses(&[Mode::Docker, Mode::DockerCompose]),
        uses_kubernetes: uses(&[Mode::Kubernetes]),
    };
    // Who is in a circle, or above one, has no place in the order; what else keeps it from starting is worth knowing all the same.
    let mut order = graph.startup_order().to_vec();
    let ordered: HashSet<&ServiceId> = graph.startup_order().iter().collect();
    let rest = snapshot.services.iter().map(|service| service.id()).filter(|id| !ordered.contains(id)).cloned();
    order.extend(rest.collect::<Vec<_>>());
    let (survey, mut findings) = tokio::join!(ports.host.survey(asked), check_all(&order, snapshot, graph, ports));
    let services = snapshot.services.iter().map(|service| {
        let id = service.id().clone();
        let mut found = findings.remove(&id).unwrap_or_default();
        found.extend(graph.cycle_below(&id).map(circle));
        (id, found)
    });
    Examination { host: survey.as_ref().map(judge_host).unwrap_or_default(), services: services.collect() }
}

/// A service in a circle, or above one, cannot be started (M18).
fn circle(circle: &[ServiceId]) -> Finding {
    let names: Vec<&str> = circle.iter().map(ServiceId::as_str).collect();
    Finding {
        check: CheckKind::Dependencies,
        verdict: Verdict::Failed,
        message: format!("Circular dependency: {}", names.join(" -> ")),
        remedy: Some("take one of these dependencies away".to_owned()),
    }
}

async fn gather(spec: &ServiceSpec, snapshot: &Snapshot, ports: &Ports) -> Facts {
    let (requirements, taken, strangers) = tokio::join!(
        ports.backend.requirements(spec),
        taken_ports(spec, snapshot, ports),
        unregistered_conflicts(spec, snapshot, ports),
    );
    let mut conflicts = registered_conflicts(spec, snapshot);
    conflicts.extend(strangers);
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

async fn unregistered_conflicts(spec: &ServiceSpec, snapshot: &Snapshot, ports: &Ports) -> Vec<Conflict> {
    let names: Vec<String> = spec.conflicts.iter().filter(|name| snapshot.service(name).is_none()).cloned().collect();
    if names.is_empty() { Vec::new() } else { ports.host.running_strangers(&names).await }
}

/// A dependency is available when it runs, or when its own checks pass (R169).
fn dependency_facts(
    spec: &ServiceSpec,
    snapshot: &Snapshot,
    graph: &Graph,
    findings: &HashMap<ServiceId, Vec<Finding>>,
) -> Vec<DependencyFact> {
    let missing = graph
        .missing(&spec.id)
        .iter()
        .map(|id| DependencyFact { id: id.clone(), problem: Some("is not registered".to_owned()) });
    let registered = graph.dependencies(&spec.id).into_iter().map(|id| {
        let runs = snapshot.service(id.as_str()).is_some_and(|service| service.state.is_alive());
        let problem = if runs {
            None
        } else {
            findings
                .get(&id)
                .and_then(|found| found.iter().find(|finding| finding.verdict == Verdict::Failed))
                .map(|finding| finding.message.clone())
        };
        DependencyFact { id, problem }
    });
    missing.chain(registered).collect()
}
