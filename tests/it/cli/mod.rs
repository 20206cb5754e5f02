//! The real executables in a temporary home: the guide's samples, the troubleshooting scenarios, pipes and signals.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::support::program;

mod completions;
mod events;
mod history;
mod operations;
mod plans;
mod prometheus;
mod recovery;
mod reports;
mod schemas;
mod scripts;
mod terminal;

/// No fact may take longer to come true.
const DEADLINE: Duration = Duration::from_secs(20);

/// A home with a registry. What runs is killed at the end.
struct Home {
    dir: TempDir,
}

/// What came of a command.
#[derive(Debug)]
struct Answer {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Home {
    fn with(registry: &str) -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(home.path("config")).unwrap();
        fs::write(home.path("config/services.toml"), registry).unwrap();
        home
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn pid_file(&self, service: &str) -> PathBuf {
        self.path(&format!(".provisioning/services/pids/{service}.pid"))
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_provisioning"));
        command.env("PROVISIONING_SUPERVISE", "off");
        command
            .args(line.split_whitespace())
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .env_remove("PROVISIONING_CONFIG")
            .env_remove("PROVISIONING_SERVICES_DIR")
            // What is said does not depend on whether this machine has an engine; `docker.rs` asks a real one.
            .env("DOCKER_HOST", format!("unix://{}", self.path("no-engine.sock").display()))
            .stdin(Stdio::null());
        command
    }

    /// A shell in this home, which finds our executables and the programs of this home.
    fn shell(&self, shell: &str, arguments: &[&str]) -> Command {
        let mut command = self.command("");
        let mut shell = Command::new(shell);
        let ours = Path::new(env!("CARGO_BIN_EXE_provisioning")).parent().unwrap().to_owned();
        let inherited = std::env::var_os("PATH").unwrap();
        let path = [self.path("programs"), ours].into_iter().chain(std::env::split_paths(&inherited));
        command.env("PATH", std::env::join_paths(path).unwrap());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.args(arguments).current_dir(self.dir.path()).stdin(Stdio::null());
        shell
    }

