//! Starting `supervise` in the background, by whoever started something.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::OFlags;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::host::descriptors;
use crate::model::{AutoSupervise, Registry};
use crate::store::{Layout, directory, lock};

/// How long one that was started may take to hold its lock before nobody waits for that any more. It takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often is looked meanwhile.
const LOOK: Duration = Duration::from_millis(1);

/// The environment variable that switches it off: `PROVISIONING_SUPERVISE=off`.
pub const VARIABLE: &str = "PROVISIONING_SUPERVISE";

/// The way to start it.
#[derive(Debug, Clone)]
pub struct Background {
    layout: Layout,
    /// `None` when it is switched off.
    program: Option<PathBuf>,
    registry: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ensured {
    /// One runs already, or it is switched off.
    Nothing,
    /// One was started.
    Started,
    /// One was started, and nobody in this home was ever told that this is done.
    StartedForTheFirstTime,
}

impl Background {
    /// As the registry and the environment say.
    pub fn new(layout: &Layout, registry: &Registry, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let is_off = variable(VARIABLE).is_some_and(|value| value == "off" || value == "0" || value == "false")
            || registry.auto_supervise == AutoSupervise::Off;
        let program = if is_off { None } else { program().ok() };
        Self { layout: layout.clone(), program, registry: registry.source.file() }
    }

    /// One that never starts anything: the demo's, and that of a command which only looks.
    pub fn off(layout: &Layout) -> Self {
        Self { layout: layout.clone(), program: None, registry: None }
    }

    /// Whether it is switched on.
    pub fn is_on(&self) -> bool {
        self.program.is_some()
    }

    /// Starts one unless one runs, and waits a moment until it is the `supervise` of this home, so that whoever asks next who looks after
    /// the services is not told that nobody does. Of several that are started at the same moment, one stays. Inside a runtime.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn ensure(&self) -> io::Result<Ensured> {
        let Some(program) = &self.program else { return Ok(Ensured::Nothing) };
        if lock::is_held(&self.layout.supervise_lock())? {
            return Ok(Ensured::Nothing);
        }
        let started = spawn(program, self.registry.as_deref())?;
        self.wait_for(started).await;
        // Made by whoever comes first, and never again.
        let is_first =
            directory::open_regular(&self.layout.supervise_said(), OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL);
        Ok(if is_first.is_ok() { Ensured::StartedForTheFirstTime } else { Ensured::Started })
    }
}

impl Background {
    /// Until somebody, this one or a faster one, holds the lock, or it has ended: then nothing comes any more.
    async fn wait_for(&self, mut started: Child) {
        let deadline = Instant::now() + PATIENCE;
        let path = self.layout.supervise_lock();
        // What cannot be looked at is not waited for: the start that was asked for is done.
        while lock::is_held(&path).is_ok_and(|is_held| !is_held)
            && matches!(started.try_wait(), Ok(None))
            && Instant::now() < deadline
        {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Starts one in the background whatever is switched off. Inside a runtime.
///
/// # Errors
/// When it cannot be started.
pub fn start(registry: &Registry) -> io::Result<()> {
    spawn(&program()?, registry.source.file().as_deref()).map(drop)
}

/// This very program, also when an upgrade has replaced its file.
fn program() -> io::Result<PathBuf> {
    let running = std::env::current_exe()?;
    Ok(if running.exists() { running } else { "/proc/self/exe".into() })
}

/// Nothing between fork and exec, which keeps `posix_spawn`: what is left to do, [`detach`] does in the new process. Its end is not
/// waited for: the runtime reaps it when it ends before this program, init otherwise.
fn spawn(program: &Path, registry: Option<&Path>) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.args(["supervise", "--detached"]);
    if let Some(registry) = registry {
        command.arg("--config").arg(registry);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn()
}

/// Leaves everything of the one who started this process: its session and terminal, its directory, its descriptors. First thing, before
/// anything is opened.
///
/// # Errors
/// When `/proc` is not mounted.
pub fn detach() -> io::Result<()> {
    descriptors::close_inherited()?;
    // Refused to one that leads a group already, which is as good.
    let _leads_already = rustix::process::setsid();
    rustix::process::chdir("/")?;
    Ok(())
}
