//! Who leads, for people and for scripts.

use serde::Serialize;

use crate::model::{Leader, LeaderKind};

/// The one who acts on its own in a home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LeaderReport {
    /// `supervise`, `console` or `monitor`; null when that cannot be told.
    pub kind: Option<&'static str>,
    /// Its process; null when that cannot be told.
    pub pid: Option<u32>,
    /// The registry file it goes by; null for the built-in one, and when it cannot be told.
    pub registry: Option<String>,
}

impl LeaderReport {
    /// The report of a leader.
    pub fn new(leader: &Leader) -> Self {
        Self {
            kind: leader.kind.map(LeaderKind::as_str),
            pid: leader.pid,
            registry: leader.registry.as_ref().map(|path| path.to_string_lossy().into_owned()),
        }
    }
}

/// `supervise status --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SuperviseReport {
    /// Whether `supervise` runs; the exit code is 1 when it does not.
    pub running: bool,
    /// Its process; null when it does not run, or cannot be told.
    pub pid: Option<u32>,
    /// Who leads: it, or a console or monitor in its absence; null when nobody does.
    pub leader: Option<LeaderReport>,
}

impl SuperviseReport {
    /// The report of the one `supervise` that runs, and of the one who leads.
    pub fn new(running: Option<&Leader>, leader: Option<&Leader>) -> Self {
        Self {
            running: running.is_some(),
            pid: running.and_then(|running| running.pid),
            leader: leader.map(LeaderReport::new),
        }
    }

    /// The same as text.
    pub fn text(&self) -> String {
        let pid = self.pid.map(|pid| format!(" (PID {pid})")).unwrap_or_default();
        let running = if self.running { format!("supervise runs{pid}") } else { "supervise is not running".to_owned() };
        format!("{running}\n{}\n", leader_line(self.leader.as_ref()))
    }
}

/// Who leads, in one line.
pub fn leader_line(leader: Option<&LeaderReport>) -> String {
    let Some(leader) = leader else {
        return "Leader: nobody; unhealthy services are not restarted until somebody leads".to_owned();
    };
    let pid = leader.pid.map(|pid| format!(" (PID {pid})")).unwrap_or_default();
    let registry = leader.registry.as_ref().map(|path| format!(", by {}", super::safe(path))).unwrap_or_default();
    format!("Leader: {}{pid}{registry}", leader.kind.unwrap_or("somebody"))
}
