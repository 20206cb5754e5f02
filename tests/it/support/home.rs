//! A temporary home with a registry of test services, and the real commands typed in it.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::program;

/// No fact may take longer to come true.
const DEADLINE: Duration = Duration::from_secs(30);

/// The home. What runs in it is killed at the end.
pub(crate) struct Home {
    dir: TempDir,
}

/// A service of the test program.
pub(crate) struct Service<'a> {
    pub(crate) name: &'a str,
    pub(crate) needs: &'a [&'a str],
    pub(crate) arguments: Vec<String>,
}

impl Home {
    /// With auto-start services that append their PID to a ledger of their own when they begin, and then do as they are told.
    pub(crate) fn with(services: &[Service<'_>]) -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        let mut text = String::new();
        for Service { name, needs, arguments } in services {
            let mut words = vec!["--ledger".to_owned(), home.ledger(name).display().to_string()];
            words.extend(arguments.iter().cloned());
            write!(
                text,
                "[services.{name}]\ntype = \"utility\"\ncategory = \"api\"\ndependencies = {needs:?}\n\
                 [services.{name}.deployment]\nmode = \"binary\"\n\
                 [services.{name}.deployment.binary]\nbinary_path = {:?}\nargs = {words:?}\n\
                 [services.{name}.startup]\nauto_start = true\n\n",
                program::service(),
            )
            .unwrap();
        }
        fs::write(home.registry(), text).unwrap();
        home
    }

    pub(crate) fn registry(&self) -> PathBuf {
        self.dir.path().join("services.toml")
    }

    pub(crate) fn services_dir(&self) -> PathBuf {
        self.dir.path().join("services")
    }

    fn ledger(&self, service: &str) -> PathBuf {
        self.dir.path().join(format!("{service}.ledger"))
    }

    /// A command that can be killed: `provisioning LINE`.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_provisioning"));
        command.env("PROVISIONING_SUPERVISE", "off");
        command
            .arg("--config")
            .arg(self.registry())
            .args(line.split_whitespace())
            .env("HOME", self.dir.path())
            .env("PROVISIONING_SERVICES_DIR", self.services_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Types it and waits for its end.
    pub(crate) fn types(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// The same for a command that has to succeed.
    #[track_caller]
    pub(crate) fn must(&self, line: &str) -> String {
        let output = self.types(line);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{line}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// The processes of a service that live, of all that ever began.
    pub(crate) fn living(&self, service: &str) -> Vec<u32> {
        let ledger = fs::read_to_string(self.ledger(service)).unwrap_or_default();
        ledger.lines().map(|line| line.parse().unwrap()).filter(|pid| is_alive(*pid)).collect()
    }

    /// All that a service's log files hold, oldest first.
    pub(crate) fn log(&self, service: &str) -> String {
        let path = |number: usize| match number {
            0 => self.services_dir().join(format!("logs/{service}.log")),
            _ => self.services_dir().join(format!("logs/{service}.log.{number}")),
        };
        (0..10).rev().filter_map(|number| fs::read_to_string(path(number)).ok()).collect()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.types("platform stop --force");
    }
}

/// Runs, and is no zombie.
fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !matches!(stat.rsplit(") ").next().and_then(|rest| rest.chars().next()), Some('Z' | 'X')))
}

/// Waits for a fact.
#[track_caller]
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < DEADLINE, "never so: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
