//! Performing what the machine wants to happen: calls that take their time run as tasks, and their results come back as inputs.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Actor, News, Report, boot_time};
use crate::engine::ports::{Preparation, StopError};
use crate::engine::supervisor::Ports;
use crate::lifecycle::machine::{Effect, Input, Remedy, StopEnd, StopFailure};
use crate::lifecycle::recovery;
use crate::model::{
    Actor as Cause, Debt, Event, Happening, Instance, Intent, Owed, Presence, ServiceId, ServiceSpec, StartHow, StopHow,
};

/// When a guardian that could not be replaced is tried to be replaced again.
const TEND_AGAIN: Duration = Duration::from_secs(1);

/// What a launch fetches before it begins.
pub(super) struct Fetching {
    /// How far it is.
    pub(super) words: watch::Receiver<Option<String>>,
    /// Ends it.
    given_up: CancellationToken,
    is_told: bool,
}

/// Ends when there are new words. Cancel safe.
pub(super) async fn fetched_more(fetching: Option<&mut Fetching>) {
    let has_more = match fetching {
        Some(fetching) => fetching.words.changed().await.is_ok(),
        None => false,
    };
    // Whoever tells has told everything.
    if !has_more {
        std::future::pending().await
    }
}

impl Actor {
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Launch => self.launch(),
            Effect::Stop { how, grace } => self.stop(how, grace),
            Effect::Probe { instance } => self.probe(instance),
            Effect::Tend => self.tend(),
            Effect::Consult { instance } => self.consult(instance),
            Effect::Recover { instance } if Remedy::of(&self.spec) == Remedy::Leader => self.recover_here(instance),
            Effect::Recover { instance } => self.recover_by_guardian(instance),
            Effect::Tell(what) => self.tell(what),
            Effect::StartBegan => self.tell_start(|| News::StartBegan),
            Effect::StartLaunched(launch) => self.tell_start(|| News::Launched(launch.clone())),
            Effect::StartEnded(end) => {
                // Only one of those who wait made the instance; the others found it.
                self.tell_start(|| News::StartEnded(end.clone()));
                self.start_news.clear();
                self.start_how = StartHow::default();
                self.cause = Cause::Outside;
            }
            Effect::StopEnded(end) => {
                if matches!(end, StopEnd::Failed(_)) {
                    self.hint.notify_one();
                }
                for news in self.stop_news.drain(..) {
                    let _ = news.try_send((self.spec.id.clone(), News::StopEnded(end.clone())));
                }
                self.cause = Cause::Outside;
            }
        }
    }

    /// Fetches what is missing, then launches, unless it is not wanted any more by then.
    fn launch(&mut self) {
        self.launched = None;
        let (backend, spec, launches) =
            (Arc::clone(&self.ports.backend), Arc::clone(&self.spec), Arc::clone(&self.crowd.launches));
        let how = std::mem::take(&mut self.start_how);
        // What somebody asked for is wanted until somebody stops it; what nobody did, as long as it is owed.
        let is_owed_only = self.cause == Cause::Recovery;
        let joined = Arc::new(AtomicBool::new(!is_owed_only));
        self.joined = is_owed_only.then(|| Arc::clone(&joined));
        let (ports, since) = (self.ports.clone(), Arc::clone(&self.since));
        let (news, words) = Preparation::new();
        let given_up = CancellationToken::new();
        self.is_replacing = how == StartHow::InPlace;
        self.preparation = Some(Fetching { words, given_up: given_up.clone(), is_told: false });
        self.tasks.spawn(async move {
            let prepared = tokio::select! {
                prepared = backend.prepare(&spec, how, news) => prepared,
                () = given_up.cancelled() => return Input::LaunchGivenUp,
            };
            if let Err(error) = prepared {
                return Input::LaunchFailed { message: error.message, remedy: error.remedy };
            }
            // The semaphore is never closed; a launch without a permit would only be a launch too many.
            let _permit = launches.acquire_owned().await;
            // Kept as it was when it was asked: a later start may come before the backend has given up.
            let was_overtaken = AtomicBool::new(false);
            let is_owed = || ports.store.debt(&spec.id).is_some_and(|debt| debt.is_start());
            let is_wanted = || {
                let is_overtaken = is_overtaken(&ports, &spec.id, &since);
                was_overtaken.store(is_overtaken, Ordering::SeqCst);
                !is_overtaken && (joined.load(Ordering::SeqCst) || is_owed())
            };
            match backend.start_if(&spec, how, &is_wanted).await {
                Ok(Some(launch)) => Input::Launched(launch),
                Ok(None) if was_overtaken.load(Ordering::SeqCst) => Input::LaunchOvertaken,
                Ok(None) => Input::LaunchGivenUp,
                Err(error) => Input::LaunchFailed { message: error.message, remedy: error.remedy },
            }
        });
    }

    /// Makes it go away.
    fn stop(&mut self, how: StopHow, grace: Duration) {
        let (backend, spec) = (Arc::clone(&self.ports.backend), Arc::clone(self.instance_spec()));
        self.tasks.spawn(async move {
            Input::StopReported(backend.stop(&spec, how, grace).await.map_err(|error| StopFailure {
                remedy: match &error {
                    StopError::StillAlive { .. } => Some("use --force to kill it".to_owned()),
                    StopError::Backend(error) => error.remedy.clone(),
                },
                message: error.to_string(),
            }))
        });
    }

    /// Asks it how it is.
    fn probe(&mut self, instance: Instance) {
        let (probe, spec) = (Arc::clone(&self.ports.probe), Arc::clone(&self.spec));
        self.probe_due = Some(Instant::now().into_std() + spec.health_check.timeout);
        self.tasks.spawn(async move {
            let outcome = probe.probe_service(&spec).await;
            Input::Probed { instance, outcome }
        });
    }

    /// Replaces its guardian, and looks again.
    fn tend(&mut self) {
        let (backend, spec, hint) =
            (Arc::clone(&self.ports.backend), Arc::clone(self.instance_spec()), Arc::clone(&self.hint));
        self.tasks.spawn(async move {
            if let Err(error) = backend.tend(&spec).await {
                tracing::warn!(service = %spec.id, %error, "the guardian could not be replaced");
                // What stands in the way may stay there.
                tokio::time::sleep(TEND_AGAIN).await;
            }
            hint.notify_one();
            Input::Tick
        });
    }

    /// Asks the supervisor whether something that it needs is the reason.
    fn consult(&mut self, instance: Instance) {
        let (reports, service) = (self.reports.clone(), self.spec.id.clone());
        self.tasks.spawn(async move {
            // Where the supervisor is gone, everything ends.
            let _ = reports.send(Report::Consult { service, instance }).await;
            Input::Tick
        });
    }

    /// Has its guardian restart it.
    fn recover_by_guardian(&mut self, instance: Instance) {
        let (backend, spec, hint) =
            (Arc::clone(&self.ports.backend), Arc::clone(self.instance_spec()), Arc::clone(&self.hint));
        self.tasks.spawn(async move {
            let ordered = backend.recover(&spec, &instance).await;
            hint.notify_one();
            Input::RecoveryReported(ordered.map_err(|error| error.message))
        });
    }

    /// Tells the timeline, and whoever listens.
    fn tell(&self, what: Happening) {
        let actor = author(&what).unwrap_or(self.cause);
        let event = Event { at: SystemTime::now(), service: self.spec.id.clone(), what, actor };
        tracing::info!(service = %event.service, actor = %event.actor, "{}", event.what);
        if self.is_ours_to_record(&event) {
            self.ports.store.record(&event);
        }
        // Nobody has to listen.
        let _ = self.events.send(event);
    }

    /// Where no guardian of ours keeps count, the leader does: what it owes is recorded first, then the run is ended, and the supervisor
    /// starts it again when its time has come, in this engine or in that of a later leader.
    fn recover_here(&mut self, instance: Instance) {
        let ran_for = self
            .machine
            .state()
            .since()
            .map_or(Duration::ZERO, |since| Instant::now().into_std().saturating_duration_since(since));
        let before = self.ports.store.debt(&self.spec.id);
        let seed = RandomState::new().hash_one(&self.spec.id);
        let debt = recovery::next_debt(&self.spec, before.as_ref(), ran_for, boot_time(), seed);
        let (ports, spec, hint) = (self.ports.clone(), Arc::clone(self.instance_spec()), Arc::clone(&self.hint));
        let events = self.events.clone();
        self.tasks.spawn(async move {
            let ended = end_unhealthy_run(&ports, &spec, &instance, &debt, &events).await;
            hint.notify_one();
            Input::RecoveryReported(ended)
        });
    }

    pub(super) fn take_joined(&mut self) -> bool {
        self.joined.take().is_some_and(|joined| joined.load(Ordering::SeqCst))
    }

    /// What somebody here did is recorded here; what was only seen is recorded once, by whoever always sees it.
    fn is_ours_to_record(&self, event: &Event) -> bool {
        if !self.ports.backend.has_own_witness(&self.spec) {
            return true;
        }
        match event.what {
            Happening::Died { .. } | Happening::RestartScheduled { .. } | Happening::GaveUp { .. } => false,
            Happening::Adopted(_) | Happening::Started(_) | Happening::Stopped => event.actor != Cause::Outside,
            Happening::StartRequested
            | Happening::StopRequested
            | Happening::Recovering { .. }
            | Happening::HeldBack { .. }
            | Happening::Escalated { .. }
            | Happening::BecameReady { .. }
            | Happening::NotReadyInTime { .. }
            | Happening::BecameHealthy
            | Happening::BecameUnhealthy { .. }
            | Happening::BecameUnreachable { .. }
            | Happening::StartFailed { .. }
            | Happening::StopFailed { .. } => true,
        }
    }

    fn tell_start(&self, news: impl Fn() -> News) {
        for waiting in &self.start_news {
            // An operation that was dropped no longer listens, and a living one has room for all of it.
            let _ = waiting.try_send((self.spec.id.clone(), news()));
        }
    }

    pub(super) fn stop_fetching(&self) {
        if let Some(fetching) = &self.preparation {
            fetching.given_up.cancel();
        }
    }

    pub(super) fn tell_preparation(&mut self) {
        let Some(fetching) = &mut self.preparation else { return };
        let words = fetching.words.borrow_and_update().clone();
        // Where there are few words, everybody hears them; how it goes on is in the snapshots.
        if let Some(words) = words.filter(|_| !std::mem::replace(&mut fetching.is_told, true)) {
            self.tell_start(|| News::Preparing(words.clone()));
        }
    }
}

