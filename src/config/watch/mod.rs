//! The registry file while it is edited: every way in which editors, `sed -i`, configuration management and mounted ConfigMaps replace
//! a file ends in one load, and only when the content is another one.
//!
//! Directories are watched, never the file: after a rename over it, a watch of the file would be silent for good. What the events say
//! is only a reason to read again; what was read decides. Idle costs nothing: no timer runs unless the kernel cannot tell.

mod ear;
mod places;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::discover;
use super::{Environment, Fingerprint, Found};
use crate::model::{Registry, RegistrySource};
use ear::{Ear, Heard};
use places::Places;

/// Loads that may wait for a slow reader; further edits wait in the file.
const LOADS: usize = 2;

/// How often the file is looked at where the kernel does not tell of changes.
const POLL: Duration = Duration::from_secs(2);

/// How long a file that never comes to rest may keep others waiting.
const LONGEST: Duration = Duration::from_secs(1);

/// How often the way to the file may change while it is being learnt, before it counts as known.
const MAX_ROUNDS: usize = 5;

/// The loads of a registry that is being watched. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watch {
    loads: mpsc::Receiver<Registry>,
    _stop: DropGuard,
}

impl Watch {
    /// The next load that differs from the one before, good or bad. Cancel safe. `None` when the watch has ended.
    pub async fn next(&mut self) -> Option<Registry> {
        self.loads.recv().await
    }
}

/// Watches the registry that was found, from the load with the fingerprint `seen` on. Without a file, waits for one to appear where the
/// search would find it, and stays with that one. Must be called on a runtime with time enabled.
pub fn watch(found: Found, seen: Fingerprint, environment: Environment) -> Watch {
    start(found, seen, environment, true)
}

fn start(found: Found, seen: Fingerprint, environment: Environment, may_listen: bool) -> Watch {
    let (sender, loads) = mpsc::channel(LOADS);
    let stop = CancellationToken::new();
    let watched = Watched { found, seen, environment: Arc::new(environment), may_listen };
    let stopped = stop.clone();
    tokio::spawn(async move { stopped.run_until_cancelled(follow(watched, sender)).await });
    Watch { loads, _stop: stop.drop_guard() }
}

/// What is known of the file.
struct Watched {
    found: Found,
    seen: Fingerprint,
    environment: Arc<Environment>,
    may_listen: bool,
}

async fn follow(watched: Watched, loads: mpsc::Sender<Registry>) {
    let mut now = (watched, None);
    loop {
        let (watched, ear) = now;
        // Reading a large file may take a while.
        let round = tokio::task::spawn_blocking(move || look(watched, ear)).await;
        let (watched, ear, load) = match round {
            Ok(round) => round,
            Err(error) => {
                tracing::error!(%error, "the registry is not watched any more");
                return;
            }
        };
        if let Some(registry) = load
            && loads.send(registry).await.is_err()
        {
            return;
        }
        if ear.is_deaf() {
            tokio::time::sleep(POLL).await;
        } else {
            settled(ear.heard()).await;
        }
        now = (watched, Some(ear));
    }
}

/// Waits for news, and then for quiet.
async fn settled(heard: &Heard) {
    heard.news().await;
    let latest = tokio::time::Instant::now() + LONGEST;
    loop {
        let quiet = tokio::time::Instant::now() + heard.quiet();
        tokio::select! {
            () = heard.news() => {}
            () = tokio::time::sleep_until(quiet.min(latest)) => return,
        }
    }
}

/// Learns what has to be watched, watches it, and then reads: in this order nothing that happens in between is missed.
fn look(mut watched: Watched, mut ear: Option<Ear>) -> (Watched, Ear, Option<Registry>) {
    let mut n_rounds = 0;
    let ear = loop {
        if watched.found.source == RegistrySource::BuiltIn {
            watched.found = Found::find(None, &watched.environment);
        }
        let places = places(&watched);
        n_rounds += 1;
        match ear {
            Some(ear) if ear.is_at(&places) || n_rounds > MAX_ROUNDS => break ear,
            // The old one goes after the new one is there.
            Some(_) | None => ear = Some(Ear::new(places, watched.may_listen)),
        }
    };
    let (registry, fingerprint) = watched.found.load_with_fingerprint(&watched.environment);
    let is_news = fingerprint != watched.seen;
    watched.seen = fingerprint;
    (watched, ear, is_news.then_some(registry))
}

fn places(watched: &Watched) -> Places {
    let mut places = Places::default();
    match &watched.found.source {
        RegistrySource::File(path) => places.add(path),
        RegistrySource::BuiltIn => {
            for path in discover::awaited(&watched.environment) {
                places.add(&path);
            }
        }
    }
    places
}
