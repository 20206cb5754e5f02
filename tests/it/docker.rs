//! Docker mode against the real engine of this machine, with images that hold nothing but the test program. Without an engine, each
//! test says so and passes. Everything that is made has a name of its own and is removed.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use provisioning::backends::docker::{DockerBackend, HostWithContainers, Settings};
use provisioning::engine::ports::{
    self, Backend as _, Following, Host as _, LogSource as _, OutputSource as _, Probe as _, StopError,
};
use provisioning::health::Prober;
use provisioning::host::{Places, System};
use provisioning::logs::{AllLogs, FileLogs};
use provisioning::model::{
    Check, Deployment, DockerSpec, Ending, FailureReason, Instance, Intent, LaunchOrigin, Observed, Presence,
    ProbeOutcome, ProbeVerdict, RestartOnFailure, ServiceSpec, StopHow,
};
use provisioning::preflight::{ConflictKind, Requirement};
use provisioning::store::Layout;

use crate::process::{DEADLINE, is_present, program};
use crate::support::program::compiled;

fn docker(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).stdin(Stdio::null()).output().expect("docker runs")
}

#[track_caller]
fn must(arguments: &[&str]) -> String {
    let output = docker(arguments);
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

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
        let has_engine = Command::new("docker")
            .args(["version", "--format", "{{.Server.Version}}"])
            .stdin(Stdio::null())
            .output()
            .is_ok_and(|output| output.status.success());
        if !has_engine {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("a test").to_owned();
            writeln!(std::io::stderr(), "SKIPPED, no Docker Engine answers here: {test}").expect("stderr");
            return None;
        }
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("provisioning-test-{}-{number}", std::process::id());
        import(&name, arguments);
        let home = tempfile::tempdir().expect("directory");
        let layout = Layout::new(home.path().join("services"));
        let mut spec = program("web", "/service".into(), &[]);
        spec.deployment = Deployment::Docker(DockerSpec {
            image: name.clone(),
            container_name: name.clone(),
            ports: Vec::new(),
            volumes: Vec::new(),
            restart_policy: None,
        });
        let docker_host = std::env::var("DOCKER_HOST").ok();
        let backend = DockerBackend::new(Settings { layout, docker_host });
        Some(Self { home, backend, name, spec })
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
        DockerBackend::new(Settings { layout: Layout::new(self.home.path().join("services")), docker_host })
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
        docker(&["rmi", "-f", &self.name]);
    }
}

/// The test program for an image that holds nothing else.
fn static_service() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| compiled("static-service", &["-C", "target-feature=+crt-static"])).clone()
}

/// Makes an image from nothing but the test program.
fn import(name: &str, arguments: &[&str]) {
    let program = static_service();
    let words: Vec<String> =
        std::iter::once("/static-service").chain(arguments.iter().copied()).map(|word| format!("{word:?}")).collect();
    let mut tar = Command::new("tar")
        .arg("-C")
        .arg(program.parent().expect("directory"))
        .args(["-c", "static-service"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("tar");
    let imported = Command::new("docker")
        .args(["import", "--change", &format!("CMD [{}]", words.join(", ")), "-", name])
        .stdin(tar.stdout.take().expect("stdout"))
        .output()
        .expect("docker");
    assert!(tar.wait().expect("tar").success());
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
}

fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).expect("bind").local_addr().expect("address").port()
}

const GOOD: [&str; 3] = ["--end-on-term", "--print", "ready"];

#[tokio::test]
async fn a_container_is_made_as_the_registry_says_and_is_healthy_by_its_published_port() {
    let Some(mut it) = Fixture::new(&["--end-on-term", "--public-port", "80", "--print", "ready"]) else { return };
    let (port, udp) = (free_port(), free_port());
    let volume = it.home.path().to_string_lossy().into_owned();
    it.docker_spec().ports = vec![format!("127.0.0.1:{port}:80"), format!("{udp}:53/udp")];
    it.docker_spec().volumes = vec![format!("{volume}:/data:ro")];
    it.spec.startup.restart_on_failure = RestartOnFailure::UpTo { max_restarts: 3 };
    let launch = it.backend.start(&it.spec).await.expect("starts");
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

    let again = it.another_backend().start(&it.spec).await.expect("found");
    assert_eq!((again.origin, &again.instance), (LaunchOrigin::FoundRunning, &launch.instance));
    let observed = it.observe().await;
    assert!(is_present(&observed.presence), "{observed:?}");
    assert_eq!((observed.intent, observed.notes), (Some(Intent::Up), Vec::new()));
    it.backend.stop(&it.spec, StopHow::Ask, DEADLINE).await.expect("stops");
}

