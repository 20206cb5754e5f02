//! The life of a service, told by the tool's own words alone, so that it can be lived in any cluster.

use std::io::Write as _;
use std::process::Output;

use super::{NAMESPACE, Platform, manifest, text_of};
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
    assert!(must("services logs web --lines 20").contains("starting"));
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

#[test]
fn a_service_lives_in_a_real_cluster() {
    let Some(kubeconfig) = std::env::var_os("PROVISIONING_TEST_KUBECONFIG").filter(|it| !it.is_empty()) else {
        writeln!(
            std::io::stderr(),
            "SKIPPED, PROVISIONING_TEST_KUBECONFIG is not set: a_service_lives_in_a_real_cluster"
        )
        .unwrap();
        return;
    };
    let platform = Platform::with(Double::new(&[]));
    let namespace = format!("provisioning-test-{}", std::process::id());
    let image = std::env::var("PROVISIONING_TEST_IMAGE").unwrap_or_else(|_| "busybox:1.36".to_owned());
    platform.write(
        "manifests/00-namespace.yaml",
        &format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n"),
    );
    platform.write("manifests/20-web.yaml", &manifest("replicas: 2", &image));
    platform.register("manifests_path = \"MANIFESTS\"", "start_timeout = 120\nstop_timeout = 60");
    let registry = std::fs::read_to_string(platform.path("services.toml")).unwrap();
    platform.write("services.toml", &registry.replace(&format!("\"{NAMESPACE}\""), &format!("{namespace:?}")));
    let types = |line: &str| platform.command(line).env("KUBECONFIG", &kubeconfig).output().unwrap();
    let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| live(types)));
    // Deleting is not the tool's business, so it is kubectl's.
    let removed = std::process::Command::new("kubectl")
        .args(["delete", "namespace", &namespace, "--wait=false"])
        .env("KUBECONFIG", &kubeconfig)
        .status();
    if !removed.is_ok_and(|status| status.success()) {
        writeln!(std::io::stderr(), "the namespace {namespace} could not be removed").unwrap();
    }
    if let Err(panic) = lived {
        std::panic::resume_unwind(panic);
    }
}
