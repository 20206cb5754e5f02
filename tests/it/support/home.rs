//! A temporary home with a registry of test services, and the real commands typed in it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use provisioning::model::ServiceId;
use provisioning::store::{Layout, state, state_reader};
use tempfile::TempDir;

use super::program;

/// No fact may take longer to come true.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The home. What runs in it is killed at the end.
pub(crate) struct Home {
    dir: PathBuf,
    /// Removed last.
    _owned: TempDir,
}

/// A service of the test program.
pub(crate) struct Service<'a> {
    pub(crate) name: &'a str,
    pub(crate) needs: &'a [&'a str],
    pub(crate) arguments: Vec<String>,
}

impl Home {
    /// Without a registry.
    pub(crate) fn empty() -> Self {
        let owned = tempfile::tempdir().unwrap();
        Self { dir: owned.path().to_owned(), _owned: owned }
    }

    /// With auto-start services that append their PID to a ledger of their own when they begin, and then do as they are told.
    pub(crate) fn with(services: &[Service<'_>]) -> Self {
        let home = Self::empty();
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

    /// One service of the test program that keeps its ledger and does as it is told, as it stands in a registry. `more` goes at the end.
    pub(crate) fn section(&self, name: &str, needs: &[&str], arguments: &[&str], more: &str) -> String {
        let ledger = self.ledger(name).display().to_string();
        let words: Vec<&str> = ["--ledger", &ledger].into_iter().chain(arguments.iter().copied()).collect();
        format!(
            "[services.{name}]\ntype = \"utility\"\ncategory = \"api\"\ndependencies = {needs:?}\n\
             [services.{name}.deployment]\nmode = \"binary\"\n\
             [services.{name}.deployment.binary]\nbinary_path = {:?}\nargs = {words:?}\n{more}\n",
            program::service(),
        )
    }

    /// Writes the registry.
    pub(crate) fn write(&self, registry: &str) {
        fs::write(self.registry(), registry).unwrap();
    }

    pub(crate) fn registry(&self) -> PathBuf {
        self.dir.join("services.toml")
    }

    pub(crate) fn services_dir(&self) -> PathBuf {
        self.dir.join("services")
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.join(below)
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout::new(self.services_dir())
    }

    pub(crate) fn ledger(&self, service: &str) -> PathBuf {
        self.dir.join(format!("{service}.ledger"))
    }

    /// What the state file of a service says; it must be readable, or not there.
    #[track_caller]
    pub(crate) fn record(&self, service: &str) -> Option<state::ServiceRecord> {
        let path = self.layout().state_file(&ServiceId::new(service).unwrap());
        match state_reader::read(&path).unwrap() {
            state_reader::Found::Record(record, ..) => Some(*record),
            state_reader::Found::Nothing => None,
            state_reader::Found::Unusable(why) => panic!("the state file of {service} is torn: {why}"),
        }
    }

    /// The shim of a service that has one.
    #[track_caller]
    pub(crate) fn shim(&self, service: &str) -> u32 {
        self.record(service).expect("a record").shim.expect("a shim").pid
    }

    /// What `services status --json` says of a service.
    #[track_caller]
    pub(crate) fn status(&self, service: &str) -> serde_json::Value {
        let output = self.types(&format!("services status {service} --json"));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        json["service"].clone()
    }

    /// The PID that is told of a service; `None` when it does not run.
    pub(crate) fn pid(&self, service: &str) -> Option<u32> {
        self.status(service)["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok())
    }

    /// Everything alive that has this home in its arguments, or a file of it open.
    pub(crate) fn strays(&self) -> Vec<u32> {
        strays(&self.dir)
    }

    /// What holds after every case: all is stopped on request, nothing of ours is left, and every state file can be read.
    #[track_caller]
    pub(crate) fn assert_all_can_be_stopped(&self) {
        self.must("platform stop --force");
        wait_until("nothing of ours is left", || self.strays().is_empty());
        self.assert_files_whole();
    }

    /// Every state file is one that was written completely.
    #[track_caller]
    pub(crate) fn assert_files_whole(&self) {
        let Ok(entries) = fs::read_dir(self.layout().state()) else { return };
        for entry in entries.map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if let Some(service) = name.strip_suffix(".json").filter(|name| !name.starts_with('.')) {
                drop(self.record(service));
            }
        }
    }

    /// A command that can be killed: `provisioning LINE`.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_provisioning"));
        command.env("PROVISIONING_SUPERVISE", "off");
        command
            .arg("--config")
            .arg(self.registry())
            .args(line.split_whitespace())
            .env("HOME", &self.dir)
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
        // PIDs are given out again, so the moment at which each began has to be the same too.
        let is_it = |pid: u32, began: &str| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit(") ").next().and_then(|fields| fields.split(' ').nth(19)) == Some(began)
        };
        let entries = ledger.lines().filter_map(|line| line.split_once(' '));
        let entries = entries.map(|(pid, began)| (pid.parse().unwrap(), began));
        entries.filter(|(pid, began)| is_alive(*pid) && is_it(*pid, began)).map(|(pid, _)| pid).collect()
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
        for _ in 0..50 {
            let strays = self.strays();
            if strays.is_empty() {
                return;
            }
            // By number, and only what works in this test's own directory.
            for pid in strays {
                kill("-9", pid);
            }
        }
    }
}

/// Everything alive that has this directory in its arguments, or a file of it open.
pub(crate) fn strays(dir: &Path) -> Vec<u32> {
    let needle = dir.to_string_lossy().into_owned();
    let holds = |pid: u32| {
        fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|entries| {
            entries
                .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
                .any(|target| target.to_string_lossy().starts_with(&needle))
        })
    };
    fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|&pid| pid != std::process::id())
        .filter(|&pid| {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            is_alive(pid) && (String::from_utf8_lossy(&arguments).contains(&needle) || holds(pid))
        })
        .collect()
}

/// Signals a process that may have ended meanwhile.
pub(crate) fn kill(signal: &str, pid: u32) {
    drop(Command::new("kill").arg(signal).arg(pid.to_string()).stderr(Stdio::null()).status());
}

/// Runs, and is no zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
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
