//! A platform by hand, and a console to look at it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::Zoned;
use jiff::civil::date;
use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Size;
use ratatui::style::Style;

use crate::model::history::Turn;
use crate::model::{
    Category, Check, Code, Diagnostic, Ending, ExitRecord, FailureReason, Health, HealthHistory, Instance, ProbeReport,
    ProbeVerdict, ProcessIdentity, Registry, RegistrySource, RestartOnFailure, Role, Sample, ServiceId,
    ServiceSnapshot, ServiceSpec, ServiceState, Severity, Snapshot,
};
use crate::testkit::builders::{registry, service};
use crate::tui::effect::Effect;
use crate::tui::event::{Event, Moment};
use crate::tui::feed::{LogEntry, LogPosition};
use crate::tui::icons::IconSet;
use crate::tui::run::Opening;
use crate::tui::state::State;
use crate::tui::theme::{ColourDepth, Theme};
use crate::tui::update::{first_effects, update};
use crate::tui::view::view;

/// A console without a loop: events go in by hand, time moves by hand.
pub(super) struct Console {
    pub(super) state: State,
}

pub(super) fn wall() -> Zoned {
    date(2025, 3, 1).at(14, 30, 5, 0).to_zoned(TimeZone::UTC).unwrap()
}

fn base() -> Moment {
    Moment { now: Instant::now() + Duration::from_secs(1_000_000), wall: wall() }
}

impl Console {
    pub(super) fn new(size: (u16, u16), icons: IconSet, build: impl FnOnce(Instant) -> Snapshot) -> Self {
        let start = base();
        let snapshot = Arc::new(build(start.now));
        let size = Size { width: size.0, height: size.1 };
        let mut state = State::new(start, size, icons, "", snapshot);
        let _ = first_effects(&mut state, Opening::Look);
        Self { state }
    }

    /// The guide's platform at that size.
    pub(super) fn demo(width: u16, height: u16) -> Self {
        let mut console = Self::new((width, height), IconSet::Emoji, demo);
        console.log(24);
        console
    }

    /// Takes an event in at the current moment.
    pub(super) fn event(&mut self, event: Event) -> Vec<Effect> {
        let moment = self.state.moment.clone();
        update(&mut self.state, moment, event)
    }

    /// Presses keys: letters, or names in angle brackets such as `<Enter>`, `<Tab>`, `<C-d>`.
    pub(super) fn press(&mut self, keys: &str) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut rest = keys;
        while let Some(c) = rest.chars().next() {
            let named = (c == '<').then(|| rest[1..].split_once('>')).flatten();
            let key = match named {
                Some((name, after)) => {
                    rest = after;
                    match name {
                        "Enter" => KeyEvent::from(KeyCode::Enter),
                        "Esc" => KeyEvent::from(KeyCode::Esc),
                        "Tab" => KeyEvent::from(KeyCode::Tab),
                        "BackTab" => KeyEvent::from(KeyCode::BackTab),
                        "Up" => KeyEvent::from(KeyCode::Up),
                        "Backspace" => KeyEvent::from(KeyCode::Backspace),
                        "PgUp" => KeyEvent::from(KeyCode::PageUp),
                        name if name.starts_with("C-") => {
                            KeyEvent::new(KeyCode::Char(name.chars().last().unwrap()), KeyModifiers::CONTROL)
                        }
                        other => panic!("no key is called {other}"),
                    }
                }
                None => {
                    rest = &rest[c.len_utf8()..];
                    KeyEvent::from(KeyCode::Char(c))
                }
            };
            effects.extend(self.event(Event::KeyPressed(key)));
        }
        effects
    }

    /// Moves both clocks on.
    pub(super) fn advance(&mut self, by: Duration) {
        let moment = &self.state.moment;
        let moment = Moment { now: moment.now + by, wall: moment.wall.checked_add(by).unwrap() };
        update(&mut self.state, moment, Event::TimePassed);
    }

    /// Publishes the snapshot after `change`.
    pub(super) fn publish(&mut self, change: impl FnOnce(&mut Snapshot)) {
        let mut snapshot = Snapshot::clone(&self.state.snapshot);
        snapshot.generation += 1;
        change(&mut snapshot);
        self.event(Event::SnapshotPublished(Arc::new(snapshot)));
    }

    /// Gives the followed log `n` lines.
    pub(super) fn log(&mut self, n: u64) {
        let entries = (0..n).map(|i| line(i, &log_text(i))).collect();
        let session = self.state.log.session;
        self.event(Event::LogArrived { session, entries });
    }

    pub(super) fn selected(&self) -> &str {
        self.state.board.selected.as_ref().map_or("", ServiceId::as_str)
    }

    /// The screen in the default theme.
    pub(super) fn buffer(&self, depth: ColourDepth) -> Buffer {
        self.drawn(&Theme::embedded(depth))
    }

    /// The screen in the theme that is on.
    pub(super) fn own_buffer(&self) -> Buffer {
        self.drawn(self.state.themes.theme())
    }

    fn drawn(&self, theme: &Theme) -> Buffer {
        let Size { width, height } = self.state.size;
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view(&self.state, theme, frame)).unwrap();
        terminal.backend().buffer().clone()
    }

    /// What is on the screen, row by row, without blanks at the ends.
    pub(super) fn screen(&self) -> String {
        rows(&self.buffer(ColourDepth::None)).join("\n")
    }
}

