//! An engine of the test's own, stopped and started again in the middle of things. The machine's engine is never touched.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use provisioning::backends::docker::{DockerBackend, Settings};
use provisioning::engine::ports::{self, Backend as _, Following, OutputSource as _};
use provisioning::model::{Deployment, DockerSpec, LaunchOrigin, Presence, ServiceSpec, StartHow, StopHow};
use provisioning::store::Layout;

use super::GOOD;
use crate::process::{DEADLINE, is_present, program};
use crate::support::engine::import_with;

/// What becomes of containers while their engine is away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    TheyStop,
    TheyRunOn,
}

/// Its own daemon with its own directories and its own network namespace: one socket is all that it shares.
struct PrivateEngine {
    dir: PathBuf,
    host: String,
    meanwhile: Meanwhile,
    daemon: Option<Child>,
}

impl PrivateEngine {
    /// `None`, loudly, where there cannot be one.
    fn new(meanwhile: Meanwhile) -> Option<Self> {
        let skipped = |why: &str| {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("a test").to_owned();
            writeln!(std::io::stderr(), "SKIPPED, no Docker Engine of its own ({why}): {test}").expect("stderr");
            None
        };
        if !rustix::process::geteuid().is_root() {
            return skipped("it needs root");
        }
        let can = ["--net", "--", "dockerd", "--version"];
        if !Command::new("unshare").args(can).output().is_ok_and(|output| output.status.success()) {
            return skipped("it needs dockerd and a network namespace of its own");
        }
        let dir = tempfile::Builder::new().prefix("engine").tempdir().expect("directory").keep();
        std::fs::write(dir.join("daemon.json"), "{}").expect("configuration");
        let host = format!("unix://{}", dir.join("d.sock").display());
        let mut engine = Self { dir, host, meanwhile, daemon: None };
        if !engine.run() {
            let log = std::fs::read_to_string(engine.dir.join("log")).unwrap_or_default();
            return skipped(&format!("dockerd does not run here: {}", log.lines().last().unwrap_or_default()));
        }
        Some(engine)
    }

