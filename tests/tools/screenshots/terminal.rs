//! A program in a pseudo-terminal, and what its screen shows.

use std::error::Error;
use std::io::{Read as _, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use vt100::{Parser, Screen};

/// How long a program may take to end after SIGTERM.
const FAREWELL: Duration = Duration::from_secs(15);

/// A program that draws without a pause is caught in the middle after this long.
const UNREST: Duration = Duration::from_secs(5);

/// A running program with its screen.
pub(super) struct Terminal {
    parser: Parser,
    output: Receiver<Vec<u8>>,
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    // Closing it would hang up on the program.
    _master: Box<dyn MasterPty + Send>,
}

impl Terminal {
    /// Starts a program in a terminal of that size with true colours and UTF-8.
    pub(super) fn run(program: &Path, arguments: &[String], columns: u16, rows: u16) -> Result<Self, Box<dyn Error>> {
        let size = |cells| NonZeroU16::new(cells).ok_or("a terminal has at least one cell");
        let parser = Parser::new(size(rows)?, size(columns)?, 0);
        let pair = native_pty_system().openpty(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 })?;
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        command.env("LANG", "C.UTF-8");
        command.env_remove("NO_COLOR");
        let child = pair.slave.spawn_command(command)?;
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader()?;
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut chunk = [0; 16 * 1024];
            // An error is how a pseudo-terminal says that its program has ended.
            while let Ok(n_bytes @ 1..) = reader.read(&mut chunk) {
                if sender.send(chunk.iter().take(n_bytes).copied().collect()).is_err() {
                    return;
                }
            }
        });
        let keyboard = pair.master.take_writer()?;
        Ok(Self { parser, output, child, keyboard, _master: pair.master })
    }

    /// What the screen shows.
    pub(super) fn screen(&self) -> &Screen {
        self.parser.screen()
    }

    /// Presses keys, one after the other.
    pub(super) fn press(&mut self, keys: &str) -> Result<(), Box<dyn Error>> {
        self.keyboard.write_all(keys.as_bytes())?;
        Ok(self.keyboard.flush()?)
    }

    /// Reads until the screen shows what `shows` looks for, at the end of a whole frame.
    pub(super) fn wait_until(
        &mut self,
        what: &str,
        patience: Duration,
        shows: impl Fn(&Screen) -> bool,
    ) -> Result<(), Box<dyn Error>> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.parser.process(&bytes),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(format!("never shown: {what}. The screen:\n{}", contents(self.screen())).into());
                }
            }
            if shows(self.parser.screen()) {
                // A frame can arrive in pieces: the picture is taken when nothing follows.
                return self.settle(Duration::from_millis(50));
            }
        }
    }

    /// Reads until nothing has come for `quiet`, or until that is too much to ask.
    pub(super) fn settle(&mut self, quiet: Duration) -> Result<(), Box<dyn Error>> {
        let deadline = Instant::now() + UNREST;
        while Instant::now() < deadline {
            match self.output.recv_timeout(quiet) {
                Ok(bytes) => self.parser.process(&bytes),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(())
    }

    /// Asks the program to end, and waits for the program to put everything away.
    pub(super) fn end(mut self) -> Result<(), Box<dyn Error>> {
        let deadline = Instant::now() + FAREWELL;
        let pid = self.child.process_id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            // Refused when it has ended by itself: then there is nothing to do.
            let _refused = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        loop {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.child.kill()?;
                return Err("the program did not end after SIGTERM".into());
            }
            // Its last output, or the end of it, wakes us; what remains between that and its exit is short.
            match self.output.recv_timeout(left.min(Duration::from_millis(20))) {
                Ok(bytes) => self.parser.process(&bytes),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.child.wait()?;
                    return Ok(());
                }
            }
        }
    }
}

/// The screen as text, a line for each row.
pub(super) fn contents(screen: &Screen) -> String {
    rows(screen).map(|row| format!("{}\n", row.trim_end())).collect()
}

/// What each row of the screen shows.
pub(super) fn rows(screen: &Screen) -> impl Iterator<Item = String> + '_ {
    screen.rows(0, screen.size().1.get())
}
