//! What a plan is made from: the graph and the states, with look-ups that stay quick for thousands of services.

use std::collections::{HashMap, HashSet};

use super::{Refusal, Targets, Verb};
use crate::graph::Graph;
use crate::model::{Deployment, Instance, Mode, ServiceId, ServiceSnapshot, ServiceState, Severity, Snapshot};

/// Less alike than this, and a name is no help to one who mistyped another.
const LIKENESS: f64 = 0.75;

/// More suggestions than this are noise.
const MAX_SUGGESTIONS: usize = 3;

/// Graph and states at one moment.
pub(super) struct Board<'a> {
    pub(super) graph: &'a Graph,
    snapshot: &'a Snapshot,
    services: HashMap<&'a ServiceId, &'a ServiceSnapshot>,
    /// Services that left the registry while they ran: they can be stopped, and nothing else.
    strangers: HashSet<&'a ServiceId>,
}

impl<'a> Board<'a> {
    pub(super) fn new(graph: &'a Graph, snapshot: &'a Snapshot) -> Self {
        let services = snapshot.services.iter().map(|service| (service.id(), service.as_ref())).collect();
        let mut strangers: HashSet<&ServiceId> = snapshot.services.iter().map(|service| service.id()).collect();
        for spec in &snapshot.registry.services {
            strangers.remove(&spec.id);
        }
        Self { graph, snapshot, services, strangers }
    }

