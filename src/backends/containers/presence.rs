//! What a container's state means for its service, with what was asked of that service.

use std::time::{Duration, Instant};

use bollard::models::ContainerStateStatusEnum as Status;
use bollard::query_parameters::EventsOptionsBuilder;
use futures::StreamExt as _;

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
    let (Ok(docker), Some(finished)) = (engine.ask().await, moment(&container.finished_at)) else {
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
    while let Some(Ok(event)) = events.next().await {
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
