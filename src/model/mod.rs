//! The nouns of the domain: identifiers, specifications, states, health, intents, snapshots, diagnostics.
//!
//! Plain values. No I/O, no async, no serde, no clock: moments arrive from outside as values.

mod diagnostic;
mod diff;
mod event;
mod fact;
mod health;
pub mod history;
mod id;
mod instance;
mod leadership;
mod observation;
mod published_port;
mod registry;
mod secret;
mod snapshot;
mod spec;
mod state;
mod stop_mark;
mod usage;

pub use diagnostic::{Code, Diagnostic, Place, Related, Severity};
pub use diff::{EDITED_NOTE, FieldDiff, RegistryDiff, ServiceDiff, TakesEffect};
pub use event::{Actor, Event, Happening};
pub use fact::Fact;
pub use health::{Health, ProbeOutcome, ProbeReport, ProbeVerdict};
pub use history::{HISTORY_LENGTH, HealthHistory, Sample, Statistics, Window};
pub use id::{InvalidName, ServiceId};
pub use instance::{Ending, ExitRecord, Instance, ProcessIdentity};
pub use leadership::{Leader, LeaderKind, Leadership};
pub use observation::{Debt, Guardian, Launch, LaunchOrigin, Observed, Owed, Presence, Serves, StartHow, StopHow};
pub use published_port::{HostPort, Protocol, PublishedPort};
pub use registry::{AutoSupervise, Registry, RegistrySource};
pub use secret::Secret;
pub use snapshot::{Role, ServiceSnapshot, Snapshot};
pub use spec::{
    BinarySpec, Category, Check, ComposeSpec, Deployment, DockerSpec, HealthCheck, KubernetesSpec, Mode, OnFull,
    RemoteSpec, RestartOnFailure, ServiceKind, ServiceSpec, Startup, is_loopback_url,
};
pub use state::{FailureReason, Intent, ServiceState, StateKind};
pub use stop_mark::StopMark;
pub use usage::Usage;
