//! What is wrong with a pod, in one sentence: pure. Why a rollout does not get on is in the pods alone.

use super::objects::{Condition, ContainerStatus, Pod, Terminated, condition};

/// The longest message of somebody else that is repeated, in characters.
const LONGEST: usize = 300;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// It may pass by itself in a moment.
    Passing,
    /// Its container dies and is started again and again.
    Looping,
    /// It waits for somebody to change something.
    Stuck,
}

/// What is wrong with a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) severity: Severity,
    /// `pod web-1: the image … cannot be pulled (ErrImagePull): …`
    pub(super) sentence: String,
}

/// The worst thing about a pod, if anything is wrong with it. One that was told to end is not judged.
pub(super) fn of_pod(pod: &Pod) -> Option<Trouble> {
    if pod.is_leaving() {
        return None;
    }
    let name = &pod.metadata.name;
    let said = |severity, what: String| Some(Trouble { severity, sentence: format!("pod {name}: {what}") });
    if pod.status.phase == "Failed" {
        let reason = if pod.status.reason.is_empty() { "it failed" } else { &pod.status.reason };
        return said(Severity::Stuck, with_message(reason, &pod.status.message));
    }
    if let Some(scheduled) = condition(&pod.status.conditions, "PodScheduled").filter(|it| it.status == "False") {
        return said(Severity::Passing, with_message("Pending, no node takes it", &scheduled.message));
    }
    let containers = pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses);
    let worst = containers.filter_map(of_container).max_by_key(|(severity, _)| *severity);
    if let Some((severity, what)) = worst {
        return said(severity, what);
    }
    let is = |kind: &str, status: &str| {
        condition(&pod.status.conditions, kind).is_some_and(|it: &Condition| it.status == status)
    };
    if is("Ready", "False") && is("ContainersReady", "True") && pod.status.phase == "Running" {
        let node = if pod.spec.node_name.is_empty() { String::new() } else { format!(" {}", pod.spec.node_name) };
        return said(Severity::Passing, format!("its node{node} does not answer"));
    }
    let runs = |it: &ContainerStatus| it.state.running.is_some() && !it.ready;
    if pod.status.phase == "Running" && pod.status.container_statuses.iter().any(runs) {
        return said(Severity::Passing, "it runs but is not ready".to_owned());
    }
    None
}

fn of_container(status: &ContainerStatus) -> Option<(Severity, String)> {
    let ended = status.last_state.terminated.as_ref();
    if let Some(waiting) = &status.state.waiting {
        return match waiting.reason.as_str() {
            "CrashLoopBackOff" => {
                let why = ended.map_or_else(|| brief(&waiting.message), how_it_ended);
                let n = status.restart_count;
                Some((Severity::Looping, format!("CrashLoopBackOff after {}: {why}", restarts(n))))
            }
            reason @ ("ErrImagePull" | "RegistryUnavailable") => {
                Some((Severity::Passing, cannot_be_pulled(status, reason, &waiting.message)))
            }
            reason @ ("ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" | "ImageInspectError") => {
                Some((Severity::Stuck, cannot_be_pulled(status, reason, &waiting.message)))
            }
            reason @ ("CreateContainerConfigError" | "CreateContainerError") => {
                Some((Severity::Stuck, with_message(reason, &waiting.message)))
            }
            reason @ ("RunContainerError" | "PostStartHookError") => {
                let message = ended.map_or(waiting.message.as_str(), |ended| ended.message.as_str());
                Some((Severity::Looping, with_message(reason, message)))
            }
            // On its way: ContainerCreating, PodInitializing, and what later versions call it.
            _ => None,
        };
    }
    let ended_now = status.state.terminated.as_ref()?;
    // A container that did its work, as those that initialize do.
    (ended_now.exit_code != 0).then(|| (Severity::Looping, how_it_ended(ended_now)))
}

fn cannot_be_pulled(status: &ContainerStatus, reason: &str, message: &str) -> String {
    with_message(&format!("the image {} cannot be pulled ({reason})", status.image), message)
}

/// `exit code 3`, `OOMKilled: memory was exhausted`, or the message of a program that could not be executed.
fn how_it_ended(ended: &Terminated) -> String {
    match ended.reason.as_str() {
        "OOMKilled" => "it was killed because its memory limit was exceeded (OOMKilled)".to_owned(),
        "Error" | "Completed" | "" => {
            let end = if ended.signal == 0 {
                format!("it ended with exit code {}", ended.exit_code)
            } else {
                format!("it was ended by signal {}", ended.signal)
            };
            with_message(&end, &ended.message)
        }
        reason => with_message(reason, &ended.message),
    }
}

fn restarts(n: u32) -> String {
    if n == 1 { "1 restart".to_owned() } else { format!("{n} restarts") }
}

fn with_message(what: &str, message: &str) -> String {
    match brief(message) {
        message if message.is_empty() => what.to_owned(),
        message => format!("{what}: {message}"),
    }
}

/// A message of somebody else as one line of bounded length.
pub(super) fn brief(message: &str) -> String {
    let mut line = String::new();
    for word in message.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}
