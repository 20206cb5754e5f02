//! The demo's processes as they really are: the program itself under its hidden subcommands.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use provisioning::host::free_ports;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FlockOperation;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

const PROGRAM: &str = env!("CARGO_BIN_EXE_provisioning-tui");

/// No fact that is waited for takes longer, in seconds.
const DEADLINE: i64 = 10;

/// A child that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Running {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    fn ends(&mut self) -> ExitStatus {
        let pidfd = pidfd_open(Pid::from_child(&self.0), PidfdFlags::empty()).unwrap();
        let timeout = Timespec { tv_sec: DEADLINE, tv_nsec: 0 };
        assert_eq!(poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)).unwrap(), 1, "it goes on");
        self.0.wait().unwrap()
    }
}

/// Something to be a console.
fn console() -> Running {
    Running(Command::new("sleep").arg("1000").spawn().unwrap())
}

fn stand_in(name: &str, console: &Running) -> (Running, u16, BufReader<ChildStdout>) {
    let [port] = free_ports().unwrap();
    let pid = console.0.id();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let ticks = stat.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["__demo-service", name, "--port", &port.to_string(), "--console", &format!("{pid}:{ticks}")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (Running(child), port, output)
}

/// Reads up to a line that holds `text`; the end of the output fails the test.
fn hear(output: &mut BufReader<ChildStdout>, text: &str) {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "it ended without {text:?}");
    }
}

#[test]
fn a_stand_in_says_goodbye_at_sigterm() {
    let console = console();
    let (mut service, port, mut output) = stand_in("coredns", &console);
    hear(&mut output, "listening on");
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    service.signal(Signal::TERM);
    hear(&mut output, "asked to stop");
    assert!(service.ends().success());
}

#[test]
fn a_stand_in_ends_well_when_its_console_is_killed_and_does_not_begin_after_it() {
    let mut console = console();
    let (mut service, _, mut output) = stand_in("gitea", &console);
    let (mut later, _, mut later_output) = stand_in("mcp-server", &console);
    hear(&mut output, "is starting");
    hear(&mut later_output, "listening on");
    console.0.kill().unwrap();
    hear(&mut output, "the console has ended");
    hear(&mut later_output, "the console has ended");
    assert!(service.ends().success() && later.ends().success(), "an exit code that nobody restarts");
    // Not reaped yet: a console that is a zombie has ended, too.
    let (mut too_late, _, _) = stand_in("gitea", &console);
    assert!(too_late.ends().success());
}

fn sweeper(home: &Path) -> Running {
    Running(Command::new(PROGRAM).arg("__demo-sweeper").arg(home).stdin(Stdio::piped()).spawn().unwrap())
}

#[test]
fn the_sweeper_removes_the_home_after_the_console_and_the_last_service() {
    let outer = tempfile::tempdir().unwrap();
    let home = outer.path().join("provisioning-demo-test");
    let state = home.join("services/state");
    fs::create_dir_all(&state).unwrap();
    let lock = File::create(state.join("gitea.lock")).unwrap();
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).unwrap();
    let mut sweeper = sweeper(&home);
    drop(sweeper.0.stdin.take());
    assert!(home.exists(), "a service lives");
    drop(lock);
    assert!(sweeper.ends().success());
    assert!(!home.exists());
}

#[test]
fn the_sweeper_touches_nothing_but_homes_of_the_demo() {
    let outer = tempfile::tempdir().unwrap();
    let other = outer.path().join("precious");
    fs::create_dir(&other).unwrap();
    assert!(!sweeper(&other).ends().success());
    assert!(other.exists());
}

/// The whole demo in a terminal, in a temporary directory of its own.
struct Demo {
    temporary: tempfile::TempDir,
    screen: vt100::Parser,
    output: Receiver<Vec<u8>>,
    console: Box<dyn portable_pty::Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    _terminal: Box<dyn portable_pty::MasterPty + Send>,
}

impl Demo {
    fn open() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let cells = |n| std::num::NonZeroU16::new(n).unwrap();
        let size = portable_pty::PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = portable_pty::native_pty_system().openpty(size).unwrap();
        let mut command = portable_pty::CommandBuilder::new(PROGRAM);
        command.arg("--demo");
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        command.env("TMPDIR", temporary.path());
        let console = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(n_bytes @ 1..) = reader.read(&mut chunk) {
                if sender.send(chunk[..n_bytes].to_vec()).is_err() {
                    return;
                }
            }
        });
        let keyboard = pair.master.take_writer().unwrap();
        let screen = vt100::Parser::new(cells(24), cells(80), 0);
        Self { temporary, screen, output, console, keyboard, _terminal: pair.master }
    }

    fn until_it_shows(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(40);
        while !self.screen.screen().contents().contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.output.recv_timeout(left) else {
                panic!("{text:?} never shown:\n{}", self.screen.screen().contents())
            };
            self.screen.process(&bytes);
        }
    }

    /// What is left: files below the temporary directory, and processes that were started from there.
    fn remains(&self) -> Vec<String> {
        let home = self.temporary.path();
        let files = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().path().display().to_string());
        let name = home.file_name().unwrap().to_str().unwrap();
        let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let command = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            (command.contains(name)).then_some(command)
        });
        files.chain(processes).collect()
    }

    fn ends_without_remains(mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        self.console.wait().unwrap();
        while !self.remains().is_empty() {
            assert!(Instant::now() < deadline, "left behind: {:#?}", self.remains());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_demo_that_is_left_leaves_nothing_behind() {
    let mut demo = Demo::open();
    // Ready, all of them: quitting during the start asks first.
    demo.until_it_shows("✅ 7");
    assert!(demo.remains().len() > 7, "what is looked for later can be seen");
    demo.keyboard.write_all(b"q").unwrap();
    demo.until_it_shows("The demo has ended");
    demo.ends_without_remains();
}

#[test]
fn a_demo_that_is_killed_leaves_nothing_behind() {
    let mut demo = Demo::open();
    demo.until_it_shows("Running 7/7");
    let pid = Pid::from_raw(demo.console.process_id().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    demo.ends_without_remains();
}