    /// Says whether it answers.
    fn run(&mut self) -> bool {
        let log = std::fs::File::options().create(true).append(true).open(self.dir.join("log")).expect("log");
        let at = |name: &str| self.dir.join(name).display().to_string();
        // In a network namespace of its own: a daemon without a bridge removes the one of its namespace, which is the machine's otherwise.
        let mut dockerd = Command::new("unshare");
        dockerd.args(["--net", "--", "dockerd"]);
        dockerd.args(["--config-file", &at("daemon.json"), "--data-root", &at("data"), "--exec-root", &at("exec")]);
        dockerd.args([
            "--pidfile",
            &at("pid"),
            "-H",
            &self.host,
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
        ]);
        if self.meanwhile == Meanwhile::TheyRunOn {
            dockerd.arg("--live-restore");
        }
        dockerd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut daemon = dockerd.spawn().expect("dockerd");
        let deadline = Instant::now() + DEADLINE;
        loop {
            if self.docker(&["version"]).status.success() {
                self.daemon = Some(daemon);
                return true;
            }
            if daemon.try_wait().expect("state").is_some() || Instant::now() > deadline {
                drop(daemon.kill());
                drop(daemon.wait());
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// As a service manager stops it.
    fn end(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        let pid = rustix::process::Pid::from_child(&daemon);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signalled");
        daemon.wait().expect("an end");
    }

    /// Beside the runtime, on which the one who watches it runs too.
    async fn away(mut self) -> Self {
        let ended = tokio::task::spawn_blocking(move || {
            self.end();
            self
        });
        ended.await.expect("ended")
    }

    async fn back(mut self) -> Self {
        let running = tokio::task::spawn_blocking(move || {
            assert!(self.run(), "it does not come back");
            self
        });
        running.await.expect("runs")
    }

    fn docker(&self, arguments: &[&str]) -> Output {
        let mut docker = Command::new("docker");
        docker.arg(format!("--host={}", self.host)).args(arguments).stdin(Stdio::null()).output().expect("docker")
    }

    #[track_caller]
    fn must(&self, arguments: &[&str]) -> String {
        let output = self.docker(arguments);
        assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// A service whose image's only program gets these arguments, with a backend of its own for it.
    fn service(&self, arguments: &[&str]) -> (DockerBackend, ServiceSpec) {
        import_with(Some(&self.host), "app", arguments, None);
        let mut spec = program("web", "/service".into(), &[]);
        spec.deployment = Deployment::Docker(DockerSpec {
            image: "app".to_owned(),
            container_name: "app".to_owned(),
            ports: Vec::new(),
            volumes: Vec::new(),
            restart_policy: None,
        });
        let backend = DockerBackend::new(Settings {
            layout: Layout::new(self.dir.join("services")),
            docker_host: Some(self.host.clone()),
            docker_certificates: None,
            docker_config: None,
        });
        (backend, spec)
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        if self.daemon.is_none() {
            self.run();
        }
        let all = String::from_utf8_lossy(&self.docker(&["ps", "-aq"]).stdout).into_owned();
        for id in all.split_whitespace() {
            self.docker(&["rm", "-f", id]);
        }
        self.end();
        // It binds its directory onto itself, and leaves that behind.
        drop(Command::new("umount").arg(self.dir.join("data")).stderr(Stdio::null()).status());
        let removed = std::fs::remove_dir_all(&self.dir);
        if let Err(error) = removed
            && !std::thread::panicking()
        {
            panic!("{}: {error}", self.dir.display());
        }
    }
}

#[tokio::test]
async fn while_the_engine_is_away_the_state_is_unknown_and_then_it_is_what_became_of_the_container() {
    let Some(mut engine) = PrivateEngine::new(Meanwhile::TheyStop) else { return };
    let (backend, spec) = engine.service(&GOOD);
    let mut changes = backend.changes();
    backend.start(&spec, StartHow::AsItIs).await.expect("starts");
    assert!(is_present(&backend.observe(&spec).await.expect("observation").presence));
    let hint = async |changes: &mut tokio::sync::mpsc::Receiver<_>| {
        tokio::time::timeout(DEADLINE, changes.recv()).await.expect("a hint").expect("a watch")
    };
    // What is told of the start and, when the engine ends, of the container's end; at last that nothing is known any more.
    engine = engine.away().await;
    let error = loop {
        hint(&mut changes).await;
        if let Err(error) = backend.observe(&spec).await {
            break error;
        }
    };
    assert!(error.message.contains("unreachable"), "{error}");

    engine = engine.back().await;
    let begun = Instant::now();
    let observed = loop {
        hint(&mut changes).await;
        if let Ok(observed) = backend.observe(&spec).await {
            break observed;
        }
    };
    assert!(begun.elapsed() < Duration::from_secs(1), "seen after {:?}", begun.elapsed());
    // It ended well when its engine did.
    assert_eq!(observed.presence, Presence::Absent, "{observed:?}");
    let launch = backend.start(&spec, StartHow::AsItIs).await.expect("starts");
    assert_eq!(launch.origin, LaunchOrigin::Started);
    assert_eq!(engine.must(&["ps", "-a", "--format", "{{.Names}}"]), "app");
}

#[tokio::test]
async fn a_start_that_the_engine_is_stopped_in_can_be_done_again_and_makes_no_second_container() {
    let Some(mut engine) = PrivateEngine::new(Meanwhile::TheyStop) else { return };
    let (backend, spec) = engine.service(&GOOD);
    // The engine goes at another moment of the start each time.
    for after in [0, 60, 200] {
        let starting = tokio::spawn({
            let (backend, spec) = (backend.clone(), spec.clone());
            async move { backend.start(&spec, StartHow::Anew).await }
        });
        tokio::time::sleep(Duration::from_millis(after)).await;
        engine = engine.away().await;
        let first = tokio::time::timeout(DEADLINE, starting).await.expect("an end").expect("no panic");
        if let Err(error) = &first {
            assert!(!error.message.is_empty());
        }
        assert!(backend.observe(&spec).await.is_err(), "what is unknown is not said to be stopped");
        engine = engine.back().await;
        backend.start(&spec, StartHow::AsItIs).await.unwrap_or_else(|error| panic!("{after} ms, {first:?}: {error:?}"));
        assert!(is_present(&backend.observe(&spec).await.expect("observation").presence));
        assert_eq!(engine.must(&["ps", "-a", "--format", "{{.Names}}"]), "app", "{after} ms");
        backend.stop(&spec, StopHow::Kill, DEADLINE).await.expect("stops");
    }
}

#[tokio::test]
async fn a_stop_goes_on_through_a_restart_of_the_engine() {
    let Some(mut engine) = PrivateEngine::new(Meanwhile::TheyRunOn) else { return };
    // It does not listen to SIGTERM.
    let (backend, spec) = engine.service(&["--print", "ready"]);
    backend.start(&spec, StartHow::AsItIs).await.expect("starts");
    let stopping = tokio::spawn({
        let (backend, spec) = (backend.clone(), spec.clone());
        async move { backend.stop(&spec, StopHow::AskThenKill, Duration::from_secs(4)).await }
    });
    let deadline = Instant::now() + DEADLINE;
    while !matches!(backend.observe(&spec).await.expect("observation").presence, Presence::Leaving { .. }) {
        assert!(Instant::now() < deadline, "never told to stop");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    engine = engine.away().await.back().await;
    tokio::time::timeout(DEADLINE, stopping).await.expect("an end").expect("no panic").expect("stops");
    assert_eq!(engine.must(&["inspect", "--format", "{{.State.Running}}", "app"]), "false");
    assert_eq!(backend.observe(&spec).await.expect("observation").presence, Presence::Absent);
}

#[tokio::test]
async fn a_log_is_followed_through_a_restart_of_the_engine_without_a_lost_or_doubled_line() {
    let Some(engine) = PrivateEngine::new(Meanwhile::TheyRunOn) else { return };
    let (backend, spec) = engine.service(&["--end-on-term", "--trickle", "300000", "--print", "the end"]);
    let mut followed = backend.output(&spec, 1_000_000, Following::Yes).expect("a stream");
    backend.start(&spec, StartHow::AsItIs).await.expect("starts");
    let mut lines: Vec<String> = Vec::new();
    let mut engine = Some(engine);
    let mut restarting = None;
    while lines.last().is_none_or(|line| line != "the end") {
        let batch = tokio::time::timeout(DEADLINE, followed.recv()).await;
        let batch = batch.unwrap_or_else(|_| panic!("silent after {} lines: {:?}", lines.len(), lines.last()));
        lines.extend(batch.expect("the stream goes on").into_iter().filter_map(|piece| match piece {
            ports::Output::Line(bytes) => Some(String::from_utf8(bytes).expect("text")),
            ports::Output::Started { .. } => panic!("it was not started again"),
            ports::Output::NoneYet(_) | ports::Output::Problem(_) => None,
        }));
        if let Some(engine) = engine.take_if(|_| lines.len() > 1_000) {
            restarting = Some(tokio::spawn(async { engine.away().await.back().await }));
        }
    }
    let engine = restarting.expect("restarted").await.expect("restarted");
    // What the engine itself lost in its restart nobody can follow.
    let kept = engine.must(&["logs", "app"]);
    let kept: Vec<&str> = kept.lines().collect();
    assert_eq!(lines.len(), kept.len());
    assert!(lines.iter().zip(&kept).all(|(line, kept)| line == kept), "another order");
}

/// A file that nobody can remove, as long as this is.
struct Kept(PathBuf);

impl Kept {
    /// `None`, loudly, where files cannot be made so.
    fn new(path: PathBuf) -> Option<Self> {
        std::fs::write(&path, "").expect("file");
        if Command::new("chattr").arg("+i").arg(&path).output().is_ok_and(|output| output.status.success()) {
            return Some(Self(path));
        }
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test").to_owned();
        writeln!(std::io::stderr(), "SKIPPED, chattr +i does not work here: {test}").expect("stderr");
        None
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(Command::new("chattr").arg("-i").arg(&self.0).output());
    }
}

#[tokio::test]
async fn a_container_that_its_engine_could_not_remove_is_dead_and_made_anew_when_it_can_be() {
    let Some(engine) = PrivateEngine::new(Meanwhile::TheyStop) else { return };
    let (backend, spec) = engine.service(&GOOD);
    backend.start(&spec, StartHow::AsItIs).await.expect("starts");
    let id = engine.must(&["inspect", "--format", "{{.Id}}", "app"]);
    let Some(kept) = Kept::new(engine.dir.join("data/containers").join(&id).join("kept")) else { return };
    assert!(!engine.docker(&["rm", "-f", "app"]).status.success(), "it cannot be removed");
    assert_eq!(engine.must(&["inspect", "--format", "{{.State.Status}}", "app"]), "dead");
    let observed = backend.observe(&spec).await.expect("observation");
    assert!(matches!(observed.presence, Presence::Failed { .. }), "nobody stopped it here: {observed:?}");
    assert!(observed.notes.iter().any(|note| note.contains("its container is dead")), "{observed:?}");
    let error = backend.start(&spec, StartHow::AsItIs).await.expect_err("it is in the way");
    assert!(error.message.contains("operation not permitted"), "{error}");
    backend.stop(&spec, StopHow::Ask, DEADLINE).await.expect("nothing runs");
    assert_eq!(backend.observe(&spec).await.expect("observation").presence, Presence::Absent);

    drop(kept);
    let launch = backend.start(&spec, StartHow::AsItIs).await.expect("starts");
    assert_eq!(launch.origin, LaunchOrigin::Started);
    assert_ne!(engine.must(&["inspect", "--format", "{{.Id}}", "app"]), id);
    assert!(is_present(&backend.observe(&spec).await.expect("observation").presence));
}
