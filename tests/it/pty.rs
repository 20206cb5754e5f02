//! The console in a real pseudo-terminal: keys, resizes, and the terminal handed back whatever happens.

use std::io::Read as _;
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tempfile::TempDir;

/// Everything has to happen within this.
const DEADLINE: Duration = Duration::from_secs(20);

const REGISTRY: &str = r#"
[services.database]
type = "platform"
category = "registry"
description = "keeps things"
[services.database.deployment]
mode = "binary"
[services.database.deployment.binary]
binary_path = "/bin/sh"
args = ["-c", "echo 'database is \u001b[31mup\u0007'; exec sleep 1000"]

[services.web]
type = "platform"
category = "ui"
description = "shows things"
dependencies = ["database"]
[services.web.deployment]
mode = "binary"
[services.web.deployment.binary]
binary_path = "/bin/sleep"
args = ["1000"]
"#;

/// The console on a terminal of its own, in a home of its own.
pub(crate) struct Console {
    pub(crate) home: TempDir,
    child: Box<dyn Child + Send + Sync>,
    master: Option<Box<dyn MasterPty + Send>>,
    screen: Arc<Mutex<Seen>>,
    is_reading: Arc<AtomicBool>,
}

/// What came out of the terminal.
struct Seen {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

impl Console {
    fn open(columns: u16, rows: u16) -> Self {
        let home = tempfile::tempdir().unwrap();
        let registry = home.path().join("services.toml");
        std::fs::write(&registry, REGISTRY).unwrap();
        Self::open_in(home, columns, rows, |command| command.args(["--config".as_ref(), registry.as_os_str()]))
    }