pub(super) fn position(offset: u64) -> LogPosition {
    LogPosition { file: 7, offset }
}

pub(super) fn line(at: u64, text: &str) -> LogEntry {
    LogEntry::Line { at: position(at), text: text.to_owned() }
}

fn log_text(i: u64) -> String {
    let (level, what) = match i % 7 {
        3 => ("WARN", "slow answer from the registry, 412 ms, trying again"),
        5 => ("ERROR", "connection to 127.0.0.1:5000 refused"),
        _ => ("INFO", "request handled method=GET path=/api/v1/tasks status=200 took=3ms"),
    };
    format!("2025-03-01T14:{:02}:{:02}Z {level} {what}", 29 + i / 60, i % 60)
}

/// The rows of a screen; the cell behind a wide character holds nothing of its own.
pub(super) fn rows(buffer: &Buffer) -> Vec<String> {
    let area = buffer.area;
    let row = |y: u16| {
        let mut text = String::new();
        let mut x = area.left();
        while x < area.right() {
            let symbol = buffer[(x, y)].symbol();
            text.push_str(symbol);
            x += u16::try_from(crate::tui::text::width(symbol).max(1)).unwrap();
        }
        text.trim_end().to_owned()
    };
    (area.top()..area.bottom()).map(row).collect()
}

/// The runs of equal style of each row, as `x..x style text`; text snapshots drop colour.
pub(super) fn styles(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut dump = String::new();
    for y in area.top()..area.bottom() {
        let mut x = area.left();
        while x < area.right() {
            let style = buffer[(x, y)].style();
            let from = x;
            let mut text = String::new();
            while x < area.right() && buffer[(x, y)].style() == style {
                text.push_str(buffer[(x, y)].symbol());
                x += 1;
            }
            let plain = Style::reset();
            if style.fg != plain.fg || style.bg != plain.bg || !style.add_modifier.is_empty() {
                let colours = format!("{:?} on {:?}", style.fg.unwrap_or_default(), style.bg.unwrap_or_default());
                let text = text.trim_end();
                dump.push_str(&format!("{y}:{from}..{x} {colours} {:?} {text:?}\n", style.add_modifier));
            }
        }
    }
    dump
}

pub(super) fn process(pid: u32) -> Instance {
    Instance::Process(ProcessIdentity { pid, start_ticks: 1, boot_id: "boot".to_owned(), pid_namespace: 1 })
}

pub(super) fn running(pid: u32, since: Instant, health: Health) -> ServiceState {
    ServiceState::Running { instance: process(pid), since, health }
}

pub(super) fn passed(millis: u64) -> ProbeReport {
    ProbeReport {
        verdict: ProbeVerdict::Passed,
        message: "HTTP status 200".to_owned(),
        took: Duration::from_millis(millis),
    }
}

pub(super) fn failed() -> ProbeReport {
    ProbeReport {
        verdict: ProbeVerdict::Failed,
        message: "connection refused".to_owned(),
        took: Duration::from_millis(2),
    }
}

/// Latencies in milliseconds, 0 for a failure; every 10 s, the newest just now.
pub(super) fn history(millis: &[u64]) -> Arc<HealthHistory> {
    let mut history = HealthHistory::default();
    let every = Duration::from_secs(10);
    history.pace(every);
    let newest: SystemTime = wall().timestamp().into();
    let ages = (0..millis.len() as u32).rev();
    for (n, age) in millis.iter().zip(ages) {
        let report = if *n == 0 { failed() } else { passed(*n) };
        history.push(Sample::answer(newest - every * age, &report, Turn::Same));
    }
    Arc::new(history)
}

pub(super) fn stopped(spec: &Arc<ServiceSpec>, now: Instant) -> ServiceSnapshot {
    ServiceSnapshot {
        spec: Arc::clone(spec),
        intent: None,
        state: ServiceState::Stopped,
        last_probe: None,
        preparing: None,
        history: Arc::default(),
        restarts: 0,
        last_exit: None,
        entered: now,
        next_probe: None,
        notes: Vec::new(),
        facts: Vec::new(),
    }
}

pub(super) fn snapshot_of(registry: Registry, now: Instant) -> Snapshot {
    let services = registry.services.iter().map(|spec| Arc::new(stopped(spec, now))).collect();
    Snapshot { generation: 1, registry: Arc::new(registry), services, role: Role::Follower }
}

/// Changes one service of a snapshot.
pub(super) fn change(snapshot: &mut Snapshot, name: &str, change: impl FnOnce(&mut ServiceSnapshot)) {
    let service = snapshot.services.iter_mut().find(|it| it.id().as_str() == name).unwrap();
    change(Arc::make_mut(service));
}

