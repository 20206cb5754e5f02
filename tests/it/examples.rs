//! The examples in `config/examples`: each parses without a word, and the real stack really runs where its packages are installed.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use provisioning::config::{self, Environment};
use provisioning::model::RegistrySource;
use tempfile::TempDir;

/// No fact may take longer to come true.
const DEADLINE: Duration = Duration::from_secs(90);

/// The packages' programs that the stack runs.
const PROGRAMS: [&str; 4] = ["/usr/sbin/nginx", "/usr/bin/redis-server", "/usr/sbin/dnsmasq", "/usr/bin/pg_isready"];

/// The ports of the stack.
const PORTS: [u16; 4] = [15353, 15432, 16379, 18080];

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples/real-stack")
}

#[test]
fn every_example_parses_without_a_word() {
    let examples = example().parent().unwrap().to_owned();
    let mut n_examples = 0;
    for entry in fs::read_dir(examples).unwrap() {
        let file = entry.unwrap().path().join("services.toml");
        let environment = Environment {
            variables: [("STACK_DIR".into(), "/srv/stack".into())].into(),
            home: Some("/home/u".into()),
            current_dir: None,
        };
        let registry = config::load(&RegistrySource::File(file.clone()), &environment);
        assert_eq!(registry.diagnostics, [], "{}", file.display());
        assert!(registry.services.len() > 1, "{}", file.display());
        n_examples += 1;
    }
    assert!(n_examples > 0);
}

/// The stack in a directory of its own, run by a user who is not root, since PostgreSQL insists on that.
struct Stack {
    dir: TempDir,
}

impl Stack {
    fn prepared() -> Self {
        let stack = Self { dir: tempfile::tempdir().unwrap() };
        for name in ["services.toml", "prepare.sh"] {
            fs::copy(example().join(name), stack.path(name)).unwrap();
        }
        // The target directory may be closed to another user.
        for program in [env!("CARGO_BIN_EXE_provisioning"), env!("CARGO_BIN_EXE_provisioning-shim")] {
            let program = Path::new(program);
            fs::copy(program, stack.path(&program.file_name().unwrap().to_string_lossy())).unwrap();
        }
        if rustix::process::geteuid().is_root() {
            fs::set_permissions(stack.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
            let owned = Command::new("chown").arg("-R").arg("nobody").arg(stack.dir.path()).status().unwrap();
            assert!(owned.success());
        }
        let prepared = stack.shell("./prepare.sh");
        assert!(prepared.status.success(), "{prepared:?}");
        stack
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// A line of shell as the stack's user.
    fn shell(&self, line: &str) -> Output {
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "sh", "-c", line]);
            command
        } else {
            let mut command = Command::new("sh");
            command.args(["-c", line]);
            command
        };
        command
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .env("PROVISIONING_SUPERVISE", "off")
            .env("STACK_DIR", self.path("data"))
            .env("PROVISIONING_SERVICES_DIR", self.path("state"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn types(&self, line: &str) -> Output {
        self.shell(&format!("./provisioning --config services.toml {line}"))
    }

    #[track_caller]
    fn must(&self, line: &str) -> String {
        let output = self.types(line);
        assert!(output.status.success(), "{line}: {output:#?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn refused(&self, line: &str) -> String {
        let output = self.types(line);
        assert_eq!(output.status.code(), Some(1), "{line}: {output:#?}");
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    fn status(&self, service: &str) -> serde_json::Value {
        let answer = self.must(&format!("services status {service} --json"));
        serde_json::from_str::<serde_json::Value>(&answer).unwrap()["service"].clone()
    }

    /// The answer of the database, on one line.
    fn sql(&self, statement: &str) -> Output {
        self.shell(&format!("psql -h 127.0.0.1 -p 15432 -U platform -d postgres -Atqc \"{statement}\""))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = self.types("platform stop --force");
    }
}

/// Whether the stack can run here; says so when it cannot.
#[expect(clippy::print_stderr, reason = "a test that is left out has to say so")]
fn can_run() -> bool {
    let missing: Vec<&str> = PROGRAMS.into_iter().filter(|program| !Path::new(program).exists()).collect();
    let held: Vec<u16> = PORTS.into_iter().filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_err()).collect();
    if !missing.is_empty() || !held.is_empty() {
        eprintln!("SKIPPED: the real stack was not run; programs missing: {missing:?}, ports held: {held:?}");
    }
    missing.is_empty() && held.is_empty()
}

#[test]
fn the_real_stack_starts_in_order_stops_safely_and_comes_back_after_a_crash() {
    if !can_run() {
        return;
    }
    let stack = Stack::prepared();
    let told = stack.must("platform start");
    let place = |text: &str| told.find(text).unwrap_or_else(|| panic!("{text} is missing in {told}"));
    for service in ["cache-dns", "postgres", "redis"] {
        assert!(place(&format!("Service {service} is healthy")) < place("Starting service: web"), "{told}");
    }

    let conflict = stack.refused("services start zone-dns");
    assert!(conflict.contains("Conflicting services running: cache-dns"), "{conflict}");
    let needed = stack.refused("services stop postgres");
    assert!(needed.contains("Dependent services running: web"), "{needed}");

    assert!(stack.sql("create table seen (n int); insert into seen values (7)").status.success());
    let before = stack.status("postgres")["pid"].as_u64().unwrap();
    assert!(stack.shell(&format!("kill -9 {before}")).status.success());
    let begun = Instant::now();
    loop {
        let now = stack.status("postgres");
        if now["pid"].as_u64().is_some_and(|pid| pid != before) && now["health"] == "healthy" {
            break;
        }
        assert!(begun.elapsed() < DEADLINE, "never back: {now:#}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let seen = stack.sql("select n from seen");
    assert_eq!(String::from_utf8_lossy(&seen.stdout).trim(), "7", "{seen:?}");
    assert_eq!(stack.status("web")["status"], "running", "what needs it was left alone");

    stack.must("platform stop");
    assert!(PORTS.iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()), "all of it is gone");
    stack.must("services start zone-dns");
}
