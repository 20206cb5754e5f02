//! What a container prints: standard output and standard error as one stream of lines, followed across restarts and recreation.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bollard::container::LogOutput;
use bollard::query_parameters::{EventsOptionsBuilder, LogsOptionsBuilder};
use futures::StreamExt as _;
use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::mpsc;

use super::{Container, Engine, Refusal, event_time, moment};
use crate::engine::ports::{Following, Output};

/// Batches on their way to the reader. One that is behind keeps the engine waiting, not memory growing.
const BATCHES: usize = 8;
/// The most messages in one batch.
const BATCH: usize = 256;
/// The longest line, in bytes; what is longer goes on in the next line.
const MAX_LINE: usize = 1024 * 1024;
/// From one attempt to read to the next, when the stream broke or cannot be opened.
const PAUSE: Duration = Duration::from_millis(500);
/// The engine notes the start of a run when the process already prints: what is older than this is surely of an earlier run.
const STAMPING: Duration = Duration::from_secs(1);

/// Where a reader finds its container, again after each end.
pub(crate) trait Origin: Send + Sync {
    /// The container that is read, or why there is none.
    fn current(&self) -> BoxFuture<'_, Result<Container, NoContainer>>;

    /// The filter of the engine's events that its starts pass: a key and the values.
    fn starts(&self) -> (&'static str, Vec<String>);
}

/// Why there is nothing to read from.
pub(crate) enum NoContainer {
    /// There is none, in words.
    Missing(String),
    /// There is one that is not shown, in words.
    Foreign(String),
    /// The engine does not tell.
    Unknown(Refusal),
}

impl From<NoContainer> for Output {
    fn from(no_container: NoContainer) -> Self {
        match no_container {
            NoContainer::Missing(words) => Self::NoneYet(words),
            NoContainer::Foreign(words) => Self::Problem(words),
            NoContainer::Unknown(refusal) => Self::Problem(refusal.words().to_owned()),
        }
    }
}

/// See [`crate::engine::ports::OutputSource::output`].
pub(crate) fn read_output(
    engine: Arc<Engine>,
    origin: impl Origin + 'static,
    n_lines: usize,
    following: Following,
) -> mpsc::Receiver<Vec<Output>> {
    let (to, receiver) = mpsc::channel(BATCHES);
    spawn(Reader { engine, origin: Box::new(origin), n_lines, to: Listener::Plain(to), at: None }, following);
    receiver
}

/// The same with the moment of each piece, and a word when all is read that there was before.
pub(crate) fn read_timed_output(
    engine: Arc<Engine>,
    origin: impl Origin + 'static,
    n_lines: usize,
    following: Following,
) -> mpsc::Receiver<Heard> {
    let (to, receiver) = mpsc::channel(BATCHES);
    spawn(Reader { engine, origin: Box::new(origin), n_lines, to: Listener::Timed(to), at: None }, following);
    receiver
}

/// What one hears who wants to know when.
pub(crate) enum Heard {
    /// Pieces, each with the moment it was written at, where it has one.
    Pieces(Vec<(Option<SystemTime>, Output)>),
    /// What comes from now on was not there before.
    AllThatWas,
}

/// Who reads.
#[derive(Clone)]
enum Listener {
    Plain(mpsc::Sender<Vec<Output>>),
    Timed(mpsc::Sender<Heard>),
}

impl Listener {
    async fn closed(&self) {
        match self {
            Self::Plain(to) => to.closed().await,
            Self::Timed(to) => to.closed().await,
        }
    }
}

fn spawn(reader: Reader, following: Following) {
    let gone = reader.to.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = gone.closed() => {}
            () = reader.run(following) => {}
        }
    });
}

/// Up to where a container's output was read.
#[derive(Debug, Clone)]
struct Position {
    container: String,
    run: String,
    /// The newest moment that a line was written at, as the engine writes it.
    written_at: String,
    /// How many lines of that moment were read.
    n_then: usize,
    /// Nothing was read before.
    is_fresh: bool,
}

struct Reader {
    engine: Arc<Engine>,
    origin: Box<dyn Origin>,
    n_lines: usize,
    to: Listener,
    at: Option<Position>,
}

/// Nobody listens any more.
struct Closed;

