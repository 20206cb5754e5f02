//! Docker mode against the real engine of this machine, with images that hold nothing but the test program. Without an engine, each
//! test says so and passes. Everything that is made has a name of its own and is removed.

mod commands;
mod engine;
mod half;
mod output;
mod private;
mod pull;
mod recovery;
#[cfg(feature = "tls")]
mod secured;
mod shared;
mod starting;
mod states;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use provisioning::backends::docker::{DockerBackend, Settings};
use provisioning::engine::ports::Backend as _;
use provisioning::model::{Deployment, DockerSpec, Observed, Presence, ServiceSpec};
use provisioning::store::Layout;

use crate::process::{DEADLINE, program};
use crate::support::engine::{docker, engine_answers, import, must};

/// One service of Docker mode in a home of its own.
struct Fixture {
    home: tempfile::TempDir,
    backend: DockerBackend,
    name: String,
    spec: ServiceSpec,
}

impl Fixture {
    /// An image whose only program gets these arguments. `None`, loudly, where there is no engine.
    fn new(arguments: &[&str]) -> Option<Self> {
        if !engine_answers() {
            return None;
        }
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("provisioning-test-{}-{number}", std::process::id());
        import(&name, arguments);
        let home = tempfile::tempdir().expect("directory");
        let layout = Layout::new(home.path().join("services"));
        let spec = spec(&name);
        let docker_host = std::env::var("DOCKER_HOST").ok();
        let docker_config = Some(home.path().join("docker"));
        let backend = DockerBackend::new(Settings { layout, docker_host, docker_certificates: None, docker_config });
        Some(Self { home, backend, name, spec })
    }

    /// Where `docker login` would have left something, made to put something there.
    fn docker_config(&self) -> PathBuf {
        let dir = self.home.path().join("docker");
        std::fs::create_dir_all(&dir).expect("directory");
        dir
    }

    fn docker_spec(&mut self) -> &mut DockerSpec {
        match &mut self.spec.deployment {
            Deployment::Docker(docker) => docker,
            other => panic!("{other:?}"),
        }
    }

    /// Another copy of the tool on the same home.
    fn another_backend(&self) -> DockerBackend {
        let docker_host = std::env::var("DOCKER_HOST").ok();
        DockerBackend::new(Settings {
            layout: Layout::new(self.home.path().join("services")),
            docker_host,
            docker_certificates: None,
            docker_config: None,
        })
    }

    async fn observe(&self) -> Observed {
        self.another_backend().observe(&self.spec).await.expect("observation")
    }

    async fn until(&self, what: &str, mut is_so: impl FnMut(&Presence) -> bool) -> Observed {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let observed = self.observe().await;
            if is_so(&observed.presence) {
                return observed;
            }
            assert!(Instant::now() < deadline, "never {what}: {observed:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn inspect(&self, format: &str) -> String {
        must(&["inspect", "--format", format, &self.name])
    }

    /// Ours speak when they are ready to be signalled.
    fn until_it_has_said(&self, words: &str) {
        let deadline = Instant::now() + DEADLINE;
        while !String::from_utf8_lossy(&docker(&["logs", &self.name]).stdout).contains(words) {
            assert!(Instant::now() < deadline, "{} never said {words}", self.name);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.name]);
        let image = self.docker_spec().image.clone();
        docker(&["rmi", "-f", &self.name, &image]);
    }
}

/// A service whose image and container have this name.
fn spec(name: &str) -> ServiceSpec {
    let mut spec = program("web", "/service".into(), &[]);
    spec.deployment = Deployment::Docker(DockerSpec {
        image: name.to_owned(),
        container_name: name.to_owned(),
        ports: Vec::new(),
        volumes: Vec::new(),
        restart_policy: None,
    });
    spec
}

/// Whether a stand-in can be put before the engine. Says so loudly where not.
fn is_at_the_usual_socket() -> bool {
    let is_usual = std::env::var_os("DOCKER_HOST").is_none();
    if !is_usual {
        writeln!(std::io::stderr(), "SKIPPED, DOCKER_HOST names another socket than the usual one").expect("stderr");
    }
    is_usual
}

fn free_port() -> u16 {
    let [port] = provisioning::host::free_ports().expect("a port");
    port
}

const GOOD: [&str; 3] = ["--end-on-term", "--print", "ready"];
