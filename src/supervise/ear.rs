//! Hears what happens to the leader's locks, and to the directories on the way to them.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;

use crate::host::descriptors::watchable;

/// How often the locks are looked at where the kernel does not tell of changes (128 inotify instances a user).
const POLL: Duration = Duration::from_secs(5);

/// The lock is free a moment after the kernel has told of its closing: looks that find nothing new are repeated after this, ...
const SHORTEST_ECHO: Duration = Duration::from_millis(5);

/// ... ten times that, and so on, up to this.
const LONGEST_ECHO: Duration = Duration::from_secs(1);

/// Listens to files that may not exist.
#[derive(Debug)]
pub(super) struct Ear {
    instance: Option<AsyncFd<OwnedFd>>,
    echo: Option<Duration>,
}

impl Ear {
    /// Inside a runtime with I/O and time enabled.
    pub(super) fn new() -> Self {
        let instance = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(io::Error::from);
        let instance = match instance.and_then(watchable) {
            Ok(instance) => Some(instance),
            Err(error) => {
                tracing::warn!(%error, "the leader's lock cannot be watched, looking at it every few seconds instead");
                None
            }
        };
        Self { instance, echo: None }
    }

    /// Listens to these files from now on: a note written, a writer's end, a removal, also of a directory above. Call it before each
    /// look; what happens after it is heard. Files that do not exist are waited for.
    pub(super) fn listen(&self, files: &[&Path]) {
        let Some(instance) = &self.instance else { return };
        let instance = instance.get_ref();
        let goes = WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF;
        for file in files {
            // Never the directory of the files that exist: it holds the FIFOs of all services, and each of their bytes would be told.
            let changes = goes | WatchFlags::ATTRIB | WatchFlags::CLOSE_WRITE | WatchFlags::MODIFY;
            let mut is_missing = inotify::add_watch(instance, *file, changes).is_err();
            for directory in file.ancestors().skip(1) {
                let comes = if is_missing { WatchFlags::CREATE | WatchFlags::MOVED_TO } else { WatchFlags::empty() };
                // Added to what is listened to already: another file may be missing in the same directory.
                let flags = goes | comes | WatchFlags::ONLYDIR | WatchFlags::MASK_ADD;
                if inotify::add_watch(instance, directory, flags).is_ok() {
                    is_missing = false;
                }
            }
        }
    }

    /// Waits until something happened, or may have happened. Cancel safe: what was not told is told the next time.
    pub(super) async fn heard(&mut self) {
        let rest = match (&self.instance, self.echo) {
            (_, Some(echo)) => echo,
            (None, None) => POLL,
            (Some(_), None) => Duration::MAX,
        };
        let has_news = match &self.instance {
            Some(instance) => tokio::select! {
                news = news(instance) => news,
                () = sleep(rest) => false,
            },
            None => {
                sleep(rest).await;
                false
            }
        };
        self.echo = match (has_news, self.echo) {
            (true, _) => Some(SHORTEST_ECHO),
            (false, Some(echo)) => Some(echo * 10).filter(|next| *next <= LONGEST_ECHO),
            (false, None) => None,
        };
    }
}

/// Waits for events and takes them all. An instance that fails is as silent as one without events.
async fn news(instance: &AsyncFd<OwnedFd>) -> bool {
    loop {
        let Ok(mut ready) = instance.readable().await else { std::future::pending().await };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(instance.get_ref().as_fd(), &mut buffer);
        let mut has_news = false;
        while reader.next().is_ok() {
            has_news = true;
        }
        ready.clear_ready();
        if has_news {
            return true;
        }
    }
}

async fn sleep(length: Duration) {
    if length == Duration::MAX {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(length).await;
}
