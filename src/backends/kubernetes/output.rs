//! What the pods of a service print: one stream of lines of all containers, followed across restarts of a container and replacement of a
//! pod.
//!
//! A followed log ends in good order when the container ends, when its pod is deleted, and when the node's agent stops; nothing in the
//! stream tells which, so the watched pod decides what comes next. The same run is never read twice: while a container waits for its next
//! start, the server would replay the run that ended. Going on is by time stamps, which lose their fraction on the way: what was read of
//! that second is left out here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::StreamExt as _;
use futures::future::join_all;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::cluster::Ask;
use super::objects::{ContainerStatus, Pod, moment};
use super::refusal::{Kind, Refusal};
use super::shelf::{Collection, Shelf};
use super::watch::path_of;
use super::{KubernetesBackend, Place};
use crate::engine::ports::{Following, Output, OutputSource};
use crate::model::{Instance, ServiceId, ServiceSpec};

/// Batches on their way to the reader. One that is behind keeps the server waiting, not memory growing.
const BATCHES: usize = 8;
/// The most lines in one batch.
const BATCH: usize = 256;
/// The longest line, in bytes; what is longer goes on in the next line.
const MAX_LINE: usize = 1024 * 1024;
/// How long a log request may take to begin: a node that does not answer takes 10 s.
const OPENING: Duration = Duration::from_secs(15);
/// The first pause after a log that could not be read; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest one.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

impl OutputSource for KubernetesBackend {
    fn output(&self, spec: &ServiceSpec, n_lines: usize, following: Following) -> Option<mpsc::Receiver<Vec<Output>>> {
        let place = Place::of(spec).ok()?;
        let (to, receiver) = mpsc::channel(BATCHES);
        let reader = Reader {
            backend: self.clone(),
            shelf: self.watches.shelf(place.namespace),
            id: spec.id.clone(),
            namespace: place.namespace.to_owned(),
            name: place.name.to_owned(),
            n_lines,
            to,
        };
        let gone = reader.to.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = gone.closed() => {}
                _closed = reader.run(following) => {}
            }
        });
        Some(receiver)
    }
}

/// Nobody listens any more.
struct Closed;

/// One container of one pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Source {
    pod: String,
    uid: String,
    container: String,
}

/// Up to where a container's output was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Position {
    /// The newest moment that a line was written at.
    at: Option<jiff::Timestamp>,
    /// How many lines of that moment were read.
    n_then: usize,
}

/// A line with its moment.
struct Stamped {
    at: Option<jiff::Timestamp>,
    text: Vec<u8>,
}

/// What a follower says.
enum Said {
    Lines(Source, Vec<Vec<u8>>),
    Started(Option<SystemTime>),
    Problem(String),
}

struct Reader {
    backend: KubernetesBackend,
    shelf: Arc<Shelf>,
    id: ServiceId,
    namespace: String,
    name: String,
    n_lines: usize,
    to: mpsc::Sender<Vec<Output>>,
}

impl Reader {
    async fn run(self, following: Following) -> Result<(), Closed> {
        if following == Following::Yes {
            // Whoever waits for the first batch learns that there may be none.
            self.send(Vec::new()).await?;
        }
        let mut changes = self.shelf.changes();
        while !self.shelf.is_settled() && changes.changed().await.is_ok() {}
        let (lines, read, obstacle) = self.newest().await;
        let has_lines = !lines.is_empty();
        if has_lines {
            self.send(lines).await?;
        }
        if let Some(obstacle) = obstacle.filter(|_| !has_lines) {
            self.send(vec![obstacle]).await?;
        }
        match following {
            Following::No => Ok(()),
            Following::Yes => self.follow(read).await,
        }
    }

    async fn send(&self, batch: Vec<Output>) -> Result<(), Closed> {
        self.to.send(batch).await.map_err(|_| Closed)
    }

    /// All containers that have an output, with how they are.
    fn sources(&self) -> Vec<(Source, ContainerStatus)> {
        let view = self.shelf.view(&self.name);
        let of_pod = |pod: &Pod| {
            let source = |status: &ContainerStatus| Source {
                pod: pod.metadata.name.clone(),
                uid: pod.metadata.uid.clone(),
                container: status.name.clone(),
            };
            let statuses = pod.status.container_statuses.iter().filter(|it| !it.container_id.is_empty());
            statuses.map(|status| (source(status), status.clone())).collect::<Vec<_>>()
        };
        view.pods.iter().flat_map(of_pod).collect()
    }

