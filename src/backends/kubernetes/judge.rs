//! From a Deployment and its pods to what they amount to: pure, and the only place that knows what the counts mean.
//!
//! - A count of 0 is left out of a status; a status speaks of the present specification only when `observedGeneration` has caught up.
//! - A rollout is complete when the updated, the total and the available replicas all equal the wanted ones.
//! - A container that dies a second after its start counts as available for that second: one that was started again has to outlive its
//!   last run before it is believed.
//! - At 0 wanted replicas, `Available` is true and containers may run for all of their grace time: only the pods tell.

use std::time::{Duration, SystemTime};

use super::objects::{ContainerStatus, Deployment, Pod, Terminated, condition, moment};
use super::trouble::{self, Severity, Trouble, brief};
use crate::model::{Ending, ExitRecord};

/// The first pause of the kubelet before it starts a container again; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest one.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A container that was started again is not believed before this.
const LEAST_RUN: Duration = Duration::from_secs(10);
/// How many pods' troubles are told.
const N_TOLD: usize = 3;

/// What a Deployment amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) standing: Standing,
    /// `2 of 2 pods ready`.
    pub(super) sentence: String,
    /// What is wrong, worst first.
    pub(super) troubles: Vec<String>,
    /// Of all containers of its pods.
    pub(super) restarts: u32,
    /// The newest one.
    pub(super) last_exit: Option<ExitRecord>,
    /// When the oldest pod that serves was started.
    pub(super) since: Option<SystemTime>,
    /// When the passing of time alone may change this.
    pub(super) again_in: Option<Duration>,
}

/// Where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing is wanted, and nothing runs.
    Stopped,
    /// Nothing is wanted any more, and these pods are not gone.
    Stopping {
        /// Their names.
        pods: Vec<String>,
    },
    /// Not all that is wanted is there yet.
    Arriving(Serving),
    /// All that is wanted is there.
    Ready,
    /// Nothing serves: containers die and are started again.
    Looping {
        /// The coming start, from 1.
        attempt: u32,
        /// When it comes.
        until: SystemTime,
        /// How the last run ended.
        last: Ending,
    },
    /// Nothing serves, and nothing will until somebody changes something.
    Stuck {
        /// Why.
        reason: String,
    },
}

/// Whether anything answers meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Serving {
    /// Some pods do, perhaps those of the time before.
    Some,
    /// None does.
    None,
}

/// Judges a Deployment by its own status and its pods, as they were seen, at `now` by the clock of the cluster.
pub(super) fn judge(deployment: &Deployment, pods: &[&Pod], now: SystemTime) -> Judgement {
    let wanted = deployment.wanted();
    let living: Vec<&Pod> = pods.iter().copied().filter(|pod| !pod.has_ended()).collect();
    let mut troubles: Vec<Trouble> = pods.iter().filter_map(|pod| trouble::of_pod(pod)).collect();
    troubles.sort_by_key(|trouble| std::cmp::Reverse(trouble.severity));
    let doubts: Vec<Duration> = living.iter().filter_map(|pod| doubt(pod, now)).collect();
    let mut judgement = Judgement {
        standing: Standing::Stopped,
        sentence: String::new(),
        troubles: Vec::new(),
        restarts: containers(&living).map(|it| it.restart_count).fold(0, u32::saturating_add),
        last_exit: living
            .iter()
            .flat_map(|pod| &pod.status.container_statuses)
            .filter_map(newest_end)
            .filter_map(exit)
            .max_by_key(|exit| exit.at),
        since: living.iter().filter(|pod| pod.is_ready()).filter_map(|pod| started(pod)).min(),
        again_in: None,
    };
    if wanted == 0 || deployment.metadata.deletion_timestamp.is_some() {
        let pods: Vec<String> = living.iter().map(|pod| pod.metadata.name.clone()).collect();
        let is_seen = is_observed(deployment);
        judgement.sentence = match (pods.len(), is_seen) {
            (0, true) => "0 pods wanted, none runs".to_owned(),
            (0, false) => "0 pods wanted; its controller has not seen that yet".to_owned(),
            (1, _) => "1 pod is ending".to_owned(),
            (n, _) => format!("{n} pods are ending"),
        };
        let was_running = deployment.status.replicas > 0;
        judgement.standing =
            if pods.is_empty() && (is_seen || !was_running) { Standing::Stopped } else { Standing::Stopping { pods } };
        return judgement;
    }
    judgement.troubles = told(deployment, &troubles);
    judgement.sentence = sentence(deployment);
    judgement.standing = standing(deployment, &living, &troubles, &judgement.troubles, doubts.len(), now);
    if !doubts.is_empty() {
        judgement.again_in = doubts.into_iter().min();
    }
    judgement
}

