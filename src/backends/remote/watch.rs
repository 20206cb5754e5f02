//! Asking again: at each service's own interval, while somebody listens.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::known::{Sight, is_up};
use super::{Inner, ask};
use crate::model::{ServiceId, ServiceSpec};

/// Hints on their way to the engine.
const CAPACITY: usize = 64;

/// A service that answered and does not is asked once more after this, before it is said: one lost packet is no outage.
const SECOND_QUESTION_AFTER: Duration = Duration::from_secs(1);

/// Ends with the backend.
pub(super) type Tasks = Mutex<JoinSet<()>>;

/// A new receiver of names. The task behind it ends when nobody listens.
pub(super) fn subscribe(inner: &Arc<Inner>) -> mpsc::Receiver<ServiceId> {
    let (to, receiver) = mpsc::channel(CAPACITY);
    let weak = Arc::downgrade(inner);
    let task = async move {
        let Some(inner) = weak.upgrade() else { return };
        tokio::select! {
            () = to.closed() => {}
            () = watch(&inner, &to) => {}
        }
    };
    inner.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    receiver
}

async fn watch(inner: &Inner, to: &mpsc::Sender<ServiceId>) {
    let mut asked = FuturesUnordered::new();
    loop {
        let due = inner.known.next_due().map(Instant::from_std);
        tokio::select! {
            () = inner.known.changed.notified() => {}
            () = sleep_until(due) => {
                for (spec, before) in inner.known.due(Instant::now().into_std()) {
                    asked.push(ask_again(inner, spec, before));
                }
            }
            Some(id) = asked.next() => {
                // Also when nothing changed but the latency. Nobody listens any more: then nobody needs to know.
                drop(to.send(id).await);
            }
        }
    }
}

async fn ask_again(inner: &Inner, spec: ServiceSpec, before: Sight) -> ServiceId {
    let mut answer = ask::ask(&inner.clients, &spec).await;
    if is_up(&before.answer) && !is_up(&answer) {
        tokio::time::sleep(SECOND_QUESTION_AFTER).await;
        answer = ask::ask(&inner.clients, &spec).await;
    }
    inner.known.learn_again(&spec, answer, Instant::now().into_std());
    spec.id
}

/// Cancel safe.
async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
