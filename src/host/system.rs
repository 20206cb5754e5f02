//! The machine we run on, behind the engine's port.

use std::collections::HashMap;
use std::path::PathBuf;

use futures::future::BoxFuture;

use super::survey::{self, Places};
use super::{names, ports, process};
use crate::engine::ports::Host;
use crate::model::HostPort;
use crate::preflight::{Conflict, PortHolder, Survey, Surveyed};

/// This machine, seen through `/proc` and the cgroup tree. Cheap to make and to clone; keeps nothing open.
#[derive(Debug, Clone)]
pub struct System {
    proc: PathBuf,
    cgroups: PathBuf,
    places: Places,
}

impl System {
    /// The machine as the kernel shows it.
    pub fn new(places: Places) -> Self {
        Self { proc: "/proc".into(), cgroups: "/sys/fs/cgroup".into(), places }
    }
}

impl Host for System {
    /// Not cancel safe in the sense that the look goes on in its thread; it changes nothing.
    fn running_strangers<'a>(&'a self, names: &'a [String]) -> BoxFuture<'a, Vec<Conflict>> {
        if names.is_empty() {
            return Box::pin(std::future::ready(Vec::new()));
        }
        let (this, names) = (self.clone(), names.to_vec());
        Box::pin(off_thread("running processes", move || names::running(&this.proc, &this.cgroups, &names)))
    }

    fn port_holders<'a>(&'a self, ports: &'a [HostPort]) -> BoxFuture<'a, HashMap<HostPort, PortHolder>> {
        if ports.is_empty() {
            return Box::pin(std::future::ready(HashMap::new()));
        }
        let (this, ports) = (self.clone(), ports.to_vec());
        Box::pin(off_thread("port holders", move || ports::holders(&this.proc, &ports)))
    }

    fn stranger_on(&self, port: HostPort, pid: u32) -> BoxFuture<'_, Option<PortHolder>> {
        let this = self.clone();
        Box::pin(off_thread("the holder of a port", move || ports::stranger_on(&this.proc, port, pid)))
    }

    fn survey(&self, asked: Surveyed) -> BoxFuture<'_, Option<Survey>> {
        let this = self.clone();
        Box::pin(off_thread("the machine", move || Some(survey::survey(&this.proc, &this.places, asked))))
    }

    fn is_of_tree(&self, pid: u32, service: u32) -> bool {
        names::is_descendant(&self.proc, pid, process::top_of_tree(service))
    }
}

/// A pass over `/proc` takes milliseconds on a busy machine: not on a thread that others wait for.
async fn off_thread<T: Send + Default + 'static>(what: &str, look: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(look).await {
        Ok(seen) => seen,
        Err(error) => {
            tracing::error!(%error, "cannot look at {what}");
            T::default()
        }
    }
}
