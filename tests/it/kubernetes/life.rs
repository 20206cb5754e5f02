//! The life of a service, told by the tool's own words alone, so that it can be lived in any cluster.

use std::io::Write as _;
use std::process::Output;

use super::{NAMESPACE, Platform, manifest, text_of, wait_until};
use crate::kubernetes::double::Double;

/// Everything that is typed, and what has to come of it.
fn live(types: impl Fn(&str) -> Output) {
    let must = |line: &str| {
        let output = types(line);
        assert!(output.status.success(), "{line}: {}", text_of(&output));
        text_of(&output)
    };
    let status = || text_of(&types("services status web"));
    must("services validate");
    assert!(must("platform start web").contains("Started web with deployment web"));
    assert!(status().contains("Status: running"), "{}", status());
    assert!(must("platform start web").contains("already running"));
    // A node may tell what was printed a moment after it says that it runs.
    wait_until("its first line", || text_of(&types("services logs web --lines 20")).contains("starting"));
    must("platform restart web");
    assert!(status().contains("Status: running"), "{}", status());
    must("platform stop web");
    assert!(status().contains("Status: stopped"), "{}", status());
    must("platform start web");
    assert!(status().contains("Status: running"), "{}", status());
    must("platform stop web --force");
    assert!(status().contains("Status: stopped"), "{}", status());
}

#[test]
fn a_service_lives_in_the_double() {
    let platform = Platform::new();
    live(|line| platform.types(line));
}

/// Moves the platform to a namespace of its own, which its manifests make.
fn move_to(platform: &Platform, namespace: &str, image: &str, startup: &str) {
    platform.write(
        "manifests/00-namespace.yaml",
        &format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n"),
    );
    platform.write("manifests/20-web.yaml", &manifest("replicas: 2", image));
    platform.register("manifests_path = \"MANIFESTS\"", startup);
    let registry = std::fs::read_to_string(platform.path("services.toml")).unwrap();
    let place = |name: &str| format!("namespace = {name:?}");
    assert!(registry.contains(&place(NAMESPACE)), "{registry}");
    platform.write("services.toml", &registry.replace(&place(NAMESPACE), &place(namespace)));
}

#[test]
fn a_service_lives_in_a_namespace_that_its_manifests_make() {
    // As in a real cluster, so that the way there is gone where there is none, too.
    let platform = Platform::with(Double::new(&[]));
    move_to(&platform, "provisioning-test", "registry.example/web:1", "start_timeout = 20\nstop_timeout = 5");
    live(|line| platform.types(line));
    assert!(platform.double.object("/api/v1/namespaces/provisioning-test").is_some());
    assert_eq!(platform.double.replicas("provisioning-test", "web"), Some(0));
}

/// Loudly.
fn skipped(why: &str) {
    writeln!(std::io::stderr(), "SKIPPED, {why}: a_service_lives_in_a_real_cluster").expect("stderr");
}

#[test]
fn a_service_lives_in_a_real_cluster() {
    let Some(kubeconfig) = std::env::var_os("PROVISIONING_TEST_KUBECONFIG").filter(|it| !it.is_empty()) else {
        return skipped("PROVISIONING_TEST_KUBECONFIG is not set");
    };
    let kubectl = |arguments: &[&str]| {
        let mut kubectl = std::process::Command::new("kubectl");
        kubectl.args(arguments).env("KUBECONFIG", &kubeconfig).stdin(std::process::Stdio::null());
        kubectl.output().is_ok_and(|output| output.status.success())
    };
    // Deleting is not the tool's business, so it is kubectl's: nothing is made that could not be removed.
    if !kubectl(&["auth", "can-i", "delete", "namespaces"]) {
        return skipped("kubectl is not here, or may not delete namespaces");
    }
    let platform = Platform::with(Double::new(&[]));
    let namespace = format!("provisioning-test-{}", std::process::id());
    // One whose entry point, if it has any, runs `sh`.
    let image = std::env::var("PROVISIONING_TEST_IMAGE").unwrap_or_else(|_| "busybox:1.36".to_owned());
    move_to(&platform, &namespace, &image, "start_timeout = 120\nstop_timeout = 60");
    // Credential plugins keep what they need in the home of whoever runs this; ours is named by variables of its own.
    let home = std::env::var_os("HOME").unwrap_or_default();
    let types = |line: &str| platform.command(line).env("KUBECONFIG", &kubeconfig).env("HOME", &home).output().unwrap();
    let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| live(types)));
    let is_removed = kubectl(&["delete", "namespace", &namespace, "--wait=false"]);
    if let Err(panic) = lived {
        std::panic::resume_unwind(panic);
    }
    assert!(is_removed, "the namespace {namespace} could not be removed");
}
