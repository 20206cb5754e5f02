//! The one place that prints. `println!` panics when the reader has gone; this ends quietly instead.

use std::io::{self, IsTerminal as _, Write};

use serde::Serialize;

use crate::report::{Line, Stream, safe, safe_json};

/// Standard output and standard error of a command.
///
/// A closed pipe stops the printing and nothing else: an operation under way goes on. Another error of standard output (a full disk)
/// is said once on standard error and remembered, see [`Printer::has_failed`].
pub struct Printer {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    state: State,
    sign: SignPlace,
    has_color: bool,
    is_terminal: bool,
}

/// Where the sign of life is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignPlace {
    /// Nowhere: nobody would see it.
    None,
    /// On a terminal of this many columns, where it stands now or does not.
    Terminal { width: usize, is_shown: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    ReaderGone,
    Failed,
}

impl std::fmt::Debug for Printer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Printer").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Printer {
    /// Prints to the process's own streams.
    pub fn of_process() -> Self {
        let mut printer = Self::new(Box::new(io::stdout()), Box::new(io::stderr()));
        let is_capable = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
        // https://no-color.org: any value but the empty one.
        let is_color_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        printer.is_terminal = io::stdout().is_terminal();
        printer.has_color = is_capable && !is_color_refused && printer.is_terminal;
        if is_capable && let Ok(size) = rustix::termios::tcgetwinsize(io::stderr()) {
            // One column stays free: a full line would wrap on some terminals.
            let width = usize::from(size.ws_col).saturating_sub(1);
            printer.sign = SignPlace::Terminal { width, is_shown: false };
        }
        printer
    }

    /// Prints to `out` and `err`.
    pub fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        Self { out, err, state: State::Open, sign: SignPlace::None, has_color: false, is_terminal: false }
    }

    /// Whether standard output is a terminal that shows colour, and nobody refused it.
    pub fn has_color(&self) -> bool {
        self.has_color
    }

    /// Whether standard output is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// How wide a sign of life may be; `None` where nobody would see it.
    pub fn sign_width(&self) -> Option<usize> {
        match self.sign {
            SignPlace::None | SignPlace::Terminal { width: 0, .. } => None,
            SignPlace::Terminal { width, .. } => Some(width),
        }
    }

    /// Shows the sign of life in place of the one before. It disappears with the next line that is printed.
    pub fn show_sign(&mut self, text: &str) {
        if let SignPlace::Terminal { is_shown, .. } = &mut self.sign {
            *is_shown = true;
            let _ = write!(self.err, "\r{}\x1b[K", safe(text)).and_then(|()| self.err.flush());
        }
    }

    /// Takes the sign of life away.
    pub fn erase_sign(&mut self) {
        if let SignPlace::Terminal { is_shown: is_shown @ true, .. } = &mut self.sign {
            *is_shown = false;
            let _ = write!(self.err, "\r\x1b[K").and_then(|()| self.err.flush());
        }
    }

    /// Writes out what was printed, before another program goes on in this one's place.
    pub fn finish(&mut self) {
        self.erase_sign();
        let _ = self.out.flush();
        let _ = self.err.flush();
    }

    /// Prints a whole report. It has passed [`safe`] where it was made.
    pub fn report(&mut self, text: &str) {
        self.write(text.as_bytes());
    }

    /// Prints bytes as they are, where somebody asked for exactly that: see [`Printer::is_terminal`].
    pub fn raw(&mut self, bytes: &[u8]) {
        self.write(bytes);
    }

    /// Prints lines in order, each to its stream.
    pub fn lines<'a>(&mut self, lines: impl IntoIterator<Item = &'a Line>) {
        for line in lines {
            match line.stream() {
                Stream::Results => self.write(format!("{}\n", line.text()).as_bytes()),
                Stream::Errors => self.error(line.text()),
            }
        }
    }

    /// Prints one line to standard error.
    pub fn error(&mut self, text: &str) {
        self.erase_sign();
        // Nobody is left to be told when standard error itself is gone.
        let _ = writeln!(self.err, "{}", safe(text));
    }

    /// Prints a value as JSON, indented, with a line end.
    pub fn json(&mut self, value: &impl Serialize) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.report(&format!("{}\n", safe_json(&text))),
            Err(error) => {
                self.error(&format!("failed to write JSON: {error}"));
                self.state = State::Failed;
            }
        }
    }

    /// Prints a value as JSON on one line.
    pub fn json_line(&mut self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(text) => self.report(&format!("{}\n", safe_json(&text))),
            Err(error) => {
                self.error(&format!("failed to write JSON: {error}"));
                self.state = State::Failed;
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.erase_sign();
        if self.state != State::Open {
            return;
        }
        // Flushed at once, so that lines of the two streams keep their order on one terminal.
        let written = self.out.write_all(bytes).and_then(|()| self.out.flush());
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.state = State::ReaderGone,
            Err(error) => {
                self.state = State::Failed;
                self.error(&format!("failed to write to standard output: {error}"));
            }
        }
    }

    /// Whether nobody reads any more, so that following on is pointless.
    pub fn is_closed(&self) -> bool {
        self.state != State::Open
    }

    /// Whether a result was lost for another reason than a reader that has gone.
    pub fn has_failed(&self) -> bool {
        self.state == State::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::Printer;
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error() {
        let err = Shared::default();
        let mut printer = Printer::new(Box::new(Failing(io::ErrorKind::BrokenPipe)), Box::new(err.clone()));
        printer.report("a\n");
        printer.report("b\n");
        assert!(printer.is_closed() && !printer.has_failed());
        assert!(err.0.lock().unwrap().is_empty());
    }

    #[test]
    fn a_full_disk_is_said_once() {
        let err = Shared::default();
        let mut printer = Printer::new(Box::new(Failing(io::ErrorKind::StorageFull)), Box::new(err.clone()));
        printer.report("a\n");
        printer.report("b\n");
        assert!(printer.has_failed());
        let said = String::from_utf8(err.0.lock().unwrap().clone()).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
