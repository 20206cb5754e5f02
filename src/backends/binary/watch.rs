//! Noticing changes without polling: the state directory through inotify, shims and services through their pidfds.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::host::descriptors::watchable;
use crate::host::process::Era;
use crate::model::{ProcessIdentity, ServiceId};
use crate::store::{Layout, STOPPED_SUFFIX};

/// Room for a burst: all services of a large platform changing at once.
const CAPACITY: usize = 1024;

/// Where inotify cannot be had (128 instances per user), every name is sent this often instead.
const POLLING_INTERVAL: Duration = Duration::from_secs(1);

/// Who is watched, and who wants to know. Std locks: held for moments, never across an await.
#[derive(Debug, Default)]
pub(super) struct Watches {
    senders: Mutex<Vec<mpsc::Sender<ServiceId>>>,
    known: Mutex<BTreeSet<ServiceId>>,
    watched: Mutex<HashSet<ProcessIdentity>>,
    tasks: Mutex<JoinSet<()>>,
}

impl Watches {
    /// A new receiver of names. The directory need not exist yet.
    pub(super) fn subscribe(this: &Arc<Self>, layout: Layout) -> mpsc::Receiver<ServiceId> {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        held(&this.senders).push(sender.clone());
        let weak = Arc::downgrade(this);
        this.run(async move {
            // Weakly, since the tasks belong to the watches and end with them.
            let known = || weak.upgrade().map(|watches| held(&watches.known).clone()).unwrap_or_default();
            while let Err(error) = watch_directory(&layout, &sender, &known).await {
                tracing::warn!(%error, "the state directory cannot be watched, looking at it every second instead");
                tokio::time::sleep(POLLING_INTERVAL).await;
                send_all(&sender, known()).await;
            }
        });
        receiver
    }

    /// Remembers a name, for when every name has to be sent.
    pub(super) fn know(&self, id: &ServiceId) {
        let mut known = held(&self.known);
        if !known.contains(id) {
            known.insert(id.clone());
        }
    }

    /// Sends `id` when this process ends. Once for each process.
    pub(super) fn watch_process(self: &Arc<Self>, era: &Era, id: &ServiceId, identity: &ProcessIdentity) {
        if held(&self.senders).is_empty() || !held(&self.watched).insert(identity.clone()) {
            return;
        }
        let pidfd = match era.open(identity) {
            Ok(pidfd) => pidfd,
            Err(error) => {
                tracing::warn!(%error, pid = identity.pid, "a process cannot be watched");
                held(&self.watched).remove(identity);
                return;
            }
        };
        let (weak, id, identity) = (Arc::downgrade(self), id.clone(), identity.clone());
        self.run(async move {
            // Gone already is the same as just ended.
            if let Some(pidfd) = pidfd {
                wait_for_end(pidfd).await;
            }
            let Some(watches) = weak.upgrade() else { return };
            held(&watches.watched).remove(&identity);
            let senders = held(&watches.senders).clone();
            drop(watches);
            for sender in senders {
                // Nobody listens any more: then nobody needs to know.
                drop(sender.send(id.clone()).await);
            }
        });
    }

    /// Runs a task that ends with these watches at the latest.
    pub(super) fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = held(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole at any moment, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn wait_for_end(pidfd: OwnedFd) {
    match watchable(pidfd) {
        Ok(watched) => {
            if let Err(error) = watched.readable().await {
                tracing::warn!(%error, "waiting on a pidfd failed");
            }
        }
        Err(error) => tracing::warn!(%error, "a pidfd cannot be waited on"),
    }
}

async fn send_all(to: &mpsc::Sender<ServiceId>, ids: BTreeSet<ServiceId>) {
    for id in ids {
        drop(to.send(id).await);
    }
}

/// Watches until nobody listens any more.
///
/// # Errors
/// When the kernel gives no instance or no watch.
async fn watch_directory(
    layout: &Layout,
    to: &mpsc::Sender<ServiceId>,
    known: &(impl Fn() -> BTreeSet<ServiceId> + Send + Sync),
) -> io::Result<()> {
    let state = layout.state();
    loop {
        let instance = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let is_there = arm(&instance, &state)?;
        if is_there {
            // What was written before the watch was set.
            send_all(to, known()).await;
        }
        let instance = watchable(instance)?;
        let mut is_armed = true;
        while is_armed {
            let mut ready = tokio::select! {
                ready = instance.readable() => ready?,
                () = to.closed() => return Ok(()),
            };
            let news = read_news(instance.get_ref())?;
            ready.clear_ready();
            drop(ready);
            is_armed = is_there && !news.is_gone;
            if news.is_incomplete {
                send_all(to, known()).await;
            }
            send_all(to, news.changed).await;
        }
    }
}

/// Watches `state`, or, while it does not exist, what is there of the way to it. Says which.
fn arm(instance: &OwnedFd, state: &Path) -> io::Result<bool> {
    let leaves = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
    loop {
        match inotify::add_watch(instance, state, leaves | WatchFlags::MOVED_TO | WatchFlags::DELETE) {
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::ACCESS) => {}
            Err(error) => return Err(error.into()),
        }
        let Some(ancestor) = state.ancestors().skip(1).find(|path| path.is_dir()) else {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        };
        match inotify::add_watch(instance, ancestor, leaves | WatchFlags::CREATE | WatchFlags::MOVED_TO) {
            Ok(_) => {}
            Err(rustix::io::Errno::NOENT) => continue,
            Err(error) => return Err(error.into()),
        }
        // The next part of the way may have come to be between the look and the watch.
        let is_still_nearest = state.ancestors().skip(1).find(|path| path.is_dir()) == Some(ancestor);
        if is_still_nearest && !state.is_dir() {
            return Ok(false);
        }
    }
}

#[derive(Default)]
struct News {
    changed: BTreeSet<ServiceId>,
    /// The directory itself went away.
    is_gone: bool,
    /// The kernel's queue overflowed.
    is_incomplete: bool,
}

fn read_news(instance: &OwnedFd) -> io::Result<News> {
    let mut news = News::default();
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(instance.as_fd(), &mut buffer);
    loop {
        let event = match reader.next() {
            Ok(event) => event,
            Err(rustix::io::Errno::AGAIN) => return Ok(news),
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        let gone = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::IGNORED | ReadFlags::UNMOUNT;
        news.is_gone |= event.events().intersects(gone);
        news.is_incomplete |= event.events().contains(ReadFlags::QUEUE_OVERFLOW);
        let name = event.file_name().and_then(|name| name.to_str().ok());
        let name = name.and_then(|name| name.strip_suffix(".json").or_else(|| name.strip_suffix(STOPPED_SUFFIX)));
        // Files that are being written aside begin with a dot, which no service's name does.
        if let Some(Ok(id)) = name.map(ServiceId::new) {
            news.changed.insert(id);
        }
    }
}
