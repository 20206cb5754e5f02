//! What a backend reports, and how hard it may be told to stop something.

use std::time::{Duration, Instant};

use super::{Ending, ExitRecord, FailureReason, Instance, Intent, ServiceId};

/// What a backend saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// What is there.
    pub presence: Presence,
    /// When it came to be so, where that is recorded: what failed an hour before somebody looks has not failed just now.
    pub entered: Option<Instant>,
    /// What was last asked of it by anybody, where that is recorded.
    pub intent: Option<Intent>,
    /// How often it was restarted by itself since the last start that somebody asked for.
    pub restarts: u32,
    /// The newest end of a run that is known.
    pub last_exit: Option<ExitRecord>,
    /// See [`super::ServiceSnapshot::notes`].
    pub notes: Vec<String>,
}

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// Nothing, and nothing will come.
    Absent,
    /// It runs.
    Present {
        /// What runs.
        instance: Instance,
        /// When it came to be.
        since: Instant,
        /// Whether its guardian lives; when not, `Backend::tend` replaces it.
        guardian: Guardian,
    },
    /// It was told to run, and not all of it is there yet: its own engine says when it is.
    Arriving {
        /// What comes.
        instance: Instance,
        /// When it came to be.
        since: Instant,
        /// Whether a part of it, or what it replaces, answers meanwhile.
        serves: Serves,
    },
    /// It was told to stop and is not gone.
    Leaving {
        /// What still runs.
        instance: Instance,
        /// When it came to be.
        since: Instant,
    },
    /// It died, and its guardian will start it again.
    RestartPending {
        /// The coming attempt, from 1.
        attempt: u32,
        /// When.
        until: Instant,
        /// How the last run ended.
        last: Ending,
    },
    /// It is down although it was wanted.
    Failed {
        /// Why.
        reason: FailureReason,
    },
}

/// Whether something answers while an instance arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serves {
    /// It does: this is a change of something that runs.
    Yes,
    /// Nothing does.
    No,
}

/// Whether an instance is looked after as it was left: by the one that watches over it (the shim of a binary-mode service), and by a start
/// that was not killed half-way (of Compose).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guardian {
    /// It does, or none is needed.
    Alive,
    /// It was killed: output is kept in the FIFO, but nobody would restart the service. Or what it had written down was lost, or what had to
    /// be done was left undone.
    Gone,
}

/// What a leader owes to a service. Whatever a person asks of the service later is instead of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Debt {
    /// To whom.
    pub service: ServiceId,
    /// What.
    pub owed: Owed,
    /// Unstable runs in a row; see `lifecycle::backoff`.
    pub failures: u32,
    /// Restarts since the last stable run.
    pub streak: u32,
}

/// What is owed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Owed {
    /// A start that a person asked for, as soon as this other service is well, which it was not.
    StartAfter(ServiceId),
    /// A start after a run that was ended because it was unhealthy, at this moment of the clock that counts from boot.
    StartAt(Duration),
    /// Nothing more: it was unhealthy until the restarts were used up.
    GaveUp,
    /// Nothing now; how many restarts were used is remembered.
    Nothing,
}

impl Debt {
    /// Whether a start is owed.
    pub fn is_start(&self) -> bool {
        match self.owed {
            Owed::StartAfter(_) | Owed::StartAt(_) => true,
            Owed::GaveUp | Owed::Nothing => false,
        }
    }
}

/// How a start is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum StartHow {
    /// What was made for an earlier run, such as a stopped container, is used again where it is as the registry says.
    #[default]
    AsItIs,
    /// It is made anew in any case: what `--force` says.
    Anew,
    /// What runs is replaced by its own engine, without a time in which nothing runs: a restart of a service whose mode can do that
    /// (`Backend::restarts_in_place`).
    InPlace,
}

/// The result of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// What runs now.
    pub instance: Instance,
    /// When it came to be.
    pub since: Instant,
    /// Whether this call made it.
    pub origin: LaunchOrigin,
}

/// Who made an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaunchOrigin {
    /// This call.
    Started,
    /// It was there already, or another copy of the tool was faster.
    FoundRunning,
}

/// How hard to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopHow {
    /// Ask, wait, and fail when it does not go (A27).
    Ask,
    /// Ask, wait, then kill.
    AskThenKill,
    /// Kill at once.
    Kill,
}
