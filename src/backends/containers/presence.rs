//! What a container's state means for its service, with what was asked of that service.

use std::time::{Duration, Instant};

use bollard::models::ContainerStateStatusEnum as Status;
use bollard::query_parameters::EventsOptionsBuilder;
use futures::{FutureExt as _, StreamExt as _};

use super::{Clock, Container, Engine, event_time, moment};
use crate::model::{Ending, FailureReason, Guardian, Presence};
use crate::store::state::{Phase, ServiceRecord, Wanted};

/// The engine's first pause before it restarts a container; it doubles each time.
const FIRST_RESTART_PAUSE: Duration = Duration::from_millis(100);
/// The engine's longest one.
const LONGEST_RESTART_PAUSE: Duration = Duration::from_secs(60);

/// What the service is, going by this container of it.
pub(crate) async fn presence(
    engine: &Engine,
    clock: &Clock,
    container: &Container,
    record: Option<&ServiceRecord>,
) -> Presence {
    let since = clock.since(&container.started_at);
    let instance = container.instance();
    match container.status {
        Status::RUNNING | Status::PAUSED => {
            if record.is_some_and(|record| is_told_to_stop(record, container)) {
                Presence::Leaving { instance, since }
            } else {
                Presence::Present { instance, since, guardian: Guardian::Alive }
            }
        }
        Status::STOPPING => Presence::Leaving { instance, since },
        Status::RESTARTING => {
            let pause = FIRST_RESTART_PAUSE.saturating_mul(2_u32.saturating_pow(container.restarts));
            Presence::RestartPending {
                attempt: container.restarts.saturating_add(1),
                until: clock.since(&container.finished_at) + pause.min(LONGEST_RESTART_PAUSE),
                last: container.ending(),
            }
        }
        Status::EMPTY | Status::CREATED | Status::REMOVING | Status::EXITED | Status::DEAD => {
            match record.map(|record| record.wanted) {
                Some(Wanted::Up) => down_though_wanted(engine, container).await,
                Some(Wanted::Down) | None => Presence::Absent,
            }
        }
    }
}

/// Whether it is this run, or one of these, that somebody told to stop.
pub(crate) fn is_told_to_stop(record: &ServiceRecord, container: &Container) -> bool {
    record.phase == Phase::Stopping && container.started_millis() <= record.started_at
}

/// Since when it is so, where that is known and is not in the presence itself.
pub(crate) fn entered(presence: &Presence, clock: &Clock, container: &Container) -> Option<Instant> {
    match presence {
        // Nothing but an end makes it so, except for a container that never ran.
        Presence::Absent | Presence::Failed { .. } | Presence::RestartPending { .. } => {
            moment(&container.finished_at).map(|_| clock.since(&container.finished_at))
        }
        Presence::Present { .. } | Presence::Arriving { .. } | Presence::Leaving { .. } => None,
    }
}

async fn down_though_wanted(engine: &Engine, container: &Container) -> Presence {
    if container.status == Status::CREATED {
        return match container.error.trim() {
            "" => Presence::Absent,
            error => Presence::Failed { reason: FailureReason::CouldNotStart(error.to_owned()) },
        };
    }
    if was_asked_to_end(engine, container).await {
        return Presence::Absent;
    }
    let ending = container.ending();
    let reason = if container.restarts > 0 && ending != Ending::Exited(0) {
        FailureReason::GaveUp { ending, restarts: container.restarts }
    } else {
        let began = moment(&container.started_at);
        let after = began.zip(moment(&container.finished_at)).and_then(|(from, to)| to.duration_since(from).ok());
        FailureReason::Died { ending, after }
    };
    Presence::Failed { reason }
}

