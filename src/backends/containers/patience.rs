//! Waiting for an engine: until one that has gone may be back, and until one that is silent proves to be gone.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Engine, Refusal};

/// The first pause before an engine is tried again. A socket that has just been made may not be listened on yet.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The pause grows up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// And up to this for a socket whose directory cannot be watched: to try one costs next to nothing.
const LONGEST_PAUSE_OF_A_SOCKET: Duration = Duration::from_secs(1);
/// How long a connection through a network may say nothing before the engine is asked whether it is still there. When the machine at the
/// other end goes without a word, nothing else would ever tell. A socket of this host cannot be silent in that way.
const SILENCE: Duration = Duration::from_secs(30);

/// Tries with growing pauses, and at once when the engine's socket appears.
#[derive(Debug)]
pub(super) struct Retry<'a> {
    engine: &'a Engine,
    pause: Duration,
    appeared: Arc<Notify>,
    watcher: Option<notify::RecommendedWatcher>,
}

impl<'a> Retry<'a> {
    pub(super) fn new(engine: &'a Engine) -> Self {
        Self { engine, pause: FIRST_PAUSE, appeared: Arc::default(), watcher: None }
    }

    /// It answered: the next loss begins with the shortest pause.
    pub(super) fn succeeded(&mut self) {
        self.pause = FIRST_PAUSE;
        self.watcher = None;
    }

    /// Until it is worth another try. Cancel safe.
    pub(super) async fn wait(&mut self) {
        let socket = self.engine.socket();
        if self.watcher.is_none() {
            self.watcher = socket.and_then(|socket| watch(socket, &self.appeared));
        }
        let longest = match (socket, &self.watcher) {
            (Some(_), None) => LONGEST_PAUSE_OF_A_SOCKET,
            (Some(_), Some(_)) | (None, _) => LONGEST_PAUSE,
        };
        tokio::select! {
            () = sleep(self.pause.min(longest)) => self.pause = (self.pause * 2).min(longest),
            () = self.appeared.notified() => {
                self.pause = FIRST_PAUSE;
                // A socket is bound before it is listened on.
                sleep(FIRST_PAUSE).await;
            }
        }
    }
}

/// Its directory is watched, since the file comes and goes.
fn watch(socket: &Path, appeared: &Arc<Notify>) -> Option<notify::RecommendedWatcher> {
    let (directory, name) = (socket.parent()?.to_owned(), socket.file_name()?.to_owned());
    let appeared = Arc::clone(appeared);
    let told = move |event: notify::Result<notify::Event>| {
        let is_it = event.is_ok_and(|event| {
            matches!(event.kind, notify::EventKind::Create(_) | notify::EventKind::Modify(_))
                && event.paths.iter().any(|path| path.file_name() == Some(&name))
        });
        if is_it {
            appeared.notify_one();
        }
    };
    let mut watcher = notify::recommended_watcher(told).ok()?;
    watcher.watch(&directory, RecursiveMode::NonRecursive).ok()?;
    Some(watcher)
}

impl Engine {
    /// Waits for `work`, which hears from the engine, but not for good when nobody is at the other end any more. As cancel safe as `work`.
    pub(super) async fn unless_gone<T>(&self, work: impl Future<Output = T>) -> Result<T, Refusal> {
        let mut work = std::pin::pin!(work);
        if self.socket().is_some() {
            return Ok(work.await);
        }
        loop {
            let silent = Instant::now() + SILENCE;
            tokio::select! {
                done = &mut work => return Ok(done),
                () = sleep_until(silent) => {
                    let docker = self.client().await?;
                    tokio::select! {
                        done = &mut work => return Ok(done),
                        answer = self.answer(docker.ping()) => drop(answer?),
                    }
                }
            }
        }
    }
}
