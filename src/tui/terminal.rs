//! The terminal: entered once, given back on every way out, watched for its end.

use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};
use std::panic::PanicHookInfo;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::ThreadId;

use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, EventStream,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use futures::{Stream, StreamExt as _};
use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use rustix::event::{EventfdFlags, PollFd, PollFlags};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::run::{ExitCause, Heard};

/// Whether there is a person to talk to: both ends of the console are terminals.
pub(super) fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Room for a whole frame of a large screen, so that it goes out in one write.
const FRAME_BYTES: usize = 64 * 1024;

/// The screen. Writes nothing at all for a frame in which nothing changed, and wraps the others so that they appear at once.
pub(super) struct ScreenBackend {
    inner: CrosstermBackend<BufWriter<Stdout>>,
    is_cursor_hidden: bool,
}

impl ScreenBackend {
    pub(super) fn new() -> Self {
        let writer = BufWriter::with_capacity(FRAME_BYTES, io::stdout());
        Self { inner: CrosstermBackend::new(writer), is_cursor_hidden: false }
    }
}

impl Backend for ScreenBackend {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut content = content.peekable();
        if content.peek().is_none() {
            return Ok(());
        }
        queue!(self.inner, BeginSynchronizedUpdate)?;
        self.inner.draw(content)?;
        queue!(self.inner, EndSynchronizedUpdate)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        // Asked for with every frame.
        if !self.is_cursor_hidden {
            self.inner.hide_cursor()?;
            self.is_cursor_hidden = true;
        }
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.is_cursor_hidden = false;
        // Ratatui prints a failure of this to standard error when it drops its terminal, which panics where that is gone too.
        if let Err(error) = self.inner.show_cursor() {
            tracing::debug!("failed to show the cursor: {error}");
        }
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        self.inner.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.inner.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.inner.clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.inner.clear_region(clear_type)
    }

    fn size(&self) -> io::Result<Size> {
        self.inner.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.inner.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        io::Write::flush(&mut self.inner)
    }
}

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync + 'static>;

/// Holds the terminal: alternate screen, raw mode, bracketed paste, the mouse where wished. Dropping it gives all of that back.
pub(super) struct Guard {
    has_mouse: bool,
    is_entered: Arc<AtomicBool>,
    previous_hook: Arc<Hook>,
}

impl Guard {
    /// Takes the terminal over. A panic of the console gives it back before its message is printed; a panic of another task goes to
    /// the log, since the console goes on.
    ///
    /// # Errors
    /// The terminal's own; it is given back as far as it was taken.
    pub(super) fn enter(has_mouse: bool) -> io::Result<Self> {
        let is_entered = Arc::new(AtomicBool::new(true));
        let previous_hook: Arc<Hook> = Arc::new(std::panic::take_hook());
        let (entered, previous) = (Arc::clone(&is_entered), Arc::clone(&previous_hook));
        let console = Execution::current();
        std::panic::set_hook(Box::new(move |info| {
            if Execution::current() == console || !entered.load(Ordering::SeqCst) {
                leave(&entered);
                previous(info);
            } else {
                tracing::error!("a task panicked: {info}");
            }
        }));
        let guard = Self { has_mouse, is_entered, previous_hook };
        take(has_mouse)?;
        Ok(guard)
    }

    /// Gives the terminal to another program, as it was found. Best effort, like leaving.
    pub(super) fn give_back(&self) {
        leave(&self.is_entered);
    }

    /// Takes the terminal over again.
    ///
    /// # Errors
    /// The terminal's own.
    pub(super) fn take_again(&self) -> io::Result<()> {
        self.is_entered.store(true, Ordering::SeqCst);
        take(self.has_mouse)
    }
}

fn take(has_mouse: bool) -> io::Result<()> {
    enable_raw_mode()?;
    let mut out = io::stdout();
    execute!(out, EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)?;
    if has_mouse {
        execute!(out, EnableMouseCapture)?;
    }
    Ok(())
}

/// Hands a text to the terminal's clipboard (OSC 52). Between two frames, whose writer is flushed by then.
///
/// # Errors
/// The terminal's own.
pub(super) fn copy(text: &str) -> io::Result<()> {
    execute!(io::stdout(), CopyToClipboard::to_clipboard_from(text))
}

/// The keys of this terminal, as a stream that can be silenced: while it is, nothing reads from the terminal.
#[derive(Clone)]
pub(super) struct Keys(Arc<Mutex<Option<EventStream>>>);

impl Keys {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(EventStream::new()))))
    }

    /// Ends the reading. Whoever polls meanwhile hears nothing.
    pub(super) fn stop(&self) {
        drop(self.stream().take());
    }

    /// Begins to read again. The loop that calls this polls next, so nobody has to be woken.
    pub(super) fn start(&self) {
        *self.stream() = Some(EventStream::new());
    }

    fn stream(&self) -> MutexGuard<'_, Option<EventStream>> {
        // A panic while it was held left it as good as before.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream for Keys {
    type Item = io::Result<crossterm::event::Event>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.stream().as_mut() {
            Some(stream) => stream.poll_next_unpin(context),
            None => Poll::Pending,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        leave(&self.is_entered);
        // The hook cannot be changed by a panicking thread, and has done its work then.
        if !std::thread::panicking() {
            let previous = Arc::clone(&self.previous_hook);
            std::panic::set_hook(Box::new(move |info| previous(info)));
        }
    }
}

