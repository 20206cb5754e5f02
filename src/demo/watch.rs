//! The console that a demo belongs to, as its stand-ins know it.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::str::FromStr;

use rustix::process::PidfdFlags;

use crate::host::process;

/// One process, by its number and the moment it began: written `PID:TICKS` in a stand-in's arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Console {
    pid: u32,
    start_ticks: u64,
}

impl Console {
    /// This very process.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn this() -> io::Result<Self> {
        let pid = std::process::id();
        let start_ticks = start_ticks(pid).ok_or_else(|| io::Error::other("/proc does not show this process"))?;
        Ok(Self { pid, start_ticks })
    }

    /// Opens the process for watching: the descriptor becomes readable when it ends. `None` when it has ended already.
    ///
    /// # Errors
    /// When the kernel has no descriptor left, or no pidfd at all (before Linux 5.3).
    pub(super) fn open(self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = process::signallable(self.pid) else { return Ok(None) };
        let pidfd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Looked at only after the descriptor was opened, so that it cannot mean a later process of the same number.
        Ok((start_ticks(self.pid) == Some(self.start_ticks)).then_some(pidfd))
    }
}

impl fmt::Display for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.pid, self.start_ticks)
    }
}

impl FromStr for Console {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(':').and_then(|(pid, ticks)| Some((pid.parse().ok()?, ticks.parse().ok()?)));
        let (pid, start_ticks) = parsed.ok_or_else(|| format!("{text:?} is not PID:TICKS"))?;
        Ok(Self { pid, start_ticks })
    }
}

fn start_ticks(pid: u32) -> Option<u64> {
    process::stat(pid).filter(process::Stat::is_alive).map(|stat| stat.start_ticks)
}

#[cfg(test)]
mod tests {
    use super::Console;

    #[test]
    fn a_console_survives_its_own_text_and_can_be_watched() {
        let console = Console::this().unwrap();
        assert_eq!(console.to_string().parse(), Ok(console));
        assert!(console.open().unwrap().is_some());
    }

    #[test]
    fn another_process_of_the_same_number_is_not_the_console() {
        let console = Console::this().unwrap();
        let impostor = Console { start_ticks: console.start_ticks + 1, ..console };
        assert!(impostor.open().unwrap().is_none());
        assert!("12".parse::<Console>().is_err() && "a:b".parse::<Console>().is_err());
    }
}
