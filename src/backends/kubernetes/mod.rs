//! Kubernetes mode.

mod cluster;
mod credentials;
mod judge;
mod objects;
mod refusal;
mod shelf;
mod trouble;
mod watch;