    /// The console in a home that is there already, with further arguments and variables.
    pub(crate) fn open_in(home: TempDir, columns: u16, rows: u16, configure: impl FnOnce(&mut CommandBuilder)) -> Self {
        let pty = native_pty_system().openpty(size(columns, rows)).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_provisioning-tui"));
        command.env("PROVISIONING_SUPERVISE", "off");
        command.cwd(home.path());
        command.env("HOME", home.path());
        command.env("PROVISIONING_SERVICES_DIR", home.path().join("services"));
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        command.env("LC_ALL", "C.UTF-8");
        command.env_remove("NO_COLOR");
        configure(&mut command);
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let new_size = |n| NonZeroU16::new(n).unwrap();
        let parser = vt100::Parser::new(new_size(rows), new_size(columns), 0);
        let screen = Arc::new(Mutex::new(Seen { parser, bytes: Vec::new() }));
        let mut reader = pty.master.try_clone_reader().unwrap();
        let seen = Arc::clone(&screen);
        let is_reading = Arc::new(AtomicBool::new(true));
        let goes_on = Arc::clone(&is_reading);
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while goes_on.load(Ordering::SeqCst) {
                let Ok(n @ 1..) = reader.read(&mut buffer) else { return };
                let mut seen = seen.lock().unwrap();
                seen.parser.process(&buffer[..n]);
                seen.bytes.extend_from_slice(&buffer[..n]);
            }
        });
        Self { home, child, master: Some(pty.master), screen, is_reading }
    }

    pub(crate) fn type_keys(&self, writer: &mut dyn std::io::Write, keys: &str) {
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    pub(crate) fn writer(&self) -> Box<dyn std::io::Write + Send> {
        self.master.as_ref().unwrap().take_writer().unwrap()
    }

    pub(crate) fn text(&self) -> String {
        self.screen.lock().unwrap().parser.screen().contents()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.screen.lock().unwrap().bytes.clone()
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str) {
        self.wait(what, || self.text().contains(what));
    }

    #[track_caller]
    pub(crate) fn wait(&self, what: &str, holds: impl Fn() -> bool) {
        let begin = Instant::now();
        while !holds() {
            assert!(begin.elapsed() < DEADLINE, "{what:?} did not come:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn resize(&self, columns: u16, rows: u16) {
        let new_size = |n| NonZeroU16::new(n).unwrap();
        self.screen.lock().unwrap().parser.screen_mut().set_size(new_size(rows), new_size(columns));
        self.master.as_ref().unwrap().resize(size(columns, rows)).unwrap();
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits for the end and says how long that took.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> Duration {
        let begin = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(begin.elapsed() < DEADLINE, "the console did not end:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(5));
        }
        begin.elapsed()
    }

    /// The main screen is back, with its cursor, and nothing is asked of the terminal any more.
    #[track_caller]
    pub(crate) fn assert_handed_back(&self) {
        self.wait("the main screen", || !self.screen.lock().unwrap().parser.screen().alternate_screen());
        let seen = self.screen.lock().unwrap();
        assert!(!seen.parser.screen().hide_cursor(), "the cursor stayed hidden");
        assert!(!seen.parser.screen().bracketed_paste(), "bracketed paste stayed on");
        assert_eq!(seen.parser.screen().mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        drop(seen);
        assert!(self.is_cooked(), "lines are not edited and echoed by the terminal again");
    }

    /// Whether the terminal edits and echoes lines, as a shell wants it.
    pub(crate) fn is_cooked(&self) -> bool {
        use rustix::termios::{LocalModes, tcgetattr};
        let tty = std::fs::File::open(self.master.as_ref().unwrap().tty_name().unwrap()).unwrap();
        tcgetattr(&tty).unwrap().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            let _ = self.child.wait();
        }
        stop_services(self.home.path());
    }
}

/// Services outlive the console by design; those of a test must not outlive the test.
fn stop_services(home: &Path) {
    let stopped = std::process::Command::new(env!("CARGO_BIN_EXE_provisioning"))
        .env("PROVISIONING_SUPERVISE", "off")
        .arg("--config")
        .arg(home.join("services.toml"))
        .args(["platform", "stop", "--force"])
        .env("HOME", home)
        .env("PROVISIONING_SERVICES_DIR", home.join("services"))
        .output();
    drop(stopped);
}

#[test]
fn keys_start_services_and_refuse_what_would_break_one_and_quitting_stops_nothing() {
    let mut console = Console::open(100, 30);
    let mut keys = console.writer();
    console.wait_for("Running 0/2");
    console.type_keys(&mut keys, "js");
    console.wait_for("Running 2/2");
    console.type_keys(&mut keys, "kx");
    console.wait_for("dependent services are running");
    console.type_keys(&mut keys, "\u{1b}");
    console.wait("the question to close", || !console.text().contains("dependent services"));
    console.wait_for("database is up");
    console.type_keys(&mut keys, "q");
    console.ended();
    console.assert_handed_back();
    let pids = console.home.path().join("services/pids");
    for name in ["database", "web"] {
        let pid = std::fs::read_to_string(pids.join(format!("{name}.pid"))).unwrap();
        assert!(Path::new(&format!("/proc/{}", pid.trim())).exists(), "{name} was stopped");
    }
    let seen = console.screen.lock().unwrap();
    assert!(!seen.bytes.contains(&7), "a bell of the service reached the terminal");
}

#[test]
fn the_screen_follows_its_size() {
    let console = Console::open(80, 24);
    console.wait_for("Running 0/2");
    console.resize(40, 10);
    console.wait_for("60x16 needed, this is 40x10");
    console.resize(120, 40);
    console.wait_for("1 Services");
    console.wait_for("needed by");
}

#[test]
fn every_signal_hands_the_terminal_back() {
    use rustix::process::Signal;
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT] {
        let mut console = Console::open(80, 24);
        console.wait_for("Running 0/2");
        assert!(!console.is_cooked(), "a console reads single keys");
        console.signal(signal);
        console.ended();
        console.assert_handed_back();
    }
}

#[test]
fn a_terminal_that_goes_away_ends_the_console_at_once() {
    let mut console = Console::open(80, 24);
    console.wait_for("Running 0/2");
    console.is_reading.store(false, Ordering::SeqCst);
    // Makes the reader return once more, see that it is over, and close its side.
    let mut keys = console.writer();
    console.type_keys(&mut keys, "j");
    drop(keys);
    console.wait("the reader's end", || Arc::strong_count(&console.screen) == 1);
    drop(console.master.take());
    assert!(console.ended() < Duration::from_secs(2));
}

#[test]
fn nothing_is_written_while_nothing_changes() {
    let console = Console::open(80, 24);
    console.wait_for("Running 0/2");
    let n_bytes = || console.screen.lock().unwrap().bytes.len();
    // Quiet means that a second has passed without a byte; the clock's minute may come once.
    let begin = Instant::now();
    let (mut last, mut quiet_since) = (n_bytes(), Instant::now());
    while quiet_since.elapsed() < Duration::from_secs(2) {
        assert!(begin.elapsed() < DEADLINE, "the console never came to rest:\n{}", console.text());
        std::thread::sleep(Duration::from_millis(20));
        if n_bytes() != last {
            (last, quiet_since) = (n_bytes(), Instant::now());
        }
    }
}

#[test]
fn without_a_terminal_the_console_says_what_to_do_instead() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_provisioning-tui")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--once"));
}