fn http(mut spec: ServiceSpec, category: Category, order: i64, port: u16) -> ServiceSpec {
    spec.category = category;
    spec.startup.start_order = order;
    spec.health_check.check = Check::Http {
        endpoint: format!("http://localhost:{port}/health"),
        expected_status: 200,
        method: "GET".to_owned(),
    };
    spec
}

/// The seven services of the guide: three well, one failed, one unhealthy, one starting, one stopped.
pub(super) fn demo(now: Instant) -> Snapshot {
    let mut orchestrator = http(service("orchestrator", ""), Category::Orchestration, 10, 9090);
    orchestrator.startup.restart_on_failure = RestartOnFailure::UpTo { max_restarts: 3 };
    orchestrator.startup.auto_start = true;
    orchestrator.description = "Coordinates workflows across the platform".to_owned();
    let mut registry = registry([
        orchestrator,
        http(service("control-center", "orchestrator"), Category::Ui, 20, 8081),
        http(service("coredns", ""), Category::Dns, 15, 8053),
        http(service("gitea", ""), Category::Git, 30, 3000),
        http(service("oci-registry", ""), Category::Registry, 25, 5000),
        http(service("mcp-server", "orchestrator"), Category::Api, 40, 8082),
        http(service("api-gateway", "orchestrator control-center mcp-server"), Category::Api, 45, 8083),
    ]);
    registry.source = RegistrySource::File("config/services.toml".into());
    let ago = |seconds: u64| now - Duration::from_secs(seconds);
    let mut snapshot = snapshot_of(registry, now);
    change(&mut snapshot, "orchestrator", |it| {
        it.state = running(12345, ago(3_700), Health::Healthy);
        it.history = history(&[14, 15, 22, 15, 14, 31, 15, 12, 14, 15, 16, 14, 15, 52, 15, 14, 13, 15]);
        it.last_probe = Some(passed(15));
        it.restarts = 1;
        it.last_exit = Some(ExitRecord {
            ending: Ending::Exited(7),
            at: (wall() - jiff::SignedDuration::from_secs(3_702)).timestamp().into(),
        });
    });
    change(&mut snapshot, "control-center", |it| {
        it.state = running(12346, ago(3_540), Health::Healthy);
        it.history = history(&[9, 9, 12, 9, 8, 9, 9, 10, 9, 9]);
        it.last_probe = Some(passed(9));
    });
    change(&mut snapshot, "gitea", |it| {
        it.state = ServiceState::Failed { reason: FailureReason::GaveUp { ending: Ending::Exited(1), restarts: 3 } };
        it.history = history(&[12, 14, 0, 60, 0, 0]);
        it.restarts = 3;
    });
    change(&mut snapshot, "oci-registry", |it| {
        it.state = running(12350, ago(64), Health::Unhealthy);
        it.history = history(&[3, 3, 4, 3, 0, 0, 0]);
        it.last_probe = Some(failed());
        it.notes = vec!["4096 bytes of log were dropped while the disk was full".to_owned()];
    });
    change(&mut snapshot, "mcp-server", |it| {
        it.state =
            ServiceState::Starting { instance: process(12360), since: ago(3), deadline: now + Duration::from_secs(27) };
    });
    snapshot
}

/// A registry in which something is wrong.
pub(super) fn with_problems(now: Instant) -> Snapshot {
    let mut snapshot = demo(now);
    let registry = Arc::make_mut(&mut snapshot.registry);
    registry.set_aside = vec!["vault".to_owned()];
    registry.diagnostics = vec![Diagnostic {
        code: Code::MissingKey,
        severity: Severity::Error,
        service: Some("vault".to_owned()),
        message: "`deployment.mode` is missing".to_owned(),
        place: None,
        label: None,
        related: Vec::new(),
        hint: None,
    }];
    snapshot
}

/// Many services in several categories, some with the longest names there can be.
pub(super) fn many(n: usize) -> impl FnOnce(Instant) -> Snapshot {
    move |now| {
        let services = (0..n).map(|i| {
            let tail = if i % 9 == 4 { "-with-a-name-that-goes-on-and-on-until-the-very-end" } else { "" };
            let needs = if i >= 3 { format!("svc-{:03}", i / 3 * 3 - 3) } else { String::new() };
            let mut spec =
                service(&format!("svc-{i:03}{tail}"), if (i / 3 * 3 + 9 - 3) % 9 == 4 { "" } else { &needs });
            spec.category = Category::ALL[i * Category::ALL.len() / n];
            spec
        });
        let mut snapshot = snapshot_of(registry(services), now);
        for i in 0..n {
            let name = snapshot.services[i].id().to_string();
            change(&mut snapshot, &name, |it| {
                if i % 4 != 3 {
                    let since = now - Duration::from_secs(7 * i as u64 * i as u64 + 5);
                    it.state = running(1000 + i as u32, since, Health::Healthy);
                    it.history = history(&[3, 5, 4 + i as u64 % 7, 9, 3]);
                    it.last_probe = Some(passed(3 + i as u64 % 90));
                }
            });
        }
        snapshot
    }
}
