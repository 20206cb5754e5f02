//! The real loop with scripted input, a real engine over a pretended world, and a screen in memory.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event as Input, KeyCode, KeyEvent};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tokio::sync::mpsc;

use super::fixture::{line, rows, wall};
use crate::engine::handle::Handle;
use crate::engine::{Options, spawn};
use crate::lifecycle::machine::{Probing, Tending};
use crate::model::{Role, ServiceId};
use crate::testkit::builders::{checked_service, registry, service};
use crate::testkit::world::World;
use crate::tui::event::Moment;
use crate::tui::feed::{LogEntry, LogFeed, LogPosition};
use crate::tui::run::{Exit, ExitCause, Heard, TerminalOwner, run};
use crate::tui::{ColourDepth, ConsoleOptions, IconSet, OwnLog, ThemeSource};

/// Logs that say whose they are.
struct Named;

impl LogFeed for Named {
    fn follow(&self, service: &ServiceId, _n_lines: usize) -> mpsc::Receiver<Vec<LogEntry>> {
        let (sender, receiver) = mpsc::channel(4);
        let entry = line(0, &format!("{service} says hello"));
        tokio::spawn(async move {
            let _ = sender.send(vec![entry]).await;
            sender.closed().await;
        });
        receiver
    }

    fn earlier(&self, _: &ServiceId, _: LogPosition, _: usize) -> BoxFuture<'static, Result<Vec<LogEntry>, String>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// A terminal that is lent to nobody.
struct Nobody;

impl TerminalOwner for Nobody {
    fn lend(&mut self) {}

    fn take_back(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    fn copy(&mut self, _text: &str) -> std::io::Result<()> {
        Ok(())
    }
}

fn options() -> ConsoleOptions {
    ConsoleOptions {
        icons: IconSet::Emoji,
        themes: ThemeSource { dir: None, depth: ColourDepth::None, wanted: None },
        mouse: false,
        flags: String::new(),
        logs: Arc::new(Named),
        timeline: None,
        usage: Arc::new(crate::engine::ports::NoUsage),
        save_in: std::path::PathBuf::new(),
        opening: crate::tui::Opening::Look,
        desk: Arc::new(crate::tui::NoDesk),
        editor: None,
        own_log: OwnLog::new(),
        leadership: tokio::sync::watch::channel(None).1,
    }
}

fn engine(world: &Arc<World>) -> Handle {
    let services = registry([service("web", "database"), checked_service("database", "")]);
    spawn(
        services,
        world.ports(),
        Options { probing: Probing::Continuous, tending: Tending::Yes, role: Role::Follower },
    )
}

/// Opens a console, lets each key do its work, and returns how it was left and the last screen.
async fn session(handle: Handle, keys: &str, then: Option<ExitCause>) -> (Exit, String) {
    let mut screen = Terminal::new(TestBackend::new(100, 30)).unwrap();
    let keys: Vec<char> = keys.chars().collect();
    let heard = futures::stream::iter(keys).then(|key| async move {
        // The clock is paused: this lets everything that is under way come to rest first.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let code = if key == '\u{1b}' { KeyCode::Esc } else { KeyCode::Char(key) };
        Heard::Input(Input::Key(KeyEvent::from(code)))
    });
    let heard = heard.chain(futures::stream::iter(then).then(|cause| async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        Heard::Leave(cause)
    }));
    let start = tokio::time::Instant::now();
    let clock = move || {
        let now = tokio::time::Instant::now();
        Moment { now: now.into_std(), wall: wall().checked_add(now - start).unwrap() }
    };
    let exit = run(&mut screen, Box::pin(heard), &mut Nobody, handle, &options(), clock).await.unwrap();
    (exit, rows(screen.backend().buffer()).join("\n"))
}

#[tokio::test(start_paused = true)]
async fn a_service_is_started_with_what_it_needs_and_seen_running() {
    let world = World::new();
    let (exit, screen) = session(engine(&world), "s", Some(ExitCause::Signal("SIGTERM"))).await;
    assert_eq!(world.deeds(), ["start database", "start web"]);
    assert_eq!(exit, Exit { cause: ExitCause::Signal("SIGTERM"), n_running: 2 });
    assert!(screen.contains("Running 2/2"), "{screen}");
    assert!(screen.contains("web says hello"), "{screen}");
    assert!(screen.contains("2 started"), "{screen}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_would_break_something_is_forced_only_after_the_question() {
    let world = World::new();
    let (exit, _) = session(engine(&world), "sjxyx\u{1b}q", None).await;
    assert_eq!(world.deeds(), ["start database", "start web"], "neither y nor Escape stops anything");
    assert_eq!((exit.cause, exit.n_running), (ExitCause::Asked, 2));

    let world = World::new();
    let (exit, _) = session(engine(&world), "sjxfq", None).await;
    assert_eq!(world.deeds(), ["start database", "start web", "stop database"]);
    assert_eq!((exit.cause, exit.n_running), (ExitCause::Asked, 1));
}

#[tokio::test(start_paused = true)]
async fn the_log_of_the_selected_service_is_followed() {
    let world = World::new();
    let (_, screen) = session(engine(&world), "j", Some(ExitCause::TerminalGone)).await;
    assert!(screen.contains("database says hello") && !screen.contains("web says hello"), "{screen}");
}

#[tokio::test(start_paused = true)]
async fn input_that_ends_is_a_terminal_that_has_gone() {
    let world = World::new();
    let (exit, _) = session(engine(&world), "j", None).await;
    assert_eq!(exit.cause, ExitCause::TerminalGone);
}

#[test]
fn the_exit_says_what_keeps_running() {
    let exit = |n_running| Exit { cause: ExitCause::Asked, n_running }.to_string();
    assert_eq!(
        [exit(0), exit(1), exit(3)],
        ["No services are running.", "1 service keeps running.", "3 services keep running."]
    );
}