    fn instance(&self) -> Option<Instance> {
        let deployment = self.shelf.view(&self.name).deployment?;
        let place = Place { namespace: &self.namespace, name: &self.name, manifests: None };
        Some(self.backend.instance(&place, &deployment))
    }

    /// Puts the pod before a line where there are several, and the container where it has several.
    fn prefix(&self, source: &Source) -> Vec<u8> {
        let view = self.shelf.view(&self.name);
        let n_living = view.pods.iter().filter(|pod| !pod.has_ended()).count();
        let has_several_pods = n_living > 1 || view.deployment.is_some_and(|it| it.wanted() > 1);
        let has_several_containers =
            view.pods.iter().any(|pod| pod.metadata.uid == source.uid && pod.spec.containers.len() > 1);
        match (has_several_pods, has_several_containers) {
            (false, false) => Vec::new(),
            (true, false) => format!("[{}] ", source.pod).into_bytes(),
            (false, true) => format!("[{}] ", source.container).into_bytes(),
            (true, true) => format!("[{}/{}] ", source.pod, source.container).into_bytes(),
        }
    }

    /// The newest lines of all containers in the order in which they were written, up to where that is read, and why there are none.
    async fn newest(&self) -> (Vec<Output>, BTreeMap<Source, (Position, String)>, Option<Output>) {
        let sources = self.sources();
        if sources.is_empty() {
            let view = self.shelf.view(&self.name);
            let obstacle = match view.pods_heard.problem.or(view.deployments.problem) {
                Some(refusal) => Output::Problem(refusal.words),
                None => Output::NoneYet(format!(
                    "No log yet: no pod of {} has started in the namespace {}",
                    self.name, self.namespace
                )),
            };
            return (Vec::new(), BTreeMap::new(), Some(obstacle));
        }
        let tails = join_all(sources.iter().map(|(source, _)| self.tail(source))).await;
        let (mut lines, mut read, mut obstacle) = (Vec::new(), BTreeMap::new(), None);
        for ((source, status), tail) in sources.into_iter().zip(tails) {
            match tail {
                Ok(tail) => {
                    let mut position = Position::default();
                    for line in tail {
                        position.pass(line.at);
                        lines.push((line.at, source.clone(), line.text));
                    }
                    read.insert(source, (position, status.container_id));
                }
                Err(refusal) if is_waiting(&refusal) => {}
                Err(refusal) => obstacle = Some(Output::Problem(format!("{}: {}", source.pod, refusal.words))),
            }
        }
        // By time; what was written at one moment stays as it was.
        lines.sort_by_key(|(at, ..)| *at);
        let surplus = lines.len().saturating_sub(self.n_lines);
        let lines = lines.into_iter().skip(surplus);
        let lines = lines.map(|(_, source, text)| Output::Line([self.prefix(&source), text].concat())).collect();
        (lines, read, obstacle)
    }

    async fn tail(&self, source: &Source) -> Result<Vec<Stamped>, Refusal> {
        let ask = log_of(&self.namespace, source).with("tailLines", self.n_lines.to_string());
        let (_, mut chunks) = self.backend.cluster.stream(&ask).await?;
        let mut lines = Lines::default();
        let mut found = Vec::new();
        while let Some(chunk) = chunks.next().await {
            found.extend(lines.push(&chunk?));
        }
        found.extend(lines.rest());
        Ok(found)
    }

    /// Follows what is there and what comes.
    async fn follow(&self, mut read: BTreeMap<Source, (Position, String)>) -> Result<(), Closed> {
        let (say, mut said) = mpsc::channel::<Said>(BATCHES);
        let mut followers: JoinSet<Source> = JoinSet::new();
        let mut followed: Vec<Source> = Vec::new();
        let mut changes = self.shelf.changes();
        let mut is_first = true;
        let mut told: Option<String> = None;
        loop {
            changes.mark_unchanged();
            for (source, _) in self.sources() {
                if followed.contains(&source) {
                    continue;
                }
                followed.push(source.clone());
                let (position, run) = read.remove(&source).unwrap_or_default();
                let follower = Follower {
                    backend: self.backend.clone(),
                    shelf: Arc::clone(&self.shelf),
                    namespace: self.namespace.clone(),
                    name: self.name.clone(),
                    source,
                    position,
                    run,
                    say: say.clone(),
                    is_new: !is_first,
                };
                followers.spawn(follower.run());
            }
            is_first = false;
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return Ok(()) },
                Some(ended) = followers.join_next(), if !followers.is_empty() => {
                    if let Ok(source) = ended {
                        followed.retain(|it| *it != source);
                    }
                }
                Some(news) = said.recv() => match news {
                    Said::Lines(source, lines) => {
                        told = None;
                        let prefix = self.prefix(&source);
                        let lines = lines.into_iter().map(|it| Output::Line([prefix.as_slice(), &it].concat()));
                        self.send(lines.collect()).await?;
                    }
                    Said::Started(at) => {
                        if let Some(instance) = self.instance() {
                            self.send(vec![Output::Started { instance, at }]).await?;
                        }
                    }
                    // Once, however often it is tried in vain.
                    Said::Problem(why) => if told.as_ref() != Some(&why) {
                        tracing::debug!(service = %self.id, why, "a log cannot be read");
                        self.send(vec![Output::Problem(why.clone())]).await?;
                        told = Some(why);
                    }
                },
            }
        }
    }
}

