//! What a leader does by itself, and a follower does not.

use std::time::Duration;

use tokio::time::Instant;

use super::supervisor::{Options, spawn};
use super::tests::{platform, wait_for};
use crate::lifecycle::machine::{Probing, Tending};
use crate::model::{Guardian, Presence, Role};
use crate::testkit::builders::registry;
use crate::testkit::world::World;

#[tokio::test(start_paused = true)]
async fn an_engine_that_leads_probes_and_tends_whatever_it_is_for_and_stops_when_it_no_longer_leads() {
    let world = World::new();
    let instance = world.appears("orchestrator").await;
    let options = Options { probing: Probing::WhileStarting, tending: Tending::No, role: Role::Follower };
    let handle = spawn(registry(platform()), world.ports(), options);
    assert_eq!(handle.settled().await.unwrap().role, Role::Follower);
    let orphan = Presence::Present { instance, since: Instant::now().into_std(), guardian: Guardian::Gone };
    world.shows("orchestrator", orphan).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.n_probes("orchestrator"), 0);
    assert!(world.deeds().is_empty(), "a command that only reads replaces no guardian: {:?}", world.deeds());

    handle.lead(Role::Leader).await.unwrap();
    assert_eq!(handle.snapshot().role, Role::Leader);
    wait_for(&handle, |snapshot| snapshot.service("orchestrator").is_some_and(|s| s.last_probe.is_some())).await;
    assert_eq!(world.deeds(), ["tend orchestrator"]);

    handle.lead(Role::Follower).await.unwrap();
    assert_eq!(handle.snapshot().role, Role::Follower);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let n_probes = world.n_probes("orchestrator");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.n_probes("orchestrator"), n_probes);
}
