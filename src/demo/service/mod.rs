//! A stand-in: listens, answers, talks, and ends when it is told to or when its console has ended.
//!
//! One thread and one `poll`: it wakes for a guest, for its next line, for a change of mood, and for nothing else.

mod guests;
mod setup;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM};

use super::cast::COMPLAINTS;
use super::chatter::{Chatter, Level};
use guests::Guests;
use setup::Setup;

/// As many as are served at once; others wait in the kernel.
const MAX_GUESTS: usize = 32;

/// Runs as the stand-in that `arguments` describe: `NAME --port PORT --console PID:TICKS`.
pub(super) fn main(arguments: &[OsString]) -> ExitCode {
    let complain = |what: &dyn std::fmt::Display| {
        // Nobody is left to tell when this fails.
        drop(writeln!(io::stderr().lock(), "{what}"));
        ExitCode::FAILURE
    };
    let setup = match Setup::parse(arguments) {
        Ok(setup) => setup,
        Err(error) => return complain(&error),
    };
    let watched = signals().and_then(|stop| Ok((stop, setup.console.open()?)));
    let (stop, console) = match watched {
        Ok((stop, Some(console))) => (stop, console),
        // Success: a stand-in without a console is not to be started again.
        Ok((_, None)) => return ExitCode::SUCCESS,
        Err(error) => return complain(&error),
    };
    match Stage::new(&setup, io::stdout()).play(&stop, &console) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

/// A stream that becomes readable when somebody asks us to stop.
fn signals() -> io::Result<UnixStream> {
    let (reader, writer) = UnixStream::pair()?;
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
    }
    Ok(reader)
}

/// A stand-in at work, writing to `W`.
struct Stage<'a, W> {
    setup: &'a Setup,
    out: W,
    chatter: Chatter,
    guests: Guests,
    /// Bound as soon as it is ready; before that, whoever comes is refused.
    open: Option<Open>,
    ready_at: Instant,
    next_line: Instant,
}

/// What there is once it is ready.
struct Open {
    listener: TcpListener,
    since: Instant,
    was_well: bool,
}

impl<'a, W: Write> Stage<'a, W> {
    fn new(setup: &'a Setup, out: W) -> Self {
        let mut chatter = Chatter::of(setup.part.name);
        let ready_at = Instant::now() + chatter.start_up();
        let next_line = ready_at + chatter.pause();
        let guests = Guests::new(setup.part.protocol);
        Self { setup, out, chatter, guests, open: None, ready_at, next_line }
    }

    /// Plays until `stop` or `console` is readable.
    ///
    /// # Errors
    /// When the port is taken, or waiting fails.
    fn play(mut self, stop: &impl AsFd, console: &impl AsFd) -> io::Result<()> {
        let name = self.setup.part.name;
        self.say(Level::Info, &format!("{name} is starting with PID {}", std::process::id()));
        loop {
            let (stopped, alone) = self.wait(stop, console)?;
            if stopped {
                let n_answered = self.guests.n_answered();
                self.say(Level::Info, &format!("asked to stop; {n_answered} requests answered, goodbye"));
                return Ok(());
            }
            if alone {
                self.say(Level::Info, "the console has ended, and its demo with it");
                return Ok(());
            }
            self.act(Instant::now())?;
        }
    }

    /// Waits for whatever comes first; says whether `stop` and `console` are readable.
    fn wait(&self, stop: &impl AsFd, console: &impl AsFd) -> io::Result<(bool, bool)> {
        let now = Instant::now();
        let timeout = self.due(now).map(|at| {
            let left = at.saturating_duration_since(now);
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() }
        });
        let mut descriptors = vec![PollFd::new(stop, PollFlags::IN), PollFd::new(console, PollFlags::IN)];
        if let Some(open) = self.open.as_ref().filter(|_| self.guests.len() < MAX_GUESTS) {
            descriptors.push(PollFd::new(&open.listener, PollFlags::IN));
        }
        descriptors.extend(self.guests.unheard().map(|guest| PollFd::new(guest, PollFlags::IN)));
        match poll(&mut descriptors, timeout.as_ref()) {
            Ok(_) => {
                let mut readable = descriptors.iter().map(|descriptor| !descriptor.revents().is_empty());
                Ok((readable.next().unwrap_or(false), readable.next().unwrap_or(false)))
            }
            Err(Errno::INTR) => Ok((false, false)),
            Err(error) => Err(error.into()),
        }
    }

    /// When something has to happen although nothing happened.
    fn due(&self, now: Instant) -> Option<Instant> {
        let Some(open) = &self.open else { return Some(self.ready_at) };
        let mood = self.setup.part.temper.changes_in(now.saturating_duration_since(open.since)).map(|left| now + left);
        [Some(self.next_line), mood, self.guests.due()].into_iter().flatten().min()
    }

    fn act(&mut self, now: Instant) -> io::Result<()> {
        if self.open.is_none() && now >= self.ready_at {
            self.raise_the_curtain(now)?;
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let is_well = self.setup.part.temper.is_well(now.saturating_duration_since(open.since));
        let changed = std::mem::replace(&mut open.was_well, is_well) != is_well;
        while self.guests.len() < MAX_GUESTS {
            match open.listener.accept() {
                Ok((guest, _)) => self.guests.welcome(guest, now),
                // Nobody is waiting, or whoever was has left again.
                Err(_) => break,
            }
        }
        self.guests.serve(now, is_well, || self.chatter.answer_delay());
        match (changed, is_well) {
            (true, false) => self.say(Level::Error, "database is locked; answering 503 until it comes back"),
            (true, true) => self.say(Level::Info, "database is back, serving again"),
            (false, _) => {}
        }
        if now >= self.next_line {
            self.next_line = now + self.chatter.pause();
            let lines = if is_well { self.setup.part.lines } else { COMPLAINTS.as_slice() };
            if let Some((level, text)) = self.chatter.line(lines) {
                self.say(level, &text);
            }
        }
        Ok(())
    }

    fn raise_the_curtain(&mut self, now: Instant) -> io::Result<()> {
        let port = self.setup.port;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on 127.0.0.1:{port}: {error}")))?;
        self.open = Some(Open { listener, since: now, was_well: true });
        self.say(Level::Info, &format!("listening on 127.0.0.1:{port}"));
        Ok(())
    }

    fn say(&mut self, level: Level, text: &str) {
        // Without the date: a demo is young, and 80 columns are few.
        let at = jiff::Zoned::now().strftime("%H:%M:%S%.3f");
        // One write for one line, and no complaint about a reader that has gone: the play goes on.
        drop(self.out.write_all(format!("{at} {} {text}\n", level.word()).as_bytes()));
    }
}

/// How long a guest may take to say what it wants.
const HEARING: Duration = Duration::from_secs(2);
