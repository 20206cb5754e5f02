//! Which commands a service takes in which state: accepted, already so, or denied with a reason.

use crate::model::{Health, ServiceState};

/// The answer to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Admission {
    /// It is taken; its end will be reported.
    Accepted,
    /// There is nothing to do: what was asked for is so (A55).
    AlreadySo,
    /// It is not taken.
    Denied(Denial),
}

/// Why a command is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Denial {
    /// Nobody can say what is there, so anything done might be wrong; the state holds the reason.
    StateUnknown,
}

/// Whether a service has something to be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Checked {
    /// A health check is configured.
    Yes,
    /// None is (R152).
    No,
}

/// Whether a start is taken. One that comes while it starts joins that start; one that comes while it stops waits for the end of the stop.
pub fn admit_start(state: &ServiceState, checked: Checked) -> Admission {
    match state {
        ServiceState::Unknown { .. } => Admission::Denied(Denial::StateUnknown),
        ServiceState::Running { health, .. } => match (checked, health) {
            (Checked::No, Health::Unknown | Health::Healthy) | (Checked::Yes, Health::Healthy) => Admission::AlreadySo,
            // Without a check, this is the word of its own engine.
            (Checked::No, Health::Unhealthy) | (Checked::Yes, Health::Unknown | Health::Unhealthy) => {
                Admission::Accepted
            }
        },
        ServiceState::Stopped
        | ServiceState::Waiting { .. }
        | ServiceState::Launching { .. }
        | ServiceState::Starting { .. }
        | ServiceState::Stopping { .. }
        | ServiceState::Backoff { .. }
        | ServiceState::Failed { .. } => Admission::Accepted,
    }
}

/// Whether a stop is taken. It beats a pending restart and a start under way; after a failure it ends the wish that it should run.
pub fn admit_stop(state: &ServiceState) -> Admission {
    match state {
        ServiceState::Unknown { .. } => Admission::Denied(Denial::StateUnknown),
        ServiceState::Stopped => Admission::AlreadySo,
        ServiceState::Failed { .. }
        | ServiceState::Waiting { .. }
        | ServiceState::Launching { .. }
        | ServiceState::Starting { .. }
        | ServiceState::Running { .. }
        | ServiceState::Stopping { .. }
        | ServiceState::Backoff { .. } => Admission::Accepted,
    }
}
