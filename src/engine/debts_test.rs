//! Starts that did not come to be because of another service, and come when that one is well.

use std::time::Duration;

use super::handle::Handle;
use super::operation::Verb;
use super::tests::{engine, operate, wait_for, wait_for_kind, wait_until_alive};
use crate::model::{
    Deployment, DockerSpec, Ending, FailureReason, Health, Presence, RestartOnFailure, Role, ServiceSpec, ServiceState,
    Snapshot, StateKind,
};
use crate::testkit::builders::{checked_service, id, restarted_service};
use crate::testkit::world::{Script, World};

/// `web` needs `cache`, which needs `db`.
fn chain() -> [ServiceSpec; 3] {
    [checked_service("db", ""), checked_service("cache", "db"), restarted_service("web", "cache")]
}

fn is_healthy(snapshot: &Snapshot, name: &str) -> bool {
    snapshot.service(name).is_some_and(|service| service.health() == Health::Healthy)
}

async fn gets_well(world: &World, name: &str) {
    world.script(name, Script::default());
    world.set_sick(name, false);
    tokio::time::sleep(Duration::from_secs(30)).await;
}

/// A start of all of it, in which `db` does not become ready in time.
async fn start_in_vain(world: &World, handle: &Handle) {
    world.script("db", Script { ready_after: None, ..Script::default() });
    let (_, summary) = operate(handle, Verb::Start, "web").await;
    assert_eq!(summary.skipped.len(), 2, "{summary:?}");
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_a_dependency_in_vain_is_started_when_that_is_well_by_whoever_leads_then() {
    let world = World::new();
    let asked = engine(&world, chain());
    start_in_vain(&world, &asked).await;
    let noted = |snapshot: &Snapshot| {
        snapshot
            .service("web")
            .is_some_and(|web| web.notes.iter().any(|note| note.contains("as soon as cache is well")))
    };
    wait_for(&asked, noted).await;
    gets_well(&world, "db").await;
    assert_eq!(world.n_launches("cache"), 0, "nobody leads");
    asked.lead(Role::Leader).await.unwrap();
    wait_for(&asked, |snapshot| is_healthy(snapshot, "web")).await;
    assert_eq!((world.n_launches("cache"), world.n_launches("web")), (1, 1));
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(world.n_launches("web"), 1, "a debt is paid once");
    let timeline = world.timeline().join("\n");
    assert!(timeline.contains("web: start requested (recovery)"), "{timeline}");
}

#[tokio::test(start_paused = true)]
async fn a_person_who_stops_it_meanwhile_or_everything_is_not_overruled() {
    for names in ["web", ""] {
        let world = World::new();
        let handle = engine(&world, chain());
        handle.lead(Role::Leader).await.unwrap();
        start_in_vain(&world, &handle).await;
        operate(&handle, Verb::Stop, names).await;
        if names.is_empty() {
            operate(&handle, Verb::Start, "db").await;
        }
        gets_well(&world, "db").await;
        wait_for(&handle, |snapshot| is_healthy(snapshot, "db")).await;
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(world.n_launches("web"), 0, "stopped {names:?}");
        assert_eq!(world.n_launches("cache"), usize::from(!names.is_empty()), "stopped {names:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_while_a_dependency_was_down_comes_back_with_it() {
    let world = World::new();
    let handle = engine(&world, chain());
    handle.lead(Role::Leader).await.unwrap();
    operate(&handle, Verb::Start, "web").await;
    let reason = || FailureReason::GaveUp { ending: Ending::Exited(1), restarts: 3 };
    world.set_sick("db", true);
    wait_for(&handle, |snapshot| snapshot.service("db").unwrap().health() == Health::Unhealthy).await;
    world.shows("web", Presence::Failed { reason: reason() }).await;
    wait_for_kind(&handle, "web", StateKind::Failed).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(world.n_launches("web"), 1, "the reason is still there");
    gets_well(&world, "db").await;
    wait_until_alive(&handle, "web").await;
    // With all well, its own failure is its own.
    wait_for(&handle, |snapshot| is_healthy(snapshot, "web")).await;
    world.shows("web", Presence::Failed { reason: reason() }).await;
    wait_for_kind(&handle, "web", StateKind::Failed).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(world.n_launches("web"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_was_done_before_the_launch_is_not_undone_by_it() {
    let world = World::new();
    let handle = engine(&world, chain());
    handle.lead(Role::Leader).await.unwrap();
    start_in_vain(&world, &handle).await;
    // Another copy of the tool stops it: nothing tells this engine.
    crate::engine::ports::Store::forgive(world.as_ref(), &id("web"));
    gets_well(&world, "db").await;
    wait_for(&handle, |snapshot| is_healthy(snapshot, "cache")).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(world.n_launches("web"), 0);
}

fn in_a_container(mut spec: ServiceSpec) -> ServiceSpec {
    spec.deployment = Deployment::Docker(DockerSpec {
        image: "web".to_owned(),
        container_name: "web".to_owned(),
        ports: Vec::new(),
        volumes: Vec::new(),
        restart_policy: None,
    });
    spec.startup.restart_on_failure = RestartOnFailure::UpTo { max_restarts: 1 };
    spec
}

/// Waits for a fact in real time: what is owed is due on the machine's own clock, which no test can pause.
async fn really(what: &str, is_so: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "never so: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn an_unhealthy_container_is_restarted_by_the_leader_within_a_budget_that_a_later_leader_knows() {
    let world = World::new();
    let mut web = in_a_container(checked_service("web", ""));
    web.startup.start_timeout = Duration::from_millis(100);
    web.health_check.interval = Duration::from_secs(1);
    web.health_check.retries = 1;
    // It ignores its stop signal.
    web.startup.stop_timeout = Duration::from_millis(50);
    world.script("web", Script { stop_takes: None, ..Script::default() });
    let handle = engine(&world, [web]);
    handle.lead(Role::Leader).await.unwrap();
    operate(&handle, Verb::Start, "web").await;
    world.set_sick("web", true);
    wait_for_kind(&handle, "web", StateKind::Backoff).await;
    let told = world.timeline().join("\n");
    assert!(told.contains("web: restarting it, because it is unhealthy"), "{told}");
    assert!(told.contains("is killed (recovery)"), "{told}");
    really("restarted", || world.n_launches("web") == 2).await;
    let failed = wait_for_kind(&handle, "web", StateKind::Failed).await;
    let reason = FailureReason::GaveUp { ending: Ending::Unhealthy, restarts: 1 };
    assert_eq!(failed.service("web").unwrap().state, ServiceState::Failed { reason });
    assert_eq!(world.n_launches("web"), 2);
    world.set_sick("web", false);
    operate(&handle, Verb::Start, "web").await;
    assert_eq!(world.n_launches("web"), 3);
    assert_eq!(crate::engine::ports::Store::debt(world.as_ref(), &id("web")), None, "a person's start begins anew");
}