/// Whether somebody ended the run through the engine (`docker stop`) and not by killing it: then it is stopped, not failed (R136).
/// The engine remembers its newest events; where it has forgotten these, an exit that a stop would have caused counts as one.
async fn was_asked_to_end(engine: &Engine, container: &Container) -> bool {
    let looks_so = matches!(container.ending(), Ending::Exited(0) | Ending::Signalled(2 | 15));
    let (Ok(docker), Some(finished)) = (engine.client().await, moment(&container.finished_at)) else {
        return looks_so;
    };
    let filters = [
        ("type".to_owned(), vec!["container".to_owned()]),
        ("container".to_owned(), vec![container.id.clone()]),
        ("event".to_owned(), vec!["kill".to_owned(), "die".to_owned()]),
    ];
    let options = EventsOptionsBuilder::default()
        .since(&event_time(moment(&container.started_at).unwrap_or(finished)))
        // The end is recorded a moment before it is told.
        .until(&event_time(finished + Duration::from_secs(2)))
        .filters(&filters.into())
        .build();
    let mut events = std::pin::pin!(docker.events(Some(options)));
    let mut was_asked = false;
    while let Ok(Some(event)) = engine.answer(events.next().map(Option::transpose)).await {
        match event.action.as_deref() {
            Some("die") => return was_asked,
            Some("kill") => {
                let attributes = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
                was_asked |= attributes.get("signal").is_some_and(|signal| signal != "9");
            }
            Some(_) | None => {}
        }
    }
    looks_so
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::{Clock, presence};
    use crate::backends::containers::{Address, Container, Engine};
    use crate::model::{Ending, FailureReason, Presence};
    use crate::store::state::{Phase, ServiceRecord, Wanted};

    /// What an engine of 20.10 answers for a container with this state.
    fn inspected(state: Value) -> Container {
        let mut answer = json!({
            "Id": "c0ffee", "Name": "/web", "RestartCount": 0, "Image": "sha256:00",
            "Config": { "Labels": {} }, "HostConfig": { "Memory": 0 },
            "State": {
                "Status": "exited", "Running": false, "Paused": false, "Restarting": false, "OOMKilled": false, "Dead": false,
                "Pid": 0, "ExitCode": 0, "Error": "",
                "StartedAt": "2026-11-29T03:23:24.713871939Z", "FinishedAt": "2026-11-29T03:23:27.713871939Z",
            },
        });
        for (name, value) in state.as_object().unwrap() {
            answer["State"][name] = value.clone();
        }
        serde_json::from_value::<bollard::models::ContainerInspectResponse>(answer).unwrap().into()
    }

    fn record(wanted: Wanted, phase: Phase) -> ServiceRecord {
        ServiceRecord {
            phase,
            wanted,
            shim: None,
            service: None,
            started_at: None,
            restarts: 0,
            failures: 0,
            streak: 0,
            exits: Vec::new(),
            next_attempt: None,
            spec_hash: 0,
            dropped_bytes: 0,
            failure: None,
            compose: None,
        }
    }

    /// As it is judged without an engine to ask who ended it.
    async fn judged(state: Value, record: Option<&ServiceRecord>) -> (Presence, Vec<String>) {
        let engine = Engine::new(Address::new(Some("unix:///nonexistent/docker.sock".to_owned()), None));
        let container = inspected(state);
        let presence = presence(&engine, &Clock::new(), &container, record).await;
        (presence, container.notes().collect())
    }

    #[tokio::test]
    async fn what_its_engine_removes_or_failed_to_remove_is_down_and_said() {
        let (up, down) = (record(Wanted::Up, Phase::Running), record(Wanted::Down, Phase::Stopped));
        for (status, words) in [("dead", "docker rm -f web"), ("removing", "is being removed")] {
            let state = json!({ "Status": status, "Dead": status == "dead", "ExitCode": 137 });
            for record in [None, Some(&down)] {
                let (presence, notes) = judged(state.clone(), record).await;
                assert_eq!(presence, Presence::Absent, "{status}");
                assert!(notes.iter().any(|note| note.contains(words)), "{notes:?}");
            }
            let (presence, _) = judged(state, Some(&up)).await;
            let died = FailureReason::Died { ending: Ending::Signalled(9), after: Some(Duration::from_secs(3)) };
            assert_eq!(presence, Presence::Failed { reason: died }, "{status}");
        }
    }

    #[tokio::test]
    async fn an_exit_with_137_says_whether_memory_ran_out() {
        let up = record(Wanted::Up, Phase::Running);
        for (code, is_out_of_memory, ending) in [
            (137, false, Ending::Signalled(9)),
            (137, true, Ending::OutOfMemory),
            // Something below it was killed, and it ended by itself.
            (1, true, Ending::Exited(1)),
        ] {
            let state = json!({ "ExitCode": code, "OOMKilled": is_out_of_memory });
            let (presence, notes) = judged(state, Some(&up)).await;
            let died = FailureReason::Died { ending, after: Some(Duration::from_secs(3)) };
            assert_eq!(presence, Presence::Failed { reason: died });
            assert_eq!(notes.iter().any(|note| note.contains("memory ran out")), is_out_of_memory, "{notes:?}");
        }
    }
}
