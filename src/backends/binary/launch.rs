//! Starting, and taking over what was orphaned.

use std::fs::File;
use std::hash::{Hash as _, Hasher as _};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use super::look::Look;
use super::lost::left_behind;
use super::{BinaryBackend, binary_spec, env_file, transient};
use crate::engine::ports::{BackendError, ErrorKind, IsWanted};
use crate::host::process;
use crate::model::{
    BinarySpec, Instance, Launch, LaunchOrigin, OnFull, ProcessIdentity, RestartOnFailure, ServiceSpec,
};
use crate::store::cookie;
use crate::store::directory::{self, Unusable};
use crate::store::handover::{Handover, Orphan, Report};
use crate::store::lock;
use crate::store::state::{Phase, Wanted};
use crate::store::state_reader;

/// How long a start waits for another copy that starts, or stops, the same service at this moment.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a shim may take from its start to its report.
const REPORT_PATIENCE: Duration = Duration::from_secs(30);

/// The longest report, in bytes.
const MAX_REPORT: u64 = 64 * 1024;

/// The pause before the lock is tried again: what holds it is gone or done within a few milliseconds as a rule.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// The pause grows up to this.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// What a service manager tells the program that it watches over. A service that inherited it would speak in that program's name.
const NOT_FOR_SERVICES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

