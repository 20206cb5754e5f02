//! Removing a demo's home: when everything that lived in it has ended, and not before.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, Timespec, poll};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::cast::CAST;
use super::home;
use crate::model::ServiceId;
use crate::store::Layout;

/// How long the sweeper waits for services to end after their console has.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often locks are tried while something holds one. Only at the end of a demo, and only for a moment.
const INTERVAL: Duration = Duration::from_millis(20);

/// Waits until no service of the home lives (each, and its shim, holds a lock while it does), then removes the home.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] when `patience` has passed and something lives; otherwise why the home could not be removed. A home that
/// is gone already is no error.
pub(super) fn sweep(home: &Path, patience: Duration) -> io::Result<()> {
    let deadline = Instant::now() + patience;
    let layout = Layout::new(home::services_dir(home));
    for name in CAST.iter().filter_map(|part| ServiceId::new(part.name).ok()) {
        // The shim ends last, so its lock is looked at last: nothing of the service writes after that.
        for lock in [layout.lock_file(&name), layout.shim_lock_file(&name)] {
            wait_until_free(&lock, deadline)?;
        }
    }
    match std::fs::remove_dir_all(home) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn wait_until_free(lock: &Path, deadline: Instant) -> io::Result<()> {
    let file = match rustix::fs::open(lock, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < deadline => pause(INTERVAL)?,
            Err(Errno::WOULDBLOCK | Errno::INTR) => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits without anything to wait for: locks make no noise when they are given up.
fn pause(length: Duration) -> io::Result<()> {
    let timeout = Timespec { tv_sec: 0, tv_nsec: length.subsec_nanos().into() };
    let nothing: &mut [PollFd<'_>] = &mut [];
    match poll(nothing, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Runs as the sweeper of one home, given as the only argument: waits until standard input ends, which it does when the console ends in
/// whatever way, then sweeps. Never prints.
pub(super) fn main(arguments: &[OsString]) -> ExitCode {
    let [home] = arguments else { return ExitCode::FAILURE };
    // Out of reach of the keys and the hang-up of the console's terminal; refused only where we are out of reach already.
    let _refused = rustix::process::setsid();
    let home = Path::new(home);
    if !home::is_ours(home) || rustix::process::chdir("/").is_err() {
        return ExitCode::FAILURE;
    }
    let mut ignored = [0; 64];
    while !matches!(io::stdin().read(&mut ignored), Ok(0) | Err(_)) {}
    match sweep(home, PATIENCE) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::Duration;

    use rustix::fs::FlockOperation;

    use super::sweep;
    use crate::demo::home;
    use crate::store::Layout;

    #[test]
    fn a_home_is_removed_only_when_the_last_lock_is_free() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("home");
        let layout = Layout::new(home::services_dir(&path));
        fs::create_dir_all(layout.state()).unwrap();
        let lock = File::create(layout.shim_lock_file(&"gitea".parse().unwrap())).unwrap();
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).unwrap();
        let refused = sweep(&path, Duration::from_millis(50)).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::TimedOut);
        assert!(path.exists());
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || sweep(&path, Duration::from_secs(10))
        });
        drop(lock);
        waiting.join().unwrap().unwrap();
        assert!(!path.exists());
        sweep(&path, Duration::ZERO).unwrap();
    }
}
