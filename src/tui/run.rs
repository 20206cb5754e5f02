//! The loop: waits for the first thing that happens, takes in what is queued, draws once if something visible changed.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use crossterm::event::Event as Input;
use futures::{Stream, StreamExt as _};
use jiff::Zoned;
use ratatui::Terminal;
use ratatui::backend::Backend;
use ratatui::layout::Size;
use tokio::sync::{mpsc, watch};

use super::desk::RegistryDesk;
use super::editor::Editor;
use super::effect::Effect;
use super::event::{Event, Moment};
use super::feed::LogFeed;
use super::icons::IconSet;
use super::own_log::OwnLog;
use super::shell::Shell;
use super::state::{Dialog, Redraw, State};
use super::terminal::{self, Guard, Keys};
use super::theme::ThemeSource;
use super::update::{first_effects, update};
use super::view::view;
use super::wake::next_change;
use crate::engine::handle::Handle;
use crate::engine::ports::UsageSource;
use crate::model::Leadership;

/// Between two frames that nobody asked for by a key: about 60 in a second.
const FRAME: Duration = Duration::from_millis(16);
/// Between two frames that answer keys, so that a held key stays smooth and a paste does not draw a thousand times.
const KEY_FRAME: Duration = Duration::from_millis(4);
/// How late small changes, such as latencies, may be seen.
const SOON: Duration = Duration::from_secs(1);
/// Reports on their way to the loop.
const REPORTS: usize = 64;
/// How many queued events are taken in before the screen is drawn again.
const DRAIN: usize = 256;

/// How the console looks and what it is given.
#[derive(Clone)]
pub struct ConsoleOptions {
    /// Which symbols the terminal can show.
    pub icons: IconSet,
    /// Where its themes come from, and which one was asked for.
    pub themes: ThemeSource,
    /// Whether clicks and the wheel are taken. The terminal's own selection then needs Shift.
    pub mouse: bool,
    /// What every equivalent command line ends with: ` --config FILE` where one was given, else nothing.
    pub flags: String,
    /// Where the lines of services come from.
    pub logs: Arc<dyn LogFeed>,
    /// The file of the timeline; `None` where there is none.
    pub timeline: Option<PathBuf>,
    /// What services use of the machine.
    pub usage: Arc<dyn UsageSource>,
    /// The directory that lines of logs are saved in.
    pub save_in: PathBuf,
    /// Who keeps the registry.
    pub desk: Arc<dyn RegistryDesk>,
    /// What opens the registry's file; `None` where there is no editor.
    pub editor: Option<Editor>,
    /// The console's own log, whose layer was put into the tracing subscriber.
    pub own_log: OwnLog,
    /// What it does when it opens.
    pub opening: Opening,
    /// Who leads; `None` as long as nobody has looked.
    pub leadership: watch::Receiver<Option<Leadership>>,
}

/// What a console does when it opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// It looks, and leaves everything as it is.
    Look,
    /// It starts all auto-start services, as the key does: the demo.
    StartAll,
}

impl fmt::Debug for ConsoleOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleOptions")
            .field("icons", &self.icons)
            .field("themes", &self.themes)
            .field("mouse", &self.mouse)
            .field("flags", &self.flags)
            .finish_non_exhaustive()
    }
}

/// How the console was left. Printed after the terminal was handed back, it says what keeps running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Why.
    pub cause: ExitCause,
    /// How many services run on.
    pub n_running: usize,
}

/// Why the console was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCause {
    /// A person asked for it.
    Asked,
    /// This signal came.
    Signal(&'static str),
    /// There is no terminal any more.
    TerminalGone,
    /// The engine has ended.
    EngineGone,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.n_running {
            0 => f.write_str("No services are running."),
            1 => f.write_str("1 service keeps running."),
            n => write!(f, "{n} services keep running."),
        }
    }
}

/// Why the console could not be opened, or had to be left.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// Exit code 2.
    #[error("the console needs a terminal; for scripts there are `provisioning platform status` and `--once`")]
    NotATerminal,
    /// The terminal failed.
    #[error("use the terminal")]
    Terminal(#[from] io::Error),
}

/// Something from outside that the loop hears first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    Input(Input),
    Leave(ExitCause),
}

