//! What trouble reaches: everything above it.

use petgraph::Direction;
use petgraph::graph::NodeIndex;

use super::dependencies::Edges;

/// For each node the place in `troubles` (sets of nodes) of one that it is in or above; its own before others, earlier before later.
pub(super) fn first_below(edges: &Edges, troubles: &[Vec<NodeIndex>]) -> Vec<Option<usize>> {
    let mut found: Vec<Option<usize>> = vec![None; edges.node_count()];
    for (trouble, nodes) in troubles.iter().enumerate() {
        for node in nodes {
            found[node.index()].get_or_insert(trouble);
        }
    }
    for (trouble, nodes) in troubles.iter().enumerate() {
        let mut open = nodes.clone();
        while let Some(node) = open.pop() {
            for dependent in edges.neighbors_directed(node, Direction::Incoming) {
                if found[dependent.index()].is_none() {
                    found[dependent.index()] = Some(trouble);
                    open.push(dependent);
                }
            }
        }
    }
    found
}