#[tokio::test]
async fn a_container_killed_by_hand_is_told_within_200_ms_and_shown_as_failed() {
    let Some(it) = Fixture::new(&GOOD) else { return };
    let mut changes = it.backend.changes();
    let mut took = Vec::new();
    // The other tests keep the engine busy: what counts is how quick it can be.
    while took.iter().all(|took| *took >= Duration::from_millis(200)) {
        assert!(took.len() < 5, "{took:?}");
        it.backend.start(&it.spec).await.expect("starts");
        assert!(is_present(&it.backend.observe(&it.spec).await.expect("observation").presence));
        // What the stream tells of the start itself: from then on it is heard.
        tokio::time::timeout(DEADLINE, changes.recv()).await.expect("a hint").expect("a watch");
        while let Ok(Some(_)) = tokio::time::timeout(Duration::from_millis(300), changes.recv()).await {}
        let pid = it.inspect("{{.State.Pid}}");
        let begun = Instant::now();
        if !Command::new("kill").args(["-9", &pid]).status().expect("kill").success() {
            // The process belongs to root.
            must(&["kill", &it.name]);
        }
        // Looked at only when something is heard.
        let failed = loop {
            let hinted = tokio::time::timeout(DEADLINE, changes.recv()).await.expect("a hint").expect("a watch");
            assert_eq!(hinted, it.spec.id);
            let observed = it.backend.observe(&it.spec).await.expect("observation");
            match observed.presence {
                Presence::Failed { reason } => break reason,
                _ => continue,
            }
        };
        took.push(begun.elapsed());
        assert!(matches!(failed, FailureReason::Died { ending: Ending::Signalled(9), .. }), "{failed:?}");
    }
}

#[tokio::test]
async fn a_container_stopped_by_hand_is_stopped_and_one_that_dies_has_failed() {
    let Some(it) = Fixture::new(&GOOD) else { return };
    it.backend.start(&it.spec).await.expect("starts");
    it.until_it_has_said("ready");
    must(&["stop", &it.name]);
    assert_eq!(it.observe().await.presence, Presence::Absent);

    let Some(it) = Fixture::new(&["--after-ms", "50", "--exit", "7"]) else { return };
    it.backend.start(&it.spec).await.expect("starts");
    let observed = it.until("failed", |presence| matches!(presence, Presence::Failed { .. })).await;
    assert_eq!(observed.last_exit.expect("an exit").ending, Ending::Exited(7));
}

#[tokio::test]
async fn the_engine_restarts_what_dies_and_nobody_else_does() {
    let Some(mut it) = Fixture::new(&["--after-ms", "20", "--exit", "3"]) else { return };
    it.spec.startup.restart_on_failure = RestartOnFailure::UpTo { max_restarts: 2 };
    it.backend.start(&it.spec).await.expect("starts");
    let gave_up = |presence: &Presence| {
        matches!(
            presence,
            Presence::Failed { reason: FailureReason::GaveUp { ending: Ending::Exited(3), restarts: 2 } }
        )
    };
    it.until("given up after two restarts", gave_up).await;
}

#[tokio::test]
async fn a_stop_asks_and_leaves_what_does_not_go_unless_it_is_forced() {
    let Some(it) = Fixture::new(&["--print", "ready"]) else { return };
    it.backend.start(&it.spec).await.expect("starts");
    it.until_it_has_said("ready");
    let grace = Duration::from_millis(300);
    let begun = Instant::now();
    let error = it.backend.stop(&it.spec, StopHow::Ask, grace).await.expect_err("it ignores SIGTERM");
    assert!(begun.elapsed() >= grace);
    assert!(matches!(&error, StopError::StillAlive { survivors, .. } if survivors[0].contains(&it.name)), "{error}");
    assert_eq!(it.inspect("{{.State.Running}}"), "true");
    let observed = it.observe().await;
    assert!(matches!(observed.presence, Presence::Leaving { .. }), "{observed:?}");

    it.backend.stop(&it.spec, StopHow::AskThenKill, grace).await.expect("killed");
    let observed = it.observe().await;
    assert_eq!((observed.presence, observed.intent), (Presence::Absent, Some(Intent::Down)));
    it.backend.stop(&it.spec, StopHow::Ask, grace).await.expect("nothing runs");

    it.backend.start(&it.spec).await.expect("starts again");
    it.backend.stop(&it.spec, StopHow::Kill, grace).await.expect("killed");
    assert_eq!(it.inspect("{{.State.Running}}"), "false");
}