/// Opens the console on this terminal and returns when it was left, with the terminal handed back.
///
/// Call it on a multi-thread runtime. Not cancel safe in one sense: when the call is dropped the terminal is handed back, but nothing
/// is said.
///
/// # Errors
/// [`ConsoleError::NotATerminal`] before anything was changed; [`ConsoleError::Terminal`] when it fails on the way.
pub async fn run_console(handle: Handle, options: ConsoleOptions) -> Result<Exit, ConsoleError> {
    if !terminal::is_terminal() {
        return Err(ConsoleError::NotATerminal);
    }
    let signals = terminal::signals()?;
    let watch = terminal::watch_for_hang_up()?;
    let guard = Guard::enter(options.mouse)?;
    let mut screen = Terminal::new(terminal::ScreenBackend::new())?;
    let keys = Keys::new();
    let mut own = OwnTerminal { guard, keys: keys.clone() };
    let keys = keys.map(|input| match input {
        Ok(input) => Heard::Input(input),
        Err(_) => Heard::Leave(ExitCause::TerminalGone),
    });
    // A stream that ends is a terminal that has gone.
    let keys = keys.chain(futures::stream::once(std::future::ready(Heard::Leave(ExitCause::TerminalGone))));
    let heard = futures::stream::select(futures::stream::select(signals, watch), keys);
    let exit = run(&mut screen, Box::pin(heard), &mut own, handle, &options, wall_clock).await;
    drop(own);
    match exit {
        // A terminal that has gone fails in whatever is tried first.
        Err(error) if is_gone(&error) => Ok(Exit { cause: ExitCause::TerminalGone, n_running: 0 }),
        other => Ok(other?),
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) || error.kind() == io::ErrorKind::BrokenPipe
}

/// Now, by both clocks. Follows tokio's clock, so that a paused one moves the console too.
fn wall_clock() -> Moment {
    Moment { now: tokio::time::Instant::now().into_std(), wall: Zoned::now() }
}

/// Who has the terminal: can lend it to another program for a while, and hand it more than a screen.
pub(crate) trait TerminalOwner {
    /// Gives the terminal away: no key is read, nothing is asked of it any more.
    fn lend(&mut self);

    /// Takes it again, as it was.
    ///
    /// # Errors
    /// The terminal's own.
    fn take_back(&mut self) -> io::Result<()>;

    /// Hands a text to the terminal's clipboard. Whether the terminal takes it is its own affair.
    ///
    /// # Errors
    /// The terminal's own.
    fn copy(&mut self, text: &str) -> io::Result<()>;
}

/// The terminal of this process.
struct OwnTerminal {
    guard: Guard,
    keys: Keys,
}

impl TerminalOwner for OwnTerminal {
    fn lend(&mut self) {
        // First, so that no answer to what the other program asks of the terminal is read here.
        self.keys.stop();
        self.guard.give_back();
    }

    fn take_back(&mut self) -> io::Result<()> {
        self.guard.take_again()?;
        self.keys.start();
        Ok(())
    }

    fn copy(&mut self, text: &str) -> io::Result<()> {
        terminal::copy(text)
    }
}

/// What woke the loop.
enum Woken {
    Heard(Option<Heard>),
    Report(Event),
    Snapshot(bool),
    OwnLog,
    Time,
}