impl Reader {
    async fn run(mut self, following: Following) {
        if following == Following::No {
            let obstacle = match self.origin.current().await {
                Ok(container) => match self.read(&container, following).await {
                    Ok(Ok(())) | Err(Closed) => return,
                    Ok(Err(refusal)) => Output::Problem(refusal.words().to_owned()),
                },
                Err(no_container) => no_container.into(),
            };
            return drop(self.send(vec![(None, obstacle)]).await);
        }
        // Whoever waits for the first batch learns that there may be none.
        if self.send(Vec::new()).await.is_err() {
            return;
        }
        let mut told = None;
        if let Listener::Timed(to) = self.to.clone() {
            if let Ok(container) = self.origin.current().await
                && let Err(Closed) = self.read(&container, Following::No).await
            {
                return;
            }
            if to.send(Heard::AllThatWas).await.is_err() {
                return;
            }
        }
        loop {
            let obstacle = match self.origin.current().await {
                Ok(container) => match self.read(&container, following).await {
                    Ok(Ok(())) => None,
                    Ok(Err(refusal)) => Some(Output::Problem(refusal.words().to_owned())),
                    Err(Closed) => return,
                },
                Err(no_container) => Some(no_container.into()),
            };
            // Once, however often it is tried in vain.
            if let Some(obstacle) = obstacle.as_ref().filter(|obstacle| told.as_ref() != Some(*obstacle))
                && self.send(vec![(None, obstacle.clone())]).await.is_err()
            {
                return;
            }
            told = obstacle;
            self.wait_for_a_start().await;
        }
    }

