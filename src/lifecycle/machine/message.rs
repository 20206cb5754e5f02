//! What goes into the machine, and what comes out of it.

use std::time::Duration;

use crate::lifecycle::admission::Checked;
use crate::model::{Ending, Happening, Instance, Launch, Observed, ProbeOutcome, ServiceId, StopHow};

/// What can happen to a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Somebody wants it to run, after these dependencies are ready.
    StartRequested {
        /// Dependencies that are not ready yet.
        on: Vec<ServiceId>,
    },
    /// Somebody wants it to be replaced while it runs, by its own engine; what it needs is ready.
    RestartRequested,
    /// A dependency that it waits for is ready.
    DependencyReady(ServiceId),
    /// The start that it waits in is given up: a dependency did not work, or the user cancelled.
    StartAbandoned,
    /// The backend made an instance, or found one.
    Launched(Launch),
    /// The backend could not make one.
    LaunchFailed {
        /// What and why.
        message: String,
        /// What to do.
        remedy: Option<String>,
    },
    /// The backend gave up making one, because somebody no longer wanted it; nothing was made.
    LaunchGivenUp,
    /// The backend made none, because another copy of the tool was told to stop it since the start was asked for.
    LaunchOvertaken,
    /// Another copy of the tool was told to stop it since the start that is waited in was asked for: that start is void, where it waits.
    StoppedElsewhere,
    /// Somebody wants it not to run.
    StopRequested {
        /// How hard.
        how: StopHow,
        /// How long it may take.
        grace: Duration,
    },
    /// The backend's stop ended.
    StopReported(Result<(), StopFailure>),
    /// The backend looked.
    Observed(Result<Observed, String>),
    /// A probe of that instance came back.
    Probed {
        /// Who was asked.
        instance: Instance,
        /// What came of it.
        outcome: ProbeOutcome,
    },
    /// Nothing that it needs keeps this unhealthy instance from being well: it may be restarted.
    RecoveryCleared {
        /// Who was asked for.
        instance: Instance,
    },
    /// Something that it needs is not well either, so that a restart would not help.
    RecoveryHeldBack {
        /// Who was asked for.
        instance: Instance,
        /// The root of the matter.
        by: ServiceId,
        /// How that one is.
        condition: String,
    },
    /// The guardian was told to restart it, or could not be told.
    RecoveryReported(Result<(), String>),
    /// This program did not run for a while (see [`crate::lifecycle::gap`]): comes before whatever shows it.
    Woke {
        /// When to ask the service again.
        probe_after: Duration,
    },
    /// A moment that [`super::Machine::next_wake`] named has come.
    Tick,
}

/// Why a stop did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopFailure {
    /// What still lives, or why it cannot be stopped.
    pub message: String,
    /// What to do.
    pub remedy: Option<String>,
}

/// What has to happen outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Make an instance.
    Launch,
    /// Make it go away.
    Stop {
        /// How hard.
        how: StopHow,
        /// How long it may take.
        grace: Duration,
    },
    /// Ask it how it is.
    Probe {
        /// Whom.
        instance: Instance,
    },
    /// Replace its guardian.
    Tend,
    /// It is unhealthy and would be restarted: find out whether something that it needs is the reason.
    Consult {
        /// Who would be.
        instance: Instance,
    },
    /// Have it restarted, because it is unhealthy.
    Recover {
        /// Whom.
        instance: Instance,
    },
    /// Tell the timeline.
    Tell(Happening),
    /// Tell those who wait for the start: it is being launched now.
    StartBegan,
    /// Tell those who wait for the start: it runs.
    StartLaunched(Launch),
    /// Tell those who wait for the start: it ended.
    StartEnded(StartEnd),
    /// Tell those who wait for the stop: it ended.
    StopEnded(StopEnd),
}

/// How a start ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartEnd {
    /// It ran, and was ready, before.
    AlreadyRunning(Instance),
    /// It is ready.
    Ready {
        /// What runs.
        instance: Instance,
        /// From the launch to the first good probe.
        after: Duration,
        /// Whether a probe said so.
        checked: Checked,
    },
    /// It could not be launched.
    LaunchFailed {
        /// What and why.
        message: String,
        /// What to do.
        remedy: Option<String>,
    },
    /// It ended while its health was waited for.
    Died {
        /// How.
        ending: Ending,
        /// How long it ran.
        after: Option<Duration>,
        /// The restart that its guardian will make: attempt, and how long until then.
        restart: Option<(u32, Duration)>,
    },
    /// It runs, but not healthy within `start_timeout`.
    NotReadyInTime {
        /// The last probe's answer.
        message: String,
    },
    /// Somebody asked for a stop meanwhile.
    Superseded,
    /// The wait for dependencies was given up.
    Abandoned,
    /// The state cannot be known, so nothing was done.
    Denied {
        /// Why it cannot be known.
        reason: String,
    },
}

/// How a stop ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopEnd {
    /// All of it is gone.
    Stopped,
    /// Nothing ran.
    NotRunning,
    /// Something lives.
    Failed(StopFailure),
}
