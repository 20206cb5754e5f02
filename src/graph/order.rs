//! The startup order: Kahn's algorithm with a priority queue, so that ties are decided the same way each time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use petgraph::Direction;
use petgraph::graph::NodeIndex;

use super::dependencies::Edges;

/// Every node, dependencies first, ties by `start_orders` (by node), then by node number. What is in or above a circle comes last.
pub(super) fn startup(edges: &Edges, start_orders: &[i64]) -> Vec<NodeIndex> {
    let key = |node: NodeIndex| Reverse((start_orders.get(node.index()).copied().unwrap_or_default(), node));
    let mut n_open: Vec<usize> = edges.node_indices().map(|node| edges.neighbors(node).count()).collect();
    let mut ready: BinaryHeap<_> = edges.node_indices().filter(|node| n_open[node.index()] == 0).map(key).collect();
    let mut order = Vec::with_capacity(edges.node_count());
    while let Some(Reverse((_, node))) = ready.pop() {
        order.push(node);
        for dependent in edges.neighbors_directed(node, Direction::Incoming) {
            n_open[dependent.index()] -= 1;
            if n_open[dependent.index()] == 0 {
                ready.push(key(dependent));
            }
        }
    }
    order.extend(edges.node_indices().filter(|node| n_open[node.index()] > 0));
    order
}
