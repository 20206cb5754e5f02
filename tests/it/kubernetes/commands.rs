//! What people type.

use super::double::{Behaviour, Fault};
use super::{NAMESPACE, Platform, manifest, wait_until};

const PATH: &str = "/api/v1/namespaces/platform/configmaps/settings";

#[test]
fn a_start_applies_all_manifests_and_is_over_when_the_rollout_is() {
    let platform = Platform::new();
    let told = platform.must("platform start web");
    assert!(told.contains("Started web with deployment web, context kind-double, namespace platform"), "{told}");
    let deployment = platform.double.deployment(NAMESPACE, "web").unwrap();
    assert_eq!(deployment["status"]["availableReplicas"], 2, "{deployment}");
    assert_eq!(platform.double.object(PATH).unwrap()["data"]["greeting"], "hello");
    let status = platform.must("services status web");
    assert!(status.contains("Status: running"), "{status}");
    assert!(status.contains("web (context kind-double, namespace platform)"), "{status}");
    // Once more: nothing changes, and nothing is waited for.
    let again = platform.must("platform start web");
    assert!(again.contains("already running"), "{again}");
}

#[test]
fn a_stop_keeps_everything_and_a_start_brings_the_same_number_back() {
    let platform = Platform::new();
    platform.must("platform start web");
    // Somebody scaled by hand: the manifest's 2 is not what runs.
    platform.double.scale(NAMESPACE, "web", 3);
    wait_until("three pods", || platform.double.pods().len() == 3);
    let told = platform.must("platform stop web");
    assert!(told.contains("context kind-double, namespace platform"), "{told}");
    let deployment = platform.double.deployment(NAMESPACE, "web").unwrap();
    assert_eq!(deployment["spec"]["replicas"], 0);
    assert_eq!(deployment["metadata"]["annotations"]["provisioning.dev/replicas"], "3");
    assert_eq!(platform.double.pods(), Vec::<String>::new(), "a stop is over when the pods are gone");
    assert!(platform.must("services status web").contains("Status: stopped"));
    platform.must("platform start web");
    let deployment = platform.double.deployment(NAMESPACE, "web").unwrap();
    assert_eq!(deployment["spec"]["replicas"], 3);
    assert!(deployment["metadata"]["annotations"].get("provisioning.dev/replicas").is_none(), "{deployment}");
    let deleted: Vec<String> = platform.double.requests().into_iter().filter(|it| it.starts_with("DELETE")).collect();
    assert_eq!(deleted, Vec::<String>::new());
}

#[test]
fn what_does_not_end_is_named_and_ended_by_force_alone() {
    let platform = Platform::new();
    platform.register("manifests_path = \"MANIFESTS\"", "start_timeout = 20\nstop_timeout = 1");
    platform.must("platform start web");
    platform.double.behave(Behaviour::Stubborn);
    let failed = platform.must_fail("platform stop web");
    for pod in platform.double.pods() {
        assert!(failed.contains(&pod), "{pod}: {failed}");
    }
    assert!(failed.contains("--force"), "{failed}");
    platform.must("platform stop web --force");
    assert_eq!(platform.double.pods(), Vec::<String>::new());
}

#[test]
fn a_restart_replaces_all_pods_and_stops_nothing() {
    let platform = Platform::new();
    platform.must("platform start web");
    let before = platform.double.pods();
    let told = platform.must("platform restart web");
    // The last old one may still be ending, since the new ones are what was waited for.
    wait_until("only new pods", || {
        let after = platform.double.pods();
        after.len() == 2 && after.iter().all(|pod| !before.contains(pod))
    });
    assert!(!told.contains("Stopping"), "{told}");
    assert!(told.contains("context kind-double, namespace platform"), "{told}");
    assert_eq!(platform.double.replicas(NAMESPACE, "web"), Some(2));
    let deployment = platform.double.deployment(NAMESPACE, "web").unwrap();
    assert!(deployment.pointer("/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt").is_some());
}

#[test]
fn a_new_image_is_rolled_out_by_a_restart_once() {
    let platform = Platform::new();
    platform.must("platform start web");
    platform.write("manifests/20-web.yaml", &manifest("replicas: 2", "registry.example/web:2"));
    platform.must("platform restart web");
    let deployment = platform.double.deployment(NAMESPACE, "web").unwrap();
    assert_eq!(deployment.pointer("/spec/template/spec/containers/0/image").unwrap(), "registry.example/web:2");
    assert!(deployment.pointer("/spec/template/metadata/annotations").is_none(), "one rollout, not two: {deployment}");
}

#[test]
fn a_line_that_names_no_count_leaves_it_to_others() {
    let platform = Platform::new();
    platform.must("platform start web");
    platform.write("manifests/20-web.yaml", &manifest("minReadySeconds: 0", "registry.example/web:1"));
    platform.must("platform restart web");
    assert_eq!(platform.double.replicas(NAMESPACE, "web"), Some(2));
}

#[test]
fn the_reason_of_a_failed_start_is_the_pods() {
    for (behaviour, words, state) in [
        (Behaviour::MissingImage, "cannot be pulled (ImagePullBackOff)", "failed"),
        (Behaviour::CrashLoop, "exited with code 3", "restarting"),
        (Behaviour::Unschedulable, "no node takes it: 0/1 nodes are available", "starting"),
        (Behaviour::NeverReady, "it runs but is not ready", "starting"),
    ] {
        let platform = Platform::new();
        platform.register("manifests_path = \"MANIFESTS\"", "start_timeout = 1\nstop_timeout = 5");
        platform.double.behave(behaviour);
        let failed = platform.must_fail("platform start web");
        assert!(failed.contains(words), "{behaviour:?}: {failed}");
        let status = platform.types("services status web");
        let status = super::text_of(&status);
        assert!(status.contains(&format!("Status: {state}")), "{behaviour:?}: {status}");
        platform.must("platform stop web");
    }
}

