//! The words of operations: M11 to M16, M18, M20 to M22, M24.

use std::time::Duration;

use super::line::Line;
use super::style::{Icon, Style};
use crate::engine::operation::{Failure, Refusal, Verb};
use crate::model::{Instance, ServiceId};
use crate::preflight::{Finding, Verdict};

/// How a verb is said: `start`, `stop`, `restart`.
pub(super) fn verb_word(verb: Verb) -> &'static str {
    match verb {
        Verb::Start | Verb::StartOrRestart | Verb::StartUnchecked => "start",
        Verb::Stop | Verb::StopForced { .. } => "stop",
        Verb::Restart | Verb::RestartWithDependents => "restart",
    }
}

/// `a, b, c`.
pub(super) fn names(ids: &[ServiceId]) -> String {
    ids.iter().map(ServiceId::as_str).collect::<Vec<_>>().join(", ")
}

/// One good finding or warning of a pre-flight check; failed ones are told by [`failure_lines`].
pub fn finding_line(finding: &Finding, style: Style) -> Line {
    match finding.verdict {
        Verdict::Passed => Line::result(format!("{} {}", Icon::Good.draw(style), finding.message)),
        Verdict::Warning => Line::result(format!("{} Warning: {}", Icon::Changing.draw(style), finding.message)),
        Verdict::Failed => Line::error(format!("{} {}", Icon::Bad.draw(style), finding.message)),
    }
}

/// A fragment as a sentence begins.
pub(super) fn sentence(fragment: &str) -> String {
    let mut chars = fragment.chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
}

pub(super) fn started(service: &ServiceId, instance: &Instance, style: Style) -> Line {
    Line::result(format!("{} Started {service} with {instance}", Icon::Good.draw(style)))
}

pub(super) fn already_running(service: &ServiceId, instance: &Instance) -> Line {
    Line::result(format!("{service} is already running ({instance})"))
}

pub(super) fn healthy(service: &ServiceId, style: Style) -> Line {
    Line::result(format!("{} Service {service} is healthy", Icon::Good.draw(style)))
}

pub(super) fn stopped(service: &ServiceId, style: Style) -> Line {
    Line::result(format!("{} Stopped {service}", Icon::Good.draw(style)))
}

pub(super) fn skipped(service: &ServiceId, because: &ServiceId, style: Style) -> Line {
    Line::error(format!("{} Skipped {service}: {because} failed", Icon::Stopped.draw(style)))
}

/// Why one service of an operation did not work. `named` says whose pre-flight failed where O13's words leave that open.
pub fn failure_lines(service: &ServiceId, failure: &Failure, named: bool, style: Style) -> Vec<Line> {
    let bad = Icon::Bad.draw(style);
    let mut lines = Vec::new();
    match failure {
        Failure::Preflight { check, findings } => {
            lines.push(Line::error(format!("{bad} Pre-flight check failed: {check}")));
            if named {
                lines.push(Line::error(format!("Service: {service}")).indented());
            }
            for finding in findings.iter().filter(|finding| finding.verdict == Verdict::Failed) {
                lines.push(Line::error(&finding.message).indented());
                lines.extend(fix(finding.remedy.as_deref()));
            }
        }
        Failure::Launch { message, remedy } => {
            lines.push(Line::error(format!("{bad} Could not start {service}: {message}")));
            lines.extend(fix(remedy.as_deref()));
        }
        Failure::DiedDuringStart { ending, after, last_lines, restart } => {
            lines.push(Line::error(format!("{bad} Service {service} {ending} during startup")));
            if let Some(after) = after {
                lines.push(Line::error(format!("It had run for {}", brief(*after))).indented());
            }
            if let Some((attempt, delay)) = restart {
                let coming = format!("It will be started again in {} (attempt {attempt})", brief(*delay));
                lines.push(Line::error(coming).indented());
            }
            lines.extend(log_lines(last_lines));
        }
        Failure::NotReadyInTime { within, message, last_lines } => {
            let within = within.as_secs();
            lines.push(Line::error(format!(
                "{bad} Service {service} did not become healthy within {within}s (start_timeout): {message}"
            )));
            lines.push(Line::error("It keeps running. Wait longer, or increase start_timeout").indented());
            lines.extend(log_lines(last_lines));
        }
        Failure::Stop { message, remedy } => {
            lines.push(Line::error(format!("{bad} Could not stop {service}: {message}")));
            lines.extend(fix(remedy.as_deref()));
        }
        Failure::Superseded => {
            lines.push(Line::error(format!("{bad} {service}: given up, since something else was asked for meanwhile")));
        }
        Failure::Cancelled => lines.push(Line::error(format!("{bad} {service}: no longer waited for"))),
    }
    lines
}

