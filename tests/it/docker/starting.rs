//! What is made of a service of Docker mode, and what becomes of it at the next start.

use std::time::{Duration, Instant};

use provisioning::engine::ports::{Backend as _, Probe as _};
use provisioning::health::Prober;
use provisioning::model::{
    Check, FailureReason, HostPort, Instance, Intent, LaunchOrigin, Presence, ProbeOutcome, ProbeVerdict,
    RestartOnFailure, StartHow, StopHow,
};

use super::{Fixture, GOOD, free_port};
use crate::process::{DEADLINE, is_present};

#[tokio::test]
async fn a_container_is_made_as_the_registry_says_and_is_healthy_by_its_published_port() {
    let Some(mut it) = Fixture::new(&["--end-on-term", "--public-port", "80", "--print", "ready"]) else { return };
    let (port, udp) = (free_port(), free_port());
    let volume = it.home.path().to_string_lossy().into_owned();
    it.docker_spec().ports = vec![format!("127.0.0.1:{port}:80"), format!("{udp}:53/udp")];
    it.docker_spec().volumes = vec![format!("{volume}:/data:ro")];
    it.spec.startup.restart_on_failure = RestartOnFailure::UpTo { max_restarts: 3 };
    let launch = it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    assert_eq!(launch.origin, LaunchOrigin::Started);

    let check = Check::Tcp { host: "127.0.0.1".to_owned(), port };
    let deadline = Instant::now() + DEADLINE;
    loop {
        let outcome = Prober::new().probe(&check, Duration::from_secs(1)).await;
        if matches!(&outcome, ProbeOutcome::Answered(report) if report.verdict == ProbeVerdict::Passed) {
            break;
        }
        assert!(Instant::now() < deadline, "{outcome:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(it.inspect("{{json .HostConfig.Binds}}"), format!("[\"{volume}:/data:ro\"]"));
    assert_eq!(
        it.inspect("{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}"),
        "on-failure 3"
    );
    assert_eq!(it.inspect("{{(index (index .HostConfig.PortBindings \"53/udp\") 0).HostPort}}"), udp.to_string());
    assert_eq!(it.inspect("{{index .Config.Labels \"provisioning.service\"}}"), "web");

    let again = it.another_backend().start(&it.spec, StartHow::AsItIs).await.expect("found");
    assert_eq!((again.origin, &again.instance), (LaunchOrigin::FoundRunning, &launch.instance));
    let observed = it.observe().await;
    assert!(is_present(&observed.presence), "{observed:?}");
    assert_eq!((observed.intent, observed.notes), (Some(Intent::Up), Vec::new()));
    it.backend.stop(&it.spec, StopHow::Ask, DEADLINE).await.expect("stops");
}

#[tokio::test]
async fn a_stopped_container_is_started_again_and_made_anew_only_when_the_registry_has_changed() {
    let Some(mut it) = Fixture::new(&GOOD) else { return };
    let id = |instance: &Instance| match instance {
        Instance::Container { id, .. } => id.clone(),
        other => panic!("{other:?}"),
    };
    let first = it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts").instance;
    it.until_it_has_said("ready");
    let begun = Instant::now();
    it.backend.stop(&it.spec, StopHow::Ask, DEADLINE).await.expect("stops");
    assert!(begun.elapsed() < Duration::from_secs(5), "a stop lasts as long as the service takes, not longer");
    let second = it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts").instance;
    assert_eq!(id(&first), id(&second));
    assert_ne!(first, second, "another run is another instance");

    it.until_it_has_said("ready");
    it.docker_spec().restart_policy = Some("unless-stopped".to_owned());
    let observed = it.observe().await;
    assert!(observed.notes.iter().any(|note| note.contains("a restart applies it")), "{observed:?}");
    it.backend.stop(&it.spec, StopHow::AskThenKill, DEADLINE).await.expect("stops");
    let third = it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts").instance;
    assert_ne!(id(&second), id(&third));
    assert_eq!(it.inspect("{{.HostConfig.RestartPolicy.Name}}"), "unless-stopped");
    it.backend.stop(&it.spec, StopHow::Kill, DEADLINE).await.expect("stops");
}

#[tokio::test]
async fn a_port_in_use_is_said_with_what_to_do() {
    let Some(mut it) = Fixture::new(&GOOD) else { return };
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("bind");
    let port = taken.local_addr().expect("address").port();
    it.docker_spec().ports = vec![format!("127.0.0.1:{port}:80")];
    assert!(it.spec.host_ports().contains(&HostPort::tcp(port)), "pre-flight looks at it");
    let error = it.backend.start(&it.spec, StartHow::AsItIs).await.expect_err("the port is taken");
    assert!(error.message.contains("in use") && error.remedy.is_some(), "{error:?}");
    let observed = it.observe().await;
    assert!(
        matches!(observed.presence, Presence::Failed { reason: FailureReason::CouldNotStart(_) }),
        "another copy sees it too: {observed:?}"
    );
    drop(taken);
    it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts once the port is free");
}

#[tokio::test]
async fn force_makes_a_container_anew_though_nothing_has_changed_and_leaves_alone_what_runs() {
    let Some(it) = Fixture::new(&GOOD) else { return };
    it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    let first = it.inspect("{{.Id}}");
    let launch = it.backend.start(&it.spec, StartHow::Anew).await.expect("runs");
    assert_eq!((launch.origin, it.inspect("{{.Id}}")), (LaunchOrigin::FoundRunning, first.clone()));
    it.backend.stop(&it.spec, StopHow::Kill, DEADLINE).await.expect("stops");
    it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    assert_eq!(it.inspect("{{.Id}}"), first);
    it.backend.stop(&it.spec, StopHow::Kill, DEADLINE).await.expect("stops");
    it.backend.start(&it.spec, StartHow::Anew).await.expect("starts");
    assert_ne!(it.inspect("{{.Id}}"), first);
}