    /// Reads until the stream ends: at the end of what is there, or of the run.
    async fn read(&mut self, container: &Container, following: Following) -> Result<Result<(), Refusal>, Closed> {
        let docker = match self.engine.client().await {
            Ok(docker) => docker,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut options = LogsOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .timestamps(true)
            .follow(following == Following::Yes && container.is_running());
        let before = self.at.take();
        let is_same = before.as_ref().is_some_and(|at| at.container == container.id);
        // One that was only made so far has had no run before.
        let had_run = before.as_ref().is_some_and(|at| moment(&at.run).is_some());
        let is_new_run = had_run && before.as_ref().is_some_and(|at| !is_same || at.run != container.started_at);
        let (mut at, mut n_skip) = match before.filter(|_| is_same) {
            Some(at) => {
                // Whole seconds only: what of that second was read is left out below.
                let since = moment(&at.written_at).and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
                options = options.since(since.and_then(|at| i32::try_from(at.as_secs()).ok()).unwrap_or_default());
                let n_skip = at.n_then;
                (Position { is_fresh: false, ..at }, n_skip)
            }
            None => {
                let tail = if is_new_run { "all".to_owned() } else { self.n_lines.to_string() };
                options = options.tail(&tail);
                (
                    Position {
                        container: container.id.clone(),
                        run: String::new(),
                        written_at: String::new(),
                        n_then: 0,
                        is_fresh: true,
                    },
                    0,
                )
            }
        };
        at.run = container.started_at.clone();
        let read_to = at.written_at.clone();
        if is_new_run {
            let at = moment(&container.started_at);
            self.send(vec![(at, Output::Started { instance: container.instance(), at })]).await?;
        }
        // Where older runs of this container reach into the newest lines, this one's beginning is marked.
        let began = moment(&container.started_at);
        let is_before = |at: SystemTime| began.is_some_and(|began| at + STAMPING < began);
        let mut is_of_older_run = false;
        let mut lines = Lines::default();
        let mut messages = std::pin::pin!(docker.logs(&container.id, Some(options.build())).ready_chunks(BATCH));
        let mut result = Ok(());
        loop {
            // What is there already comes at once; what is followed may come at any time.
            let chunk = match following {
                Following::Yes => self.engine.unless_gone(messages.next()).await,
                Following::No => self.engine.answer(messages.next().map(Ok)).await,
            };
            let chunk = match chunk {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(refusal) => {
                    result = Err(refusal);
                    break;
                }
            };
            let mut batch = Vec::new();
            for message in chunk {
                match message {
                    Ok(message) => {
                        let (stream, bytes) = parts(&message);
                        let (written_at, text) = split_time(bytes);
                        if written_at < read_to.as_str() && !written_at.is_empty() {
                            continue;
                        }
                        if written_at == read_to && n_skip > 0 {
                            n_skip -= 1;
                            continue;
                        }
                        if written_at == at.written_at {
                            at.n_then += 1;
                        } else {
                            at.written_at = written_at.to_owned();
                            at.n_then = 1;
                        }
                        if at.is_fresh {
                            let is_older = moment(written_at).is_some_and(is_before);
                            if is_of_older_run && !is_older {
                                batch.push((began, Output::Started { instance: container.instance(), at: began }));
                            }
                            is_of_older_run = is_older;
                        }
                        if let Some(line) = lines.push(stream, text) {
                            let is_timed = matches!(self.to, Listener::Timed(_));
                            batch.push((is_timed.then(|| moment(written_at)).flatten(), Output::Line(line)));
                        }
                    }
                    Err(error) => result = Err(self.engine.refusal(&error)),
                }
            }
            self.at = Some(at.clone());
            if !batch.is_empty() {
                self.send(batch).await?;
            }
        }
        self.at = Some(at);
        let rest: Vec<_> = lines.rest().map(|line| (None, Output::Line(line))).collect();
        if !rest.is_empty() {
            self.send(rest).await?;
        }
        Ok(result)
    }

    async fn send(&self, batch: Vec<(Option<SystemTime>, Output)>) -> Result<(), Closed> {
        match &self.to {
            Listener::Plain(to) => {
                to.send(batch.into_iter().map(|(_, piece)| piece).collect()).await.map_err(|_| Closed)
            }
            Listener::Timed(to) => to.send(Heard::Pieces(batch)).await.map_err(|_| Closed),
        }
    }

    /// Waits until there may be more to read. Asks once, then listens.
    async fn wait_for_a_start(&self) {
        let since = match self.origin.current().await {
            Ok(container) => {
                let is_read = self.at.as_ref().is_some_and(|at| at.run == container.started_at);
                if !is_read || container.is_running() {
                    return tokio::time::sleep(PAUSE.min(Duration::from_millis(50))).await;
                }
                moment(&container.finished_at).unwrap_or_else(SystemTime::now)
            }
            Err(NoContainer::Missing(_) | NoContainer::Foreign(_)) => SystemTime::now(),
            Err(NoContainer::Unknown(_)) => return tokio::time::sleep(PAUSE).await,
        };
        let (key, values) = self.origin.starts();
        let filters = [
            ("type".to_owned(), vec!["container".to_owned()]),
            (key.to_owned(), values),
            ("event".to_owned(), vec!["start".to_owned()]),
        ];
        if let Ok(docker) = self.engine.client().await {
            let options = EventsOptionsBuilder::default().since(&event_time(since)).filters(&filters.into()).build();
            let mut events = std::pin::pin!(docker.events(Some(options)));
            if let Ok(Some(Ok(_))) = self.engine.unless_gone(events.next()).await {
                return;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Which of the two streams, and the bytes.
fn parts(message: &LogOutput) -> (usize, &[u8]) {
    match message {
        LogOutput::StdErr { message } => (1, message),
        LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => (0, message),
    }
}

/// Takes the moment off a message; of one length and in UTC, so that moments compare as text.
fn split_time(bytes: &[u8]) -> (&str, &[u8]) {
    let at = bytes.iter().position(|&byte| byte == b' ').unwrap_or(0);
    let (time, rest) = bytes.split_at_checked(at).unwrap_or((b"", bytes));
    match std::str::from_utf8(time) {
        Ok(time) if time.ends_with('Z') && moment(time).is_some() => (time, rest.get(1..).unwrap_or_default()),
        Ok(_) | Err(_) => ("", bytes),
    }
}

/// Puts lines together: a long one comes in several messages, and the two streams between each other.
#[derive(Debug, Default)]
struct Lines {
    unfinished: [Vec<u8>; 2],
}

impl Lines {
    fn push(&mut self, stream: usize, text: &[u8]) -> Option<Vec<u8>> {
        let unfinished = self.unfinished.get_mut(stream)?;
        match text.strip_suffix(b"\n") {
            Some(end) => {
                unfinished.extend_from_slice(end);
                Some(std::mem::take(unfinished))
            }
            None => {
                unfinished.extend_from_slice(text);
                (unfinished.len() >= MAX_LINE).then(|| std::mem::take(unfinished))
            }
        }
    }

    fn rest(self) -> impl Iterator<Item = Vec<u8>> {
        self.unfinished.into_iter().filter(|line| !line.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, split_time};

    #[test]
    fn the_moment_is_taken_off_and_nothing_else_is() {
        let time = "2026-11-22T19:27:08.123456789Z";
        assert_eq!(split_time(format!("{time} a b\n").as_bytes()), (time, &b"a b\n"[..]));
        assert_eq!(split_time(format!("{time} \n").as_bytes()), (time, &b"\n"[..]));
        for text in [&b"no moment here\n"[..], b"\n", b"", b"\xff\xfe z\n"] {
            assert_eq!(split_time(text), ("", text));
        }
    }

    #[test]
    fn a_line_in_pieces_is_one_line_whatever_comes_between() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(0, b"half "), None);
        assert_eq!(lines.push(1, b"error\n"), Some(b"error".to_vec()));
        assert_eq!(lines.push(0, b"a line\n"), Some(b"half a line".to_vec()));
        assert_eq!(lines.push(0, b"prompt"), None);
        assert_eq!(lines.rest().collect::<Vec<_>>(), [b"prompt".to_vec()]);
    }
}