/// Follows one container until its pod is gone.
struct Follower {
    backend: KubernetesBackend,
    shelf: Arc<Shelf>,
    namespace: String,
    name: String,
    source: Source,
    position: Position,
    /// The run that was read, as far as it went.
    run: String,
    say: mpsc::Sender<Said>,
    /// It came after the reading began.
    is_new: bool,
}

impl Follower {
    async fn run(mut self) -> Source {
        let mut pause = FIRST_PAUSE;
        // The run that is read to its end.
        let mut finished = String::new();
        let mut changes = self.shelf.changes();
        loop {
            changes.mark_unchanged();
            let Some(status) = self.status() else { return self.source };
            let is_to_be_read = !status.container_id.is_empty() && status.container_id != finished;
            if !is_to_be_read {
                // Its next run, or its end.
                if changes.changed().await.is_err() {
                    return self.source;
                }
                continue;
            }
            if status.container_id != self.run {
                if self.is_new || !self.run.is_empty() {
                    let running = status.state.running.as_ref().and_then(|it| it.started_at.as_deref());
                    let ended = status.last_state.terminated.as_ref().and_then(|it| it.started_at.as_deref());
                    let at = running.or(ended).and_then(moment);
                    if self.say.send(Said::Started(at)).await.is_err() {
                        return self.source;
                    }
                }
                self.run = status.container_id.clone();
            }
            match self.read().await {
                Ok(()) => {
                    pause = FIRST_PAUSE;
                    // The stream tells no more than that it is over: the pod tells what is.
                    let is_over =
                        self.status().is_none_or(|now| now.container_id != self.run || now.state.running.is_none());
                    if is_over {
                        finished = self.run.clone();
                        continue;
                    }
                }
                Err(Stopped::Closed) => return self.source,
                Err(Stopped::Broken) => {}
                Err(Stopped::Refused(refusal)) if is_waiting(&refusal) => {}
                Err(Stopped::Refused(refusal)) => {
                    let why = format!("the log of {}: {}", self.source.pod, refusal.words);
                    if self.say.send(Said::Problem(why)).await.is_err() || refusal.kind == Kind::Forbidden {
                        // Allowed or not is not asked again and again.
                        std::future::pending::<()>().await;
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            // A change of the pod is worth another look at once.
            let _either = tokio::time::timeout(pause, changes.changed()).await;
        }
    }

    /// How its container is; `None` when its pod is gone.
    fn status(&self) -> Option<ContainerStatus> {
        let view = self.shelf.view(&self.name);
        let pod = view.pods.iter().find(|pod| pod.metadata.uid == self.source.uid)?;
        pod.status.container_statuses.iter().find(|it| it.name == self.source.container).cloned()
    }

    /// Reads until the stream ends.
    async fn read(&mut self) -> Result<(), Stopped> {
        let mut ask = log_of(&self.namespace, &self.source).with("follow", "true");
        if let Some(at) = self.position.at {
            ask = ask.with("sinceTime", at.to_string());
        }
        let (status, mut chunks) = self.backend.cluster.stream(&ask).await?;
        if status == 204 {
            return Ok(());
        }
        let mut skip = Skip::of(&self.position);
        let mut lines = Lines::default();
        while let Some(chunk) = chunks.next().await {
            // A connection that breaks is taken up again; whether the server is there shows then.
            let chunk = chunk.map_err(|_| Stopped::Broken)?;
            let found = lines.push(&chunk);
            self.pass_on(found, &mut skip).await?;
        }
        let rest = lines.rest().into_iter().collect();
        self.pass_on(rest, &mut skip).await
    }

    async fn pass_on(&mut self, found: Vec<Stamped>, skip: &mut Skip) -> Result<(), Stopped> {
        let mut texts = Vec::new();
        for line in found {
            if skip.is_known(line.at) {
                continue;
            }
            self.position.pass(line.at);
            texts.push(line.text);
        }
        while !texts.is_empty() {
            let rest = texts.split_off(BATCH.min(texts.len()));
            let lines = Said::Lines(self.source.clone(), std::mem::replace(&mut texts, rest));
            self.say.send(lines).await.map_err(|_| Stopped::Closed)?;
        }
        Ok(())
    }
}

/// Why reading stopped before the end.
enum Stopped {
    Closed,
    Broken,
    Refused(Refusal),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

fn log_of(namespace: &str, source: &Source) -> Ask {
    let path = format!("{}/{}/log", path_of(Collection::Pods, namespace), source.pod);
    Ask::get(format!("get pods/log of {}", source.pod), path)
        .with("container", source.container.as_str())
        .with("timestamps", "true")
        .limited(OPENING)
}

/// Its container has not started: 400 for each kind of waiting, the reason in the text alone. A pod that is just gone is 404.
fn is_waiting(refusal: &Refusal) -> bool {
    let is_starting = refusal.kind == Kind::Invalid
        && ["is waiting to start", "trying and failing to pull", "image can't be pulled", "has been terminated"]
            .iter()
            .any(|words| refusal.words.contains(words));
    is_starting || refusal.kind == Kind::Missing
}

impl Position {
    /// Counts a line.
    fn pass(&mut self, at: Option<jiff::Timestamp>) {
        match at {
            // A line without a moment changes nothing.
            None => {}
            Some(at) if self.at == Some(at) => self.n_then += 1,
            Some(at) => *self = Self { at: Some(at), n_then: 1 },
        }
    }
}

/// Leaves out what was read before.
struct Skip {
    to: Option<jiff::Timestamp>,
    n_then: usize,
}

impl Skip {
    fn of(position: &Position) -> Self {
        Self { to: position.at, n_then: position.n_then }
    }

    fn is_known(&mut self, at: Option<jiff::Timestamp>) -> bool {
        match (at, self.to) {
            (Some(at), Some(to)) if at < to => true,
            (Some(at), Some(to)) if at == to && self.n_then > 0 => {
                self.n_then -= 1;
                true
            }
            (Some(_) | None, Some(_) | None) => false,
        }
    }
}

/// Puts lines together from chunks and takes their moment off.
#[derive(Default)]
struct Lines {
    unfinished: Vec<u8>,
}

impl Lines {
    fn push(&mut self, chunk: &[u8]) -> Vec<Stamped> {
        let mut found = Vec::new();
        for part in chunk.split_inclusive(|&byte| byte == b'\n') {
            self.unfinished.extend_from_slice(part);
            if self.unfinished.ends_with(b"\n") || self.unfinished.len() >= MAX_LINE {
                found.extend(self.rest());
            }
        }
        found
    }

    fn rest(&mut self) -> Option<Stamped> {
        let line = std::mem::take(&mut self.unfinished);
        if line.is_empty() {
            return None;
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let at = line.iter().position(|&byte| byte == b' ').unwrap_or(line.len());
        let (time, rest) = line.split_at_checked(at).unwrap_or((line, b""));
        let stamp = std::str::from_utf8(time).ok().and_then(|time| time.parse::<jiff::Timestamp>().ok());
        let text = if stamp.is_some() { rest.get(1..).unwrap_or_default() } else { line };
        Some(Stamped { at: stamp, text: text.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, Position, Skip};

    fn texts(lines: &mut Lines, chunk: &str) -> Vec<String> {
        lines.push(chunk.as_bytes()).into_iter().map(|it| String::from_utf8(it.text).unwrap()).collect()
    }

    #[test]
    fn lines_are_put_together_and_lose_their_moment() {
        let mut lines = Lines::default();
        assert_eq!(texts(&mut lines, "2026-11-22T16:00:00.000000001Z a b\n2026-11-22T16:0"), ["a b"]);
        assert_eq!(texts(&mut lines, "0:01Z \nno moment\n2026-11-22T16:00:02Z end"), ["", "no moment"]);
        assert_eq!(lines.rest().unwrap().text, b"end");
    }

    #[test]
    fn what_was_read_of_a_second_is_left_out_and_nothing_else_is() {
        let stamp = |n: u32| format!("2026-11-22T16:00:00.00000000{n}Z").parse().ok();
        let mut position = Position::default();
        for n in [1, 2, 2] {
            position.pass(stamp(n));
        }
        let mut skip = Skip::of(&position);
        let known: Vec<bool> = [1, 2, 2, 2, 3].into_iter().map(|n| skip.is_known(stamp(n))).collect();
        assert_eq!(known, [true, true, true, false, false], "a third line of the same moment is new");
    }
}
