//! Kubernetes mode: the real executables and the adapter against a double of the API server that answers with recorded answers, and, with
//! `PROVISIONING_TEST_KUBECONFIG`, the life of a service against that cluster.

mod commands;
pub(crate) mod double;
mod life;
mod logs;
mod plugins;
mod refusals;
mod scaling;
#[cfg(feature = "tls")]
mod tls;
mod watches;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use provisioning::backends::kubernetes::{Access, KubernetesBackend, Pace, Settings};
use provisioning::engine::ports::Backend as _;
use provisioning::model::{Deployment, KubernetesSpec, Observed, ServiceSpec};
use provisioning::store::Layout;

use self::double::Double;
use crate::process::{DEADLINE, program};

/// The namespace of the tests.
const NAMESPACE: &str = "platform";

/// A home with one service of Kubernetes mode, `web`, and a cluster.
struct Platform {
    dir: tempfile::TempDir,
    double: Double,
}

/// The Deployment's own manifest.
fn manifest(replicas: &str, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  labels: {{app: web}}\nspec:\n  {replicas}\n  \
         selector:\n    matchLabels: {{app: web}}\n  template:\n    metadata:\n      labels: {{app: web}}\n    spec:\n      \
         terminationGracePeriodSeconds: 1\n      containers:\n      - name: main\n        image: {image}\n        \
         args: [\"sh\", \"-c\", \"echo starting; trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done\"]\n"
    )
}

impl Platform {
    fn new() -> Self {
        Self::with(Double::new(&[NAMESPACE]))
    }

    fn with(double: Double) -> Self {
        let platform = Self { dir: tempfile::tempdir().unwrap(), double };
        let user = "    token: secret-token".to_owned();
        platform.write("kubeconfig", &platform.double.kubeconfig(&user));
        platform.write("manifests/20-web.yaml", &manifest("replicas: 2", "registry.example/web:1"));
        platform.write(
            "manifests/30-config.yml",
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {greeting: hello}\n---\n# nothing\n",
        );
        platform.register("manifests_path = \"MANIFESTS\"", "start_timeout = 20\nstop_timeout = 5");
        platform
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        if name == "kubeconfig" {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    /// The registry, with these lines for its deployment and its startup.
    fn register(&self, deployment: &str, startup: &str) {
        let deployment = deployment.replace("MANIFESTS", &self.path("manifests").display().to_string());
        self.write(
            "services.toml",
            &format!(
                "[services.web]\ntype = \"platform\"\ncategory = \"api\"\n[services.web.deployment]\nmode = \"kubernetes\"\n\
                 [services.web.deployment.kubernetes]\nnamespace = \"{NAMESPACE}\"\n{deployment}\n\
                 [services.web.startup]\nauto_start = true\n{startup}\n"
            ),
        );
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_provisioning"));
        command
            .arg("--config")
            .arg(self.path("services.toml"))
            .args(line.split_whitespace())
            .env("HOME", self.dir.path())
            .env("PROVISIONING_SERVICES_DIR", self.path("services"))
            .env("PROVISIONING_SUPERVISE", "off")
            .env("KUBECONFIG", self.path("kubeconfig"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn types(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// What a command that has to succeed prints.
    #[track_caller]
    fn must(&self, line: &str) -> String {
        let output = self.types(line);
        let text = text_of(&output);
        assert!(output.status.success(), "{line}: {text}");
        text
    }

    /// What a command that has to fail prints.
    #[track_caller]
    fn must_fail(&self, line: &str) -> String {
        let output = self.types(line);
        let text = text_of(&output);
        assert!(!output.status.success(), "{line}: {text}");
        text
    }

    /// The adapter itself, with watches that are quick to lose patience.
    fn backend(&self) -> KubernetesBackend {
        self.backend_with(Pace {
            stream: Duration::from_secs(60),
            silence: Duration::from_millis(300),
            first_pause: Duration::from_millis(20),
            longest_pause: Duration::from_millis(200),
        })
    }

    fn backend_with(&self, pace: Pace) -> KubernetesBackend {
        let access = Access {
            kubeconfig: Some(self.path("kubeconfig").into()),
            home: None,
            program: Some(env!("CARGO_BIN_EXE_provisioning").into()),
        };
        KubernetesBackend::new(Settings { layout: Layout::new(self.path("services")), access, pace })
    }

    fn spec(&self) -> ServiceSpec {
        self.spec_of("web")
    }

    fn spec_of(&self, name: &str) -> ServiceSpec {
        let mut spec = program(name, "/nothing".into(), &[]);
        spec.deployment = Deployment::Kubernetes(KubernetesSpec {
            namespace: NAMESPACE.to_owned(),
            deployment_name: name.to_owned(),
            manifests_path: Some(self.path("manifests")),
        });
        spec
    }
}

fn text_of(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Looks until it is so; the adapter is hinted at changes, this asks.
async fn until(
    backend: &KubernetesBackend,
    spec: &ServiceSpec,
    what: &str,
    mut is_so: impl FnMut(&Result<Observed, provisioning::engine::ports::BackendError>) -> bool,
) -> Result<Observed, provisioning::engine::ports::BackendError> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let observed = backend.observe(spec).await;
        if is_so(&observed) {
            return observed;
        }
        assert!(Instant::now() < deadline, "never {what}: {observed:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for a fact.
#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < DEADLINE, "never so: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
