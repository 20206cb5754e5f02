//! Who needs whom.

use std::collections::{HashMap, HashSet};

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};

use super::{above, cycles, order};
use crate::model::{Registry, ServiceId};

/// Services by node, numbered in registry order; an edge leads from a service to one that it needs.
pub(super) type Edges = DiGraph<ServiceId, ()>;

/// Who needs whom, among the registered services.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    edges: Edges,
    nodes: HashMap<ServiceId, NodeIndex>,
    missing: Vec<Vec<ServiceId>>,
    startup_order: Vec<ServiceId>,
    /// The place of each node in the startup order.
    ranks: Vec<usize>,
    cycles: Vec<Vec<ServiceId>>,
    /// For each node the circle, by its place in `cycles`, that it is in or above.
    cycle_below: Vec<Option<usize>>,
    /// For each node the first of itself and what it needs that has an entry in `missing`.
    missing_below: Vec<Option<NodeIndex>>,
}

impl Graph {
    /// Builds the graph of a registry. Names that are not registered are kept apart, see [`Graph::missing`]. A dependency that is named
    /// twice counts once, and so does a service.
    pub fn new(registry: &Registry) -> Self {
        let mut edges = Edges::with_capacity(registry.services.len(), registry.services.len());
        let mut nodes = HashMap::with_capacity(registry.services.len());
        let mut specs = Vec::with_capacity(registry.services.len());
        for spec in &registry.services {
            if !nodes.contains_key(&spec.id) {
                nodes.insert(spec.id.clone(), edges.add_node(spec.id.clone()));
                specs.push(spec);
            }
        }
        let mut missing = Vec::with_capacity(specs.len());
        for (spec, node) in specs.iter().zip(edges.node_indices()) {
            let mut unregistered = Vec::new();
            let mut seen = HashSet::with_capacity(spec.dependencies.len());
            for name in spec.dependencies.iter().filter(|name| seen.insert(*name)) {
                match nodes.get(name) {
                    Some(dependency) => {
                        edges.add_edge(node, *dependency, ());
                    }
                    None => unregistered.push(name.clone()),
                }
            }
            missing.push(unregistered);
        }
        let start_orders: Vec<i64> = specs.iter().map(|spec| spec.startup.start_order).collect();
        let startup = order::startup(&edges, &start_orders);
        let mut ranks = vec![0; startup.len()];
        for (rank, node) in startup.iter().enumerate() {
            ranks[node.index()] = rank;
        }
        let circles = cycles::find(&edges);
        let cycle_below = above::first_below(&edges, &circles);
        let gaps: Vec<Vec<NodeIndex>> =
            startup.iter().filter(|node| !missing[node.index()].is_empty()).map(|node| vec![*node]).collect();
        let missing_below =
            above::first_below(&edges, &gaps).into_iter().map(|gap| gap.map(|gap| gaps[gap][0])).collect();
        let named = |path: &[NodeIndex]| path.iter().map(|node| edges[*node].clone()).collect::<Vec<_>>();
        Self {
            startup_order: named(&startup),
            cycles: circles.iter().map(|circle| named(circle)).collect(),
            ranks,
            cycle_below,
            missing_below,
            missing,
            nodes,
            edges,
        }
    }

    /// Whether a service of that name is registered.
    pub fn contains(&self, id: &ServiceId) -> bool {
        self.nodes.contains_key(id)
    }