#[tokio::test]
async fn a_stopped_container_is_started_again_and_made_anew_only_when_the_registry_has_changed() {
    let Some(mut it) = Fixture::new(&GOOD) else { return };
    let id = |instance: &Instance| match instance {
        Instance::Container { id, .. } => id.clone(),
        other => panic!("{other:?}"),
    };
    let first = it.backend.start(&it.spec).await.expect("starts").instance;
    it.until_it_has_said("ready");
    let begun = Instant::now();
    it.backend.stop(&it.spec, StopHow::Ask, DEADLINE).await.expect("stops");
    assert!(begun.elapsed() < Duration::from_secs(5), "a stop lasts as long as the service takes, not longer");
    let second = it.backend.start(&it.spec).await.expect("starts").instance;
    assert_eq!(id(&first), id(&second));
    assert_ne!(first, second, "another run is another instance");

    it.until_it_has_said("ready");
    it.docker_spec().restart_policy = Some("unless-stopped".to_owned());
    let observed = it.observe().await;
    assert!(observed.notes.iter().any(|note| note.contains("a restart applies it")), "{observed:?}");
    it.backend.stop(&it.spec, StopHow::AskThenKill, DEADLINE).await.expect("stops");
    let third = it.backend.start(&it.spec).await.expect("starts").instance;
    assert_ne!(id(&second), id(&third));
    assert_eq!(it.inspect("{{.HostConfig.RestartPolicy.Name}}"), "unless-stopped");
    it.backend.stop(&it.spec, StopHow::Kill, DEADLINE).await.expect("stops");
}

#[tokio::test]
async fn a_container_of_the_name_that_is_not_ours_is_a_conflict_and_never_touched() {
    let Some(it) = Fixture::new(&GOOD) else { return };
    let id = must(&["run", "-d", "--name", &it.name, &it.name]);
    let error = it.backend.start(&it.spec).await.expect_err("a conflict");
    assert!(error.message.contains("not ours"), "{error}");
    it.backend.stop(&it.spec, StopHow::Kill, DEADLINE).await.expect("nothing of ours runs");
    let observed = it.observe().await;
    assert_eq!(observed.presence, Presence::Absent);
    assert!(observed.notes.iter().any(|note| note.contains("not ours")), "{observed:?}");
    let requirements = it.backend.requirements(&it.spec).await;
    assert!(requirements.contains(&Requirement::ContainerName { name: it.name.clone(), is_taken: true }));
    assert_eq!(it.inspect("{{.Id}} {{.State.Running}}"), format!("{id} true"));

    let layout = Layout::new(it.home.path().join("services"));
    let places = Places { layout, home: None, docker_host: None, kubeconfig: None };
    let host = HostWithContainers::new(std::sync::Arc::new(System::new(places)), it.backend.clone());
    let strangers = host.running_strangers(std::slice::from_ref(&it.name)).await;
    assert!(strangers.iter().any(|stranger| stranger.kind == ConflictKind::Container), "{strangers:?}");
}

#[tokio::test]
async fn a_port_in_use_and_an_image_that_is_nowhere_are_said_with_what_to_do() {
    let Some(mut it) = Fixture::new(&GOOD) else { return };
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("bind");
    let port = taken.local_addr().expect("address").port();
    it.docker_spec().ports = vec![format!("127.0.0.1:{port}:80")];
    assert!(it.spec.host_ports().contains(&port), "pre-flight looks at it");
    let error = it.backend.start(&it.spec).await.expect_err("the port is taken");
    assert!(error.message.contains("in use") && error.remedy.is_some(), "{error:?}");
    let observed = it.observe().await;
    assert!(
        matches!(observed.presence, Presence::Failed { reason: FailureReason::CouldNotStart(_) }),
        "another copy sees it too: {observed:?}"
    );
    drop(taken);
    it.backend.start(&it.spec).await.expect("starts once the port is free");

    let Some(mut it) = Fixture::new(&GOOD) else { return };
    it.docker_spec().image = "127.0.0.1:1/nowhere:1".to_owned();
    let requirements = it.backend.requirements(&it.spec).await;
    assert!(requirements.iter().any(|it| matches!(it, Requirement::Image { is_here: false, .. })), "{requirements:?}");
    let error = it.backend.start(&it.spec).await.expect_err("no registry");
    assert!(error.message.contains("cannot be pulled"), "{error:?}");
    assert_eq!(error.remedy.as_deref(), Some("docker pull 127.0.0.1:1/nowhere:1"));
}

