//! Why a service is not green, in one sentence.

mod cause;
#[cfg(test)]
mod tests;
mod words;

use std::time::{Duration, Instant};

use crate::model::{
    Check, Ending, FailureReason, HISTORY_LENGTH, Health, Intent, Mode, ProbeVerdict, RestartOnFailure,
    ServiceSnapshot, ServiceState, Snapshot,
};
use words::{ago, in_time, plain, span};

/// One sentence for every service that is not green: what it waits for, since when, which attempt, the last probe's answer, when the
/// next attempt comes, what will start it again. `None` for a service that is as it should be.
///
/// A fragment without a final stop and without control characters, whatever a service or a probe said. Names no key and no command:
/// what to press is the face's to add.
pub fn explain(service: &ServiceSnapshot, snapshot: &Snapshot, now: Instant) -> Option<String> {
    let sentence = match &service.state {
        ServiceState::Unknown { reason } => format!("state unknown: {reason}"),
        ServiceState::Stopped => return stopped(service, snapshot, now).map(|text| plain(&text)),
        ServiceState::Waiting { on } => {
            let waited = now.saturating_duration_since(service.entered);
            let so_far = if waited.as_secs() > 0 { format!("; {} so far", span(waited)) } else { String::new() };
            format!("waiting for {}{so_far}", cause::chain(on, service.id(), snapshot, now))
        }
        ServiceState::Launching { deadline } => match &service.preparing {
            // No timeout counts while something is fetched.
            Some(what) => what.clone(),
            None => format!("being started ({})", until_start_timeout(*deadline, now)),
        },
        ServiceState::Starting { deadline, .. } => starting(service, *deadline, now),
        ServiceState::Running { health, .. } => {
            return running(service, *health, snapshot, now).map(|text| plain(&text));
        }
        ServiceState::Stopping { deadline, .. } => {
            format!("stopping ({})", remaining(*deadline, now, "stop_timeout"))
        }
        ServiceState::Backoff { attempt, until, last } => format!(
            "{} {} ({last}); {}",
            if *last == Ending::Unhealthy { "stopped" } else { "died" },
            ago(now.saturating_duration_since(service.entered)),
            restart(service, *attempt, *until, now)
        ),
        ServiceState::Failed { reason } => failed(service, reason, snapshot, now),
    };
    Some(plain(&sentence))
}

/// Stopped is as it should be, unless it was asked to run or somebody waits for it.
fn stopped(service: &ServiceSnapshot, snapshot: &Snapshot, now: Instant) -> Option<String> {
    let waiting: Vec<&str> = snapshot
        .services
        .iter()
        .filter(|other| matches!(&other.state, ServiceState::Waiting { on } if on.contains(service.id())))
        .map(|other| other.id().as_str())
        .collect();
    let below = || cause::below(service, snapshot, now).map(|cause| format!("; {cause}")).unwrap_or_default();
    match (waiting.as_slice(), service.intent) {
        ([], None | Some(Intent::Down)) => None,
        ([], Some(Intent::Up)) => Some(format!("stopped, though it was asked to run{}", below())),
        ([one], _) => Some(format!("stopped; {one} waits for it{}", below())),
        (many, _) => Some(format!("stopped; {} wait for it{}", many.join(", "), below())),
    }
}

fn starting(service: &ServiceSnapshot, deadline: Instant, now: Instant) -> String {
    let limit = until_start_timeout(deadline, now);
    match &service.last_probe {
        Some(probe) if probe.verdict == ProbeVerdict::Failed => {
            format!("starting, not healthy yet: {} ({limit})", probe.message)
        }
        Some(_) | None => format!("starting, no probe has answered yet ({limit})"),
    }
}

fn running(service: &ServiceSnapshot, health: Health, snapshot: &Snapshot, now: Instant) -> Option<String> {
    if service.intent == Some(Intent::Down) {
        return Some("still running, though it was asked to stop".to_owned());
    }
    let next = service.next_probe.map(|at| format!("; next probe {}", in_time(at, now))).unwrap_or_default();
    match health {
        Health::Healthy => None,
        Health::Unknown => match (&service.spec.health_check.check, &service.last_probe) {
            (Check::None, _) => None,
            (_, Some(probe)) if probe.verdict == ProbeVerdict::Failed => {
                Some(format!("running, not known to be healthy: {}{next}", probe.message))
            }
            (_, Some(_) | None) => Some(format!("running, no probe has answered yet{next}")),
        },
        Health::Unhealthy => {
            let message = service.last_probe.as_ref().map_or("no probe passed", |probe| probe.message.as_str());
            let below = cause::below(service, snapshot, now).map(|cause| format!("; {cause}")).unwrap_or_default();
            let restarting = who_restarts(service, !below.is_empty());
            Some(format!("unhealthy{}: {message}{below}{restarting}{next}", unhealthy_for(service)))
        }
    }
}

