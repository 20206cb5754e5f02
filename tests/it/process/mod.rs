//! Binary mode with real processes: the backend, the shim, and the program in `tests/programs`.

mod faults;
mod inheritance;
mod logs;
mod restarts;
mod starting;
mod stopping;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use provisioning::backends::binary::{BinaryBackend, Settings, ShimProgram};
use provisioning::engine::ports::{Backend as _, BackendError, StopError};
use provisioning::model::{
    BinarySpec, Category, Check, Deployment, HealthCheck, Launch, Observed, OnFull, Presence, RestartOnFailure, Secret,
    ServiceId, ServiceKind, ServiceSpec, StartHow, Startup, StopHow,
};
use provisioning::store::handover::Rotation;
use provisioning::store::{Layout, state, state_reader};

/// Longer than anything here takes on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A temporary home, its backend, and the certainty that nothing outlives the test.
pub(crate) struct Home {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) layout: Layout,
    pub(crate) settings: Settings,
    pub(crate) backend: BinaryBackend,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::with_rotation(Rotation::default())
    }

    pub(crate) fn with_rotation(rotation: Rotation) -> Self {
        let directory = tempfile::tempdir().expect("directory");
        let layout = Layout::new(directory.path().join("services"));
        let settings = Settings {
            layout: layout.clone(),
            home: directory.path().to_owned(),
            shim: ShimProgram { path: env!("CARGO_BIN_EXE_provisioning-shim").into(), arguments: Vec::new() },
            rotation,
        };
        let backend = BinaryBackend::new(settings.clone()).expect("backend");
        Self { directory, layout, settings, backend }
    }

    /// Another copy of the tool on the same home.
    pub(crate) fn another_backend(&self) -> BinaryBackend {
        BinaryBackend::new(self.settings.clone()).expect("backend")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The PIDs of all runs of services that were given this ledger.
    pub(crate) fn ledger(&self) -> Vec<u32> {
        let pid = |line: &str| line.split(' ').next().and_then(|pid| pid.parse().ok()).expect("pid");
        self.text("ledger").lines().map(pid).collect()
    }

    pub(crate) fn record(&self, spec: &ServiceSpec) -> Option<state::ServiceRecord> {
        match state_reader::read(&self.layout.state_file(&spec.id)).expect("read") {
            state_reader::Found::Record(record, ..) => Some(*record),
            state_reader::Found::Nothing => None,
            state_reader::Found::Unusable(why) => panic!("the state file is torn: {why}"),
        }
    }

    pub(crate) fn shim_pid(&self, spec: &ServiceSpec) -> u32 {
        self.record(spec).expect("record").shim.expect("shim").pid
    }

    /// The log's text, rotated files first, without the lines that starts leave.
    pub(crate) fn log(&self, spec: &ServiceSpec) -> String {
        let path = self.layout.log_file(&spec.id);
        let mut text = String::new();
        for number in (1..=50).rev() {
            text += &std::fs::read_to_string(format!("{}.{number}", path.display())).unwrap_or_default();
        }
        text += &std::fs::read_to_string(&path).unwrap_or_default();
        text.split_inclusive('\n').filter(|line| !line.starts_with("--- ")).collect()
    }

    /// The length of all logs together, in bytes.
    pub(crate) fn log_length(&self) -> u64 {
        let entries = std::fs::read_dir(self.layout.logs()).expect("logs");
        entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum()
    }

    pub(crate) async fn start(&self, spec: &ServiceSpec) -> Result<Launch, BackendError> {
        self.backend.start(spec, StartHow::AsItIs).await
    }

    pub(crate) async fn observe(&self, spec: &ServiceSpec) -> Observed {
        self.backend.observe(spec).await.expect("observation")
    }

    pub(crate) async fn stop(&self, spec: &ServiceSpec, how: StopHow) -> Result<(), StopError> {
        self.backend.stop(spec, how, DEADLINE).await
    }

    /// Waits until what is observed is as wanted.
    pub(crate) async fn until(
        &self,
        spec: &ServiceSpec,
        what: &str,
        mut is_so: impl FnMut(&Presence) -> bool,
    ) -> Observed {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let observed = self.observe(spec).await;
            if is_so(&observed.presence) {
                return observed;
            }
            assert!(
                Instant::now() < deadline,
                "never {what}: {observed:?}\n{:?}\n{}",
                self.record(spec),
                self.log(spec)
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until a file exists.
    pub(crate) async fn until_file(&self, name: &str) {
        self.until_true(&format!("a file {name}"), || self.path(name).exists()).await;
    }

    /// Waits for a fact.
    pub(crate) async fn until_true(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !is_so() {
            assert!(Instant::now() < deadline, "never: {what}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Everything alive that has this home in its arguments, or holds a lock in it.
    pub(crate) fn strays(&self) -> Vec<String> {
        crate::support::home::strays(self.directory.path()).iter().map(u32::to_string).collect()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        for _ in 0..50 {
            let strays = self.strays();
            if strays.is_empty() {
                return;
            }
            // By number, and only what works in this test's own directory.
            let killed = Command::new("kill").arg("-9").args(&strays).stderr(std::process::Stdio::null()).status();
            assert!(killed.is_ok() || std::thread::panicking());
        }
    }
}

/// A process that has nothing to do with us, and must not notice us.
pub(crate) struct Bystander(std::process::Child);

impl Bystander {
    pub(crate) fn new() -> Self {
        let null = std::process::Stdio::null;
        let mut command = Command::new("sleep");
        Self(command.arg("1000").stdin(null()).stdout(null()).stderr(null()).spawn().expect("sleep"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let reaped = self.0.kill().and_then(|()| self.0.wait());
        assert!(reaped.is_ok() || std::thread::panicking());
    }
}

/// A service that runs the test program with these arguments.
pub(crate) fn service(name: &str, arguments: &[&str]) -> ServiceSpec {
    program(name, crate::support::program::service(), arguments)
}

/// A service that runs a program with these arguments.
pub(crate) fn program(name: &str, binary_path: PathBuf, arguments: &[&str]) -> ServiceSpec {
    ServiceSpec {
        id: ServiceId::new(name).expect("name"),
        kind: ServiceKind::Platform,
        category: Category::Api,
        description: String::new(),
        required_for: Vec::new(),
        dependencies: Vec::new(),
        conflicts: Vec::new(),
        deployment: Deployment::Binary(BinarySpec {
            binary_path,
            args: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            working_dir: None,
            env: [("TEST_SECRET".to_owned(), Secret::new("hunter2"))].into(),
            env_file: None,
            stop_signal: 15,
            log_on_full: OnFull::Drop,
        }),
        health_check: HealthCheck {
            check: Check::None,
            interval: Duration::from_secs(10),
            retries: 3,
            timeout: Duration::from_secs(5),
            start_interval: None,
        },
        startup: Startup {
            auto_start: false,
            start_timeout: Duration::from_secs(30),
            start_order: 100,
            restart_on_failure: RestartOnFailure::Never,
            stop_timeout: Duration::from_secs(10),
        },
    }
}

pub(crate) fn binary(spec: &mut ServiceSpec) -> &mut BinarySpec {
    match &mut spec.deployment {
        Deployment::Binary(binary) => binary,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn restarting(mut spec: ServiceSpec, max_restarts: u32) -> ServiceSpec {
    spec.startup.restart_on_failure = RestartOnFailure::UpTo { max_restarts };
    spec
}

pub(crate) fn is_alive(pid: u32) -> bool {
    provisioning::host::process::stat(pid).is_some_and(|stat| stat.is_alive())
}

pub(crate) fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").arg(signal).arg(pid.to_string()).status().expect("kill").success());
}

pub(crate) fn is_present(presence: &Presence) -> bool {
    matches!(presence, Presence::Present { .. })
}

pub(crate) fn pid_of(presence: &Presence) -> Option<u32> {
    match presence {
        Presence::Present { instance, .. } | Presence::Leaving { instance, .. } => instance.pid(),
        _ => None,
    }
}
