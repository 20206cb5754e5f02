//! The dependency graph on petgraph: order, waves, closures, cycles. Deterministic: dependencies first, then `start_order`, then
//! registry order (R160).

use crate::model::{Registry, ServiceId};

/// Who needs whom, among the registered services.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    _todo: (),
}

impl Graph {
    /// Builds the graph of a registry. Names that are not registered are kept apart, see [`Graph::missing`].
    pub fn new(_registry: &Registry) -> Self {
        Self::default()
    }

    /// Direct dependencies that are registered, in registry order.
    pub fn dependencies(&self, _id: &ServiceId) -> Vec<ServiceId> {
        Vec::new()
    }

    /// Direct dependents, in registry order.
    pub fn dependents(&self, _id: &ServiceId) -> Vec<ServiceId> {
        Vec::new()
    }

    /// Dependencies at any depth, without the service itself, in startup order.
    pub fn all_dependencies(&self, _id: &ServiceId) -> Vec<ServiceId> {
        Vec::new()
    }

    /// Dependents at any depth, without the service itself, in registry order.
    pub fn all_dependents(&self, _id: &ServiceId) -> Vec<ServiceId> {
        Vec::new()
    }

    /// Dependencies of this service that are not registered.
    pub fn missing(&self, _id: &ServiceId) -> &[ServiceId] {
        &[]
    }

    /// Every service, dependencies first, ties by `start_order`, then registry order. Members of cycles, and what is above them, come
    /// last in registry order.
    pub fn startup_order(&self) -> &[ServiceId] {
        &[]
    }

    /// Every circle, each as a path whose first service is repeated at the end, beginning with the service that the registry names first.
    pub fn cycles(&self) -> &[Vec<ServiceId>] {
        &[]
    }

    /// The circle that this service is in, or that something it needs is in.
    pub fn cycle_below(&self, _id: &ServiceId) -> Option<&[ServiceId]> {
        None
    }
}
