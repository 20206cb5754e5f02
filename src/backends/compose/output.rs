//! What the containers of a service print: as one stream, each line with its container's name where there are several.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bollard::query_parameters::EventsOptionsBuilder;
use futures::StreamExt as _;
use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::place::{Located, PROJECT_LABEL, SERVICE_LABEL, number};
use super::{ComposeBackend, compose_spec};
use crate::backends::containers::{Container, NoContainer, Origin, Refusal, event_time, read_output};
use crate::engine::ports::{Following, Output, OutputSource};
use crate::model::{ComposeSpec, ServiceId, ServiceSpec};

/// Batches on their way to the reader.
const BATCHES: usize = 8;
/// The number of the first container of a service.
const FIRST: u32 = 1;
/// From one attempt to hear of new containers to the next.
const PAUSE: Duration = Duration::from_millis(500);

impl OutputSource for ComposeBackend {
    fn output(&self, spec: &ServiceSpec, n_lines: usize, following: Following) -> Option<mpsc::Receiver<Vec<Output>>> {
        let compose = compose_spec(spec).ok()?.clone();
        let (to, receiver) = mpsc::channel(BATCHES);
        let origin = Slot { backend: self.clone(), id: spec.id.clone(), compose, number: None };
        let gone = to.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = gone.closed() => {}
                () = read_all(origin, n_lines, following, to) => {}
            }
        });
        Some(receiver)
    }
}

/// Reads every container there is and, when followed, every one that comes.
async fn read_all(origin: Slot, n_lines: usize, following: Following, to: mpsc::Sender<Vec<Output>>) {
    let mut readers = JoinSet::new();
    let mut known = BTreeSet::new();
    let n_known = Arc::new(AtomicUsize::new(0));
    loop {
        let began = SystemTime::now();
        let mut numbers: BTreeSet<u32> = match origin.located().await {
            Ok(located) => located.containers.iter().map(number).collect(),
            Err(_) => BTreeSet::new(),
        };
        // Where there is none yet, or the engine does not tell, a reader says so and waits.
        if numbers.is_empty() && known.is_empty() {
            numbers.insert(FIRST);
        }
        let new: Vec<u32> = numbers.difference(&known).copied().collect();
        known.extend(&new);
        n_known.store(known.len(), Ordering::Relaxed);
        for number in new {
            let slot = Slot { number: Some(number), ..origin.clone() };
            readers.spawn(read_one(slot, n_lines, following, to.clone(), Arc::clone(&n_known)));
        }
        if following == Following::No {
            while readers.join_next().await.is_some() {}
            return;
        }
        origin.until_one_starts(&known, began).await;
    }
}

async fn read_one(
    slot: Slot,
    n_lines: usize,
    following: Following,
    to: mpsc::Sender<Vec<Output>>,
    n_known: Arc<AtomicUsize>,
) {
    let engine = Arc::clone(&slot.backend.engine);
    let number = slot.number.unwrap_or(FIRST);
    let mut from = read_output(engine, slot, n_lines, following);
    while let Some(mut batch) = from.recv().await {
        if n_known.load(Ordering::Relaxed) > 1 {
            for piece in &mut batch {
                if let Output::Line(line) = piece {
                    line.splice(..0, format!("{number} | ").into_bytes());
                }
            }
        }
        if to.send(batch).await.is_err() {
            return;
        }
    }
}

/// The place of one container among those of its service: by its number, which it keeps when it is made anew.
#[derive(Clone)]
struct Slot {
    backend: ComposeBackend,
    id: ServiceId,
    compose: ComposeSpec,
    /// `None` for all of them.
    number: Option<u32>,
}

impl Slot {
    async fn located(&self) -> Result<Located, Refusal> {
        let (record, _) = self.backend.records.read(&self.id);
        self.backend.locate(&self.compose, record.as_deref()).await
    }

    /// Returns when a container started since then that is not known, and when the engine was lost for a while.
    async fn until_one_starts(&self, known: &BTreeSet<u32>, since: SystemTime) {
        let (key, labels) = self.starts();
        let filters = [
            ("type".to_owned(), vec!["container".to_owned()]),
            ("event".to_owned(), vec!["start".to_owned()]),
            (key.to_owned(), labels),
        ];
        if let Ok(docker) = self.backend.engine.client().await {
            let options = EventsOptionsBuilder::default().since(&event_time(since)).filters(&filters.into()).build();
            let mut events = std::pin::pin!(docker.events(Some(options)));
            while let Some(Ok(_)) = events.next().await {
                let located = self.located().await;
                if located.is_ok_and(|located| located.containers.iter().any(|it| !known.contains(&number(it)))) {
                    return;
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Origin for Slot {
    fn current(&self) -> BoxFuture<'_, Result<Container, NoContainer>> {
        async move {
            let located = self.located().await.map_err(NoContainer::Unknown)?;
            let is_it = |it: &Container| self.number.is_none_or(|wanted| number(it) == wanted);
            // Of two with one number, one is about to replace the other.
            let newest = located.containers.into_iter().filter(is_it).max_by(|a, b| a.started_at.cmp(&b.started_at));
            newest.ok_or_else(|| {
                NoContainer::Missing(format!("No log yet: there is no container of {}", self.compose.service_name))
            })
        }
        .boxed()
    }

    fn starts(&self) -> (&'static str, Vec<String>) {
        let mut labels = vec![format!("{SERVICE_LABEL}={}", self.compose.service_name)];
        if let Some(project) = &self.compose.project_name {
            labels.push(format!("{PROJECT_LABEL}={project}"));
        }
        ("label", labels)
    }
}
