//! The engine without a face, with real processes: who leads, who gives way, what a leader does for services, and that none of it is
//! needed by them.

mod background;
mod console;
mod leading;
mod manager;
mod orphans;
mod recovery;
mod removed;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ExitStatus};

use super::support::home::{Home, Service, wait_until};

/// A home with one service that runs for ever.
fn home() -> Home {
    Home::with(&[Service { name: "a", needs: &[], arguments: Vec::new() }])
}

/// What `supervise status --json` says.
#[track_caller]
fn status(home: &Home) -> serde_json::Value {
    serde_json::from_slice(&home.types("supervise status --json").stdout).unwrap()
}

/// The one `supervise` that runs, by its PID.
fn running(home: &Home) -> Option<u32> {
    status(home)["pid"].as_u64().map(|pid| u32::try_from(pid).unwrap())
}

/// Who leads, as a word.
fn leader(home: &Home) -> Option<String> {
    status(home)["leader"]["kind"].as_str().map(str::to_owned)
}

/// A `supervise` in the foreground. Killed at the end.
pub(crate) struct Supervise(Child);

impl Supervise {
    /// Begins, and leads.
    #[track_caller]
    pub(crate) fn leading(home: &Home, flags: &str) -> Self {
        let supervise = Self::begin(home, flags);
        wait_until("supervise leads", || status(home)["leader"]["pid"].as_u64() == Some(u64::from(supervise.pid())));
        supervise
    }

    fn begin(home: &Home, flags: &str) -> Self {
        Self(home.command(&format!("supervise {flags}")).spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end, and what it said on standard error.
    #[track_caller]
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let stderr = self.0.stderr.take().unwrap();
        let (sender, said) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let lines: Vec<String> = BufReader::new(stderr).lines().map_while(Result::ok).collect();
            let _ = sender.send(lines.join("\n"));
        });
        let said = said.recv_timeout(super::support::home::DEADLINE).expect("it did not end");
        (self.0.wait().unwrap(), said)
    }
}

impl Drop for Supervise {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
