//! One registry with all five modes and dependencies across them: started, broken and stopped, from the command line and from the
//! console. The process, the containers of Docker and of Compose, and the endpoint are real; the cluster is the double of an API server.
//! Without an engine or without Compose, the tests say so and pass. Everything that is made has a name of its own and is removed.
//!
//! ```text
//! api (binary) ──▶ workers (kubernetes) ──▶ db (docker) ──▶ auth (remote)
//!            └───▶ cache (docker-compose) ────────────────▶
//! ```

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::kubernetes::double::Double;
use crate::remote::server::{Reply, Server};
use crate::support::engine::{docker, engine_answers, import, must};
use crate::support::home::{Home, wait_until};
use crate::support::terminal::Terminal;

const NAMES: [&str; 5] = ["auth", "db", "cache", "workers", "api"];

const MANIFEST: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: workers, labels: {app: workers}}\nspec:\n  replicas: 2\n  \
                        selector: {matchLabels: {app: workers}}\n  template:\n    metadata: {labels: {app: workers}}\n    spec:\n      \
                        containers:\n      - {name: main, image: \"registry.example/workers:1\"}\n";

struct Platform {
    home: Home,
    cluster: Double,
    auth: Option<Server>,
    /// The image, the container and the Compose project.
    name: String,
}

impl Platform {
    /// `None`, loudly, where one of the modes cannot be had for real.
    fn new() -> Option<Self> {
        if !engine_answers() || !compose_answers() {
            return None;
        }
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("provisioning-test-five-{}-{number}", std::process::id());
        import(&name, &["--end-on-term", "--print", "ready"]);
        let auth = Server::plain(|_| Reply::Status(200));
        let cluster = Double::new(&["platform"]);
        let home = Home::empty();
        let write = |path: &str, text: &str| std::fs::write(home.path(path), text).unwrap();
        write("kubeconfig", &cluster.kubeconfig("    token: secret-token"));
        write("workers.yaml", MANIFEST);
        write(
            "compose.yaml",
            &format!("version: \"2.4\"\nservices:\n  app:\n    image: {name}\n    network_mode: none\n"),
        );
        let service = |id: &str, needs: &[&str], mode: &str, table: &str, fields: &str| {
            format!(
                "[services.{id}]\ntype = \"platform\"\ncategory = \"ui\"\ndependencies = {needs:?}\n\
                 [services.{id}.deployment]\nmode = \"{mode}\"\n[services.{id}.deployment.{table}]\n{fields}\n"
            )
        };
        let url = |path: &str| auth.url(path);
        let compose_file = home.path("compose.yaml");
        let manifests = home.path("workers.yaml");
        let registry = [
            service("auth", &[], "remote", "remote", &format!("endpoint = {:?}", url("/"))),
            format!(
                "[services.auth.health_check]\ntype = \"http\"\ninterval = 1\nretries = 1\n\
                 [services.auth.health_check.http]\nendpoint = {:?}\n",
                url("/health")
            ),
            service("db", &["auth"], "docker", "docker", &format!("image = {name:?}\ncontainer_name = {name:?}")),
            service(
                "cache",
                &["auth"],
                "docker-compose",
                "docker_compose",
                &format!("compose_file = {compose_file:?}\nservice_name = \"app\"\nproject_name = {name:?}"),
            ),
            service(
                "workers",
                &["db"],
                "kubernetes",
                "kubernetes",
                &format!("namespace = \"platform\"\nmanifests_path = {manifests:?}"),
            ),
            home.section("api", &["workers", "cache"], &[], "[services.api.startup]\nauto_start = true"),
        ];
        home.write(&registry.concat());
        Some(Self { home, cluster, auth: Some(auth), name })
    }

    fn variables(&self) -> [(&'static str, String); 2] {
        [
            ("KUBECONFIG", self.home.path("kubeconfig").display().to_string()),
            ("PROVISIONING_SUPERVISE", "off".to_owned()),
        ]
    }

    fn command(&self, line: &str) -> Command {
        let mut command = self.home.command(line);
        command.envs(self.variables());
        command
    }

    fn types(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// What a command that has to end with this code says.
    #[track_caller]
    fn says(&self, code: i32, line: &str) -> String {
        let output = self.types(line);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{line}: {said}");
        said
    }

    /// The states of all five, in the order of the registry.
    fn states(&self) -> Vec<String> {
        let json: serde_json::Value =
            serde_json::from_slice(&self.types("services list --json").stdout).expect("a report");
        let services = json["services"].as_array().expect("services");
        let of = |name: &str| services.iter().find(|it| it["name"] == name).expect("registered")["status"].clone();
        NAMES.iter().map(|name| of(name).as_str().expect("a word").to_owned()).collect()
    }

    #[track_caller]
    fn until(&self, expected: [&str; 5]) {
        let what = format!("{NAMES:?} are {expected:?}");
        wait_until(&what, || self.states() == expected);
    }

    /// Of the container and of the Compose service: their runs, `None` where they do not run.
    fn runs(&self) -> [Option<String>; 2] {
        let filter = format!("label=com.docker.compose.project={}", self.name);
        let composed = must(&["ps", "-aq", "--filter", &filter]);
        [self.name.as_str(), composed.lines().next().unwrap_or("none")].map(|container| {
            let output = docker(&["inspect", "--format", "{{.State.Running}} {{.State.StartedAt}}", container]);
            let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            state.strip_prefix("true ").map(str::to_owned)
        })
    }

    /// The container is killed behind our back, and so is the process; the endpoint is gone.
    fn breaks(&mut self) {
        must(&["kill", &self.name]);
        let [pid] = self.home.living("api")[..] else { panic!("one process") };
        must_kill(pid);
        self.auth = None;
    }

    /// Somebody elsewhere has it run again, at the same place.
    fn mends_auth(&mut self, address: std::net::SocketAddr) {
        self.auth = Some(Server::plain_at(address, |_| Reply::Status(200)));
    }

    #[track_caller]
    /// Where `PROVISIONING_TEST_HOLD` names a file, writes to it how to open a console here, and goes on when it is removed: for
    /// `screenshots/five-modes-140x45.png`.
    fn is_held_for_a_picture(&self) {
        let Some(file) = std::env::var_os("PROVISIONING_TEST_HOLD") else { return };
        let command = self.command("");
        let set = command.get_envs().filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)));
        let words: Vec<String> = set.map(|(name, value)| format!("{name}={value}")).collect();
        let registry = self.home.registry().display().to_string();
        std::fs::write(&file, format!("{} {registry}\n", words.join(" "))).unwrap();
        while Path::new(&file).exists() {
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }

    fn everything_runs(&self) {
        let runs = self.runs();
        assert!(runs.iter().all(Option::is_some), "{runs:?}");
        assert_eq!((self.home.living("api").len(), self.cluster.pods().len()), (1, 2));
        assert_eq!(self.cluster.replicas("platform", "workers"), Some(2));
    }

    #[track_caller]
    fn nothing_of_ours_runs(&self) {
        assert_eq!(self.runs(), [None, None]);
        assert_eq!((self.home.living("api"), self.cluster.pods()), (Vec::new(), Vec::new()));
        assert_eq!(self.cluster.replicas("platform", "workers"), Some(0));
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        let _stopped = self.types("platform stop --force");
        let filter = format!("label=com.docker.compose.project={}", self.name);
        let composed = docker(&["ps", "-aq", "--filter", &filter]);
        for container in String::from_utf8_lossy(&composed.stdout).lines().chain([self.name.as_str()]) {
            docker(&["rm", "-f", container]);
        }
        docker(&["rmi", "-f", &self.name]);
    }
}

fn compose_answers() -> bool {
    let answers = [("docker", &["compose", "version"][..]), ("docker-compose", &["version"])];
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

fn must_kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Whether these lines come in this order, whatever stands between them.
#[track_caller]
fn in_order(text: &str, lines: &[&str]) {
    let mut rest = text;
    for line in lines {
        let Some(at) = rest.find(line) else { panic!("{line:?} does not come, or not in its turn:\n{text}") };
        rest = &rest[at + line.len()..];
    }
}

#[test]
fn five_modes_are_started_broken_mended_and_stopped_by_commands() {
    let Some(mut it) = Platform::new() else { return };
    let address = it.auth.as_ref().unwrap().address;

    assert_eq!(it.states(), ["running", "stopped", "stopped", "stopped", "stopped"]);
    let told = it.says(0, "platform start");
    in_order(&told, &["Started db with container", "Started workers with deployment", "Started api with PID"]);
    in_order(&told, &["Started cache with container", "Started api with PID"]);
    assert_eq!(it.states(), ["running"; 5]);
    it.everything_runs();
    let (runs, pods, process) = (it.runs(), it.cluster.pods(), it.home.living("api"));
    let again = it.says(0, "platform start");
    assert!(again.contains("api is already running"), "{again}");
    assert_eq!((it.runs(), it.cluster.pods(), it.home.living("api")), (runs.clone(), pods.clone(), process.clone()));

    // In the middle of a graph across modes, a stop is refused as in any other.
    let told = it.says(1, "services stop db");
    assert!(told.contains("Dependent services running: workers, api"), "{told}");
    let told = it.says(1, "services stop auth");
    assert!(told.contains("Cannot stop auth:") && told.contains(&format!("localhost:{}", address.port())), "{told}");

    it.breaks();
    it.until(["failed", "failed", "running", "running", "failed"]);
    it.is_held_for_a_picture();
    let told = it.says(0, "services status auth");
    assert!(told.contains("cannot be reached: connection refused"), "{told}");
    let told = it.says(0, "services status db");
    assert!(told.contains("was killed by SIGKILL") || told.contains("137"), "{told}");
    // What it all stands on is away: nothing is started, and what runs is left running.
    let told = it.says(1, "services start api");
    assert!(told.contains("Dependency not available"), "{told}");
    assert_eq!(it.home.living("api"), Vec::<u32>::new());
    assert_eq!(it.cluster.pods(), pods);
    assert_eq!(it.runs(), [None, runs[1].clone()]);

    it.mends_auth(address);
    it.says(0, "platform start");
    assert_eq!(it.states(), ["running"; 5]);
    it.everything_runs();
    assert_ne!(it.runs()[0], runs[0], "another run of the container");
    assert_eq!((it.runs()[1].clone(), it.cluster.pods()), (runs[1].clone(), pods), "what ran was left alone");

    let told = it.says(0, "platform stop");
    in_order(&told, &["auth is left alone: it runs at", "Stopped api", "Stopped workers", "Stopped db"]);
    in_order(&told, &["Stopped api", "Stopped cache"]);
    it.nothing_of_ours_runs();
    assert_eq!(it.states(), ["running", "stopped", "stopped", "stopped", "stopped"]);
}

/// A console on its terminal, as a person sees it.
struct Console<'a> {
    terminal: Terminal,
    it: &'a mut Platform,
}

impl Console<'_> {
    /// The services' rows say these states.
    #[track_caller]
    fn shows(&self, states: [&str; 5]) {
        for (name, state) in NAMES.into_iter().zip(states) {
            self.terminal.wait_for(&format!(" {name:<12} {state} "));
        }
    }

    /// Selects the one at that place of the board.
    fn select(&mut self, name: &str) {
        let place = NAMES.iter().position(|it| *it == name).unwrap();
        self.terminal.press("g");
        self.terminal.press(&"j".repeat(place));
        self.terminal.wait_for(&format!("3 Details · {name}"));
    }
}

