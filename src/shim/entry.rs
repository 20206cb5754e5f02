//! From a freshly executed process to a supervising one: descriptors, session, signals, locks.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use super::orphan;
use super::signals::Signals;
use super::supervise::Supervisor;
use crate::host::descriptors;
use crate::host::process::{self, Era};
use crate::model::ProcessIdentity;
use crate::store::handover::{Handover, Report};
use crate::store::{Layout, lock};

/// How long a new shim waits for one that is about to end to give up the shim's lock.
const SHIM_LOCK_PATIENCE: Duration = Duration::from_secs(3);

/// What every shim has, whatever it is for.
pub(super) struct Setting {
    pub(super) era: Era,
    pub(super) layout: Layout,
    pub(super) handover: Handover,
    pub(super) signals: Signals,
    /// This shim.
    pub(super) me: ProcessIdentity,
    /// Held until the end.
    pub(super) shim_lock: File,
}

/// Runs as the shim: standard input is the locked file of the service (or `/dev/null` for an orphan, which holds its lock itself),
/// standard output the socket on which the handover arrives and the report leaves.
///
/// Never prints. The exit code means nothing to anybody: the report and the state file say what happened.
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn run() -> io::Result<()> {
    descriptors::close_inherited()?;
    // Before anything else, so that a Ctrl-C in the terminal of the one who started us is not for us.
    rustix::process::setsid()?;
    let signals = Signals::catch()?;
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    // Our working directory must not keep a file system from being unmounted.
    rustix::process::chdir("/")?;

    let standard_input = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let socket = UnixStream::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?);
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    drop(null);

    // Incomplete when its sender was killed: then nobody wants us any more.
    let handover = Handover::receive(&socket)?;
    match prepare(handover, signals) {
        Ok(setting) => supervise(setting, standard_input, socket),
        Err(error) => {
            Report::Failed(error.to_string()).send(&socket)?;
            Err(error)
        }
    }
}

fn prepare(handover: Handover, signals: Signals) -> io::Result<Setting> {
    let era = Era::present()?;
    let layout = Layout::new(handover.root.clone());
    let own = process::stat(std::process::id()).ok_or_else(|| io::Error::other("/proc does not show this process"))?;
    let path = layout.shim_lock_file(&handover.service);
    let patience = if handover.adopt.is_some() { Duration::ZERO } else { SHIM_LOCK_PATIENCE };
    let deadline = process::since_boot() + patience;
    let shim_lock = loop {
        let tried = lock::try_lock(&path);
        if let Some(shim_lock) =
            tried.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?
        {
            break shim_lock;
        }
        if process::since_boot() >= deadline {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "another shim watches over this service"));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    Ok(Setting { me: era.identity(&own), era, layout, handover, signals, shim_lock })
}

fn supervise(mut setting: Setting, standard_input: OwnedFd, socket: UnixStream) -> io::Result<()> {
    let supervisor = match setting.handover.adopt.take() {
        None => Supervisor::start(setting, File::from(standard_input), &socket),
        Some(orphan) => orphan::take_over(setting, orphan, &socket),
    };
    // The one who waits for the report also waits for the end of the socket.
    drop(socket);
    match supervisor? {
        Some(supervisor) => supervisor.run(),
        None => Ok(()),
    }
}
