//! The dependency graph on petgraph: order, closures, cycles. Deterministic: dependencies first, then `start_order`, then
//! registry order (R160).
//!
//! Built once for each registry and asked often, so order and circles are computed at the beginning. Nothing here recurses: a chain
//! of any length fits on the stack.

mod above;
mod cycles;
mod dependencies;
#[cfg(test)]
pub(crate) mod fixture;
mod order;

pub use dependencies::Graph;