/// The loop itself, on any screen and with any input.
pub(crate) async fn run<B, H>(
    screen: &mut Terminal<B>,
    mut heard: H,
    owner: &mut impl TerminalOwner,
    handle: Handle,
    options: &ConsoleOptions,
    clock: impl Fn() -> Moment,
) -> Result<Exit, B::Error>
where
    B: Backend,
    H: Stream<Item = Heard> + Unpin,
{
    let mut snapshots = handle.snapshots();
    let snapshot = snapshots.borrow_and_update().clone();
    let (reports_in, mut reports) = mpsc::channel(REPORTS);
    let mut shell = Shell::new(handle, options, reports_in);
    let mut state = State::new(clock(), screen.size()?, options.icons, options.flags.clone(), snapshot);
    let unusable = state.themes.open(&options.themes);
    state.dialogs.extend(
        unusable.map(|why| Dialog::Message { title: "The default theme is used".to_owned(), lines: vec![why] }),
    );
    let mut frames = Frames::default();
    for effect in first_effects(&mut state, options.opening) {
        shell.perform(effect);
    }
    let mut next = None;
    loop {
        let moment = clock();
        if !state.registry.is_lent && frames.due(state.redraw, moment.now).is_some_and(|due| due <= moment.now) {
            state.moment = moment;
            let theme = state.themes.theme();
            screen.draw(|frame| view(&state, theme, frame))?;
            state.redraw = Redraw::No;
            frames.drawn(state.moment.now);
            next = next_change(&state);
        }
        let now = clock().now;
        let due = frames.due(state.redraw, now).filter(|_| !state.registry.is_lent);
        let wake_at = [due, next, state.usage.due].into_iter().flatten().min();
        // Every arm is cancel safe: streams, channels and a timer.
        let woken = tokio::select! {
            biased;
            it = heard.next() => Woken::Heard(it),
            Some(event) = reports.recv() => Woken::Report(event),
            changed = snapshots.changed() => Woken::Snapshot(changed.is_ok()),
            () = options.own_log.grew() => Woken::OwnLog,
            () = sleep_until(wake_at) => Woken::Time,
        };
        let mut inbox = Vec::new();
        let mut leave = None;
        match woken {
            Woken::Heard(it) => leave = hear(it, &mut inbox),
            Woken::Report(event) => inbox.push(event),
            Woken::Snapshot(true) => {
                inbox.push(Event::SnapshotPublished(snapshots.borrow_and_update().clone()));
            }
            Woken::Snapshot(false) => leave = Some(ExitCause::EngineGone),
            Woken::OwnLog => inbox.push(Event::OwnLogGrew),
            Woken::Time => {
                // A frame that became due needs no event; a moment that came does.
                if next.is_some_and(|next| next <= clock().now) {
                    next = None;
                    inbox.push(Event::TimePassed);
                }
                if state.usage.due.is_some_and(|due| due <= clock().now) {
                    inbox.push(Event::UsageDue);
                }
            }
        }
        while leave.is_none() && inbox.len() < DRAIN {
            if let Poll::Ready(it) = poll_once(&mut heard).await {
                leave = hear(it, &mut inbox);
            } else if let Ok(event) = reports.try_recv() {
                inbox.push(event);
            } else {
                break;
            }
        }
        // The keys for an interrupt are meant for the program that has the terminal, and reach the console all the same.
        if state.registry.is_lent && matches!(leave, Some(ExitCause::Signal("SIGINT" | "SIGQUIT"))) {
            leave = None;
        }
        if inbox.iter().any(|event| matches!(event, Event::EditorLeft { .. })) {
            match owner.take_back() {
                Ok(()) => {
                    // `Terminal::clear` would ask the terminal where its cursor is, and the answer comes as a key.
                    screen.backend_mut().clear()?;
                    screen.swap_buffers();
                    // Nobody heard when it was resized meanwhile.
                    inbox.push(Event::Resized(screen.size()?));
                }
                Err(error) => {
                    tracing::error!(%error, "the terminal could not be taken back from the editor");
                    leave = Some(ExitCause::TerminalGone);
                }
            }
        }
        for event in inbox {
            for effect in update(&mut state, clock(), event) {
                if effect == Effect::Quit {
                    leave = Some(ExitCause::Asked);
                }
                if matches!(effect, Effect::Edit { .. }) && shell.has_editor() {
                    if state.registry.is_lent {
                        // A key that was typed before the editor had them.
                        continue;
                    }
                    state.registry.is_lent = true;
                    owner.lend();
                }
                if let Effect::Copy(text) = &effect
                    && let Err(error) = owner.copy(text)
                {
                    // A terminal that has gone is noticed with the next frame.
                    tracing::warn!(%error, "the terminal's clipboard could not be reached");
                }
                shell.perform(effect);
            }
        }
        if let Some(cause) = leave {
            return Ok(Exit { cause, n_running: state.snapshot.n_running() });
        }
    }
}

/// What is there without waiting. Looks with the loop's own waker: crossterm's stream keeps the first waker it sees until the next
/// event, and would wake nobody had it seen one that does nothing.
async fn poll_once<H: Stream + Unpin>(heard: &mut H) -> Poll<Option<H::Item>> {
    std::future::poll_fn(|context| Poll::Ready(heard.poll_next_unpin(context))).await
}

/// Turns what was heard into an event, or into a reason to leave.
fn hear(heard: Option<Heard>, inbox: &mut Vec<Event>) -> Option<ExitCause> {
    match heard {
        Some(Heard::Input(input)) => {
            inbox.extend(match input {
                Input::Key(key) => Some(Event::KeyPressed(key)),
                Input::Paste(text) => Some(Event::Pasted(text)),
                Input::Mouse(mouse) => Some(Event::MouseUsed(mouse)),
                Input::Resize(width, height) => Some(Event::Resized(Size { width, height })),
                Input::FocusGained | Input::FocusLost => None,
            });
            None
        }
        Some(Heard::Leave(cause)) => Some(cause),
        None => Some(ExitCause::TerminalGone),
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// When the next frame may be drawn.
#[derive(Default)]
struct Frames {
    last: Option<Instant>,
}

impl Frames {
    /// When a wish for a frame comes due; `None` without a wish.
    fn due(&self, wish: Redraw, now: Instant) -> Option<Instant> {
        let gap = match wish {
            Redraw::No => return None,
            Redraw::Soon => SOON,
            Redraw::Now => FRAME,
            Redraw::AtOnce => KEY_FRAME,
        };
        Some(self.last.map_or(now, |last| last + gap))
    }

    fn drawn(&mut self, at: Instant) {
        self.last = Some(at);
    }
}
