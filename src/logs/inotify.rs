//! Waiting until a file, or the directory it belongs into, has changed.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How often is looked where the system offers no more watches.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Wakes up for one file: for writes to the file that is open, and for names that come, go and change in its directory. Writes to other files
/// in that directory wake nobody, which is why this is no watch on the directory alone.
#[derive(Debug)]
pub(super) struct Watch {
    queue: Option<AsyncFd<OwnedFd>>,
    directory: PathBuf,
    /// The watch on `directory`, or, until that exists, on the nearest directory above it.
    above: Option<(i32, PathBuf)>,
    file: Option<i32>,
}

impl Watch {
    /// Watches the directory of `path`, which need not exist. Needs a tokio runtime. Falls back to looking twice a second.
    pub(super) fn new(path: &Path) -> Self {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            Some(_) | None => PathBuf::from("."),
        };
        let queue = open_queue()
            .inspect_err(|error| tracing::warn!(%error, "cannot watch logs, looking twice a second instead"))
            .ok();
        let mut watch = Self { queue, directory, above: None, file: None };
        watch.watch_directory();
        watch
    }

    /// Watches this open file instead of the one before, whatever it is called by now.
    pub(super) fn watch_file(&mut self, file: &File) {
        let Some(queue) = &self.queue else { return };
        if let Some(before) = self.file.take() {
            // Gone by itself when the file was deleted.
            let _already_gone = remove_watch(queue, before);
        }
        // The path could name another file by now; this link cannot.
        let link = format!("/proc/self/fd/{}", file.as_raw_fd());
        match add_watch(queue, link, WatchFlags::MODIFY) {
            Ok(watch) => self.file = Some(watch),
            Err(error) => self.give_up(error),
        }
    }

    /// Waits until something may have changed since the last call returned. Cancel safe: what was not waited for is found by the next call.
    pub(super) async fn changed(&mut self) -> io::Result<()> {
        let Some(queue) = &self.queue else {
            tokio::time::sleep(LOOK_EVERY).await;
            return Ok(());
        };
        let mut ready = queue.readable().await?;
        let lost_directory = drain(queue.get_ref(), self.above.as_ref().map(|(watch, _)| *watch))?;
        ready.clear_ready();
        drop(ready);
        let is_below = self.above.as_ref().is_some_and(|(_, above)| *above == self.directory);
        if lost_directory || !is_below {
            self.watch_directory();
        }
        Ok(())
    }

    fn watch_directory(&mut self) {
        let Some(queue) = &self.queue else { return };
        let flags = WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let before = self.above.take();
        // Anew after each success higher up: the directory below may have come between the look and the watch.
        let mut highest: Option<PathBuf> = None;
        loop {
            let mut refused = Errno::NOENT;
            let found = self.directory.ancestors().map(or_here).find_map(|candidate| {
                match add_watch(queue, candidate, flags) {
                    Ok(watch) => Some((watch, candidate.to_owned())),
                    Err(error) => {
                        if error == Errno::NOSPC || error == Errno::NOMEM {
                            refused = error;
                        }
                        None
                    }
                }
            });
            let Some((watch, path)) = found else {
                self.give_up(refused);
                return;
            };
            let is_settled = path == self.directory || highest.as_ref() == Some(&path);
            highest = Some(path.clone());
            self.above = Some((watch, path));
            if is_settled {
                break;
            }
        }
        if let (Some((old, _)), Some((new, _))) = (before, &self.above)
            && old != *new
        {
            let _already_gone = remove_watch(queue, old);
        }
    }

    fn give_up(&mut self, error: Errno) {
        tracing::warn!(%error, "cannot watch {}, looking twice a second instead", self.directory.display());
        self.queue = None;
    }
}

/// A relative path has an empty last ancestor, which stands for the current directory.
fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

#[expect(
    deprecated,
    reason = "its replacement is unsafe, for types whose descriptor may change; an OwnedFd's never does"
)]
fn open_queue() -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?, Interest::READABLE)
}

/// Empties the queue, and says whether the directory that was watched has gone.
fn drain(queue: &OwnedFd, above: Option<i32>) -> io::Result<bool> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(queue, &mut buffer);
    let mut lost_directory = false;
    loop {
        match reader.next() {
            Ok(event) => {
                let gone = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::IGNORED | ReadFlags::UNMOUNT;
                lost_directory |= Some(event.wd()) == above && event.events().intersects(gone);
            }
            Err(Errno::AGAIN) => return Ok(lost_directory),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
