//! Docker Compose mode: against the real engine and the real program of this machine, with an image that holds nothing but the test
//! program, and with stand-ins on `PATH` for what cannot be had for real. Without an engine or without Compose, each test that wants one
//! says so and passes. Everything that is made has a project of its own and is removed.

mod commands;
mod example;
mod failures;
mod files;
mod interruptions;
mod lives;
mod output;
mod programs;

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use provisioning::backends::compose::{ComposeBackend, Settings};
use provisioning::engine::ports::{Backend as _, BackendError, Preparation};
use provisioning::host::{Places, System};
use provisioning::model::{
    ComposeSpec, Deployment, Launch, LaunchOrigin, Observed, Presence, ServiceSpec, StartHow, StopHow,
};
use provisioning::store::Layout;

use crate::process::{DEADLINE, program};
use crate::support::engine::{docker, engine_answers, import, must};

/// What the service does unless a test says otherwise.
const GOOD: &str = r#"["/static-service", "--end-on-term", "--print", "ready"]"#;

/// One service of Compose mode in a home and a project of its own: `web` in the registry, `app` in the Compose file.
struct Fixture {
    home: tempfile::TempDir,
    backend: ComposeBackend,
    /// The image and, unless the test leaves it to Compose, the project.
    name: String,
    spec: ServiceSpec,
}

fn compose_answers() -> bool {
    let answers = ["docker", "docker-compose"].iter().zip([&["compose", "version"][..], &["version"]]);
    let answers = answers.into_iter().any(|(program, arguments)| {
        let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
        output.is_ok_and(|output| output.status.success())
    });
    if !answers {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test").to_owned();
        writeln!(std::io::stderr(), "SKIPPED, there is no Docker Compose here: {test}").expect("stderr");
    }
    answers
}

/// A backend of the home in this directory, with programs of this path.
fn backend_in(home: &Path, search_path: Option<OsString>) -> ComposeBackend {
    let layout = Layout::new(home.join("services"));
    let places = Places { layout: layout.clone(), home: None, docker_host: None, kubeconfig: None };
    let settings = Settings::new(layout, search_path, Arc::new(System::new(places)));
    ComposeBackend::new(Settings { docker_host: std::env::var("DOCKER_HOST").ok(), ..settings })
}

fn spec_of(file: PathBuf, project: Option<&str>) -> ServiceSpec {
    let mut spec = program("web", "/service".into(), &[]);
    spec.deployment = Deployment::DockerCompose(ComposeSpec {
        compose_file: file,
        service_name: "app".to_owned(),
        project_name: project.map(str::to_owned),
    });
    spec
}

impl Fixture {
    /// `app` with this command. `None`, loudly, where there is no engine or no Compose.
    fn new(command: &str) -> Option<Self> {
        if !engine_answers() || !compose_answers() {
            return None;
        }
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("provisioning-test-compose-{}-{number}", std::process::id());
        import(&name, &[]);
        let home = tempfile::tempdir().expect("directory");
        let project = home.path().join("project");
        fs::create_dir(&project).expect("directory");
        let spec = spec_of(project.join("compose.yaml"), Some(&name));
        let backend = backend_in(home.path(), std::env::var_os("PATH"));
        let it = Self { home, backend, name, spec };
        it.write(&it.definition("app", command, ""));
        Some(it)
    }

    /// A service in the words of a Compose file.
    fn definition(&self, service: &str, command: &str, more: &str) -> String {
        let image = &self.name;
        format!("  {service}:\n    image: {image}\n    command: {command}\n    network_mode: none\n{more}")
    }

