use std::io::{self, Read as _, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::guests::Guests;
use super::{Setup, Stage};
use crate::demo::cast::{self, Protocol};
use crate::demo::watch::Console;
use crate::host::free_ports;

/// No fact that is waited for takes longer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Hands each line on.
struct Lines(Sender<String>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(String::from_utf8_lossy(bytes).into_owned()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A stand-in that plays in a thread of this test.
struct Playing {
    port: u16,
    lines: Receiver<String>,
    stop: UnixStream,
    console: UnixStream,
    thread: JoinHandle<io::Result<()>>,
}

fn play(name: &str, port: u16) -> Playing {
    let setup = Setup { part: cast::part(name).unwrap(), port, console: Console::this().unwrap() };
    let (said, lines) = channel();
    let (stop, stopped) = UnixStream::pair().unwrap();
    let (console, ended) = UnixStream::pair().unwrap();
    let thread = std::thread::spawn(move || Stage::new(&setup, Lines(said)).play(&stopped, &ended));
    Playing { port, lines, stop, console, thread }
}

fn free_port() -> u16 {
    let [port] = free_ports().unwrap();
    port
}

impl Playing {
    /// Waits for a line that holds `text`.
    fn hear(&self, text: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        let mut heard = String::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else { panic!("no {text:?} in:\n{heard}") };
            if line.contains(text) {
                return line;
            }
            heard.push_str(&line);
        }
    }

    fn ask(&self, path: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

#[test]
fn it_refuses_until_it_is_ready_then_answers_and_talks_and_says_goodbye() {
    let playing = play("orchestrator", free_port());
    playing.hear("orchestrator is starting with PID");
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, playing.port)).is_err(), "not ready yet");
    playing.hear("listening on 127.0.0.1:");
    assert!(playing.ask("/health").starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(playing.ask("/else").starts_with("HTTP/1.1 404 Not Found\r\n"));
    let talk = playing.lines.recv_timeout(DEADLINE).unwrap();
    assert!(talk.ends_with('\n') && talk.chars().nth(8) == Some('.'), "{talk:?}");
    (&playing.stop).write_all(b"!").unwrap();
    playing.hear("asked to stop; 2 requests answered");
    playing.thread.join().unwrap().unwrap();
}

#[test]
fn a_service_without_requests_lets_everybody_in() {
    let playing = play("coredns", free_port());
    playing.hear("listening");
    for _ in 0..3 {
        TcpStream::connect((Ipv4Addr::LOCALHOST, playing.port)).unwrap();
    }
    let mut last = TcpStream::connect((Ipv4Addr::LOCALHOST, playing.port)).unwrap();
    last.set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(last.read(&mut [0; 1]).unwrap(), 0, "closed after being let in");
    (&playing.stop).write_all(b"!").unwrap();
    playing.hear("4 requests answered");
}

#[test]
fn it_ends_well_when_its_console_has_ended() {
    let playing = play("mcp-server", free_port());
    playing.hear("starting");
    drop(playing.console);
    playing.thread.join().unwrap().unwrap();
    assert!(playing.lines.iter().any(|line| line.contains("the console has ended")));
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = play("gitea", port).thread.join().unwrap().unwrap_err();
    assert!(error.to_string().contains(&format!("cannot listen on 127.0.0.1:{port}")), "{error}");
}

#[test]
fn a_silent_guest_is_shown_out_and_an_unwell_service_says_503() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let now = Instant::now();
    let mut guests = Guests::new(Protocol::Http("/health"));
    let _silent = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    guests.welcome(listener.accept().unwrap().0, now);
    guests.serve(now, true, || Duration::ZERO);
    assert_eq!(guests.len(), 1);
    guests.serve(now + super::HEARING, true, || Duration::ZERO);
    assert_eq!((guests.len(), guests.n_answered()), (0, 0));

    let mut asking = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    guests.welcome(listener.accept().unwrap().0, now);
    asking.write_all(b"GET /health HTTP/1.1\r\n\r\n").unwrap();
    let deadline = Instant::now() + DEADLINE;
    while guests.len() > 0 && Instant::now() < deadline {
        guests.serve(now, false, || Duration::ZERO);
    }
    let mut answer = String::new();
    asking.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}
