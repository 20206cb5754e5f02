//! What the containers of a service print: as one stream, each line with its container's name where there are several.

use std::collections::{BTreeSet, VecDeque};
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
use crate::backends::containers::{Container, Heard, NoContainer, Origin, Refusal, event_time, read_timed_output};
use crate::engine::ports::{Following, Output, OutputSource};
use crate::model::{ComposeSpec, ServiceId, ServiceSpec};

/// Batches on their way to the reader.
const BATCHES: usize = 8;
/// The most pieces in one of them, where they are put together here.
const BATCH: usize = 256;
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

/// Reads every container there is and, when followed, every one that comes. What was there before comes in the order of its moments.
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
        let is_first = known.is_empty();
        // Where there is none yet, or the engine does not tell, a reader says so and waits.
        if numbers.is_empty() && is_first {
            numbers.insert(FIRST);
        }
        let new: Vec<u32> = numbers.difference(&known).copied().collect();
        known.extend(&new);
        n_known.store(known.len(), Ordering::Relaxed);
        let mut heard: Vec<Reading> = new.into_iter().map(|number| origin.read(number, n_lines, following)).collect();
        if is_first {
            // Whoever waits for the first batch learns that there may be none.
            if following == Following::Yes && to.send(Vec::new()).await.is_err() {
                return;
            }
            for batch in in_order(&mut heard, n_lines, &n_known).await {
                if to.send(batch).await.is_err() {
                    return;
                }
            }
        }
        if following == Following::No {
            return;
        }
        for reading in heard {
            readers.spawn(pass_on(reading, to.clone(), Arc::clone(&n_known)));
        }
        origin.until_one_starts(&known, began).await;
    }
}

/// One container that is read.
struct Reading {
    number: u32,
    from: mpsc::Receiver<Heard>,
    /// What was heard and not yet told.
    pieces: VecDeque<(SystemTime, Output)>,
    /// What has no moment of its own was written with what came before.
    latest: SystemTime,
}

impl Reading {
    /// Whether there is a next piece of what was there before.
    async fn has_next(&mut self) -> bool {
        while self.pieces.is_empty() {
            let Some(Heard::Pieces(batch)) = self.from.recv().await else { return false };
            for (at, piece) in batch {
                self.latest = at.unwrap_or(self.latest);
                self.pieces.push_back((self.latest, piece));
            }
        }
        true
    }
}

/// The newest lines of all that was there before, in the order in which they were written.
async fn in_order(readings: &mut [Reading], n_lines: usize, n_known: &AtomicUsize) -> Vec<Vec<Output>> {
    let mut newest: VecDeque<Output> = VecDeque::new();
    let mut n_kept = 0;
    let is_line = |piece: &Output| matches!(piece, Output::Line(_));
    let mut open: Vec<&mut Reading> = readings.iter_mut().collect();
    while !open.is_empty() {
        let mut first: Option<(SystemTime, usize)> = None;
        let mut at = 0;
        while let Some(reading) = open.get_mut(at) {
            if !reading.has_next().await {
                open.remove(at);
                // Those after it moved up, and the first one may have been among them.
                first = None;
                at = 0;
                continue;
            }
            let begins = reading.pieces.front().map_or(SystemTime::UNIX_EPOCH, |(at, _)| *at);
            if first.is_none_or(|(earliest, _)| begins < earliest) {
                first = Some((begins, at));
            }
            at += 1;
        }
        let Some(reading) = first.and_then(|(_, at)| open.get_mut(at)) else { break };
        let Some((_, mut piece)) = reading.pieces.pop_front() else { break };
        name(&mut piece, reading.number, n_known);
        n_kept += usize::from(is_line(&piece));
        newest.push_back(piece);
        while n_kept > n_lines {
            n_kept -= usize::from(newest.pop_front().is_some_and(|piece| is_line(&piece)));
        }
    }
    let all: Vec<Output> = newest.into();
    all.chunks(BATCH).map(<[Output]>::to_vec).collect()
}

async fn pass_on(mut reading: Reading, to: mpsc::Sender<Vec<Output>>, n_known: Arc<AtomicUsize>) {
    while let Some(heard) = reading.from.recv().await {
        let Heard::Pieces(batch) = heard else { continue };
        let mut batch: Vec<Output> = batch.into_iter().map(|(_, piece)| piece).collect();
        for piece in &mut batch {
            name(piece, reading.number, &n_known);
        }
        if to.send(batch).await.is_err() {
            return;
        }
    }
}

/// Where there are several, each line tells which one it is of.
fn name(piece: &mut Output, number: u32, n_known: &AtomicUsize) {
    if let Output::Line(line) = piece
        && n_known.load(Ordering::Relaxed) > 1
    {
        line.splice(..0, format!("{number} | ").into_bytes());
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
    fn read(&self, number: u32, n_lines: usize, following: Following) -> Reading {
        let slot = Self { number: Some(number), ..self.clone() };
        let from = read_timed_output(Arc::clone(&self.backend.engine), slot, n_lines, following);
        Reading { number, from, pieces: VecDeque::new(), latest: SystemTime::UNIX_EPOCH }
    }

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