    /// Puts a program on the PATH of [`Home::shell`].
    fn program(&self, name: &str, script: &str) {
        fs::create_dir_all(self.path("programs")).unwrap();
        let path = self.path(&format!("programs/{name}"));
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Reads both streams to their end: hangs, if anything that was started holds them.
    fn types(&self, line: &str) -> Answer {
        let output = self.command(line).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Answer { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn pid_of(&self, service: &str) -> u64 {
        let answer = self.types(&format!("services status {service} --json"));
        let json: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
        json["service"]["pid"].as_u64().unwrap_or_else(|| panic!("{service} does not run: {answer:#?}"))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.command("platform stop --force").output();
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < DEADLINE, "never so: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_alive(pid: u64) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// A binary-mode service that runs the test program with these arguments; healthy once its ready file is there.
fn service(name: &str, kind: &str, category: &str, dependencies: &str, arguments: &str) -> String {
    let binary = program::service();
    let binary = binary.display();
    format!(
        "[services.{name}]\ntype = \"{kind}\"\ncategory = \"{category}\"\ndependencies = [{dependencies}]\n\
         [services.{name}.deployment]\nmode = \"binary\"\n\
         [services.{name}.deployment.binary]\nbinary_path = \"{binary}\"\nargs = [{arguments}]\n\
         [services.{name}.health_check]\ntype = \"file\"\nretries = 0\n\
         [services.{name}.health_check.file]\npath = \"${{HOME}}/{name}.ready\"\n"
    )
}

fn ready(name: &str) -> String {
    format!("\"--ready-file\", \"${{HOME}}/{name}.ready\"")
}

/// B10 with programs that exist. coredns is of binary mode here: a mode that cannot act yet is unknown and not stopped.
fn b10() -> Home {
    let on_all = "\"orchestrator\", \"control-center\", \"mcp-server\"";
    let part = |name: &str, kind: &str, category: &str, on: &str| service(name, kind, category, on, &ready(name));
    let auto = "[services.orchestrator.startup]\nauto_start = true\nstart_order = 10\n";
    Home::with(
        &[
            &part("orchestrator", "platform", "orchestration", ""),
            auto,
            &part("control-center", "platform", "ui", "\"orchestrator\""),
            &part("coredns", "infrastructure", "dns", ""),
            &part("gitea", "infrastructure", "git", ""),
            &part("oci-registry", "infrastructure", "registry", ""),
            &part("mcp-server", "platform", "api", "\"orchestrator\""),
            &part("api-gateway", "platform", "api", on_all),
        ]
        .map(|text: &str| text.to_owned())
        .join("\n"),
    )
}

/// Strips each line, collapses runs of spaces, drops empty lines (A1), and replaces numbers that no test can know.
fn normalised(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut shown = String::new();
        let mut rest = words.as_str();
        while let Some(at) =
            ["uptime: ", "Uptime: ", "PID ", "PID: "].iter().filter_map(|key| Some(rest.find(key)? + key.len())).min()
        {
            shown.push_str(&rest[..at]);
            shown.push('N');
            rest = rest[at..].trim_start_matches(|c: char| c.is_ascii_digit());
        }
        shown + rest
    };
    text.lines().map(line).filter(|line| !line.is_empty()).collect()
}

fn check(answer: &Answer, code: i32, out: &str, err: &str) {
    assert_eq!(answer.code, Some(code), "{answer:#?}");
    for (text, sample) in [(&answer.out, out), (&answer.err, err)] {
        let lines = normalised(text);
        let mut lines = lines.iter();
        for wanted in normalised(sample) {
            assert!(lines.any(|line| *line == wanted), "{wanted:?} is missing or out of order in {answer:#?}");
        }
    }
}

#[test]
fn the_guides_samples_come_from_the_real_program() {
    let home = b10();
    let started = home.types("services start control-center");
    let o12 = "\
Starting dependency: orchestrator
✅ Started orchestrator with PID 12345
Waiting for orchestrator to become healthy...
✅ Service orchestrator is healthy
Starting service: control-center
✅ Started control-center with PID 12346
✅ Service control-center is healthy";
    check(&started, 0, o12, "");
    let binary = program::service();
    let o15 = format!(
        "Running pre-flight checks for mcp-server...\n✅ Binary found: {}\n✅ No conflicts detected\n\
         ✅ All dependencies available\nStarting service: mcp-server",
        binary.display()
    );
    check(&home.types("services start mcp-server"), 0, &o15, "");

    let o1 = "\
Platform Services Status
Running: 3/7
=== ORCHESTRATION ===
🟢 orchestrator - running (uptime: 3600s) ✅
=== UI ===
🟢 control-center - running (uptime: 3550s) ✅
=== DNS ===
⚪ coredns - stopped ❓
=== GIT ===
⚪ gitea - stopped ❓
=== REGISTRY ===
⚪ oci-registry - stopped ❓
=== API ===
🟢 mcp-server - running (uptime: 3540s) ✅
⚪ api-gateway - stopped ❓";
    let status = home.types("platform status");
    assert_eq!((normalised(&status.out), status.err.as_str()), (normalised(o1), ""));

    let o2 = format!(
        "Platform Health Check\n✅ orchestrator: Healthy - File exists: {}\n⚪ coredns: Not running\n\
         Summary: 3 healthy, 0 unhealthy, 4 not running",
        home.path("orchestrator.ready").display()
    );
    check(&home.types("platform health"), 0, &o2, "");
    let o3 = "\
name type category status deployment_mode auto_start
orchestrator platform orchestration running binary true
control-center platform ui running binary false
coredns infrastructure dns stopped binary false";
    check(&home.types("services list"), 0, o3, "");
    let o4 = "\
Service: orchestrator
Type: platform
Category: orchestration
Status: running
Deployment: binary
Health: healthy
Auto-start: true
PID: 12345
Uptime: 3600s
Dependencies: []";
    assert_eq!(normalised(&home.types("services status orchestrator").out), normalised(o4));
    // R175, R217.
    let services = home.path(".provisioning/services");
    for file in ["pids/orchestrator.pid", "logs/orchestrator.log"] {
        assert!(services.join(file).is_file(), "{file}");
    }
    assert!(fs::read_dir(services.join("state")).unwrap().count() > 0);
    let health = home.types("services health orchestrator");
    check(&health, 0, "Service: orchestrator\nStatus: healthy\nHealthy: true\nCheck type: file", "");

    home.types("services start api-gateway");
    let o14 = "\
❌ Cannot stop orchestrator:
Dependent services running: control-center, mcp-server, api-gateway
Use --force to stop anyway";
    let refused = home.types("services stop orchestrator");
    assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""));
    assert_eq!(normalised(&refused.err), normalised(o14));
    let stopped = home.types("platform stop");
    let summary = "✅ Stopped api-gateway\n✅ Stopped control-center\n✅ Stopped orchestrator\n\
                   Summary: 4 stopped, 0 not running, 0 failed, 0 skipped";
    check(&stopped, 0, summary, "");
    assert!(!home.pid_file("orchestrator").exists());
}

#[test]
fn without_its_engine_a_service_is_unknown_and_a_start_says_all_that_is_missing() {
    let home = Home::with(
        "[services.coredns]\ntype = \"infrastructure\"\ncategory = \"dns\"\n\
         [services.coredns.deployment]\nmode = \"docker-compose\"\n\
         [services.coredns.deployment.docker_compose]\ncompose_file = \"/compose.yaml\"\n",
    );
    check(&home.types("platform status"), 0, "Running: 0/1\n❓ coredns - unknown ❓", "");
    check(&home.types("platform health"), 0, "Summary: 0 healthy, 0 unhealthy, 0 not running, 1 unknown", "");
    let started = home.types("services start coredns");
    assert_eq!(started.code, Some(1));
    for missing in ["Docker is not installed or not running", "the Compose file /compose.yaml does not exist"] {
        assert!(started.err.contains(missing), "{started:#?}");
    }
}

#[test]
fn a_stale_recycled_or_deleted_pid_file_changes_nothing() {
    let home = b10();
    fs::create_dir_all(home.pid_file("gitea").parent().unwrap()).unwrap();
    let mut bystander = Command::new("sleep").arg("1000").spawn().unwrap();
    for stale in ["4194304", &bystander.id().to_string(), "0", "1", "-1", "99999999999", "text"] {
        fs::write(home.pid_file("gitea"), stale).unwrap();
        check(&home.types("services status gitea"), 0, "Status: stopped", "");
        // R194.
        check(&home.types("services list"), 0, "gitea infrastructure git stopped binary false", "");
        check(&home.types("platform status"), 0, "Running: 0/7\n⚪ gitea - stopped ❓", "");
        check(&home.types("services stop gitea"), 0, "gitea is not running", "");
    }
    check(&home.types("services restart gitea"), 0, "✅ Service gitea is healthy", "");
    let first = home.pid_of("gitea");
    assert_eq!(fs::read_to_string(home.pid_file("gitea")).unwrap().trim(), first.to_string());

    fs::remove_file(home.pid_file("gitea")).unwrap();
    check(&home.types("services restart gitea"), 0, "✅ Stopped gitea\n✅ Service gitea is healthy", "");
    assert!(!is_alive(first) && is_alive(home.pid_of("gitea")), "restarted under another PID");
    assert!(bystander.try_wait().unwrap().is_none(), "the bystander was not signalled");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn a_program_that_ends_during_its_start_is_reported_at_once() {
    let home = Home::with(&service("bad", "utility", "api", "", "\"--print\", \"last words\", \"--exit\", \"7\""));
    let begun = Instant::now();
    let answer = home.types("platform start bad");
    check(
        &answer,
        1,
        "Summary: 0 started, 0 already running, 1 failed, 0 skipped",
        "❌ Service bad exited with code 7 during startup",
    );
    assert!(begun.elapsed() < Duration::from_secs(10), "start_timeout was not waited for");
    assert!(!home.pid_file("bad").exists());
}

#[test]
fn too_short_a_start_timeout_says_so_and_keeps_the_service() {
    let late = service("late", "utility", "api", "", "\"--after-ms\", \"100000\"")
        + "[services.late.startup]\nstart_timeout = 1\n";
    let home = Home::with(&late);
    let answer = home.types("services start late");
    assert_eq!(answer.code, Some(1));
    assert!(answer.err.contains("❌ Service late did not become healthy within 1s (start_timeout): "), "{answer:#?}");
    assert!(is_alive(home.pid_of("late")));
    assert_eq!(home.types("services health late").code, Some(1));
    assert_eq!(home.types("--once").code, Some(1));
}

/// Starts a command, and returns when it has said that it waits for health.
fn begin_waiting(home: &Home, line: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = home.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains("to become healthy...") {
        assert_ne!(out.read_line(&mut said).unwrap(), 0, "ended before it waited: {said}");
    }
    (child, out)
}

#[test]
fn ctrl_c_gives_up_waiting_and_what_was_started_keeps_running() {
    let home = Home::with(&service("late", "utility", "api", "", "\"--after-ms\", \"100000\""));
    let (child, _out) = begin_waiting(&home, "services start late");
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(String::from_utf8_lossy(&output.stderr).contains("what was started keeps running"));
    assert!(is_alive(home.pid_of("late")));
}

#[test]
fn a_reader_that_goes_away_ends_a_report_quietly_and_a_start_not_at_all() {
    let home = b10();
    let mut list = home.command("services list").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(list.stdout.take());
    let output = list.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
    let mut start = home.command("services start api-gateway").stdout(Stdio::piped()).spawn().unwrap();
    drop(start.stdout.take());
    assert_eq!(start.wait().unwrap().code(), Some(0));
    assert!(is_alive(home.pid_of("api-gateway")));
}

#[test]
fn reading_commands_write_nothing() {
    let home = b10();
    for line in ["--once", "platform status", "services list", "services logs gitea", "services health gitea"] {
        home.types(line);
        assert!(!home.path(".provisioning").exists(), "{line} made files");
    }
}

#[test]
fn logs_follow_what_comes_until_ctrl_c() {
    let home = Home::with(&service(
        "talker",
        "utility",
        "api",
        "",
        &format!(
            "\"--print\", \"first\", {}, \"--run-sh\", \"while [ ! -e go ]; do sleep 0.01; done; echo second\"",
            ready("talker")
        ),
    ));
    assert_eq!(home.types("services start talker").code, Some(0));
    let log = home.path(".provisioning/services/logs/talker.log");
    wait_until("the first line is in the log", || fs::read_to_string(&log).is_ok_and(|text| text.contains("first")));
    let mut follow = home.command("services logs talker --follow").stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(follow.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains("first\n") {
        assert_ne!(out.read_line(&mut said).unwrap(), 0, "ended: {said}");
    }
    fs::write(home.path("go"), "").unwrap();
    while !said.contains("second\n") {
        assert_ne!(out.read_line(&mut said).unwrap(), 0, "ended: {said}");
    }
    assert!(Command::new("kill").args(["-INT", &follow.id().to_string()]).status().unwrap().success());
    assert_eq!(follow.wait().unwrap().code(), Some(0));
}

#[test]
fn usage_and_configuration_errors_end_with_2_and_say_where() {
    let home = Home::with("[services.a\n");
    let broken = home.types("services list");
    assert_eq!((broken.code, broken.out.as_str()), (Some(2), ""));
    assert!(broken.err.contains("config/services.toml:1:"), "{broken:#?}");
    let home = b10();
    for line in ["", "--demo", "platform", "services start", "services list --category dnss", "--once platform status"]
    {
        let answer = home.types(line);
        assert_eq!((answer.code, answer.out.as_str()), (Some(2), ""), "{line}: {answer:#?}");
        assert!(!answer.err.is_empty());
    }
    assert_eq!(home.types("--help").code, Some(0));
    assert_eq!(home.types("--version").out, concat!("provisioning ", env!("CARGO_PKG_VERSION"), "\n"));
}