fn is_observed(deployment: &Deployment) -> bool {
    deployment.status.observed_generation >= deployment.metadata.generation
}

fn standing(
    deployment: &Deployment,
    living: &[&Pod],
    troubles: &[Trouble],
    told: &[String],
    n_doubted: usize,
    now: SystemTime,
) -> Standing {
    let (wanted, status) = (deployment.wanted(), &deployment.status);
    let n_doubted = u32::try_from(n_doubted).unwrap_or(u32::MAX);
    let n_serving = status.available_replicas.saturating_sub(n_doubted);
    let is_complete = is_observed(deployment)
        && status.available_replicas == wanted
        && (status.updated_replicas == wanted && status.replicas == wanted || deployment.spec.paused);
    if is_complete && n_doubted == 0 {
        return Standing::Ready;
    }
    if n_serving > 0 {
        return Standing::Arriving(Serving::Some);
    }
    let is_worst = |severity| troubles.first().is_some_and(|trouble| trouble.severity == severity);
    let has_failed_for_good = is_observed(deployment)
        && (living.is_empty() && replica_failure(deployment).is_some() || deadline(deployment).is_some());
    if is_worst(Severity::Stuck) || has_failed_for_good && !is_worst(Severity::Looping) {
        return Standing::Stuck { reason: told.first().cloned().unwrap_or_else(|| sentence(deployment)) };
    }
    // While one of them runs on probation, it is on its way up again.
    if n_doubted == 0
        && let Some(looping) = looping(living, now)
    {
        return looping;
    }
    Standing::Arriving(Serving::None)
}

/// The container that comes back first, where one waits for that.
fn looping(living: &[&Pod], now: SystemTime) -> Option<Standing> {
    let waiting = containers(living).filter(|it| it.state.running.is_none());
    let coming = waiting.filter_map(|it| {
        let ended = newest_end(it)?;
        // One that initializes has done its work when it ends well; any other is started again then too, with the same pauses.
        let is_backing_off = it.state.waiting.as_ref().is_some_and(|it| it.reason == "CrashLoopBackOff");
        let exponent = it.restart_count.saturating_sub(1).min(16);
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(exponent)).min(LONGEST_PAUSE);
        let until = ended.finished_at.as_deref().and_then(moment).map_or(now, |at| at + pause);
        let attempt = it.restart_count.saturating_add(1);
        (ended.exit_code != 0 || is_backing_off).then(|| (until, attempt, ending(ended)))
    });
    let (until, attempt, last) = coming.min_by_key(|(until, ..)| *until)?;
    Some(Standing::Looping { attempt, until, last })
}

/// How long it takes until a pod is believed that was started again and runs.
fn doubt(pod: &Pod, now: SystemTime) -> Option<Duration> {
    let doubtful = pod.status.container_statuses.iter().filter_map(|it| {
        let began = it.state.running.as_ref()?.started_at.as_deref().and_then(moment)?;
        let last = it.last_state.terminated.as_ref()?;
        let length = last
            .started_at
            .as_deref()
            .and_then(moment)
            .zip(last.finished_at.as_deref().and_then(moment))
            .and_then(|(from, to)| to.duration_since(from).ok())
            .unwrap_or_default();
        // Having run as long as the last time, and half as long again, is something new.
        let proven = began + (length * 3 / 2).clamp(LEAST_RUN, LONGEST_PAUSE);
        proven.duration_since(now).ok().filter(|left| !left.is_zero())
    });
    doubtful.max()
}

