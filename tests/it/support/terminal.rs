//! A program on a terminal of its own, and every byte that it sends there.

use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::home::{DEADLINE, Home};

/// What came out of the terminal.
struct Seen {
    parser: vt100::Parser,
    bytes: Vec<u8>,
    is_closed: bool,
}

/// The terminal, with the program on it. The program is killed at the end.
pub(crate) struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn std::io::Write + Send>,
    seen: Arc<Mutex<Seen>>,
}

fn pty_size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

impl Terminal {
    /// A console in this home, 100 × 30.
    pub(crate) fn console(home: &Home) -> Self {
        let terminal = Self::open(home, env!("CARGO_BIN_EXE_provisioning-tui"), "", (100, 30), &[]);
        terminal.wait_for("Services");
        terminal
    }

    /// A command in this home, 100 × 30.
    pub(crate) fn command(home: &Home, line: &str) -> Self {
        Self::open(home, env!("CARGO_BIN_EXE_provisioning"), line, (100, 30), &[])
    }

    /// `program LINE`, with further variables; an empty value removes one.
    pub(crate) fn open(home: &Home, program: &str, line: &str, size: (u16, u16), variables: &[(&str, &str)]) -> Self {
        let pty = native_pty_system().openpty(pty_size(size.0, size.1)).unwrap();
        let mut command = CommandBuilder::new(program);
        command.arg("--config");
        command.arg(home.registry());
        command.args(line.split_whitespace());
        command.cwd(home.path(""));
        command.env("HOME", home.path(""));
        command.env("PROVISIONING_SERVICES_DIR", home.services_dir());
        command.env("PROVISIONING_SUPERVISE", "off");
        command.env("TERM", "xterm-256color");
        command.env("PROVISIONING_SUPERVISE", "off");
        command.env("LANG", "C.UTF-8");
        command.env("LC_ALL", "C.UTF-8");
        command.env_remove("NO_COLOR");
        for (name, value) in variables {
            match *value {
                "" => command.env_remove(name),
                value => command.env(name, value),
            }
        }
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let new = |n| NonZeroU16::new(n).unwrap();
        let parser = vt100::Parser::new(new(size.1), new(size.0), 0);
        let seen = Arc::new(Mutex::new(Seen { parser, bytes: Vec::new(), is_closed: false }));
        let mut reader = pty.master.try_clone_reader().unwrap();
        let there = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                let mut seen = there.lock().unwrap();
                seen.parser.process(&buffer[..n]);
                seen.bytes.extend_from_slice(&buffer[..n]);
            }
            there.lock().unwrap().is_closed = true;
        });
        let keyboard = pty.master.take_writer().unwrap();
        Self { child, master: pty.master, keyboard, seen }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// What is on the screen.
    pub(crate) fn text(&self) -> String {
        self.seen.lock().unwrap().parser.screen().contents()
    }

    /// Every byte that was sent to the terminal.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.seen.lock().unwrap().bytes.clone()
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) {
        self.wait(text, || self.text().contains(text));
    }

    #[track_caller]
    pub(crate) fn wait(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < DEADLINE, "{what:?} did not come:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        if let (Some(columns), Some(rows)) = (NonZeroU16::new(columns), NonZeroU16::new(rows)) {
            self.seen.lock().unwrap().parser.screen_mut().set_size(rows, columns);
        }
        self.master.resize(pty_size(columns, rows)).unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Waits for the end and gives the exit code.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> u32 {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(begun.elapsed() < DEADLINE, "it did not end:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The end, and then all that was written.
    #[track_caller]
    pub(crate) fn all_bytes(&mut self) -> Vec<u8> {
        self.ended();
        self.wait("the end of its output", || self.seen.lock().unwrap().is_closed);
        self.bytes()
    }

    /// The main screen is back, with its cursor, and nothing is asked of the terminal any more.
    #[track_caller]
    pub(crate) fn assert_handed_back(&self) {
        use rustix::termios::{LocalModes, tcgetattr};
        self.wait("the main screen", || !self.seen.lock().unwrap().parser.screen().alternate_screen());
        let seen = self.seen.lock().unwrap();
        assert!(!seen.parser.screen().hide_cursor(), "the cursor stayed hidden");
        assert!(!seen.parser.screen().bracketed_paste(), "bracketed paste stayed on");
        assert_eq!(seen.parser.screen().mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        drop(seen);
        let tty = std::fs::File::open(self.master.tty_name().unwrap()).unwrap();
        let is_cooked = tcgetattr(&tty).unwrap().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO);
        assert!(is_cooked, "lines are not edited and echoed by the terminal again");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            let _ = self.child.wait();
        }
    }
}
