//! Connections to a stand-in, from the handshake to the answer.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::HEARING;
use crate::demo::cast::Protocol;

/// The longest request that is read; what a health check sends is far shorter.
const MAX_REQUEST: usize = 8 * 1024;

/// Everybody who is connected.
pub(super) struct Guests {
    protocol: Protocol,
    guests: Vec<Guest>,
    n_answered: u64,
}

struct Guest {
    stream: TcpStream,
    heard: Vec<u8>,
    /// When it is answered; `None` while its request is incomplete.
    answer_at: Option<Instant>,
    leaves_at: Instant,
}

impl Guests {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self { protocol, guests: Vec::new(), n_answered: 0 }
    }

    /// How many are here.
    pub(super) fn len(&self) -> usize {
        self.guests.len()
    }

    /// How many requests were answered; for a protocol without requests, how many came.
    pub(super) fn n_answered(&self) -> u64 {
        self.n_answered
    }

    /// Those that have not said all of what they want.
    pub(super) fn unheard(&self) -> impl Iterator<Item = &TcpStream> {
        self.guests.iter().filter(|guest| guest.answer_at.is_none()).map(|guest| &guest.stream)
    }

    /// When the next one is to be answered or shown out.
    pub(super) fn due(&self) -> Option<Instant> {
        self.guests.iter().map(|guest| guest.answer_at.unwrap_or(guest.leaves_at)).min()
    }

    /// Takes in a new one. A protocol without requests is done with it at once: being let in was the answer.
    pub(super) fn welcome(&mut self, stream: TcpStream, now: Instant) {
        if self.protocol == Protocol::Tcp {
            self.n_answered += 1;
        } else if stream.set_nonblocking(true).is_ok() {
            self.guests.push(Guest { stream, heard: Vec::new(), answer_at: None, leaves_at: now + HEARING });
        }
    }

    /// Hears those that speak, answers those that waited long enough, and shows out the silent.
    pub(super) fn serve(&mut self, now: Instant, is_well: bool, mut delay: impl FnMut() -> Duration) {
        let Protocol::Http(path) = self.protocol else { return };
        let n_answered = &mut self.n_answered;
        self.guests.retain_mut(|guest| {
            if guest.answer_at.is_none() {
                match guest.listen() {
                    Ok(true) => guest.answer_at = Some(now + delay()),
                    Ok(false) => {}
                    Err(_) => return false,
                }
            }
            match guest.answer_at {
                Some(at) if at <= now => {
                    *n_answered += 1;
                    // It may have left; then nobody minds.
                    drop(guest.answer(path, is_well));
                    false
                }
                Some(_) => true,
                None => guest.leaves_at > now,
            }
        });
    }
}

impl Guest {
    /// Reads what is there; true when the request is complete.
    fn listen(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n_bytes) => self.heard.extend(chunk.iter().take(n_bytes)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.heard.windows(4).any(|window| window == b"\r\n\r\n") {
                return Ok(true);
            }
            if self.heard.len() > MAX_REQUEST {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }

    fn answer(&mut self, path: &str, is_well: bool) -> io::Result<()> {
        let line = self.heard.split(|&byte| byte == b'\r').next().unwrap_or_default();
        let asked = line.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
        let (status, body) = match (asked == path.as_bytes(), is_well) {
            (false, _) => ("404 Not Found", r#"{"error":"not found"}"#),
            (true, true) => ("200 OK", r#"{"status":"ok"}"#),
            (true, false) => ("503 Service Unavailable", r#"{"status":"unavailable","cause":"database is locked"}"#),
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        // A fresh connection has room for a few hundred bytes, so this write is never a part of them.
        self.stream.write_all(answer.as_bytes())?;
        self.stream.shutdown(Shutdown::Write)
    }
}
