//! Circles of dependencies, each as a concrete path.

use std::collections::VecDeque;

use petgraph::graph::NodeIndex;

use super::dependencies::Edges;

/// Circles as paths that end where they begin, each beginning with its lowest node, in the order of that node.
///
/// Each node of a circle is on one of them: the shortest through it, unless it was on an earlier one already. A node that needs
/// itself has that circle in addition.
pub(super) fn find(edges: &Edges) -> Vec<Vec<NodeIndex>> {
    let mut tangle_of: Vec<usize> = vec![usize::MAX; edges.node_count()];
    // Kosaraju's algorithm in petgraph is iterative, its Tarjan recursive: a long chain would end on the stack.
    let tangles = petgraph::algo::kosaraju_scc(edges);
    for (tangle, members) in tangles.iter().enumerate().filter(|(_, members)| members.len() > 1) {
        for node in members {
            tangle_of[node.index()] = tangle;
        }
    }
    let mut covered = vec![false; edges.node_count()];
    let mut search = Search::new(edges.node_count());
    let mut circles = Vec::new();
    for node in edges.node_indices() {
        if tangle_of[node.index()] != usize::MAX && !covered[node.index()] {
            let mut path = search.shortest_circle(edges, node, &tangle_of);
            for member in &path {
                covered[member.index()] = true;
            }
            if let Some(lowest) = path.iter().enumerate().min_by_key(|(_, member)| **member).map(|(place, _)| place) {
                path.rotate_left(lowest);
            }
            path.extend(path.first().copied());
            circles.push(path);
        }
        if edges.contains_edge(node, node) {
            circles.push(vec![node, node]);
        }
    }
    circles.sort_by_key(|path| path.first().copied());
    circles
}

/// Breadth-first searches that share their memory: marks are numbered, so nothing is cleared in between.
struct Search {
    marks: Vec<usize>,
    came_from: Vec<NodeIndex>,
    number: usize,
}

impl Search {
    fn new(n_nodes: usize) -> Self {
        Self { marks: vec![0; n_nodes], came_from: vec![NodeIndex::end(); n_nodes], number: 0 }
    }

    /// The shortest way from `start` back to itself through its own tangle, self-dependencies aside; `start` is first and not repeated.
    fn shortest_circle(&mut self, edges: &Edges, start: NodeIndex, tangle_of: &[usize]) -> Vec<NodeIndex> {
        self.number += 1;
        let mut open = VecDeque::from([start]);
        let mut neighbours = Vec::new();
        while let Some(node) = open.pop_front() {
            neighbours.clear();
            neighbours.extend(edges.neighbors(node).filter(|next| *next != node));
            neighbours.sort_unstable();
            if neighbours.binary_search(&start).is_ok() {
                let mut path = vec![node];
                let mut at = node;
                while at != start {
                    at = self.came_from[at.index()];
                    path.push(at);
                }
                path.reverse();
                return path;
            }
            for next in neighbours.drain(..) {
                if tangle_of[next.index()] == tangle_of[start.index()] && self.marks[next.index()] != self.number {
                    self.marks[next.index()] = self.number;
                    self.came_from[next.index()] = node;
                    open.push_back(next);
                }
            }
        }
        debug_assert!(false, "a member of a tangle of two or more always finds back to itself");
        vec![start]
    }
}
