//! What our own programs log: to a file, and to the console's pane. Never to the terminal.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::file::{identity_of, rotated};
use super::{Tabs, sanitize};

/// The environment variable that says what is logged, in the syntax of `tracing_subscriber::EnvFilter`: `debug`,
/// `provisioning::engine=trace,warn`.
pub const FILTER_VARIABLE: &str = "PROVISIONING_LOG";

/// Ours is worth knowing; of the libraries, only what goes wrong.
const DEFAULT_FILTER: &str = "warn,provisioning=info";

/// At this length, in bytes, the file is rotated; one older file is kept.
const MAX_FILE: u64 = 1024 * 1024;

/// Where events go.
pub struct Sink {
    /// Appended to by every program that acts; made with the first event. `None` for commands that only read: they write nothing, not
    /// even a log.
    pub file: Option<PathBuf>,
    /// What fills the console's log pane, where there is one.
    pub pane: Option<PaneLayer>,
}

/// The console's own layer: the pane belongs to the console, and is handed in by whoever puts the program together.
pub type PaneLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Sends all events of this process to `sink`, from now on. Call once, first thing; without any sink, nothing is logged.
///
/// # Errors
/// When it was called before.
pub fn init(sink: Sink) -> Result<(), TryInitError> {
    let filter = std::env::var(FILTER_VARIABLE).unwrap_or_else(|_| DEFAULT_FILTER.to_owned());
    subscriber(sink, &filter).try_init()
}

fn subscriber(sink: Sink, filter: &str) -> impl tracing::Subscriber + for<'a> LookupSpan<'a> + Send + Sync {
    let is_wanted = sink.file.is_some() || sink.pane.is_some();
    // Unknown words in the filter are left out: a typing error there must not keep a program from running.
    let filter = if is_wanted { EnvFilter::builder().parse_lossy(filter) } else { EnvFilter::new("off") };
    let to_file = sink.file.map(|path| {
        tracing_subscriber::fmt::layer()
            .with_writer(OwnLog::new(path, MAX_FILE))
            .with_ansi(false)
            // They would go to the terminal.
            .log_internal_errors(false)
    });
    tracing_subscriber::registry().with(sink.pane).with(filter).with(to_file)
}

/// Our own log file: made when there is something to say, one line an event, rotated at its limit whoever else appends.
struct OwnLog {
    path: PathBuf,
    max_length: u64,
    file: Mutex<Option<File>>,
}

impl OwnLog {
    fn new(path: PathBuf, max_length: u64) -> Self {
        Self { path, max_length, file: Mutex::new(None) }
    }

    fn append(&self, event: &[u8]) -> io::Result<()> {
        // Names and messages in it come from outside. One event is one line, whatever they hold.
        let mut event = event.to_vec();
        event.iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
        let mut line = sanitize(&event, Tabs::Keep).into_owned();
        line.push('\n');

        // Held while a line is written, which keeps the lines of our threads apart. A panic while holding it left at worst a torn line.
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = match slot.take().filter(|file| is_at(file, &self.path)) {
            Some(file) => file,
            None => open(&self.path)?,
        };
        // One write to a file opened for appending: the lines of several programs don't mix.
        file.write_all(line.as_bytes())?;
        if file.metadata()?.len() >= self.max_length {
            rotate(&file, &self.path)?;
        } else {
            *slot = Some(file);
        }
        Ok(())
    }
}

/// Whether `file` still has its name: another program may have rotated it, or a person removed it.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.symlink_metadata()) {
        (Ok(ours), Ok(there)) => identity_of(&ours) == identity_of(&there),
        _ => false,
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let flags =
        OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.nlink() == 1 {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file of its own"))
    }
}

/// Of several programs that find the file too long, one rotates it: the one that gets the lock while the name is still there.
fn rotate(file: &File, path: &Path) -> io::Result<()> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) if is_at(file, path) => std::fs::rename(path, rotated(path, 1)),
        Ok(()) | Err(rustix::io::Errno::WOULDBLOCK) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl<'a> MakeWriter<'a> for OwnLog {
    type Writer = Entry<'a>;

    fn make_writer(&'a self) -> Entry<'a> {
        Entry { log: self }
    }
}

/// One event on its way to the file; the formatter writes it as a whole.
struct Entry<'a> {
    log: &'a OwnLog,
}

impl Write for Entry<'_> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.log.append(event)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_FILTER, OwnLog, Sink, rotated, subscriber};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::Context;

    fn log_in(dir: &tempfile::TempDir) -> PathBuf {
        dir.path().join("services/provisioning.log")
    }

    #[test]
    fn the_file_is_made_by_the_first_event_that_counts_and_is_ours_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = log_in(&dir);
        let sink = Sink { file: Some(path.clone()), pane: None };
        tracing::subscriber::with_default(subscriber(sink, DEFAULT_FILTER), || {
            tracing::debug!(target: "provisioning::test", "too quiet");
            assert!(!path.parent().unwrap().exists());
            tracing::info!(target: "provisioning::test", service = "api", "started \u{1b}[31m\r\nforged line");
        });
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 1, "{text:?}");
        assert!(text.contains("INFO provisioning::test: started ") && text.contains("service=\"api\""), "{text:?}");
        assert!(text.trim_end_matches('\n').chars().all(|shown| !shown.is_control()), "{text:?}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn without_a_file_nothing_is_written() {
        let sink = Sink { file: None, pane: None };
        tracing::subscriber::with_default(subscriber(sink, "trace"), || {
            assert!(!tracing::enabled!(tracing::Level::ERROR));
        });
    }

    /// Counts what reaches it.
    #[derive(Clone, Default)]
    struct Counter(Arc<AtomicUsize>);

    impl<S: tracing::Subscriber> Layer<S> for Counter {
        fn on_event(&self, _event: &tracing::Event<'_>, _context: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_pane_gets_what_passes_the_filter_also_without_a_file() {
        let counter = Counter::default();
        let sink = Sink { file: None, pane: Some(Box::new(counter.clone())) };
        tracing::subscriber::with_default(subscriber(sink, DEFAULT_FILTER), || {
            tracing::info!(target: "provisioning::test", "shown");
            tracing::debug!(target: "provisioning::test", "too quiet");
            tracing::info!(target: "library", "not ours");
            tracing::warn!(target: "library", "wrong");
        });
        assert_eq!(counter.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn the_file_is_rotated_at_its_limit_and_one_older_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = log_in(&dir);
        let logs = [OwnLog::new(path.clone(), 100), OwnLog::new(path.clone(), 100)];
        for n in 0..100 {
            logs[n % 2].append(format!("event {n:02}\n").as_bytes()).unwrap();
        }
        let old = fs::read_to_string(rotated(&path, 1)).unwrap();
        assert!(old.len() >= 100 && old.len() < 120, "{}", old.len());
        let new = fs::read_to_string(&path).unwrap_or_default();
        let kept = format!("{old}{new}");
        assert!(kept.ends_with("event 98\nevent 99\n"), "{kept}");
        assert!(!rotated(&path, 2).exists());
    }

    #[test]
    fn a_removed_file_is_made_anew_and_a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = log_in(&dir);
        let log = OwnLog::new(path.clone(), 1000);
        log.append(b"one\n").unwrap();
        fs::remove_file(&path).unwrap();
        log.append(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");

        let victim = dir.path().join("victim");
        fs::write(&victim, "").unwrap();
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        assert!(log.append(b"three\n").is_err());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "");
    }
}
