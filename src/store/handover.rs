//! What an engine hands to the shim that it spawns, and what the shim answers: both over one socket, since arguments and
//! environments can be read by others. Std only.
//!
//! A handover is `PVH3`, its length, and then fields of a known order, each with its own length. One that arrives incomplete,
//! because its sender was killed, is no handover, and nothing is started.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::time::Duration;

use super::state::Exit;
use crate::model::{Ending, OnFull, ProcessIdentity, ServiceId};

const MAGIC: &[u8; 4] = b"PVH3";

/// The longest handover, in bytes: above the kernel's own limit for arguments and environment together.
const MAX_LENGTH: u32 = 8 * 1024 * 1024;

/// Everything a shim has to know.
#[derive(Clone, PartialEq, Eq)]
pub struct Handover {
    /// Whose shim it is.
    pub service: ServiceId,
    /// The root of the [`super::Layout`].
    pub root: PathBuf,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Added to the inherited environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it starts.
    pub directory: PathBuf,
    /// The signal number that asks it to stop.
    pub stop_signal: i32,
    /// How often it is started again; `None` when never.
    pub max_restarts: Option<u32>,
    /// How long it may take to stop when it is stopped because it is unhealthy; then it is killed.
    pub stop_patience: Duration,
    /// How long it may be unhealthy, from its start, before anybody acts on it: such a run is not a stable one.
    pub noticed_within: Duration,
    /// See [`super::state::ServiceRecord::spec_hash`].
    pub spec_hash: u64,
    /// When and how often the log is rotated.
    pub rotation: Rotation,
    /// What becomes of output that the log's disk does not take.
    pub on_full: OnFull,
    /// The ends of earlier runs, for the record.
    pub exits: Vec<Exit>,
    /// The orphan to take over, instead of starting something.
    pub adopt: Option<Orphan>,
}

/// How a log is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// From this size on, in bytes, at the next line end.
    pub limit: u64,
    /// How many rotated files are kept.
    pub n_kept: u32,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { limit: 10 * 1024 * 1024, n_kept: 5 }
    }
}

/// A service whose shim was killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Its process.
    pub service: ProcessIdentity,
    /// The inode of the state file that said so; 0 when there was none. Another one tells that somebody was faster.
    pub state_inode: u64,
    /// See [`super::state::ServiceRecord::started_at`]; 0 when unknown.
    pub started_at: u64,
    /// See [`super::state::ServiceRecord::restarts`].
    pub restarts: u32,
    /// See [`super::state::ServiceRecord::failures`].
    pub failures: u32,
    /// See [`super::state::ServiceRecord::streak`].
    pub streak: u32,
    /// See [`super::state::ServiceRecord::dropped_bytes`].
    pub dropped_bytes: u64,
    /// Whether somebody had asked for its stop.
    pub is_stopping: bool,
}

/// What a shim answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The service runs as this process.
    Started(ProcessIdentity),
    /// The orphan is taken over, or somebody else was faster and there is nothing to do.
    Tended,
    /// Nothing was started: what and why.
    Failed(String),
}

impl Handover {
    /// Sends it.
    ///
    /// # Errors
    /// When it is too long, or the receiver is gone.
    pub fn send(&self, mut to: impl Write) -> io::Result<()> {
        to.write_all(&self.encode()?)
    }