#[test]
fn five_modes_are_started_broken_mended_and_stopped_in_the_console() {
    let Some(mut it) = Platform::new() else { return };
    let address = it.auth.as_ref().unwrap().address;
    let variables = it.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let program = env!("CARGO_BIN_EXE_provisioning-tui");
    let terminal = Terminal::open(&it.home, program, "", (140, 45), &variables);
    terminal.wait_for("Services");
    let mut console = Console { terminal, it: &mut it };

    console.shows(["running", "stopped", "stopped", "stopped", "stopped"]);
    console.select("api");
    console.terminal.press("s");
    console.shows(["running"; 5]);
    console.it.everything_runs();
    console.select("workers");
    console.terminal.wait_for("Namespace    platform");

    console.it.breaks();
    console.shows(["failed", "failed", "running", "running", "failed"]);
    console.select("auth");
    console.terminal.wait_for("cannot be reached");
    console.terminal.wait_for("what it prints is kept where it runs");

    console.it.mends_auth(address);
    console.shows(["running", "failed", "running", "running", "failed"]);
    console.terminal.press("x");
    console.terminal.wait_for("where it cannot be stopped");
    console.terminal.press("\x1b");
    // Together with what is pressed next it would be another key.
    console.terminal.wait("the message is closed", || !console.terminal.text().contains("where it cannot be stopped"));
    console.select("api");
    console.terminal.press("s");
    console.shows(["running"; 5]);
    console.it.everything_runs();

    console.terminal.press("\x18");
    console.terminal.wait_for("4 services are stopped");
    console.terminal.press("y");
    console.shows(["running", "stopped", "stopped", "stopped", "stopped"]);
    console.it.nothing_of_ours_runs();
    console.terminal.press("q");
    assert_eq!(console.terminal.ended(), 0);
}