    /// Every service, in registry order.
    pub fn services(&self) -> impl ExactSizeIterator<Item = &ServiceId> + '_ {
        self.edges.node_indices().map(|node| &self.edges[node])
    }

    /// Direct dependencies that are registered, in registry order. A service that names itself is among them.
    pub fn dependencies(&self, id: &ServiceId) -> Vec<ServiceId> {
        self.neighbours(id, Direction::Outgoing)
    }

    /// Direct dependents, in registry order.
    pub fn dependents(&self, id: &ServiceId) -> Vec<ServiceId> {
        self.neighbours(id, Direction::Incoming)
    }

    /// Dependencies at any depth, without the service itself, in startup order.
    pub fn all_dependencies(&self, id: &ServiceId) -> Vec<ServiceId> {
        let mut reached = self.reach(id, Direction::Outgoing);
        reached.sort_unstable_by_key(|node| self.ranks[node.index()]);
        self.named(&reached)
    }

    /// Dependents at any depth, without the service itself, in registry order.
    pub fn all_dependents(&self, id: &ServiceId) -> Vec<ServiceId> {
        let mut reached = self.reach(id, Direction::Incoming);
        reached.sort_unstable();
        self.named(&reached)
    }

    /// Dependencies of this service that are not registered, in the order in which it names them.
    pub fn missing(&self, id: &ServiceId) -> &[ServiceId] {
        self.nodes.get(id).map_or(&[], |node| &self.missing[node.index()])
    }

    /// The first dependency that is not registered, of the service itself or of anything that it needs: who names it, and the name.
    pub fn missing_below(&self, id: &ServiceId) -> Option<(&ServiceId, &ServiceId)> {
        let gap = self.missing_below[self.nodes.get(id)?.index()]?;
        self.missing[gap.index()].first().map(|name| (&self.edges[gap], name))
    }

    /// Every service, dependencies first, ties by `start_order`, then registry order. Members of cycles, and what is above them, come
    /// last in registry order.
    pub fn startup_order(&self) -> &[ServiceId] {
        &self.startup_order
    }

    /// The place of a service in the startup order, from 0.
    pub fn startup_rank(&self, id: &ServiceId) -> Option<usize> {
        self.nodes.get(id).map(|node| self.ranks[node.index()])
    }

    /// Circles, each as a path whose first service is repeated at the end, beginning with the service that the registry names first.
    ///
    /// Every service that is in a circle is in one of these; of the many circles that a tangle can hold, the short ones are named.
    pub fn cycles(&self) -> &[Vec<ServiceId>] {
        &self.cycles
    }

    /// The circle that this service is in, or that something it needs is in.
    pub fn cycle_below(&self, id: &ServiceId) -> Option<&[ServiceId]> {
        let node = self.nodes.get(id)?;
        self.cycle_below[node.index()].map(|circle| self.cycles[circle].as_slice())
    }

    fn named(&self, nodes: &[NodeIndex]) -> Vec<ServiceId> {
        nodes.iter().map(|node| self.edges[*node].clone()).collect()
    }

    fn neighbours(&self, id: &ServiceId, direction: Direction) -> Vec<ServiceId> {
        let Some(node) = self.nodes.get(id) else { return Vec::new() };
        let mut found: Vec<NodeIndex> = self.edges.neighbors_directed(*node, direction).collect();
        found.sort_unstable();
        self.named(&found)
    }

    /// What can be reached from a service, without itself, in no particular order.
    fn reach(&self, id: &ServiceId, direction: Direction) -> Vec<NodeIndex> {
        let Some(own) = self.nodes.get(id).copied() else { return Vec::new() };
        let mut seen = HashSet::from([own]);
        let mut reached = Vec::new();
        let mut open = vec![own];
        while let Some(node) = open.pop() {
            for next in self.edges.neighbors_directed(node, direction) {
                if seen.insert(next) {
                    reached.push(next);
                    open.push(next);
                }
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Graph;
    use crate::graph::fixture::{arbitrary_services, id, ids, registry, service};
    use crate::model::ServiceId;

    fn text(ids: &[ServiceId]) -> Vec<&str> {
        ids.iter().map(ServiceId::as_str).collect()
    }

    fn guide() -> Graph {
        Graph::new(&registry(&[
            service("orchestrator", &[]).order(10),
            service("control-center", &["orchestrator"]).order(20),
            service("coredns", &[]).order(15),
            service("gitea", &[]).order(30),
            service("oci-registry", &[]).order(35),
            service("mcp-server", &["orchestrator"]).order(40),
            service("api-gateway", &["orchestrator", "control-center", "mcp-server"]).order(45),
        ]))
    }

    #[test]
    fn the_platform_of_the_guide_starts_in_its_order() {
        assert_eq!(
            text(guide().startup_order()),
            ["orchestrator", "coredns", "control-center", "gitea", "oci-registry", "mcp-server", "api-gateway"]
        );
    }

    #[test]
    fn neighbours_and_closures_of_the_guide() {
        let graph = guide();
        assert_eq!(text(&graph.dependents(&id("orchestrator"))), ["control-center", "mcp-server", "api-gateway"]);
        assert_eq!(text(&graph.dependencies(&id("api-gateway"))), ["orchestrator", "control-center", "mcp-server"]);
        assert_eq!(text(&graph.all_dependencies(&id("api-gateway"))), ["orchestrator", "control-center", "mcp-server"]);
        assert_eq!(text(&graph.all_dependents(&id("control-center"))), ["api-gateway"]);
        assert!(graph.all_dependents(&id("nobody")).is_empty());
    }

    #[test]
    fn ties_go_by_start_order_and_then_by_the_file() {
        let graph = Graph::new(&registry(&[
            service("late", &[]).order(9),
            service("second", &[]).order(1),
            service("third", &[]).order(1),
            service("first", &[]).order(-1),
            service("above", &["late"]).order(-5),
        ]));
        assert_eq!(text(graph.startup_order()), ["first", "second", "third", "late", "above"]);
    }

    #[test]
    fn a_dependency_named_twice_counts_once() {
        let graph = Graph::new(&registry(&[service("a", &["b", "b", "x", "x"]), service("b", &[])]));
        assert_eq!(text(&graph.dependencies(&id("a"))), ["b"]);
        assert_eq!(text(&graph.dependents(&id("b"))), ["a"]);
        assert_eq!(text(graph.missing(&id("a"))), ["x"]);
        assert_eq!(text(graph.startup_order()), ["b", "a"]);
    }

    #[test]
    fn a_missing_dependency_is_found_at_any_depth() {
        let graph = Graph::new(&registry(&[service("a", &["b"]), service("b", &["ghost"]), service("c", &[])]));
        assert!(graph.missing(&id("a")).is_empty());
        assert_eq!(graph.missing_below(&id("a")), Some((&id("b"), &id("ghost"))));
        assert_eq!(graph.missing_below(&id("c")), None);
    }

    #[test]
    fn circles_are_named_with_their_path() {
        let graph = Graph::new(&registry(&[
            service("top", &["b"]),
            service("c", &["a"]),
            service("a", &["b"]),
            service("b", &["c"]),
            service("free", &[]),
            service("self", &["self"]),
        ]));
        let circles: Vec<Vec<&str>> = graph.cycles().iter().map(|path| text(path)).collect();
        assert_eq!(circles, [vec!["c", "a", "b", "c"], vec!["self", "self"]]);
        assert_eq!(text(graph.cycle_below(&id("top")).unwrap()), ["c", "a", "b", "c"]);
        assert_eq!(text(graph.cycle_below(&id("self")).unwrap()), ["self", "self"]);
        assert_eq!(graph.cycle_below(&id("free")), None);
        assert_eq!(text(graph.startup_order()), ["free", "top", "c", "a", "b", "self"]);
    }

    #[test]
    fn a_tangle_names_a_circle_for_each_member_and_each_self_dependency() {
        let graph = Graph::new(&registry(&[
            service("hub", &["left", "right", "hub"]),
            service("left", &["hub"]),
            service("right", &["hub"]),
        ]));
        let circles: Vec<Vec<&str>> = graph.cycles().iter().map(|path| text(path)).collect();
        assert_eq!(circles, [vec!["hub", "left", "hub"], vec!["hub", "hub"], vec!["hub", "right", "hub"]]);
    }

    #[test]
    fn a_chain_of_ten_thousand_fits_on_the_stack() {
        let names: Vec<String> = (0..10_000).map(|n| format!("s{n}")).collect();
        let mut specs = vec![service("s0", &["s9999"])];
        specs.extend(names.windows(2).map(|pair| service(&pair[1], &[pair[0].as_str()])));
        let circle = Graph::new(&registry(&specs));
        assert_eq!(circle.cycles().len(), 1);
        assert_eq!(circle.cycles()[0].len(), 10_001);
        specs[0] = service("s0", &[]);
        let chain = Graph::new(&registry(&specs));
        assert_eq!(chain.startup_order(), ids(&names.iter().map(String::as_str).collect::<Vec<_>>()));
        assert_eq!(chain.all_dependencies(&id("s9999")).len(), 9_999);
        assert_eq!(chain.all_dependents(&id("s0")).len(), 9_999);
    }

    /// What can be reached, found the slow and plain way.
    fn reachable(graph: &Graph, from: &ServiceId, next: impl Fn(&ServiceId) -> Vec<ServiceId>) -> Vec<ServiceId> {
        let mut found: Vec<ServiceId> = Vec::new();
        loop {
            let mut fresh: Vec<ServiceId> =
                std::iter::once(from).chain(&found).flat_map(&next).filter(|id| id != from).collect();
            fresh.retain(|id| !found.contains(id));
            fresh.sort_by_key(|id| graph.services().position(|other| other == id));
            fresh.dedup();
            if fresh.is_empty() {
                found.sort_by_key(|id| graph.services().position(|other| other == id));
                return found;
            }
            found.extend(fresh);
        }
    }

    proptest! {
        #[test]
        fn dependencies_come_first_wherever_there_is_no_circle(specs in arbitrary_services()) {
            let graph = Graph::new(&registry(&specs));
            let mut sorted = graph.startup_order().to_vec();
            sorted.sort();
            let mut all: Vec<ServiceId> = graph.services().cloned().collect();
            all.sort();
            prop_assert_eq!(sorted, all, "each service once");
            for service in graph.services().filter(|id| graph.cycle_below(id).is_none()) {
                for dependency in graph.dependencies(service) {
                    prop_assert!(graph.startup_rank(&dependency) < graph.startup_rank(service));
                }
            }
        }

        #[test]
        fn closures_are_what_can_be_reached(specs in arbitrary_services()) {
            let graph = Graph::new(&registry(&specs));
            for service in graph.services() {
                prop_assert_eq!(graph.all_dependents(service), reachable(&graph, service, |id| graph.dependents(id)));
                let mut down = graph.all_dependencies(service);
                prop_assert!(down.is_sorted_by_key(|id| graph.startup_rank(id)));
                down.sort_by_key(|id| graph.services().position(|other| other == id));
                prop_assert_eq!(down, reachable(&graph, service, |id| graph.dependencies(id)));
            }
        }

        #[test]
        fn circles_that_are_named_are_circles_and_none_is_overlooked(specs in arbitrary_services()) {
            let graph = Graph::new(&registry(&specs));
            for path in graph.cycles() {
                prop_assert!(path.len() >= 2 && path.first() == path.last());
                for step in path.windows(2) {
                    prop_assert!(graph.dependencies(&step[0]).contains(&step[1]));
                }
                let first = path.iter().map(|id| graph.services().position(|other| other == id)).min().unwrap();
                prop_assert_eq!(graph.services().position(|id| *id == path[0]), first);
            }
            for service in graph.services() {
                let circular = |id: &ServiceId| {
                    graph.dependencies(id).iter().any(|next| next == id || graph.all_dependencies(next).contains(id))
                };
                let below = std::iter::once(service.clone()).chain(graph.all_dependencies(service)).any(|id| circular(&id));
                prop_assert_eq!(graph.cycle_below(service).is_some(), below);
                if circular(service) {
                    prop_assert!(graph.cycle_below(service).unwrap().contains(service));
                }
            }
        }

        #[test]
        fn a_missing_name_is_found_from_everywhere_above_it(specs in arbitrary_services()) {
            let graph = Graph::new(&registry(&specs));
            for service in graph.services() {
                let below: Vec<ServiceId> = std::iter::once(service.clone()).chain(graph.all_dependencies(service)).collect();
                match graph.missing_below(service) {
                    Some((by, name)) => prop_assert!(below.contains(by) && graph.missing(by).contains(name)),
                    None => prop_assert!(below.iter().all(|id| graph.missing(id).is_empty())),
                }
            }
        }
    }
}