#[tokio::test]
async fn an_engine_that_cannot_be_reached_makes_the_state_unknown_with_the_reason() {
    let home = tempfile::tempdir().expect("directory");
    let layout = Layout::new(home.path().join("services"));
    let docker_host = Some("unix:///nonexistent/docker.sock".to_owned());
    let backend = DockerBackend::new(Settings { layout, docker_host });
    let mut spec = program("web", "/service".into(), &[]);
    spec.deployment = Deployment::Docker(DockerSpec {
        image: "a".to_owned(),
        container_name: "a".to_owned(),
        ports: Vec::new(),
        volumes: Vec::new(),
        restart_policy: None,
    });
    let error = backend.observe(&spec).await.expect_err("unknown");
    assert!(error.message.contains("/nonexistent/docker.sock does not exist"), "{error}");
    let requirements = backend.requirements(&spec).await;
    assert!(
        matches!(&requirements[0], Requirement::ContainerEngine { problem: Some((cause, _)) } if cause.contains("does not exist")),
        "{requirements:?}"
    );
    assert!(backend.stop(&spec, StopHow::Kill, DEADLINE).await.is_err(), "what is unknown is not said to be stopped");
}

/// Reads until a line is there.
async fn read_to(receiver: &mut tokio::sync::mpsc::Receiver<Vec<ports::Output>>, last: &str) -> Vec<String> {
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line| line != last) {
        let batch = tokio::time::timeout(DEADLINE, receiver.recv()).await;
        let batch = batch.unwrap_or_else(|_| panic!("never {last}: {lines:?}")).expect("the stream goes on");
        lines.extend(batch.into_iter().map(|piece| match piece {
            ports::Output::Line(bytes) => String::from_utf8(bytes).expect("text"),
            ports::Output::Started { .. } => "[started]".to_owned(),
            ports::Output::NoneYet(why) => format!("({why})"),
            ports::Output::Problem(why) => format!("!{why}"),
        }));
    }
    lines
}

#[tokio::test]
async fn output_is_followed_across_restarts_and_recreation_without_a_lost_or_doubled_line() {
    let script = ["--end-on-term", "--print", "one", "--complain", "two", "--after-ms", "20", "--print", "three"];
    let Some(mut it) = Fixture::new(&script) else { return };
    let mut followed = it.backend.output(&it.spec, 10, Following::Yes).expect("a stream");
    it.backend.start(&it.spec).await.expect("starts");
    let sorted = |mut lines: Vec<String>| {
        // The engine does not promise an order between the two streams.
        lines.retain(|line| !line.starts_with('('));
        lines.sort_unstable();
        lines
    };
    assert_eq!(sorted(read_to(&mut followed, "three").await), ["one", "three", "two"]);
    it.backend.stop(&it.spec, StopHow::Ask, DEADLINE).await.expect("stops");
    it.backend.start(&it.spec).await.expect("starts");
    assert_eq!(sorted(read_to(&mut followed, "three").await), ["[started]", "one", "three", "two"]);
    it.backend.stop(&it.spec, StopHow::Ask, DEADLINE).await.expect("stops");
    it.docker_spec().restart_policy = Some("no".to_owned());
    must(&["rm", &it.name]);
    it.backend.start(&it.spec).await.expect("starts");
    assert_eq!(sorted(read_to(&mut followed, "three").await), ["[started]", "one", "three", "two"]);

    let mut newest = it.backend.output(&it.spec, 1, Following::No).expect("a stream");
    assert_eq!(read_to(&mut newest, "three").await, ["three"]);
    assert_eq!(newest.recv().await, None, "it ends");
}

#[tokio::test]
async fn of_a_failed_start_the_last_words_are_quoted() {
    let Some(it) = Fixture::new(&["--print", "bad config", "--after-ms", "20", "--exit", "7"]) else { return };
    let logs = AllLogs::new(
        FileLogs::new(Layout::new(it.home.path().join("services"))),
        std::sync::Arc::new(it.another_backend()),
    );
    it.backend.start(&it.spec).await.expect("starts");
    it.until("failed", |presence| matches!(presence, Presence::Failed { .. })).await;
    assert_eq!(logs.last_lines(&it.spec, 10).await, ["bad config"]);
}

