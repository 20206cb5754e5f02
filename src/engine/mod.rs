//! The engine: observes, decides, acts, observes again. Knows no adapter, no file format and no face.
//!
//! ```text
//!   Handle ──Command──▶ Supervisor ──spawns──▶ operation tasks ──Order──▶ one actor per service ──▶ Backend, Probe
//!      ▲                 │      ▲                     ▲                     │            │
//!      └──watch Snapshot─┘      └────────Report───────┼─────────────────────┘            │
//!                                                     └──────────────News────────────────┘
//! ```
//!
//! The supervisor owns the registry, the graph and the published snapshot; an actor owns its service's machine and probe timer; an
//! operation's task owns its plan. They share no memory. Orders flow down, reports and news flow up: the supervisor never waits for an
//! actor, and an actor never waits for an operation (its news channel has room for all it will ever say).

mod actor;
pub mod handle;
mod memory;
mod operate;
pub mod operation;
mod own_port;
pub mod ports;
mod preflight;
mod recovery;
mod supervisor;

pub use supervisor::{Options, Ports, spawn};

#[cfg(test)]
mod debts_test;
#[cfg(test)]
mod memory_test;
#[cfg(test)]
mod reload_test;
#[cfg(test)]
mod role_test;
#[cfg(test)]
mod tests;