fn sentence(deployment: &Deployment) -> String {
    let (wanted, status) = (deployment.wanted(), &deployment.status);
    let pods = if wanted == 1 { "pod" } else { "pods" };
    let mut text = if status.ready_replicas > status.available_replicas {
        format!("{} of {wanted} {pods} ready, {} of them long enough", status.ready_replicas, status.available_replicas)
    } else {
        format!("{} of {wanted} {pods} ready", status.available_replicas)
    };
    if !is_observed(deployment) {
        text.push_str("; its controller has not seen the newest change yet");
    } else if deployment.spec.paused {
        text.push_str("; its rollouts are paused (kubectl rollout resume)");
    } else if status.updated_replicas < wanted && status.available_replicas > 0 {
        text.push_str(&format!(", {} of them new", status.updated_replicas));
    }
    text
}

/// What is worth saying: what the Deployment itself says first, then the pods, worst first.
fn told(deployment: &Deployment, troubles: &[Trouble]) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    let has_pod_reason = troubles.iter().any(|trouble| trouble.severity > Severity::Passing);
    if is_observed(deployment) {
        told.extend(replica_failure(deployment).map(|why| format!("pods cannot be created: {why}")));
    }
    told.extend(troubles.iter().take(N_TOLD).map(|trouble| trouble.sentence.clone()));
    if troubles.len() > N_TOLD {
        told.push(format!("{} more pods are not well", troubles.len() - N_TOLD));
    }
    if is_observed(deployment)
        && let Some(why) = deadline(deployment)
    {
        let at = if has_pod_reason || !told.is_empty() { told.len() } else { 0 };
        told.insert(at, format!("its rollout has exceeded its deadline (ProgressDeadlineExceeded): {why}"));
    }
    told
}

fn replica_failure(deployment: &Deployment) -> Option<String> {
    condition(&deployment.status.conditions, "ReplicaFailure")
        .filter(|it| it.status == "True")
        .map(|it| brief(&it.message))
}

fn deadline(deployment: &Deployment) -> Option<String> {
    condition(&deployment.status.conditions, "Progressing")
        .filter(|it| it.status == "False" && it.reason == "ProgressDeadlineExceeded")
        .map(|it| brief(&it.message))
}

fn containers<'a>(pods: &'a [&Pod]) -> impl Iterator<Item = &'a ContainerStatus> {
    pods.iter().flat_map(|pod| pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses))
}

fn newest_end(status: &ContainerStatus) -> Option<&Terminated> {
    status.state.terminated.as_ref().or(status.last_state.terminated.as_ref()).filter(|it| it.finished_at.is_some())
}

fn ending(ended: &Terminated) -> Ending {
    if ended.reason == "OOMKilled" && ended.exit_code == 137 {
        return Ending::OutOfMemory;
    }
    match (ended.signal, ended.exit_code) {
        // Shells and engines tell death by a signal by adding 128.
        (0, code @ 129..=159) => Ending::Signalled(code - 128),
        (0, code) => Ending::Exited(code),
        (signal, _) => Ending::Signalled(signal),
    }
}

fn exit(ended: &Terminated) -> Option<ExitRecord> {
    let at = ended.finished_at.as_deref().and_then(moment)?;
    Some(ExitRecord { ending: ending(ended), at })
}

fn started(pod: &Pod) -> Option<SystemTime> {
    pod.status.start_time.as_deref().or(pod.metadata.creation_timestamp.as_deref()).and_then(moment)
}

#[cfg(test)]
#[path = "judge_test.rs"]
mod tests;