#[tokio::test]
async fn the_commands_work_in_docker_mode_as_in_any_other() {
    let Some(it) = Fixture::new(&["--end-on-term", "--public-port", "80", "--print", "listening"]) else { return };
    let port = free_port();
    let registry = it.home.path().join("services.toml");
    std::fs::write(
        &registry,
        format!(
            "[services.web]\ntype = \"utility\"\ncategory = \"ui\"\n[services.web.deployment]\nmode = \"docker\"\n\
             [services.web.deployment.docker]\nimage = {name:?}\ncontainer_name = {name:?}\nports = [\"{port}:80\"]\n\
             [services.web.health_check]\ntype = \"tcp\"\n[services.web.health_check.tcp]\nhost = \"127.0.0.1\"\nport = {port}\n\
             [services.rival]\ntype = \"utility\"\ncategory = \"ui\"\n[services.rival.deployment]\nmode = \"binary\"\n\
             [services.rival.deployment.binary]\nbinary_path = \"/bin/sh\"\n\
             [services.rival.health_check]\ntype = \"tcp\"\n[services.rival.health_check.tcp]\nhost = \"127.0.0.1\"\nport = {port}\n",
            name = it.name
        ),
    )
    .expect("registry");
    let answer = |line: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_provisioning"))
            .env("PROVISIONING_SUPERVISE", "off")
            .arg("--config")
            .arg(&registry)
            .args(line.split_whitespace())
            .env("HOME", it.home.path())
            .env("PROVISIONING_SERVICES_DIR", it.home.path().join("services"))
            .stdin(Stdio::null())
            .output()
            .expect("runs");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    };
    let types = |line: &str| {
        let (is_well, text) = answer(line);
        assert!(is_well, "{line}: {text}");
        text
    };
    types("services start web");
    let (is_well, text) = answer("services start rival");
    let held = format!("Port {port} is already in use by the service web");
    assert!(!is_well && text.contains(&held), "who published a port holds it: {text}");
    let status = types("services status web");
    assert!(status.contains("running") && status.contains(&it.name), "{status}");
    it.until_it_has_said("listening");
    assert_eq!(types("services logs web --lines 1"), "listening\n");
    let line: serde_json::Value = serde_json::from_str(&types("services logs web --lines 1 --json")).expect("JSON");
    assert_eq!((&line["service"], &line["line"]), (&"web".into(), &"listening".into()), "{line}");
    types("services restart web");
    types("services stop web");
    let status = types("services status web");
    assert!(status.contains("stopped"), "{status}");
}

/// A way to the real engine that can be cut: a socket of our own, and everything that goes through it.
struct Way {
    connections: tokio::task::JoinHandle<()>,
}

impl Way {
    fn open(socket: &std::path::Path) -> Self {
        drop(std::fs::remove_file(socket));
        let listener = tokio::net::UnixListener::bind(socket).expect("bind");
        Self {
            connections: tokio::spawn(async move {
                // Aborting this drops the set, and with it every connection.
                let mut open = tokio::task::JoinSet::new();
                while let Ok((mut near, _)) = listener.accept().await {
                    open.spawn(async move {
                        let mut far = tokio::net::UnixStream::connect("/var/run/docker.sock").await.expect("engine");
                        drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
                    });
                }
            }),
        }
    }

    async fn cut(self) {
        self.connections.abort();
        drop(self.connections.await);
    }
}

#[tokio::test]
async fn an_engine_that_goes_away_makes_the_state_unknown_at_once_and_is_found_again_by_itself() {
    let Some(it) = Fixture::new(&GOOD) else { return };
    if std::env::var_os("DOCKER_HOST").is_some() {
        writeln!(std::io::stderr(), "SKIPPED, DOCKER_HOST names another socket than the usual one").expect("stderr");
        return;
    }
    let socket = it.home.path().join("docker.sock");
    let way = Way::open(&socket);
    let layout = Layout::new(it.home.path().join("services"));
    let docker_host = Some(format!("unix://{}", socket.display()));
    let backend = DockerBackend::new(Settings { layout, docker_host });
    let mut changes = backend.changes();
    let running = backend.start(&it.spec).await.expect("starts").instance;
    backend.observe(&it.spec).await.expect("observation");
    let hint = async |changes: &mut tokio::sync::mpsc::Receiver<_>| {
        tokio::time::timeout(DEADLINE, changes.recv()).await.expect("a hint").expect("a watch")
    };
    hint(&mut changes).await;
    while let Ok(Some(_)) = tokio::time::timeout(Duration::from_millis(300), changes.recv()).await {}

    way.cut().await;
    hint(&mut changes).await;
    let error = backend.observe(&it.spec).await.expect_err("unknown");
    assert!(error.message.contains("unreachable"), "{error}");

    let way = Way::open(&socket);
    hint(&mut changes).await;
    let observed = backend.observe(&it.spec).await.expect("known again");
    assert!(matches!(&observed.presence, Presence::Present { instance, .. } if *instance == running), "{observed:?}");

    way.cut().await;
    it.backend.stop(&it.spec, StopHow::Kill, DEADLINE).await.expect("stops");
}
