//! The registry's file, as far as the console knows: what is in force, what the newest edit changed, what is wrong with it.

use std::collections::HashSet;
use std::sync::Arc;

use crate::model::{Registry, RegistryDiff, ServiceId, Severity, Snapshot};

/// What is known of the registry's file.
#[derive(Debug, Clone)]
pub(crate) struct RegistryState {
    /// What was handed to the engine last.
    pub(crate) in_force: Arc<Registry>,
    /// The newest load, where it is worse than what is in force, which therefore stays.
    pub(crate) refused: Option<Arc<Registry>>,
    /// What the difference that is shown began with: edits that come while it is open add up.
    pub(crate) base: Arc<Registry>,
    /// From `base` to what is in force.
    pub(crate) diff: RegistryDiff,
    /// Whether an editor has the terminal.
    pub(crate) is_lent: bool,
}

impl RegistryState {
    pub(crate) fn new(registry: &Arc<Registry>) -> Self {
        Self {
            in_force: Arc::clone(registry),
            refused: None,
            base: Arc::clone(registry),
            diff: RegistryDiff::default(),
            is_lent: false,
        }
    }

    /// Whether a load must not take the place of what is in force: it cannot be used at all, or has errors where there were none.
    pub(crate) fn is_worse(&self, load: &Registry) -> bool {
        self.in_force.is_better_than(load)
    }

    /// The newest load, used or not.
    pub(crate) fn newest(&self) -> &Arc<Registry> {
        self.refused.as_ref().unwrap_or(&self.in_force)
    }

    /// How many errors keep the newest load from being used.
    pub(crate) fn n_errors(&self) -> usize {
        let refused = self.refused.iter().flat_map(|registry| &registry.diagnostics);
        refused.filter(|found| found.severity == Severity::Error).count()
    }

    /// The running services that a restart would apply the shown edits to, in the registry's order.
    pub(crate) fn to_restart(&self, snapshot: &Snapshot) -> Vec<ServiceId> {
        let alive = alive(snapshot);
        self.diff.to_restart().filter(|id| alive.contains(id)).cloned().collect()
    }
}

/// The services that live: looked up once for however many were edited.
pub(crate) fn alive(snapshot: &Snapshot) -> HashSet<&ServiceId> {
    snapshot.services.iter().filter(|service| service.state.is_alive()).map(|service| service.id()).collect()
}