    fn file(&self) -> PathBuf {
        match &self.spec.deployment {
            Deployment::DockerCompose(compose) => compose.compose_file.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn compose_spec(&mut self) -> &mut ComposeSpec {
        match &mut self.spec.deployment {
            Deployment::DockerCompose(compose) => compose,
            other => panic!("{other:?}"),
        }
    }

    /// The Compose file with these services.
    fn write(&self, services: &str) {
        fs::write(self.file(), format!("version: \"2.4\"\nservices:\n{services}")).expect("compose file");
    }

    /// Another copy of the tool on the same home.
    fn another_backend(&self) -> ComposeBackend {
        backend_in(self.home.path(), std::env::var_os("PATH"))
    }

    /// As the engine does it: what is missing is fetched, and then it is started.
    async fn start(&self) -> Result<Launch, BackendError> {
        start_with(&self.backend, &self.spec).await
    }

    #[track_caller]
    fn assert_started(launch: &Launch) {
        assert_eq!(launch.origin, LaunchOrigin::Started);
    }

    async fn stop(&self) {
        self.backend.stop(&self.spec, StopHow::Ask, DEADLINE).await.expect("stops");
    }

    async fn observe(&self) -> Observed {
        self.another_backend().observe(&self.spec).await.expect("observation")
    }

    async fn until(&self, what: &str, mut is_so: impl FnMut(&Observed) -> bool) -> Observed {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let observed = self.observe().await;
            if is_so(&observed) {
                return observed;
            }
            assert!(Instant::now() < deadline, "never {what}: {observed:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Types it as a person does, without this tool.
    #[track_caller]
    fn by_hand(&self, project: &str, arguments: &[&str]) {
        let v2 = Command::new("docker").args(["compose", "version"]).stdin(Stdio::null()).output();
        let mut command = if v2.is_ok_and(|output| output.status.success()) {
            let mut command = Command::new("docker");
            command.arg("compose");
            command
        } else {
            Command::new("docker-compose")
        };
        let output = command
            .args(["-p", project, "-f"])
            .arg(self.file())
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("compose");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The ids of a service's containers, of a project, whatever their state.
    fn containers(&self, project: &str, service: &str, more: &[&str]) -> Vec<String> {
        let project = format!("label=com.docker.compose.project={project}");
        let service = format!("label=com.docker.compose.service={service}");
        let mut arguments = vec!["ps", "-aq", "--no-trunc", "--filter", &project, "--filter", &service];
        arguments.extend(more);
        must(&arguments).lines().map(str::to_owned).collect()
    }

    fn running(&self, service: &str) -> Vec<String> {
        self.containers(&self.name, service, &["--filter", "status=running"])
    }

    /// Ours speak when they are ready to be signalled.
    fn until_all_have_said(&self, words: &str) {
        for id in self.running("app") {
            let deadline = Instant::now() + DEADLINE;
            while !String::from_utf8_lossy(&docker(&["logs", &id]).stdout).contains(words) {
                assert!(Instant::now() < deadline, "{id} never said {words}");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

async fn start_with(backend: &ComposeBackend, spec: &ServiceSpec) -> Result<Launch, BackendError> {
    backend.prepare(spec, StartHow::AsItIs, Preparation::new().0).await?;
    backend.start(spec, StartHow::AsItIs).await
}

/// Removes every container and network of a project.
fn remove_project(project: &str) {
    let filter = format!("label=com.docker.compose.project={project}");
    let all = |arguments: &[&str]| String::from_utf8_lossy(&docker(arguments).stdout).into_owned();
    for id in all(&["ps", "-aq", "--filter", &filter]).lines() {
        docker(&["rm", "-f", "-v", id]);
    }
    for name in all(&["volume", "ls", "-q", "--filter", &filter]).lines() {
        docker(&["volume", "rm", "-f", name]);
    }
    for id in all(&["network", "ls", "-q", "--filter", &filter]).lines() {
        docker(&["network", "rm", id]);
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        remove_project(&self.name);
        docker(&["rmi", "-f", &self.name]);
    }
}

fn is_present(observed: &Observed) -> bool {
    matches!(observed.presence, Presence::Present { .. })
}

fn is_down(observed: &Observed) -> bool {
    observed.presence == Presence::Absent
}
