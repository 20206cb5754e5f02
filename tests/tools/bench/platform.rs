//! A registry of test services in a temporary home, and the commands that act on it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::program;

/// One test service.
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) needs: Vec<String>,
    /// From its exec to the moment it listens.
    pub(crate) ready_after_ms: u64,
    pub(crate) port: u16,
}

/// A platform in a temporary directory; whatever still runs is killed when it goes.
pub(crate) struct Platform {
    dir: tempfile::TempDir,
}

/// The first port of a benchmark's services, below the range that the kernel hands out.
const FIRST_PORT: u16 = 21_000;

impl Service {
    pub(crate) fn new(index: usize, needs: Vec<String>, ready_after_ms: u64) -> Self {
        let offset = u16::try_from(index).expect("few services");
        Self { name: format!("s{index:04}"), needs, ready_after_ms, port: FIRST_PORT + offset }
    }

    /// Its program's arguments.
    pub(crate) fn arguments(&self) -> Vec<String> {
        ["--after-ms", &self.ready_after_ms.to_string(), "--port", &self.port.to_string()].map(str::to_owned).to_vec()
    }
}

impl Platform {
    /// Writes the registry of `services`, each checked over TCP, every 10 s.
    pub(crate) fn new(services: &[Service]) -> Self {
        let mut text = String::new();
        for service in services {
            let needs: Vec<String> = service.needs.iter().map(|name| format!("{name:?}")).collect();
            let arguments: Vec<String> = service.arguments().iter().map(|argument| format!("{argument:?}")).collect();
            write!(
                text,
                "[services.{name}]\ntype = \"utility\"\ncategory = \"api\"\ndependencies = [{needs}]\n\
                 [services.{name}.deployment]\nmode = \"binary\"\n\
                 [services.{name}.deployment.binary]\nbinary_path = {program:?}\nargs = [{arguments}]\n\
                 [services.{name}.health_check]\ntype = \"tcp\"\n\
                 [services.{name}.health_check.tcp]\nhost = \"127.0.0.1\"\nport = {port}\n\
                 [services.{name}.startup]\nauto_start = true\nrestart_on_failure = true\n\n",
                name = service.name,
                needs = needs.join(", "),
                program = program::service(),
                arguments = arguments.join(", "),
                port = service.port,
            )
            .expect("text");
        }
        Self::of_text(&text)
    }

    /// Writes this registry.
    pub(crate) fn of_text(text: &str) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        std::fs::write(dir.path().join("services.toml"), text).expect("registry");
        Self { dir }
    }

    pub(crate) fn services_dir(&self) -> PathBuf {
        self.dir.path().join("services")
    }

    pub(crate) fn registry(&self) -> PathBuf {
        self.dir.path().join("services.toml")
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_provisioning"));
        command.env("PROVISIONING_SUPERVISE", "off");
        command.arg("--config").arg(self.registry()).args(words);
        command.env("PROVISIONING_SERVICES_DIR", self.services_dir()).env("HOME", self.dir.path());
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end; how long it took, and what it said.
    pub(crate) fn run(&self, words: &[&str]) -> (Duration, Output) {
        let mut command = self.command(words);
        let began = Instant::now();
        let output = command.output().expect("the program runs");
        (began.elapsed(), output)
    }

    /// The same for a command that has to succeed.
    pub(crate) fn must(&self, words: &[&str]) -> Duration {
        let (took, output) = self.run(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        took
    }

    /// The PID that the state file of a service names, as the PID file says it to people.
    pub(crate) fn pid(&self, name: &str) -> Option<u32> {
        std::fs::read_to_string(self.services_dir().join(format!("pids/{name}.pid"))).ok()?.trim().parse().ok()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        let (_, output) = self.run(&["platform", "stop", "--force"]);
        if !output.status.success() {
            eprintln!("left behind: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