    /// Its bytes, for a sender that must not block.
    ///
    /// # Errors
    /// When it is too long.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let mut body = Encoder::default();
        body.bytes(self.service.as_str().as_bytes());
        body.bytes(self.root.as_os_str().as_bytes());
        body.bytes(self.program.as_os_str().as_bytes());
        body.number(self.arguments.len() as u64);
        for argument in &self.arguments {
            body.bytes(argument.as_bytes());
        }
        body.number(self.environment.len() as u64);
        for (name, value) in &self.environment {
            body.bytes(name.as_bytes());
            body.bytes(value.as_bytes());
        }
        body.bytes(self.directory.as_os_str().as_bytes());
        body.signed(i64::from(self.stop_signal));
        body.signed(self.max_restarts.map_or(-1, i64::from));
        body.duration(self.stop_patience);
        body.duration(self.noticed_within);
        body.number(self.spec_hash);
        body.number(self.rotation.limit);
        body.number(u64::from(self.rotation.n_kept));
        body.number(match self.on_full {
            OnFull::Drop => 0,
            OnFull::Block => 1,
        });
        body.number(self.exits.len() as u64);
        for exit in &self.exits {
            let (kind, value) = match exit.ending {
                Ending::Exited(code) => (0, code),
                Ending::Signalled(signal) => (1, signal),
                Ending::Unknown => (2, 0),
                Ending::Unhealthy => (3, 0),
                Ending::OutOfMemory => (4, 0),
            };
            body.number(kind);
            body.signed(i64::from(value));
            body.number(exit.at);
            body.number(exit.ran_for);
        }
        body.number(u64::from(self.adopt.is_some()));
        if let Some(orphan) = &self.adopt {
            body.identity(&orphan.service);
            body.number(orphan.state_inode);
            body.number(orphan.started_at);
            body.number(u64::from(orphan.restarts));
            body.number(u64::from(orphan.failures));
            body.number(u64::from(orphan.streak));
            body.number(orphan.dropped_bytes);
            body.number(u64::from(orphan.is_stopping));
        }
        body.finish(MAGIC)
    }

    /// Receives one.
    ///
    /// # Errors
    /// When it is incomplete or not understood.
    pub fn receive(from: impl Read) -> io::Result<Self> {
        let body = receive(from, MAGIC)?;
        let mut body = Decoder { rest: &body };
        let service = ServiceId::new(&body.text()?).map_err(|error| malformed(&error.to_string()))?;
        let root = body.path()?;
        let program = body.path()?;
        let arguments = body.list(Decoder::os_string)?;
        let environment = body.list(|body| Ok((body.os_string()?, body.os_string()?)))?;
        Ok(Self {
            service,
            root,
            program,
            arguments,
            environment,
            directory: body.path()?,
            stop_signal: body.signed()?.try_into().map_err(|_| malformed("signal"))?,
            max_restarts: u32::try_from(body.signed()?).ok(),
            stop_patience: body.duration()?,
            noticed_within: body.duration()?,
            spec_hash: body.number()?,
            rotation: Rotation { limit: body.number()?, n_kept: body.small()? },
            on_full: match body.number()? {
                0 => OnFull::Drop,
                1 => OnFull::Block,
                _ => return Err(malformed("what a full disk means")),
            },
            exits: body.list(Decoder::exit)?,
            adopt: if body.number()? == 0 { None } else { Some(body.orphan()?) },
        })
    }
}

impl Report {
    /// Sends it.
    ///
    /// # Errors
    /// When nobody listens any more.
    pub fn send(&self, mut to: impl Write) -> io::Result<()> {
        let mut body = Encoder::default();
        match self {
            Self::Started(identity) => {
                body.number(0);
                body.identity(identity);
            }
            Self::Tended => body.number(1),
            Self::Failed(why) => {
                body.number(2);
                body.bytes(why.as_bytes());
            }
        }
        to.write_all(&body.finish(MAGIC)?)
    }

