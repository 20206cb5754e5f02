//! The timeline: what happened to which service, and who or what caused it.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::{Ending, Instance, ServiceId};

/// Who caused something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A person at the console.
    Console,
    /// A command.
    Command,
    /// Automatic recovery.
    Recovery,
    /// Nobody here: another copy of the tool, a person with `kill`, the service itself.
    Outside,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Console => "console",
            Self::Command => "command",
            Self::Recovery => "recovery",
            Self::Outside => "outside",
        })
    }
}

/// One entry of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, by the wall clock.
    pub at: SystemTime,
    /// To whom.
    pub service: ServiceId,
    /// What.
    pub what: Happening,
    /// Who caused it.
    pub actor: Actor,
}

/// What can happen to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// Someone asked for a start.
    StartRequested,
    /// Someone asked for a stop.
    StopRequested,
    /// It runs since now.
    Started(Instance),
    /// It was found running: started by another copy of the tool, or by an earlier run.
    Adopted(Instance),
    /// A start's wait ended well.
    BecameReady {
        /// From the launch to the first good probe.
        after: Duration,
    },
    /// A start's wait ended without health (`start_timeout`).
    NotReadyInTime {
        /// The last probe's answer.
        message: String,
    },
    /// Probes say that it is well again.
    BecameHealthy,
    /// `retries` probes in a row failed.
    BecameUnhealthy {
        /// The last probe's answer.
        message: String,
    },
    /// It could not be started.
    StartFailed {
        /// What and why.
        reason: String,
    },
    /// What runs elsewhere does not answer any more.
    BecameUnreachable {
        /// Why.
        reason: String,
    },
    /// It ended by itself.
    Died {
        /// How.
        ending: Ending,
    },
    /// It is unhealthy, and therefore ended now, to be started again.
    Recovering {
        /// The last probe's answer.
        message: String,
    },
    /// It is unhealthy and not started again for it, since something that it needs is not well either.
    HeldBack {
        /// The root of the matter.
        by: ServiceId,
        /// How that one is.
        condition: String,
    },
    /// It was told to end because it was unhealthy, did not, and is killed now.
    Escalated {
        /// How long it had been given.
        after: Duration,
    },
    /// It will be started again.
    RestartScheduled {
        /// The coming attempt, from 1.
        attempt: u32,
        /// How long until then.
        after: Duration,
    },
    /// Restarting ended without success.
    GaveUp {
        /// How often it was restarted.
        restarts: u32,
    },
    /// It was stopped on request and is gone.
    Stopped,
    /// A stop's deadline passed, and some of it still lives.
    StopFailed {
        /// What still lives, and what to do.
        reason: String,
    },
}

impl fmt::Display for Happening {
    /// As a sentence says it after the service's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartRequested => f.write_str("start requested"),
            Self::StopRequested => f.write_str("stop requested"),
            Self::Started(instance) => write!(f, "started with {instance}"),
            Self::Adopted(instance) => write!(f, "found running with {instance}"),
            Self::BecameReady { after } => write!(f, "ready after {} ms", after.as_millis()),
            Self::NotReadyInTime { message } => write!(f, "not ready in time: {message}"),
            Self::BecameHealthy => f.write_str("healthy again"),
            Self::BecameUnhealthy { message } => write!(f, "unhealthy: {message}"),
            Self::StartFailed { reason } => write!(f, "could not be started: {reason}"),
            Self::BecameUnreachable { reason } => write!(f, "cannot be reached: {reason}"),
            Self::Died { ending } => write!(f, "{ending}"),
            Self::Recovering { message } => write!(f, "restarting it, because it is unhealthy: {message}"),
            Self::HeldBack { by, condition } => {
                write!(f, "unhealthy, and not restarted: {by}, which it needs, {condition}")
            }
            Self::Escalated { after } => {
                write!(f, "did not end within {} s and is killed", after.as_secs())
            }
            Self::RestartScheduled { attempt, after } => {
                write!(f, "restart {attempt} in {:.1} s", after.as_secs_f64())
            }
            Self::GaveUp { restarts: 1 } => f.write_str("given up after 1 restart"),
            Self::GaveUp { restarts } => write!(f, "given up after {restarts} restarts"),
            Self::Stopped => f.write_str("stopped"),
            Self::StopFailed { reason } => write!(f, "did not stop: {reason}"),
        }
    }
}
