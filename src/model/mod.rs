//! The nouns of the domain: identifiers, specifications, states, health, intents, snapshots, diagnostics.
//!
//! Plain values. No I/O, no async, no serde, no clock: moments arrive from outside as values.

mod diagnostic;
mod diff;
mod event;
mod health;
mod id;
mod instance;
mod observation;
mod published_port;
mod registry;
mod secret;
mod snapshot;
mod spec;
mod state;

pub use diagnostic::{Code, Diagnostic, Place, Related, Severity};
pub use diff::{EDITED_NOTE, FieldDiff, RegistryDiff, ServiceDiff, TakesEffect};
pub use event::{Actor, Event, Happening};
pub use health::{HISTORY_LENGTH, Health, HealthHistory, ProbeOutcome, ProbeReport, ProbeVerdict};
pub use id::{InvalidName, ServiceId};
pub use instance::{Ending, ExitRecord, Instance, ProcessIdentity};
pub use observation::{Guardian, Launch, LaunchOrigin, Observed, Presence, StartHow, StopHow};
pub use published_port::{Protocol, PublishedPort};
pub use registry::{Registry, RegistrySource};
pub use secret::Secret;
pub use snapshot::{Role, ServiceSnapshot, Snapshot};
pub use spec::{
    BinarySpec, Category, Check, ComposeSpec, Deployment, DockerSpec, HealthCheck, KubernetesSpec, Mode, RemoteSpec,
    RestartOnFailure, ServiceKind, ServiceSpec, Startup,
};
pub use state::{FailureReason, Intent, ServiceState, StateKind};
