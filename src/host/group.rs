//! A program that is called and waited for, with everything it starts.

use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitStatus;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};

/// A program and everything it started, as one process group. What is left of it is killed when this is dropped.
#[derive(Debug)]
pub struct Group {
    child: Child,
    /// Readable once the program has ended. It is not reaped before the group was killed: its PID keeps the group's number taken, so that the
    /// signal cannot reach a group that came later.
    ended: AsyncFd<OwnedFd>,
    id: Pid,
    is_reaped: bool,
}

impl Group {
    /// Spawns `command` as the leader of a group of its own. Wants a tokio runtime with I/O enabled.
    ///
    /// # Errors
    /// When it cannot be executed.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        // The group is killed first, see `Drop`; killing on drop is for the case that building the rest fails here.
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let id = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("the process has no number"))?;
        let pidfd = pidfd_open(id, PidfdFlags::NONBLOCK).inspect_err(|_| kill(id))?;
        let ended = watch(pidfd).inspect_err(|_| kill(id))?;
        Ok(Self { child, ended, id, is_reaped: false })
    }

    /// How the program ended. What it left behind is killed. Cancel safe.
    ///
    /// # Errors
    /// When the system does not tell.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        let _ready = self.ended.readable().await?;
        self.reap().await
    }

    /// Kills what is left and reaps the program, so that no zombie stays.
    ///
    /// # Errors
    /// When the system does not tell how it ended.
    pub async fn end(&mut self) -> io::Result<()> {
        if !self.is_reaped {
            self.reap().await?;
        }
        Ok(())
    }

    async fn reap(&mut self) -> io::Result<ExitStatus> {
        if !self.is_reaped {
            kill(self.id);
        }
        let status = self.child.wait().await?;
        self.is_reaped = true;
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Not reaped, so the number is still ours. tokio reaps the program in the background.
        if !self.is_reaped {
            kill(self.id);
        }
    }
}

#[expect(
    deprecated,
    reason = "its replacement is unsafe, for types whose descriptor may change; an OwnedFd's never does"
)]
fn watch(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}

/// There is no one left to tell when it fails: the group is empty.
fn kill(group: Pid) {
    let _gone = kill_process_group(group, Signal::KILL);
}