    /// The state of a service; `None` for one that the snapshot does not have yet.
    pub(super) fn state(&self, id: &ServiceId) -> Option<&'a ServiceState> {
        self.services.get(id).map(|service| &service.state)
    }

    /// Whether something of it lives.
    pub(super) fn is_alive(&self, id: &ServiceId) -> bool {
        self.state(id).is_some_and(ServiceState::is_alive)
    }

    /// Whether it runs and was not told to stop: a start has nothing to do.
    pub(super) fn is_up(&self, id: &ServiceId) -> bool {
        match self.state(id) {
            Some(ServiceState::Starting { .. } | ServiceState::Running { .. }) => true,
            Some(
                ServiceState::Unknown { .. }
                | ServiceState::Stopped
                | ServiceState::Waiting { .. }
                | ServiceState::Launching { .. }
                | ServiceState::Stopping { .. }
                | ServiceState::Backoff { .. }
                | ServiceState::Failed { .. },
            )
            | None => false,
        }
    }

    /// Whether a stop has something to do: it lives, or is about to by itself or by an earlier request. A stop beats both.
    pub(super) fn is_stoppable(&self, id: &ServiceId) -> bool {
        match self.state(id) {
            Some(
                ServiceState::Waiting { .. }
                | ServiceState::Launching { .. }
                | ServiceState::Starting { .. }
                | ServiceState::Running { .. }
                | ServiceState::Stopping { .. }
                | ServiceState::Backoff { .. },
            ) => true,
            Some(ServiceState::Unknown { .. } | ServiceState::Stopped | ServiceState::Failed { .. }) | None => false,
        }
    }

    /// Where it runs, if that is a place where this tool can neither stop nor restart it. What was started here before the registry said
    /// otherwise can be stopped.
    pub(super) fn check_is_here(&self, id: &ServiceId) -> Result<(), Refusal> {
        let Some(service) = self.services.get(id) else { return Ok(()) };
        let is_elsewhere = match (&service.state, service.state.instance()) {
            (_, Some(Instance::Endpoint(_))) => true,
            (_, Some(Instance::Process(_) | Instance::Container { .. } | Instance::Deployment { .. }))
            | (ServiceState::Backoff { .. }, None) => false,
            (
                ServiceState::Unknown { .. }
                | ServiceState::Stopped
                | ServiceState::Waiting { .. }
                | ServiceState::Launching { .. }
                | ServiceState::Starting { .. }
                | ServiceState::Running { .. }
                | ServiceState::Stopping { .. }
                | ServiceState::Failed { .. },
                None,
            ) => service.spec.deployment.mode() == Mode::Remote,
        };
        match &service.spec.deployment {
            Deployment::Remote(remote) if is_elsewhere => {
                Err(Refusal::RunsElsewhere { service: id.clone(), place: remote.shown_endpoint() })
            }
            Deployment::Remote(_)
            | Deployment::Binary(_)
            | Deployment::Docker(_)
            | Deployment::DockerCompose(_)
            | Deployment::Kubernetes(_) => Ok(()),
        }
    }

    /// Whether it runs where it cannot be stopped from here.
    pub(super) fn is_elsewhere(&self, id: &ServiceId) -> bool {
        self.check_is_here(id).is_err()
    }

    /// Whether `platform start` without names starts it.
    pub(super) fn is_auto_start(&self, id: &ServiceId) -> bool {
        !self.strangers.contains(id) && self.services.get(id).is_some_and(|service| service.spec.startup.auto_start)
    }

    /// The named targets, each once, in the order given; or of all services those that `belongs` says, in registry order.
    pub(super) fn targets(&self, targets: &Targets, belongs: impl Fn(&ServiceId) -> bool) -> Vec<ServiceId> {
        match targets {
            Targets::All => self.graph.services().filter(|id| belongs(id)).cloned().collect(),
            Targets::Named(names) => {
                let mut seen = HashSet::with_capacity(names.len());
                names.iter().filter(|name| seen.insert(*name)).cloned().collect()
            }
        }
    }

    /// Whether a service may be started: nothing that it needs, at any depth, is missing or circular.
    pub(super) fn check_startable(&self, id: &ServiceId) -> Result<(), Refusal> {
        if let Some(path) = self.graph.cycle_below(id) {
            return Err(Refusal::Cycle { service: id.clone(), path: path.to_vec() });
        }
        match self.graph.missing_below(id) {
            Some((service, dependency)) => {
                Err(Refusal::MissingDependency { service: service.clone(), dependency: dependency.clone() })
            }
            None => self.check_for_strangers(id),
        }
    }

    /// What left the registry is not started again, so nothing may rely on that.
    fn check_for_strangers(&self, id: &ServiceId) -> Result<(), Refusal> {
        if self.strangers.is_empty() {
            return Ok(());
        }
        if self.strangers.contains(id) {
            return Err(left_the_registry(id));
        }
        let below = self.graph.all_dependencies(id);
        match below.into_iter().find(|dependency| self.strangers.contains(dependency)) {
            Some(dependency) => Err(Refusal::MissingDependency { service: id.clone(), dependency }),
            None => Ok(()),
        }
    }

    /// Whether all of these are known: registered, or, for a stop, running although they left the registry.
    pub(super) fn check_names(&self, names: &[ServiceId], verb: Verb) -> Result<(), Refusal> {
        let is_stop = matches!(verb, Verb::Stop | Verb::StopForced { .. });
        for name in names {
            if !self.graph.contains(name) {
                return Err(self.unknown(name));
            }
            if !is_stop && self.strangers.contains(name) {
                return Err(left_the_registry(name));
            }
        }
        Ok(())
    }

    fn unknown(&self, name: &ServiceId) -> Refusal {
        let registry = &self.snapshot.registry;
        if registry.set_aside.iter().any(|other| other == name.as_str()) {
            let reason = registry
                .issues_of(name.as_str())
                .find(|found| found.severity == Severity::Error)
                .map_or_else(|| "the registry's diagnostics say why".to_owned(), ToString::to_string);
            return Refusal::SetAside { name: name.clone(), reason };
        }
        let given = name.as_str().to_ascii_lowercase();
        let mut alike: Vec<(f64, &ServiceId)> = self
            .graph
            .services()
            .map(|id| (strsim::jaro_winkler(&given, &id.as_str().to_ascii_lowercase()), id))
            .filter(|(likeness, _)| *likeness >= LIKENESS)
            .collect();
        // A stable sort: equally alike names stay in registry order.
        alike.sort_by(|(left, _), (right, _)| right.total_cmp(left));
        let near = alike.into_iter().take(MAX_SUGGESTIONS).map(|(_, id)| id.clone()).collect();
        Refusal::UnknownService { name: name.clone(), near }
    }

    /// Running services outside `acting` that need one of `below` at any depth: by service of `below`, each list in registry order.
    pub(super) fn running_dependents(
        &self,
        below: &HashSet<ServiceId>,
        acting: &HashSet<ServiceId>,
    ) -> HashMap<ServiceId, Vec<ServiceId>> {
        let mut found: HashMap<ServiceId, Vec<ServiceId>> = HashMap::new();
        // From the outside down: whoever stops everything has no outsiders, so that the usual big case costs nothing.
        for outsider in self.graph.services().filter(|id| self.is_alive(id) && !acting.contains(*id)) {
            for dependency in self.graph.all_dependencies(outsider) {
                if below.contains(&dependency) {
                    found.entry(dependency).or_default().push(outsider.clone());
                }
            }
        }
        found
    }
}

fn left_the_registry(name: &ServiceId) -> Refusal {
    Refusal::SetAside { name: name.clone(), reason: "it is not in the registry any more; it can be stopped".to_owned() }
}
