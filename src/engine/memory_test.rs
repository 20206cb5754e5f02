//! Who keeps the health history, and what is in it.

use std::time::Duration;

use super::supervisor::{Options, spawn};
use super::tests::{operate, platform, wait_for, wait_for_kind};
use crate::engine::handle::Handle;
use crate::engine::operation::Verb;
use crate::lifecycle::machine::{Probing, Tending};
use crate::model::history::{Cell, Seen, Sighting, Standing, Turn};
use crate::model::{FailureReason, ProbeVerdict, Role, Sample, Snapshot, StateKind};
use crate::testkit::builders::registry;
use crate::testkit::world::{World, died};

fn engine(world: &std::sync::Arc<World>, role: Role) -> Handle {
    let options = Options { probing: Probing::Continuous, tending: Tending::Yes, role };
    spawn(registry(platform()), world.ports(), options)
}

/// How many answers are shown.
fn n_answers(snapshot: &Snapshot) -> usize {
    // Before it was looked at, it is not there.
    let samples = snapshot.service("orchestrator").into_iter().flat_map(|service| service.history.samples());
    samples.filter(|sample| matches!(sample.seen, Seen::Answer { .. })).count()
}

async fn wait_for_answers(handle: &Handle, n: usize) {
    wait_for(handle, |snapshot| n_answers(snapshot) >= n).await;
}

fn words(samples: &[Sample]) -> Vec<String> {
    samples
        .iter()
        .map(|sample| match sample.seen {
            Seen::Answer { verdict, turn, .. } => format!("{verdict:?} {turn:?}"),
            Seen::State { standing, sighting } => format!("{standing:?} {sighting:?}"),
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_leader_keeps_what_it_sees_and_a_follower_beside_it_writes_nothing() {
    let world = World::new();
    world.appears("orchestrator").await;
    let (leader, follower) = (engine(&world, Role::Leader), engine(&world, Role::Follower));
    wait_for_answers(&leader, 5).await;
    wait_for_answers(&follower, 5).await;
    let kept = world.samples("orchestrator");
    let answers = kept.iter().filter(|sample| matches!(sample.seen, Seen::Answer { .. })).count();
    assert_eq!(answers, n_answers(&leader.snapshot()), "{:?}", words(&kept));
    assert_eq!(words(&kept)[0], "Started Found");
    assert_eq!(words(&world.samples("mcp-server")), ["Idle Found"]);
}

#[tokio::test(start_paused = true)]
async fn a_console_shows_at_once_what_was_kept_before_it_was_opened_and_counts_nothing_twice() {
    let world = World::new();
    world.appears("orchestrator").await;
    let leader = engine(&world, Role::Leader);
    wait_for_answers(&leader, 20).await;
    drop(leader);
    let kept = world.samples("orchestrator").iter().filter(|s| matches!(s.seen, Seen::Answer { .. })).count();
    let console = engine(&world, Role::Follower);
    console.settled().await.unwrap();
    assert_eq!(n_answers(&console.snapshot()), kept);
    wait_for_answers(&console, kept + 3).await;
    // It takes the lead: what it has is what there is, and it goes on by writing.
    console.lead(Role::Leader).await.unwrap();
    let before = n_answers(&console.snapshot());
    wait_for_answers(&console, before + 2).await;
    let now_kept = world.samples("orchestrator").iter().filter(|s| matches!(s.seen, Seen::Answer { .. })).count();
    assert_eq!(n_answers(&console.snapshot()) - before, now_kept - kept);
}

#[tokio::test(start_paused = true)]
async fn flaps_falls_and_stops_are_kept_as_what_they_are() {
    let world = World::new();
    let leader = engine(&world, Role::Leader);
    leader.settled().await.unwrap();
    operate(&leader, Verb::Start, "orchestrator").await;
    wait_for_answers(&leader, 2).await;
    world.set_sick("orchestrator", true);
    let is = |verdict, turn| {
        let world = std::sync::Arc::clone(&world);
        move |_: &Snapshot| {
            world.samples("orchestrator").iter().any(
                |sample| matches!(sample.seen, Seen::Answer { verdict: v, turn: t, .. } if v == verdict && t == turn),
            )
        }
    };
    wait_for(&leader, is(ProbeVerdict::Failed, Turn::Turned)).await;
    world.set_sick("orchestrator", false);
    wait_for(&leader, is(ProbeVerdict::Passed, Turn::Turned)).await;
    operate(&leader, Verb::Stop, "orchestrator").await;
    wait_for_kind(&leader, "orchestrator", StateKind::Stopped).await;
    operate(&leader, Verb::Start, "orchestrator").await;
    let FailureReason::Died { ending, .. } = died(7) else { unreachable!() };
    let reason = FailureReason::Died { ending, after: None };
    world.shows("orchestrator", crate::model::Presence::Failed { reason }).await;
    wait_for_kind(&leader, "orchestrator", StateKind::Failed).await;
    let states: Vec<Seen> = world
        .samples("orchestrator")
        .iter()
        .map(|sample| sample.seen)
        .filter(|seen| matches!(seen, Seen::State { .. }))
        .collect();
    let expected = [
        (Standing::Idle, Sighting::Found),
        (Standing::Started, Sighting::Became),
        (Standing::Idle, Sighting::Became),
        (Standing::Started, Sighting::Became),
        (Standing::Down, Sighting::Became),
    ];
    assert_eq!(states, expected.map(|(standing, sighting)| Seen::State { standing, sighting }));
    let snapshot = leader.snapshot();
    assert_eq!(snapshot.service("orchestrator").unwrap().history.cells().last(), Some(&Cell::Down));
}

#[tokio::test(start_paused = true)]
async fn a_history_that_cannot_be_kept_is_a_note_and_harms_nothing() {
    let world = World::new();
    world.appears("orchestrator").await;
    world.fill_disk(Some("no space left on device"));
    let leader = engine(&world, Role::Leader);
    let noted = |handle: &Handle| {
        let snapshot = handle.snapshot();
        let notes = &snapshot.service("orchestrator").unwrap().notes;
        notes.iter().any(|note| note == "the health history is not kept: no space left on device")
    };
    wait_for_answers(&leader, 3).await;
    assert!(noted(&leader));
    world.fill_disk(None);
    wait_for_answers(&leader, 5).await;
    assert!(!noted(&leader));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!world.samples("orchestrator").is_empty());
}
