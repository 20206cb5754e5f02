//! What `state/<service>.json` says, and how it is written. Std only: the shim, its one writer, knows no serde; its readers use
//! [`super::state_reader`].

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::model::{Ending, ProcessIdentity};

/// The version of the format. A reader that meets a newer one says so and leaves the file alone.
pub const SCHEMA: u32 = 1;

/// How many ends of runs are kept.
pub const KEPT_EXITS: usize = 10;

/// The content of a state file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRecord {
    /// What the service is doing.
    pub phase: Phase,
    /// What was last asked of it.
    pub wanted: Wanted,
    /// The shim that wrote this.
    pub shim: Option<ProcessIdentity>,
    /// The service's process, of the present or the last run.
    pub service: Option<ProcessIdentity>,
    /// When the run began, in milliseconds since 1970.
    pub started_at: Option<u64>,
    /// How often it was started again by itself since somebody asked for a start.
    pub restarts: u32,
    /// Unstable runs in a row: what the next delay follows from.
    pub failures: u32,
    /// Restarts since the last stable run: what `max_restarts` limits.
    pub streak: u32,
    /// The newest ends of runs, oldest first, at most [`KEPT_EXITS`].
    pub exits: Vec<Exit>,
    /// When the next attempt comes, in nanoseconds of the clock that counts from boot and through suspension.
    pub next_attempt: Option<u64>,
    /// A number that changes with the specification it was started with.
    pub spec_hash: u64,
    /// Bytes of output that a full disk made us drop.
    pub dropped_bytes: u64,
    /// Why it could not be started, in words.
    pub failure: Option<String>,
    /// Where a Compose service's containers are: they are found there although the registry or the Compose file was moved or edited since.
    pub compose: Option<ComposeRecord>,
}

/// By what Compose labels the containers of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeRecord {
    /// The project's name.
    pub project: String,
    /// The service's name in the Compose file.
    pub service: String,
}

/// What a service is doing, as its shim sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The shim is about to make the process.
    Starting,
    /// It runs.
    Running,
    /// It died, and what it left behind is being cleared before anything else happens.
    Clearing,
    /// It died and will be started again.
    Backoff,
    /// It was told to stop.
    Stopping,
    /// All of it is gone, as asked.
    Stopped,
    /// It is down although it was wanted.
    Failed,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 7] =
        [Self::Starting, Self::Running, Self::Clearing, Self::Backoff, Self::Stopping, Self::Stopped, Self::Failed];

    /// As the file writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Clearing => "clearing",
            Self::Backoff => "backoff",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// What was last asked of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// It shall run.
    Up,
    /// It shall not run.
    Down,
}

/// The end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// How.
    pub ending: Ending,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// How long the run was, in milliseconds.
    pub ran_for: u64,
}

impl ServiceRecord {
    /// Adds the end of a run and drops the oldest ones beyond [`KEPT_EXITS`].
    pub fn push_exit(&mut self, exit: Exit) {
        self.exits.push(exit);
        let surplus = self.exits.len().saturating_sub(KEPT_EXITS);
        self.exits.drain(..surplus);
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        let mut json = String::with_capacity(1024);
        let _infallible = self.write_json(&mut json);
        json
    }

    fn write_json(&self, out: &mut String) -> std::fmt::Result {
        write!(out, "{{\"schema\":{SCHEMA},\"phase\":\"{}\"", self.phase.as_str())?;
        write!(out, ",\"wanted\":\"{}\"", if self.wanted == Wanted::Up { "up" } else { "down" })?;
        for (key, identity) in [("shim", &self.shim), ("service", &self.service)] {
            if let Some(identity) = identity {
                write!(out, ",\"{key}\":{{\"pid\":{},\"start_ticks\":{}", identity.pid, identity.start_ticks)?;
                out.push_str(",\"boot_id\":");
                push_string(out, &identity.boot_id)?;
                write!(out, ",\"pid_namespace\":{}}}", identity.pid_namespace)?;
            }
        }
        if let Some(started_at) = self.started_at {
            write!(out, ",\"started_at_ms\":{started_at}")?;
        }
        write!(out, ",\"restarts\":{},\"failures\":{}", self.restarts, self.failures)?;
        write!(out, ",\"streak\":{},\"exits\":[", self.streak)?;
        for (index, exit) in self.exits.iter().enumerate() {
            out.push_str(if index == 0 { "{" } else { ",{" });
            match exit.ending {
                Ending::Exited(code) => write!(out, "\"code\":{code}")?,
                Ending::Signalled(signal) => write!(out, "\"signal\":{signal}")?,
                Ending::Unknown => out.push_str("\"unknown\":true"),
                Ending::Unhealthy => out.push_str("\"unhealthy\":true"),
                Ending::OutOfMemory => out.push_str("\"signal\":9,\"out_of_memory\":true"),
            }
            write!(out, ",\"at_ms\":{},\"ran_for_ms\":{}}}", exit.at, exit.ran_for)?;
        }
        out.push(']');
        if let Some(next_attempt) = self.next_attempt {
            write!(out, ",\"next_attempt_boottime_ns\":{next_attempt}")?;
        }
        write!(out, ",\"spec_hash\":\"{:016x}\",\"dropped_bytes\":{}", self.spec_hash, self.dropped_bytes)?;
        if let Some(failure) = &self.failure {
            out.push_str(",\"failure\":");
            push_string(out, failure)?;
        }
        if let Some(ComposeRecord { project, service }) = &self.compose {
            out.push_str(",\"compose\":{\"project\":");
            push_string(out, project)?;
            out.push_str(",\"service\":");
            push_string(out, service)?;
            out.push('}');
        }
        out.push_str("}\n");
        Ok(())
    }
}

/// Writes a JSON string. Everything that could mean something to JSON or to a terminal is escaped.
pub(super) fn push_string(out: &mut String, text: &str) -> std::fmt::Result {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control.is_control() => write!(out, "\\u{:04x}", u32::from(control))?,
            other => out.push(other),
        }
    }
    out.push('"');
    Ok(())
}

/// Milliseconds since 1970; 0 for anything before.
pub fn unix_millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