impl BinaryBackend {
    /// See [`crate::engine::ports::Backend::start_if`].
    ///
    /// `is_wanted` is asked with the lock in hand: whoever stops the service waits for that lock, or had all of it before.
    pub(super) async fn start_or_find(
        &self,
        spec: &ServiceSpec,
        is_wanted: &IsWanted<'_>,
    ) -> Result<Option<Launch>, BackendError> {
        let binary = binary_spec(spec)?;
        directory::prepare(&self.settings.layout).map_err(|unusable| unusable_directory(&unusable))?;
        self.note_completeness();
        let path = self.settings.layout.lock_file(&spec.id);
        let deadline = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        loop {
            let lock = lock::try_lock(&path).map_err(|error| transient(path.display(), &error))?;
            let look = match &lock {
                Some(_) => self.look_locked(&spec.id)?,
                None => self.look(&spec.id)?,
            };
            if !look.left_behind.is_empty() {
                return Err(left_behind(&spec.id, &look.left_behind));
            }
            // Looked at even with the lock in hand: somebody may have removed the lock file under a running service.
            if let Some(service) = look.service.clone().filter(|_| look.leaving().is_none()) {
                drop(lock);
                self.tend_seen(spec, look).await?;
                return Ok(Some(launch(service, LaunchOrigin::FoundRunning)));
            }
            match (lock, &look.shim) {
                (Some(_), None) if !is_wanted() => return Ok(None),
                (Some(lock), None) => return self.start_locked(spec, binary, lock, &look).await.map(Some),
                (lock, Some(shim)) if look.waits_to_restart() => {
                    drop(lock);
                    // What somebody asks for now comes now, with the specification of now: the waiting shim makes way.
                    self.signal(shim, Signal::TERM)?;
                }
                (_, _) => {}
            }
            Self::still_patient(&path, deadline)?;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn still_patient(lock: &Path, deadline: Instant) -> Result<(), BackendError> {
        if Instant::now() < deadline {
            return Ok(());
        }
        Err(BackendError {
            kind: ErrorKind::Transient,
            message: format!("{} is held by a start or a stop that does not end", lock.display()),
            remedy: Some(format!("Stop it with force, then start it again (lock holders: fuser {})", lock.display())),
        })
    }

    async fn start_locked(
        &self,
        spec: &ServiceSpec,
        binary: &BinarySpec,
        lock: File,
        look: &Look,
    ) -> Result<Launch, BackendError> {
        if look.unusable.is_some() {
            self.set_state_aside(spec)?;
        }
        let handover = self.handover(spec, binary, look)?;
        match self.run_shim(&handover, Stdio::from(lock)).await? {
            Report::Started(identity) => {
                self.watches.know(&spec.id);
                Ok(launch(identity, LaunchOrigin::Started))
            }
            Report::Tended => Err(transient(&spec.id, &io::Error::other("the shim misunderstood its task"))),
            Report::Failed(message) => Err(BackendError { kind: ErrorKind::Permanent, message, remedy: None }),
        }
    }

    /// See [`crate::engine::ports::Backend::tend`].
    pub(super) async fn tend_orphan(&self, spec: &ServiceSpec) -> Result<(), BackendError> {
        binary_spec(spec)?;
        let look = self.look(&spec.id)?;
        self.tend_seen(spec, look).await
    }

    /// Puts right what `look` saw: an orphan gets a shim, and a shim whose state file was lost writes it again.
    pub(super) async fn tend_seen(&self, spec: &ServiceSpec, look: Look) -> Result<(), BackendError> {
        if let (Some(shim), None) = (&look.shim, &look.record) {
            // Nothing is left of where it writes, where somebody removed it.
            directory::prepare(&self.settings.layout).map_err(|unusable| unusable_directory(&unusable))?;
            if look.unusable.is_some() {
                self.set_state_aside(spec)?;
            }
            return self.signal(shim, Signal::USR2).map(drop);
        }
        let Some(service) = look.service.clone().filter(|_| look.is_orphan()) else { return Ok(()) };
        directory::prepare(&self.settings.layout).map_err(|unusable| unusable_directory(&unusable))?;
        let mut look = look;
        if look.unusable.is_some() {
            self.set_state_aside(spec)?;
            look.record = None;
        }
        let mut handover = self.handover(spec, binary_spec(spec)?, &look)?;
        let (record, inode) = look.record.map_or((None, 0), |(record, inode)| (Some(record), inode));
        let number = |field: fn(&crate::store::state::ServiceRecord) -> u32| record.as_deref().map_or(0, field);
        handover.adopt = Some(Orphan {
            service,
            state_inode: inode,
            started_at: record.as_deref().and_then(|record| record.started_at).unwrap_or(0),
            restarts: number(|record| record.restarts),
            failures: number(|record| record.failures),
            streak: number(|record| record.streak),
            dropped_bytes: record.as_deref().map_or(0, |record| record.dropped_bytes),
            is_stopping: record.as_deref().is_some_and(|record| record.wanted == Wanted::Down),
        });
        match self.run_shim(&handover, Stdio::null()).await? {
            Report::Tended | Report::Started(_) => Ok(()),
            Report::Failed(message) => {
                // Somebody else's shim was faster: that is as good.
                let is_tended = self.look(&spec.id)?.shim.is_some();
                let error = BackendError { kind: ErrorKind::Transient, message, remedy: None };
                if is_tended || self.shim_lock_is_held(spec) { Ok(()) } else { Err(error) }
            }
        }
    }

    fn shim_lock_is_held(&self, spec: &ServiceSpec) -> bool {
        lock::is_held(&self.settings.layout.shim_lock_file(&spec.id)).unwrap_or(false)
    }

    fn set_state_aside(&self, spec: &ServiceSpec) -> Result<(), BackendError> {
        let path = self.settings.layout.state_file(&spec.id);
        // Somebody else who saw it may have been faster, and a good one stands there by now.
        if !matches!(state_reader::read(&path), Ok(state_reader::Found::Unusable(_))) {
            return Ok(());
        }
        match state_reader::set_aside(&path, SystemTime::now()) {
            Ok(aside) => {
                tracing::warn!(path = %path.display(), aside = %aside.display(), "an unusable state file was set aside");
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(transient(path.display(), &error)),
        }
    }

    /// Signals exactly this shim, and returns a descriptor to wait for its end with; `None` when it is gone.
    pub(super) fn signal(&self, shim: &ProcessIdentity, signal: Signal) -> Result<Option<OwnedFd>, BackendError> {
        let opened = self.era.open(shim).map_err(|error| transient(format!("PID {}", shim.pid), &error))?;
        let Some(pidfd) = opened else { return Ok(None) };
        match rustix::process::pidfd_send_signal(&pidfd, signal) {
            Ok(()) => Ok(Some(pidfd)),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(error) => Err(transient(format!("PID {}", shim.pid), &error.into())),
        }
    }

    fn handover(&self, spec: &ServiceSpec, binary: &BinarySpec, look: &Look) -> Result<Handover, BackendError> {
        let mut environment = Vec::new();
        if let Some(path) = &binary.env_file {
            environment = env_file::read(path).map_err(|error| BackendError {
                kind: ErrorKind::Misconfigured,
                message: format!("env_file {}: {error}", path.display()),
                remedy: None,
            })?;
        }
        environment.extend(binary.env.iter().map(|(name, value)| (name.into(), value.expose().into())));
        Ok(Handover {
            service: spec.id.clone(),
            root: self.settings.layout.root().to_owned(),
            program: binary.binary_path.clone(),
            arguments: binary.args.iter().map(Into::into).collect(),
            environment,
            directory: binary.working_dir.clone().unwrap_or_else(|| self.settings.home.clone()),
            stop_signal: binary.stop_signal,
            max_restarts: match spec.startup.restart_on_failure {
                RestartOnFailure::Never => None,
                RestartOnFailure::UpTo { max_restarts } => Some(max_restarts),
            },
            stop_patience: spec.startup.stop_timeout,
            noticed_within: spec.unhealthy_noticed_within(),
            spec_hash: spec_hash(binary),
            rotation: self.settings.rotation,
            on_full: binary.log_on_full,
            exits: look.record.as_ref().map(|(record, _)| record.exits.clone()).unwrap_or_default(),
            adopt: None,
        })
    }

    /// Spawns a shim, hands over, and waits for its report. Spawned in a way that keeps `posix_spawn`: no hook between fork and exec.
    /// The environment is passed on as it is; what the registry adds to it travels in the handover.
    async fn run_shim(&self, handover: &Handover, standard_input: Stdio) -> Result<Report, BackendError> {
        let program = &self.settings.shim;
        let failed = |error: io::Error| transient(format!("the shim {}", program.path.display()), &error);
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
        let mut command = Command::new(&program.path);
        for name in NOT_FOR_SERVICES.into_iter().chain([cookie::VARIABLE]) {
            command.env_remove(name);
        }
        let mut child = command
            .args(&program.arguments)
            .stdin(standard_input)
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        // Its copy of the shim's end of the socket would keep the socket from ending.
        drop(command);
        // A shim that ends while we live has to be waited for by us. When we end first, init does that.
        self.watches.run(async move {
            if let Err(error) = child.wait().await {
                tracing::warn!(%error, "waiting for a shim failed");
            }
        });
        ours.set_nonblocking(true).map_err(failed)?;
        let mut socket = UnixStream::from_std(ours).map_err(failed)?;
        let bytes = handover.encode().map_err(failed)?;
        let exchange = async {
            // A shim that dies early breaks the socket: what it could still say, if anything, is in the answer.
            let sent = socket.write_all(&bytes).await;
            let closed = socket.shutdown().await;
            let mut answer = Vec::new();
            socket.take(MAX_REPORT).read_to_end(&mut answer).await?;
            Report::decode(&answer).map_err(|_| {
                let cause = sent.and(closed).err();
                cause.unwrap_or_else(|| io::Error::other("ended before it could report"))
            })
        };
        match timeout(REPORT_PATIENCE, exchange).await {
            Ok(report) => report.map_err(failed),
            Err(_) => Err(failed(io::Error::new(io::ErrorKind::TimedOut, "no report within 30 s"))),
        }
    }
}

impl Look {
    /// The process, when the service was told to stop, by somebody or because it is unhealthy, and is not gone.
    pub(super) fn leaving(&self) -> Option<&ProcessIdentity> {
        let is_stopping =
            self.record.as_ref().is_some_and(|(record, _)| matches!(record.phase, Phase::Stopping | Phase::Clearing));
        self.service.as_ref().filter(|_| is_stopping)
    }

    fn waits_to_restart(&self) -> bool {
        self.record.as_ref().is_some_and(|(record, _)| record.phase == Phase::Backoff)
    }
}

fn unusable_directory(unusable: &Unusable) -> BackendError {
    BackendError { kind: ErrorKind::Misconfigured, message: unusable.to_string(), remedy: Some(unusable.remedy()) }
}

fn launch(identity: ProcessIdentity, origin: LaunchOrigin) -> Launch {
    let since = process::started_at(identity.start_ticks);
    Launch { instance: Instance::Process(identity), since, origin }
}

/// Changes when what is executed changes. The environment's values are left out, so that nothing about them can be learnt from it.
pub(super) fn spec_hash(binary: &BinarySpec) -> u64 {
    // Fixed keys: the number is compared by later programs.
    let mut hasher = std::hash::DefaultHasher::new();
    binary.binary_path.as_os_str().as_bytes().hash(&mut hasher);
    binary.args.hash(&mut hasher);
    binary.working_dir.hash(&mut hasher);
    binary.env.keys().for_each(|name| name.hash(&mut hasher));
    binary.env_file.hash(&mut hasher);
    binary.stop_signal.hash(&mut hasher);
    // Where it is as ever, the number is as ever: what an earlier program started is not taken for edited.
    if binary.log_on_full != OnFull::Drop {
        binary.log_on_full.hash(&mut hasher);
    }
    hasher.finish()
}