/// Who does what nobody asked for; `None` for what somebody may have asked for.
fn author(what: &Happening) -> Option<Cause> {
    match what {
        Happening::Recovering { .. }
        | Happening::HeldBack { .. }
        | Happening::Escalated { .. }
        | Happening::RestartScheduled { .. }
        | Happening::GaveUp { .. } => Some(Cause::Recovery),
        Happening::StartRequested
        | Happening::StopRequested
        | Happening::Started(_)
        | Happening::Adopted(_)
        | Happening::BecameReady { .. }
        | Happening::NotReadyInTime { .. }
        | Happening::BecameHealthy
        | Happening::BecameUnhealthy { .. }
        | Happening::StartFailed { .. }
        | Happening::Died { .. }
        | Happening::BecameUnreachable { .. }
        | Happening::Stopped
        | Happening::StopFailed { .. } => None,
    }
}

/// Whether somebody stopped it, through whichever copy of the tool, after the stop of that number.
pub(super) fn is_overtaken(ports: &Ports, id: &ServiceId, since: &AtomicU64) -> bool {
    ports.store.last_stop(id).is_some_and(|mark| mark.number() != since.load(Ordering::SeqCst))
}

/// Ends a run for a leader that will start it again, or will not; see [`Actor::recover_here`].
async fn end_unhealthy_run(
    ports: &Ports,
    spec: &ServiceSpec,
    instance: &Instance,
    debt: &Debt,
    events: &broadcast::Sender<Event>,
) -> Result<(), String> {
    // From here on whoever stops it takes this back, before and after; what was stopped before shows now.
    ports.store.owe(debt);
    let observed = ports.backend.observe(spec).await.map_err(|error| error.message);
    let is_meant = observed.as_ref().is_ok_and(|observed| {
        observed.intent == Some(Intent::Up)
            && matches!(&observed.presence, Presence::Present { instance: found, .. } if found == instance)
    });
    let grace = spec.startup.stop_timeout;
    let mut stopped = if is_meant { ports.backend.stop(spec, StopHow::Ask, grace).await } else { Ok(()) };
    // A person who stops it meanwhile decides how hard.
    if matches!(stopped, Err(StopError::StillAlive { .. })) && ports.store.debt(&spec.id).as_ref() == Some(debt) {
        let what = Happening::Escalated { after: grace };
        let event = Event { at: SystemTime::now(), service: spec.id.clone(), what, actor: Cause::Recovery };
        tracing::info!(service = %event.service, actor = %event.actor, "{}", event.what);
        ports.store.record(&event);
        // Nobody has to listen.
        let _ = events.send(event);
        stopped = ports.backend.stop(spec, StopHow::Kill, grace).await;
    }
    if (!is_meant || stopped.is_err()) && ports.store.debt(&spec.id).as_ref() == Some(debt) {
        // Nothing was ended, so nothing is owed; what was used up stays used up.
        ports.store.owe(&Debt { owed: Owed::Nothing, ..debt.clone() });
    }
    observed?;
    stopped.map_err(|error| error.to_string())
}
