//! Signals as flags and one descriptor to wait on.

use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::signal;

/// Signals that would end a program and shall not end this one. Caught, not ignored: a caught signal has its default effect again
/// in the service, while an ignored one would stay ignored.
const WITHOUT_EFFECT: [i32; 14] = [
    signal::SIGHUP,
    signal::SIGINT,
    signal::SIGQUIT,
    signal::SIGPIPE,
    signal::SIGALRM,
    signal::SIGVTALRM,
    signal::SIGPROF,
    signal::SIGXCPU,
    signal::SIGXFSZ,
    signal::SIGTSTP,
    signal::SIGTTIN,
    signal::SIGTTOU,
    signal::SIGIO,
    signal::SIGWINCH,
];

/// What arrived since it was last asked.
pub(super) struct Signals {
    waiting: UnixStream,
    stop: Arc<AtomicBool>,
    kill: Arc<AtomicBool>,
    rewrite: Arc<AtomicBool>,
    unhealthy: Arc<AtomicBool>,
    child: Arc<AtomicBool>,
}

impl Signals {
    /// Catches everything, also what was ignored when this program began (`nohup`), since the service shall not inherit that.
    ///
    /// # Errors
    /// When no socket pair can be made.
    pub(super) fn catch() -> io::Result<Self> {
        let (waiting, wake) = UnixStream::pair()?;
        waiting.set_nonblocking(true)?;
        wake.set_nonblocking(true)?;
        let caught = |number: i32| -> io::Result<Arc<AtomicBool>> {
            let flag = Arc::new(AtomicBool::new(false));
            // The flag first: handlers run in the order of registration, and whoever is woken must find it set.
            signal_hook::flag::register(number, Arc::clone(&flag))?;
            signal_hook::low_level::pipe::register(number, wake.try_clone()?)?;
            Ok(flag)
        };
        let signals = Self {
            stop: caught(signal::SIGTERM)?,
            kill: caught(signal::SIGUSR1)?,
            rewrite: caught(signal::SIGUSR2)?,
            unhealthy: caught(signal::SIGURG)?,
            child: caught(signal::SIGCHLD)?,
            waiting,
        };
        let nobody_looks = Arc::new(AtomicBool::new(false));
        for number in WITHOUT_EFFECT.into_iter().chain(ignored()) {
            if !signal_hook::consts::FORBIDDEN.contains(&number) {
                // The numbers that the C library keeps for itself are refused, and may stay as they are.
                drop(signal_hook::flag::register(number, Arc::clone(&nobody_looks)));
            }
        }
        Ok(signals)
    }

    /// To wait on; readable when something arrived.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.waiting.as_fd()
    }

    /// Empties the descriptor. The flags are read after it, so a signal in between is found now or wakes again.
    pub(super) fn drain(&self) {
        let mut buffer = [0; 64];
        while matches!((&self.waiting).read(&mut buffer), Ok(1..)) {}
    }

    /// TERM: stop.
    pub(super) fn take_stop(&self) -> bool {
        self.stop.swap(false, Ordering::SeqCst)
    }

    /// USR1: kill.
    pub(super) fn take_kill(&self) -> bool {
        self.kill.swap(false, Ordering::SeqCst)
    }

    /// USR2: write the state file again.
    pub(super) fn take_rewrite(&self) -> bool {
        self.rewrite.swap(false, Ordering::SeqCst)
    }

    /// URG: the service is unhealthy. A signal that by default does nothing, so that a shim that does not know it lives on.
    pub(super) fn take_unhealthy(&self) -> bool {
        self.unhealthy.swap(false, Ordering::SeqCst)
    }

    /// CHLD: something ended.
    pub(super) fn take_child(&self) -> bool {
        self.child.swap(false, Ordering::SeqCst)
    }
}

/// The numbers of the signals that are ignored at this moment.
fn ignored() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    let mask = mask.unwrap_or(0);
    (1..=64).filter(|number| mask & (1 << (number - 1)) != 0).collect()
}
