//! Whether the port that a service is asked at is its own: another process that answers there makes a service look well that is not.
//!
//! Looked at once for each time that a process becomes healthy, since a look goes through its descriptors. Says what it saw, and decides
//! nothing.

use std::sync::{Arc, OnceLock};

use super::ports::Host;
use crate::lifecycle::machine::{Machine, Probing};
use crate::model::{Health, HostPort, Instance, ServiceSpec, StateKind};
use crate::preflight::PortHolder;

/// What is known of one service's port.
#[derive(Debug, Default)]
pub(super) struct OwnPort {
    /// Who was healthy when it was looked at last, as long as that is so.
    looked_for: Option<Instance>,
    /// What that look found; a look that is not over by the next one speaks to nobody.
    found: Arc<OnceLock<String>>,
}

/// A look that is due.
pub(super) struct Look {
    port: HostPort,
    pid: u32,
    found: Arc<OnceLock<String>>,
}

impl OwnPort {
    /// The look that is due now that the machine is as it is. Engines that don't watch don't look.
    pub(super) fn due(&mut self, machine: &Machine, spec: &ServiceSpec) -> Option<Look> {
        let state = machine.state();
        let healthy = state.instance().filter(|_| {
            machine.probing() == Probing::Continuous
                && state.kind() == StateKind::Running
                && state.health() == Health::Healthy
        });
        if self.looked_for.as_ref() == healthy {
            return None;
        }
        *self = Self { looked_for: healthy.cloned(), found: Arc::default() };
        // What listens for a container, or elsewhere, is not its process.
        let Some(Instance::Process(process)) = healthy else { return None };
        let port = HostPort::tcp(spec.health_port()?);
        Some(Look { port, pid: process.pid, found: Arc::clone(&self.found) })
    }

    /// What people should know of it.
    pub(super) fn note(&self) -> Option<&str> {
        self.found.get().map(String::as_str)
    }
}

impl Look {
    /// Looks. Cancel safe.
    pub(super) async fn look(self, host: &dyn Host) {
        if let Some(PortHolder { pid: Some(pid), program }) = host.stranger_on(self.port, self.pid).await {
            let program = program.unwrap_or_else(|| "a process without a name".to_owned());
            let note = format!("port {} is held by PID {pid} ({program}), not by this service", self.port);
            // Nobody else sets it.
            let _ = self.found.set(note);
        }
    }
}