/// Gives the terminal back, once. Best effort: a terminal that has gone cannot be given back, and nobody would read why.
fn leave(is_entered: &AtomicBool) {
    if !is_entered.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    let written = execute!(
        out,
        EndSynchronizedUpdate,
        DisableMouseCapture,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        cursor::Show
    );
    if let Err(error) = written.and_then(|()| out.flush()).and_then(|()| disable_raw_mode()) {
        tracing::debug!("failed to give the terminal back: {error}");
    }
}

/// Who executes: a task where there is one, the thread otherwise.
#[derive(Debug, PartialEq, Eq)]
enum Execution {
    Task(tokio::task::Id),
    Thread(ThreadId),
}

impl Execution {
    fn current() -> Self {
        tokio::task::try_id().map_or_else(|| Self::Thread(std::thread::current().id()), Self::Task)
    }
}

/// The signals that end a console, as a stream. Must be called on a runtime.
///
/// # Errors
/// When a handler cannot be put in place.
pub(super) fn signals() -> io::Result<impl Stream<Item = Heard>> {
    let kinds = [
        (SignalKind::terminate(), "SIGTERM"),
        (SignalKind::hangup(), "SIGHUP"),
        (SignalKind::interrupt(), "SIGINT"),
        (SignalKind::quit(), "SIGQUIT"),
    ];
    let mut streams = Vec::with_capacity(kinds.len());
    for (kind, name) in kinds {
        let receiver = signal(kind)?;
        streams.push(Box::pin(futures::stream::unfold(receiver, move |mut receiver| async move {
            receiver.recv().await.map(|()| (Heard::Leave(ExitCause::Signal(name)), receiver))
        })));
    }
    Ok(futures::stream::select_all(streams))
}

/// Says when the terminal hangs up. A thread of its own sleeps in `poll` for it, since the reader of keys may spin on a dead terminal
/// (crossterm issue 793) instead of ending.
///
/// # Errors
/// When the thread cannot be started.
pub(super) fn watch_for_hang_up() -> io::Result<impl Stream<Item = Heard>> {
    let stop = Arc::new(rustix::event::eventfd(0, EventfdFlags::CLOEXEC)?);
    let (gone, heard) = mpsc::channel(1);
    let stop_of_thread = Arc::clone(&stop);
    std::thread::Builder::new().name("terminal-watch".to_owned()).spawn(move || {
        let stdin = io::stdin();
        loop {
            // No event is asked for: a hang-up is always reported.
            let mut fds = [PollFd::new(&stdin, PollFlags::empty()), PollFd::new(&*stop_of_thread, PollFlags::IN)];
            match rustix::event::poll(&mut fds, None) {
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
                Ok(_) if !fds[1].revents().is_empty() => return,
                Ok(_) => break,
            }
        }
        // Fails only when the console has left by itself.
        drop(gone.blocking_send(Heard::Leave(ExitCause::TerminalGone)));
    })?;
    let watch = HangUp { heard, stop };
    Ok(futures::stream::unfold(watch, |mut watch| async move {
        match watch.heard.recv().await {
            Some(it) => Some((it, watch)),
            // The thread ended without a hang-up: nothing more will be heard, which is no reason to leave.
            None => std::future::pending().await,
        }
    }))
}

struct HangUp {
    heard: mpsc::Receiver<Heard>,
    stop: Arc<rustix::fd::OwnedFd>,
}

impl Drop for HangUp {
    fn drop(&mut self) {
        // Wakes the thread, which then ends.
        if let Err(error) = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes()) {
            tracing::debug!("failed to end the watch of the terminal: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use portable_pty::{CommandBuilder, PtySize, native_pty_system};

    use super::Guard;

    /// Set for the process that panics on a terminal of its own.
    const VARIABLE: &str = "PROVISIONING_TEST_PANICS_ON_THIS_TERMINAL";

    #[test]
    fn a_panic_hands_the_terminal_back_before_it_says_why() {
        if std::env::var_os(VARIABLE).is_some() {
            let _guard = Guard::enter(true).unwrap();
            panic!("deliberately");
        }
        let pty = native_pty_system().openpty(PtySize::default()).unwrap();
        let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
        let name = concat!(module_path!(), "::a_panic_hands_the_terminal_back_before_it_says_why");
        command.args(["--exact", name.split_once("::").unwrap().1, "--nocapture"]);
        command.env(VARIABLE, "1");
        let mut child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let mut reader = pty.master.try_clone_reader().unwrap();
        let mut bytes = Vec::new();
        // The end of the other side is an error here, after everything it wrote.
        let _ = reader.read_to_end(&mut bytes);
        assert!(!child.wait().unwrap().success());
        let text = String::from_utf8_lossy(&bytes);
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what:?} is not in {text:?}"));
        let order =
            [at("\u{1b}[?1049h"), at("\u{1b}[?1000h"), at("\u{1b}[?1000l"), at("\u{1b}[?1049l"), at("deliberately")];
        assert!(order.is_sorted(), "{text:?}");
        assert!(text.contains("\u{1b}[?25h"), "the cursor stayed hidden: {text:?}");
    }
}