    /// Decodes the bytes of one.
    ///
    /// # Errors
    /// When they are incomplete: the shim died before it could say anything.
    pub fn decode(bytes: &[u8]) -> io::Result<Self> {
        let body = receive(bytes, MAGIC)?;
        let mut body = Decoder { rest: &body };
        match body.number()? {
            0 => Ok(Self::Started(body.identity()?)),
            1 => Ok(Self::Tended),
            2 => Ok(Self::Failed(body.text()?)),
            _ => Err(malformed("kind of report")),
        }
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed handover: {what}"))
}

fn receive(mut from: impl Read, magic: &[u8; 4]) -> io::Result<Vec<u8>> {
    let mut head = [0; 8];
    from.read_exact(&mut head)?;
    let [m0, m1, m2, m3, l0, l1, l2, l3] = head;
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    if [m0, m1, m2, m3] != *magic || length > MAX_LENGTH {
        return Err(malformed("head"));
    }
    let mut body = vec![0; length as usize];
    from.read_exact(&mut body)?;
    Ok(body)
}

#[derive(Default)]
struct Encoder(Vec<u8>);

impl Encoder {
    fn number(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn signed(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// In milliseconds.
    fn duration(&mut self, value: Duration) {
        self.number(u64::try_from(value.as_millis()).unwrap_or(u64::MAX));
    }

    fn bytes(&mut self, value: &[u8]) {
        self.number(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn identity(&mut self, value: &ProcessIdentity) {
        self.number(u64::from(value.pid));
        self.number(value.start_ticks);
        self.bytes(value.boot_id.as_bytes());
        self.number(value.pid_namespace);
    }

    fn finish(self, magic: &[u8; 4]) -> io::Result<Vec<u8>> {
        let length = u32::try_from(self.0.len()).ok().filter(|&length| length <= MAX_LENGTH);
        let length = length.ok_or_else(|| io::Error::other("arguments and environment are longer than 8 MiB"))?;
        let mut framed = Vec::with_capacity(self.0.len() + 8);
        framed.extend_from_slice(magic);
        framed.extend_from_slice(&length.to_le_bytes());
        framed.extend_from_slice(&self.0);
        Ok(framed)
    }
}

struct Decoder<'a> {
    rest: &'a [u8],
}

impl Decoder<'_> {
    fn take(&mut self, length: usize) -> io::Result<&[u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(|| malformed("it ends early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self) -> io::Result<u64> {
        let bytes = self.take(8)?.try_into().map_err(|_| malformed("number"))?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn signed(&mut self) -> io::Result<i64> {
        Ok(self.number()?.cast_signed())
    }

    fn duration(&mut self) -> io::Result<Duration> {
        Ok(Duration::from_millis(self.number()?))
    }

    fn small(&mut self) -> io::Result<u32> {
        self.number()?.try_into().map_err(|_| malformed("number out of range"))
    }

    fn os_string(&mut self) -> io::Result<OsString> {
        let length = usize::try_from(self.number()?).map_err(|_| malformed("length"))?;
        Ok(OsString::from_vec(self.take(length)?.to_vec()))
    }

    fn path(&mut self) -> io::Result<PathBuf> {
        Ok(self.os_string()?.into())
    }

    fn text(&mut self) -> io::Result<String> {
        self.os_string().map(|text| OsStr::to_string_lossy(&text).into_owned())
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> io::Result<T>) -> io::Result<Vec<T>> {
        let length = self.number()?;
        (0..length).map(|_| item(self)).collect()
    }

    fn identity(&mut self) -> io::Result<ProcessIdentity> {
        Ok(ProcessIdentity {
            pid: self.small()?,
            start_ticks: self.number()?,
            boot_id: self.text()?,
            pid_namespace: self.number()?,
        })
    }

    fn exit(&mut self) -> io::Result<Exit> {
        let kind = self.number()?;
        let value = self.signed()?.try_into().map_err(|_| malformed("ending"))?;
        let ending = match kind {
            0 => Ending::Exited(value),
            1 => Ending::Signalled(value),
            3 => Ending::Unhealthy,
            4 => Ending::OutOfMemory,
            _ => Ending::Unknown,
        };
        Ok(Exit { ending, at: self.number()?, ran_for: self.number()? })
    }

    fn orphan(&mut self) -> io::Result<Orphan> {
        Ok(Orphan {
            service: self.identity()?,
            state_inode: self.number()?,
            started_at: self.number()?,
            restarts: self.small()?,
            failures: self.small()?,
            streak: self.small()?,
            dropped_bytes: self.number()?,
            is_stopping: self.number()? != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Handover, Orphan, Report, Rotation};
    use crate::model::{Ending, OnFull, ProcessIdentity, ServiceId};
    use crate::store::state::Exit;

    fn handover() -> Handover {
        let service = ProcessIdentity { pid: 7, start_ticks: 8, boot_id: "b".into(), pid_namespace: 9 };
        Handover {
            service: ServiceId::new("a").expect("name"),
            root: "/r".into(),
            program: "/p".into(),
            arguments: vec!["".into(), "x y\n".into()],
            environment: vec![("SECRET".into(), "s".into())],
            directory: "/".into(),
            stop_signal: 15,
            max_restarts: Some(3),
            stop_patience: Duration::from_millis(10_001),
            noticed_within: Duration::from_secs(90),
            spec_hash: 5,
            rotation: Rotation::default(),
            on_full: OnFull::Block,
            exits: vec![Exit { ending: Ending::Signalled(9), at: 1, ran_for: 2 }],
            adopt: Some(Orphan {
                service,
                state_inode: 1,
                started_at: 2,
                restarts: 3,
                failures: 4,
                streak: 3,
                dropped_bytes: 5,
                is_stopping: true,
            }),
        }
    }

    #[test]
    fn a_handover_arrives_as_it_was_sent() {
        let sent = handover();
        let bytes = sent.encode().expect("encodes");
        assert!(Handover::receive(bytes.as_slice()).expect("arrives") == sent);
    }

    #[test]
    fn one_that_is_cut_anywhere_is_none() {
        let bytes = handover().encode().expect("encodes");
        for length in 0..bytes.len() {
            assert!(Handover::receive(&bytes[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn reports_arrive_as_they_were_sent() {
        let identity = ProcessIdentity { pid: 7, start_ticks: 8, boot_id: "b".into(), pid_namespace: 9 };
        for report in [Report::Started(identity), Report::Tended, Report::Failed("no such file".into())] {
            let mut bytes = Vec::new();
            report.send(&mut bytes).expect("sends");
            assert_eq!(Report::decode(&bytes).expect("arrives"), report);
        }
    }
}
