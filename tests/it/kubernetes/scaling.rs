//! A role that may scale a Deployment and do nothing else to it.

use std::time::Duration;

use provisioning::engine::ports::Backend as _;
use provisioning::model::{Intent, StartHow, StopHow};

use super::double::Fault;
use super::{NAMESPACE, Platform, until, wait_until};

/// A platform without manifests, three pods of which run, where nothing but a scale is allowed.
async fn scale_alone() -> Platform {
    let platform = Platform::new();
    platform.backend().start(&platform.spec(), StartHow::AsItIs).await.unwrap();
    platform.double.scale(NAMESPACE, "web", 3);
    wait_until("three pods", || platform.double.pods().len() == 3);
    platform.register("", "start_timeout = 20\nstop_timeout = 5");
    platform.double.inject("PATCH", "/deployments/web?", Fault::Recorded("auth-403-apply"), usize::MAX);
    platform.double.deny("patch");
    platform
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_scale_can_stop_and_start_and_the_number_of_pods_comes_back() {
    let platform = scale_alone().await;
    let (validated, stopped, started) = tokio::task::block_in_place(|| {
        let validated = platform.must("services validate");
        let stopped = platform.must("platform stop web");
        assert_eq!(platform.double.replicas(NAMESPACE, "web"), Some(0));
        assert_eq!(platform.double.pods(), Vec::<String>::new());
        assert!(platform.must("services status web").contains("Status: stopped"));
        (validated, stopped, platform.must("platform start web"))
    });
    assert!(validated.contains("You may only scale deployments in the namespace platform"), "{validated}");
    assert_eq!(platform.double.replicas(NAMESPACE, "web"), Some(3), "{stopped}\n{started}");
    assert!(!platform.path("services/state/web.replicas").exists(), "what came back is forgotten");
    let restart = tokio::task::block_in_place(|| platform.must_fail("platform restart web"));
    assert!(restart.contains("you may not patch deployments/web (403 Forbidden)"), "{restart}");
    assert_eq!(platform.double.replicas(NAMESPACE, "web"), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_remembered_here_is_not_believed_of_another_deployment_or_against_a_later_stop() {
    let platform = scale_alone().await;
    let (backend, mut spec) = (platform.backend(), platform.spec());
    if let provisioning::model::Deployment::Kubernetes(it) = &mut spec.deployment {
        it.manifests_path = None;
    }
    backend.stop(&spec, StopHow::Ask, Duration::from_secs(5)).await.unwrap();
    let stopped = until(&backend, &spec, "stopped", |it| it.as_ref().is_ok_and(|it| it.intent == Some(Intent::Down)));
    stopped.await.unwrap();
    // Somebody who may do more starts it, scales it and stops it elsewhere.
    platform.double.heal();
    let elsewhere = Platform::with(super::double::Double::new(&[]));
    elsewhere.write("kubeconfig", &platform.double.kubeconfig("    token: secret-token"));
    let other = elsewhere.backend();
    other.start(&spec, StartHow::AsItIs).await.unwrap();
    assert_eq!(platform.double.replicas(NAMESPACE, "web"), Some(1), "nobody there knows of three");
    platform.double.scale(NAMESPACE, "web", 5);
    other.stop(&spec, StopHow::Ask, Duration::from_secs(5)).await.unwrap();

    backend.start(&spec, StartHow::AsItIs).await.unwrap();
    assert_eq!(platform.double.replicas(NAMESPACE, "web"), Some(5));
}