fn fix(remedy: Option<&str>) -> Option<Line> {
    remedy.map(|remedy| Line::error(format!("Fix: {remedy}")).indented())
}

fn log_lines(last_lines: &[String]) -> Vec<Line> {
    if last_lines.is_empty() {
        return Vec::new();
    }
    std::iter::once(Line::error("Last lines of its log:").indented())
        .chain(last_lines.iter().map(|line| Line::error(line).indented().indented()))
        .collect()
}

/// `12 ms`, `1.5 s`, `90 s`.
fn brief(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        1..10 => format!("{:.1} s", duration.as_secs_f64()),
        seconds => format!("{seconds} s"),
    }
}

/// Why nothing was begun: O14, M18, M21.
pub fn refusal_lines(refusal: &Refusal, verb: Verb, style: Style) -> Vec<Line> {
    let bad = Icon::Bad.draw(style);
    let cannot = |service: &ServiceId| Line::error(format!("{bad} Cannot {} {service}:", verb_word(verb)));
    match refusal {
        Refusal::DependentsRunning { service, dependents } => vec![
            cannot(service),
            Line::error(format!("Dependent services running: {}", names(dependents))).indented(),
            Line::error("Use --force to stop anyway").indented(),
        ],
        Refusal::RunsElsewhere { service, place } => vec![
            cannot(service),
            Line::error(format!("It runs at {place}, outside of this tool's reach: {} it there", verb_word(verb)))
                .indented(),
        ],
        Refusal::Cycle { service, path } => {
            let path = path.iter().map(ServiceId::as_str).collect::<Vec<_>>().join(" -> ");
            vec![cannot(service), Line::error(format!("Circular dependency: {path}")).indented()]
        }
        Refusal::MissingDependency { service, dependency } => vec![
            cannot(service),
            Line::error(format!("It depends on {dependency}, which is not registered")).indented(),
        ],
        Refusal::SetAside { name, reason } => vec![cannot(name), Line::error(reason).indented()],
        Refusal::UnknownService { name, near } => {
            let near: Vec<&str> = near.iter().map(ServiceId::as_str).collect();
            unknown_service_lines(name.as_str(), &near)
        }
    }
}

/// Why a service that nobody named is left out.
pub fn left_out_lines(refusal: &Refusal, verb: Verb, style: Style) -> Vec<Line> {
    match refusal {
        Refusal::RunsElsewhere { service, place } => {
            vec![Line::result(format!("{service} is left alone: it runs at {place}"))]
        }
        Refusal::DependentsRunning { .. }
        | Refusal::Cycle { .. }
        | Refusal::MissingDependency { .. }
        | Refusal::SetAside { .. }
        | Refusal::UnknownService { .. } => refusal_lines(refusal, verb, style),
    }
}

/// M21.
pub fn unknown_service_lines(name: &str, near: &[&str]) -> Vec<Line> {
    let mut lines = vec![Line::error(format!("Unknown service: {name}"))];
    if !near.is_empty() {
        lines.push(Line::error(format!("Did you mean {}?", near.join(" or "))).indented());
    }
    lines
}
