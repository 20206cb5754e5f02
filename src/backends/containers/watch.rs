//! What changes: the engine's event stream, resumed after it was lost.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures::StreamExt as _;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::patience::Retry;
use super::{Engine, Refusal, event_time};
use crate::model::{Mode, ServiceId};

/// Hints on their way to the engine of ours.
const CAPACITY: usize = 64;
/// A stream begins this long before it is opened: nothing falls between a look and the stream, also when the clocks differ a little.
/// What is heard twice is looked at twice, and that is all.
const OVERLAP: Duration = Duration::from_secs(5);

/// By what a container's events are recognized as a service's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Signature {
    /// The container's name: one that is not ours but has the name matters too.
    pub(crate) name: Option<String>,
    /// Labels that the container has, all of them.
    pub(crate) labels: Vec<(&'static str, String)>,
}

impl Signature {
    /// `names` are all that the event tells: a rename tells two.
    fn is_of(&self, names: &[&str], attributes: &HashMap<String, String>) -> bool {
        let has = |(label, value): &(&str, String)| attributes.get(*label) == Some(value);
        self.name.as_deref().is_some_and(|name| names.contains(&name))
            || (!self.labels.is_empty() && self.labels.iter().all(has))
    }
}

/// Which containers are of interest, to whom. Std locks: held for moments, never across an await.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    known: Mutex<BTreeMap<ServiceId, (Mode, Signature)>>,
    grew: Notify,
    listeners: Mutex<Listeners>,
    tasks: Mutex<JoinSet<()>>,
}

/// Who wants to hear of the services of which mode.
#[derive(Debug, Default)]
struct Listeners {
    all: Vec<(Mode, mpsc::Sender<ServiceId>)>,
    /// One stream is enough for all of them.
    are_served: bool,
}

impl Watch {
    /// Remembers a service that was looked at. The first one makes the stream be opened.
    pub(crate) fn know(&self, mode: Mode, id: &ServiceId, signature: Signature) {
        let mut known = held(&self.known);
        let new = (mode, signature);
        if known.get(id) != Some(&new) {
            known.insert(id.clone(), new);
            self.grew.notify_one();
        }
    }

    fn all(&self) -> Vec<(Mode, ServiceId)> {
        held(&self.known).iter().map(|(id, (mode, _))| (*mode, id.clone())).collect()
    }

    /// Whom an event concerns.
    fn concerned(&self, event: EventMessage) -> Vec<(Mode, ServiceId)> {
        let attributes = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
        // A rename tells the old name with a slash.
        let names = ["name", "oldName"].map(|key| attributes.get(key).map(|name| name.trim_start_matches('/')));
        let names: Vec<&str> = names.into_iter().flatten().collect();
        let known = held(&self.known);
        let concerned = known.iter().filter(|(_, (_, signature))| signature.is_of(&names, &attributes));
        concerned.map(|(id, (mode, _))| (*mode, id.clone())).collect()
    }

    async fn tell(&self, ids: Vec<(Mode, ServiceId)>) {
        let listeners = held(&self.listeners).all.clone();
        for (mode, id) in ids {
            for (_, to) in listeners.iter().filter(|(wanted, _)| *wanted == mode) {
                // This one listens no more.
                drop(to.send(id.clone()).await);
            }
        }
    }

    /// Cancel safe.
    async fn until_nobody_listens(&self) {
        loop {
            let next = {
                let mut listeners = held(&self.listeners);
                listeners.all.retain(|(_, to)| !to.is_closed());
                match listeners.all.first() {
                    Some((_, to)) => to.clone(),
                    None => {
                        // Under the lock: whoever comes now begins anew.
                        listeners.are_served = false;
                        return;
                    }
                }
            };
            next.closed().await;
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole at any moment, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A new receiver of the names of services of a mode. One task serves all receivers, and ends when nobody listens.
pub(crate) fn subscribe(watch: &Arc<Watch>, engine: &Arc<Engine>, mode: Mode) -> mpsc::Receiver<ServiceId> {
    let (to, receiver) = mpsc::channel(CAPACITY);
    let is_served = {
        let mut listeners = held(&watch.listeners);
        listeners.all.push((mode, to));
        std::mem::replace(&mut listeners.are_served, true)
    };
    if !is_served {
        let (weak, engine) = (Arc::downgrade(watch), Arc::clone(engine));
        held(&watch.tasks).spawn(async move {
            let Some(watch) = weak.upgrade() else { return };
            tokio::select! {
                () = watch.until_nobody_listens() => {}
                () = serve(&watch, &engine) => {}
            }
        });
    }
    receiver
}

async fn serve(watch: &Watch, engine: &Engine) {
    // Without a service of these modes, no engine is contacted.
    while held(&watch.known).is_empty() {
        watch.grew.notified().await;
    }
    listen(watch, engine).await;
}

async fn listen(watch: &Watch, engine: &Engine) {
    let mut retry = Retry::new(engine);
    let mut was_lost = false;
    loop {
        match follow(watch, engine, was_lost).await {
            Ok(()) => {
                retry.succeeded();
                was_lost = false;
            }
            Err(refusal) => tracing::debug!(why = refusal.words(), "docker's events cannot be heard"),
        }
        // Whatever happens from here on is not heard, and whether anything runs may be unknown now.
        if !was_lost {
            watch.tell(watch.all()).await;
        }
        was_lost = true;
        retry.wait().await;
    }
}

/// Ends well when a stream that was heard is lost.
async fn follow(watch: &Watch, engine: &Engine, was_lost: bool) -> Result<(), Refusal> {
    let docker = engine.client().await?;
    let since = SystemTime::now() - OVERLAP;
    // The stream itself says nothing before something happens.
    engine.answer(docker.ping()).await?;
    let words = ["create", "start", "die", "stop", "pause", "unpause", "destroy", "rename", "health_status"];
    let words = words.map(str::to_owned);
    let filters = [("type".to_owned(), vec!["container".to_owned()]), ("event".to_owned(), words.to_vec())].into();
    let options = EventsOptionsBuilder::default().since(&event_time(since)).filters(&filters).build();
    let mut events = std::pin::pin!(docker.events(Some(options)));
    if was_lost {
        // It answers again.
        watch.tell(watch.all()).await;
    }
    loop {
        let event = match engine.unless_gone(events.next()).await {
            Ok(Some(event)) => event,
            Ok(None) => break,
            Err(refusal) => {
                tracing::debug!(why = refusal.words(), "docker fell silent");
                break;
            }
        };
        match event {
            Ok(event) => watch.tell(watch.concerned(event)).await,
            Err(error) => {
                tracing::debug!(%error, "docker's event stream broke");
                break;
            }
        }
    }
    Ok(())
}