#[test]
fn a_plan_says_where_it_would_act() {
    let platform = Platform::new();
    platform.must("platform start web");
    for verb in ["stop", "restart"] {
        let plan = platform.must(&format!("platform {verb} web --dry-run"));
        assert!(plan.contains("context kind-double, namespace platform"), "{plan}");
    }
    assert_eq!(platform.double.replicas(NAMESPACE, "web"), Some(2));
}

#[test]
fn checks_say_what_is_missing_before_anything_is_changed() {
    let platform = Platform::new();
    platform.must("services validate");
    let good = Platform::new().must("platform start web");
    assert!(good.contains("Kubernetes cluster accessible: context kind-double, namespace platform"), "{good}");
    platform.write("manifests/10-broken.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: [\n");
    let broken = platform.must_fail("platform start web");
    assert!(broken.contains("10-broken.yaml:") && broken.contains("it is not YAML"), "{broken}");
    std::fs::remove_file(platform.path("manifests/10-broken.yaml")).unwrap();
    platform.double.deny("patch");
    let denied = platform.must_fail("platform start web");
    assert!(denied.contains("You may not patch deployments in the namespace platform"), "{denied}");
    let changed: Vec<String> = platform.double.requests().into_iter().filter(|it| it.starts_with("PATCH")).collect();
    assert_eq!(changed, Vec::<String>::new());
}

#[test]
fn a_cluster_that_cannot_be_had_is_explained() {
    let platform = Platform::new();
    let kubeconfig = std::fs::read_to_string(platform.path("kubeconfig")).unwrap();
    std::fs::remove_file(platform.path("kubeconfig")).unwrap();
    let missing = platform.must_fail("services validate");
    assert!(missing.contains("kubectl is not installed or not configured"), "{missing}");
    platform.write("kubeconfig", &kubeconfig.replace("current-context: kind-double", "current-context: other"));
    let unknown = platform.must_fail("services validate");
    assert!(unknown.contains("there is no context other") && unknown.contains("one of: kind-double"), "{unknown}");
    platform.write("kubeconfig", &kubeconfig);
    platform.double.stop();
    let refused = platform.must_fail("services validate");
    assert!(refused.contains("Kubernetes cluster is not accessible"), "{refused}");
    assert!(refused.contains("cannot be reached: Connection refused"), "{refused}");
    let status = super::text_of(&platform.types("services status web"));
    assert!(status.contains("Status: unknown"), "{status}");
}

#[test]
fn a_service_without_manifests_is_started_and_stopped_as_it_is() {
    let platform = Platform::new();
    platform.must("platform start web");
    platform.register("", "start_timeout = 20");
    platform.must("platform stop web");
    platform.must("platform start web");
    assert_eq!(platform.double.replicas(NAMESPACE, "web"), Some(2));
    platform.register("deployment_name = \"other\"", "");
    let missing = platform.must_fail("platform start web");
    assert!(missing.contains("Deployment not found: other"), "{missing}");
}

#[test]
fn a_start_goes_on_through_an_overloaded_server() {
    let platform = Platform::new();
    platform.double.inject("PATCH", "/deployments/web", Fault::Recorded("throttled-429-get"), 1);
    platform.must("platform start web");
    let patches =
        platform.double.requests().into_iter().filter(|it| it.starts_with("PATCH") && it.contains("/deployments/"));
    assert_eq!(patches.count(), 2);
}

#[test]
fn a_kubeconfig_that_is_open_to_others_is_named_and_used_all_the_same() {
    use std::os::unix::fs::PermissionsExt as _;
    let platform = Platform::new();
    assert!(!platform.must("services validate").contains("Kubeconfig can be"));
    for (mode, deed) in [(0o644, "read"), (0o660, "changed")] {
        std::fs::set_permissions(platform.path("kubeconfig"), std::fs::Permissions::from_mode(mode)).unwrap();
        let validated = platform.must("services validate");
        assert!(validated.contains(&format!("Kubeconfig can be {deed} by other users")), "{mode:o}: {validated}");
        let doctor = super::text_of(&platform.types("doctor"));
        assert!(doctor.contains(&format!("Kubeconfig can be {deed} by other users")), "{mode:o}: {doctor}");
        assert!(doctor.contains("chmod 600"), "{doctor}");
    }
    platform.must("platform start web");
}

#[test]
fn a_proxy_of_the_kubeconfig_is_refused_with_a_way_out_and_one_of_the_environment_is_not_used() {
    let platform = Platform::new();
    let kubeconfig = std::fs::read_to_string(platform.path("kubeconfig")).unwrap();
    let server = format!("server: {:?}", platform.double.server());
    let proxied = kubeconfig.replace(&server, &format!("{server}, proxy-url: \"socks5://me:hunter2@far:1080\""));
    platform.write("kubeconfig", &proxied);
    let refused = platform.must_fail("services validate");
    assert!(refused.contains("its cluster double is behind a proxy (`proxy-url`)"), "{refused}");
    assert!(refused.contains("ssh -NL 6443") && !refused.contains("hunter2"), "{refused}");
    platform.write("kubeconfig", &kubeconfig);
    let output = platform.command("services validate").env("HTTPS_PROXY", "http://127.0.0.1:1").output().unwrap();
    assert!(output.status.success(), "{}", super::text_of(&output));
}
