//! The kernel's events about some places, boiled down to "something changed" and whether a writer seems to be at it still.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use super::places::Places;

/// File systems whose changes by other machines raise no events (statfs(2)): NFS, SMB, SMB2, CIFS, FUSE, 9P, Ceph.
const WITHOUT_EVENTS: [u32; 7] = [0x6969, 0x517b, 0xfe53_4d42, 0xff53_4d42, 0x6573_5546, 0x0102_1997, 0x00c3_6400];

/// How far the newest change seems to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Done: renamed, closed, removed, given other permissions.
    Done,
    /// Made, so that something may follow.
    Made,
    /// Written to and not closed.
    Written,
}

impl Phase {
    /// How long it has to be quiet before the file is read.
    fn quiet(self) -> Duration {
        match self {
            Self::Done => Duration::from_millis(50),
            Self::Made => Duration::from_millis(100),
            // A writer that never closes, as with a mapped file, is believed then.
            Self::Written => Duration::from_secs(1),
        }
    }
}

/// What was heard since the last time.
#[derive(Debug, Default)]
pub(super) struct Heard {
    news: Notify,
    phase: AtomicU8,
    /// Whether a watched directory itself went, so that its watch is worth nothing any more.
    is_deaf: AtomicBool,
}

impl Heard {
    /// Cancel safe: news that came in between are there the next time.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    pub(super) fn quiet(&self) -> Duration {
        match self.phase.load(Ordering::SeqCst) {
            0 => Phase::Done,
            1 => Phase::Made,
            _ => Phase::Written,
        }
        .quiet()
    }

    fn tell(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::SeqCst);
        self.news.notify_one();
    }
}

/// A watch of some places.
#[derive(Debug)]
pub(super) struct Ear {
    places: Places,
    heard: Arc<Heard>,
    /// `None` where the kernel tells nothing: then somebody has to look from time to time.
    watcher: Option<RecommendedWatcher>,
}

impl Ear {
    /// Begins to watch. Where that cannot be, [`Ear::is_deaf`] says so.
    pub(super) fn new(places: Places, may_listen: bool) -> Self {
        let heard = Arc::new(Heard::default());
        let is_told = may_listen && places.directories.iter().all(|directory| !is_without_events(directory));
        let watcher = is_told.then(|| watcher(&places, &heard)).and_then(|made| match made {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                tracing::warn!(%error, "the registry cannot be watched; it is looked at every two seconds instead");
                None
            }
        });
        Self { places, heard, watcher }
    }

    pub(super) fn heard(&self) -> &Arc<Heard> {
        &self.heard
    }

    /// Whether nothing will be heard.
    pub(super) fn is_deaf(&self) -> bool {
        self.watcher.is_none()
    }

    /// Whether it watches these places and still can.
    pub(super) fn is_at(&self, places: &Places) -> bool {
        self.places == *places && !self.heard.is_deaf.load(Ordering::SeqCst)
    }
}

fn watcher(places: &Places, heard: &Arc<Heard>) -> notify::Result<RecommendedWatcher> {
    let (of_handler, heard) = (places.clone(), Arc::clone(heard));
    let handler = move |event: notify::Result<notify::Event>| match event {
        Ok(event) => take(&of_handler, &heard, &event),
        // Whatever was missed is found by reading.
        Err(_) => heard.tell(Phase::Done),
    };
    let mut watcher = notify::recommended_watcher(handler)?;
    for directory in &places.directories {
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

fn take(places: &Places, heard: &Heard, event: &notify::Event) {
    let phase = match event.kind {
        // Our own reading raises the other kinds of access.
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Phase::Done,
        EventKind::Access(_) => return,
        EventKind::Create(_) => Phase::Made,
        EventKind::Modify(ModifyKind::Data(_)) => Phase::Written,
        EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Any | EventKind::Other => Phase::Done,
    };
    if event.need_rescan() {
        return heard.tell(Phase::Done);
    }
    let is_gone = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
    if is_gone && event.paths.iter().any(|path| places.directories.contains(path)) {
        heard.is_deaf.store(true, Ordering::SeqCst);
    }
    if event.paths.iter().any(|path| places.matter(path)) {
        heard.tell(phase);
    }
}

fn is_without_events(directory: &Path) -> bool {
    rustix::fs::statfs(directory)
        .is_ok_and(|found| u32::try_from(found.f_type & 0xffff_ffff).is_ok_and(|kind| WITHOUT_EVENTS.contains(&kind)))
}