/// What an unhealthy service that is to be restarted waits for; nothing where it is restarted as soon as a leader has seen enough.
fn who_restarts(service: &ServiceSnapshot, is_held_back: bool) -> &'static str {
    match (service.spec.deployment.mode(), service.spec.startup.restart_on_failure) {
        (_, RestartOnFailure::Never | RestartOnFailure::UpTo { max_restarts: 0 }) => "",
        (Mode::Kubernetes, RestartOnFailure::UpTo { .. }) => "; restarting it is left to Kubernetes",
        (Mode::Remote, RestartOnFailure::UpTo { .. }) => "; nothing here can restart a remote endpoint",
        (Mode::Binary | Mode::Docker | Mode::DockerCompose, RestartOnFailure::UpTo { .. }) if is_held_back => {
            "; it is not restarted while that is so"
        }
        (Mode::Binary | Mode::Docker | Mode::DockerCompose, RestartOnFailure::UpTo { .. }) => "",
    }
}

/// For how long probes have failed, as far as the history says: the failures in a row, one interval apart.
fn unhealthy_for(service: &ServiceSnapshot) -> String {
    let n_failures = service.history.n_failed_in_a_row();
    let intervals = u32::try_from(n_failures.saturating_sub(1)).unwrap_or(u32::MAX);
    let length = service.spec.health_check.interval.saturating_mul(intervals);
    match n_failures {
        _ if length < Duration::from_secs(1) => String::new(),
        HISTORY_LENGTH.. => format!(" for more than {}", span(length)),
        _ => format!(" for {}", span(length)),
    }
}

fn failed(service: &ServiceSnapshot, reason: &FailureReason, snapshot: &Snapshot, now: Instant) -> String {
    let when = ago(now.saturating_duration_since(service.entered));
    let why_it_stays = match (reason, service.spec.startup.restart_on_failure) {
        (FailureReason::Unreachable(why), _) => {
            let length = now.saturating_duration_since(service.entered);
            let length = if length.as_secs() == 0 { String::new() } else { format!(" for {}", span(length)) };
            let below = cause::below(service, snapshot, now).map(|cause| format!("; {cause}")).unwrap_or_default();
            return format!("cannot be reached{length}: {why}{below}");
        }
        (FailureReason::GaveUp { ending: Ending::Unhealthy, .. }, _) => "; a start begins anew",
        (FailureReason::CouldNotStart(_) | FailureReason::GaveUp { .. }, _) => "",
        (FailureReason::Died { .. }, RestartOnFailure::Never) => "; restart_on_failure is off",
        (FailureReason::Died { .. }, RestartOnFailure::UpTo { .. }) => "; nothing will restart it",
    };
    let below = cause::below(service, snapshot, now).map(|cause| format!("; {cause}")).unwrap_or_default();
    format!("failed {when}: {reason}{why_it_stays}{below}")
}

/// `restart 2 of 5 in 4 s`.
fn restart(service: &ServiceSnapshot, attempt: u32, until: Instant, now: Instant) -> String {
    let of = match service.spec.startup.restart_on_failure {
        RestartOnFailure::UpTo { max_restarts } if attempt <= max_restarts => format!(" of {max_restarts}"),
        RestartOnFailure::UpTo { .. } | RestartOnFailure::Never => String::new(),
    };
    format!("restart {attempt}{of} {}", in_time(until, now))
}

/// How a service is that keeps those who need it from being well; `None` when it does not.
pub fn hindrance(service: &ServiceSnapshot, now: Instant) -> Option<String> {
    cause::hinders(service).then(|| plain(&cause::condition(service, now)))
}

fn until_start_timeout(deadline: Instant, now: Instant) -> String {
    remaining(deadline, now, "start_timeout")
}

/// `42 s until start_timeout`, with the name of the field that sets the limit.
fn remaining(deadline: Instant, now: Instant, limit: &str) -> String {
    match deadline.checked_duration_since(now) {
        Some(left) if !left.is_zero() => format!("{} until {limit}", words::span_up(left)),
        Some(_) | None => format!("{limit} has passed"),
    }
}
