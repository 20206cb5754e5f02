//! Reading `state/<service>.json`: bounded, without following links, and never trusting what it says.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::OFlags;
use serde::Deserialize;

use super::directory;
use super::state::{ComposeRecord, Exit, Phase, SCHEMA, ServiceRecord, Wanted};
use crate::model::{Ending, ProcessIdentity};

/// The largest file that is read, in bytes.
const MAX_LENGTH: u64 = 1024 * 1024;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No file.
    Nothing,
    /// A record, the inode it was read from, which changes with each write, and when it was written: the shim writes when something
    /// happens to its service, so that is when the service came to be as it is.
    Record(Box<ServiceRecord>, u64, SystemTime),
    /// A file that cannot be used, and why.
    Unusable(String),
}

/// Reads a state file.
///
/// # Errors
/// When the directory is there and cannot be entered or is not ours: then nothing is known. An unusable file is no error.
pub fn read(path: &Path) -> io::Result<Found> {
    let file = match directory::open_regular(path, OFlags::RDONLY) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Ok(Found::Unusable("it is a symbolic link".into()));
        }
        // The file is none, or not ours: the words say which.
        Err(error) if error.kind() == io::ErrorKind::Other => return Ok(Found::Unusable(error.to_string())),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    // Room for all of it and a byte more, so that one read takes it and the next one sees the end.
    let mut text = Vec::with_capacity(usize::try_from(metadata.len().min(MAX_LENGTH)).unwrap_or(0) + 1);
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    let written_at = metadata.modified()?;
    file.take(MAX_LENGTH + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_LENGTH {
        return Ok(Found::Unusable("it is larger than 1 MiB".into()));
    }
    Ok(match parse(&text) {
        Ok(record) => Found::Record(Box::new(record), inode, written_at),
        Err(why) => Found::Unusable(why),
    })
}

/// Moves an unusable file out of the way, so that a new one can be written: `<name>.corrupt-<seconds>`.
///
/// # Errors
/// When it cannot be renamed.
pub fn set_aside(path: &Path, at: SystemTime) -> io::Result<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".corrupt-{}", super::state::unix_millis(at) / 1000));
    let aside = PathBuf::from(name);
    std::fs::rename(path, &aside)?;
    Ok(aside)
}

fn parse(text: &[u8]) -> Result<ServiceRecord, String> {
    let version: VersionJson = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if version.schema != SCHEMA {
        return Err(format!("its format {} is not the one this version knows ({SCHEMA})", version.schema));
    }
    let json: RecordJson = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let phase = Phase::ALL.into_iter().find(|phase| phase.as_str() == json.phase);
    Ok(ServiceRecord {
        phase: phase.ok_or("it names a phase that this version does not know")?,
        wanted: match json.wanted.as_str() {
            "up" => Wanted::Up,
            "down" => Wanted::Down,
            _ => return Err("it names a wish that this version does not know".into()),
        },
        shim: json.shim.map(IdentityJson::into_identity),
        service: json.service.map(IdentityJson::into_identity),
        started_at: json.started_at_ms,
        restarts: json.restarts,
        failures: json.failures,
        streak: json.streak,
        exits: json.exits.into_iter().map(ExitJson::into_exit).collect(),
        next_attempt: json.next_attempt_boottime_ns,
        spec_hash: u64::from_str_radix(&json.spec_hash, 16).map_err(|error| format!("spec_hash: {error}"))?,
        dropped_bytes: json.dropped_bytes,
        failure: json.failure,
        compose: json.compose.map(|it| ComposeRecord { project: it.project, service: it.service }),
    })
}

#[derive(Deserialize)]
struct VersionJson {
    schema: u32,
}

#[derive(Deserialize)]
struct RecordJson {
    phase: String,
    wanted: String,
    shim: Option<IdentityJson>,
    service: Option<IdentityJson>,
    started_at_ms: Option<u64>,
    restarts: u32,
    failures: u32,
    streak: u32,
    exits: Vec<ExitJson>,
    next_attempt_boottime_ns: Option<u64>,
    spec_hash: String,
    dropped_bytes: u64,
    failure: Option<String>,
    compose: Option<ComposeJson>,
}

#[derive(Deserialize)]
struct ComposeJson {
    project: String,
    service: String,
}

#[derive(Deserialize)]
struct IdentityJson {
    pid: u32,
    start_ticks: u64,
    boot_id: String,
    pid_namespace: u64,
}

impl IdentityJson {
    fn into_identity(self) -> ProcessIdentity {
        let Self { pid, start_ticks, boot_id, pid_namespace } = self;
        ProcessIdentity { pid, start_ticks, boot_id, pid_namespace }
    }
}

#[derive(Deserialize)]
struct ExitJson {
    code: Option<i32>,
    signal: Option<i32>,
    #[serde(default)]
    unhealthy: bool,
    #[serde(default)]
    out_of_memory: bool,
    at_ms: u64,
    ran_for_ms: u64,
}

impl ExitJson {
    fn into_exit(self) -> Exit {
        let ending = match (self.code, self.signal) {
            (Some(code), _) => Ending::Exited(code),
            (None, Some(_)) if self.out_of_memory => Ending::OutOfMemory,
            (None, Some(signal)) => Ending::Signalled(signal),
            (None, None) if self.unhealthy => Ending::Unhealthy,
            (None, None) => Ending::Unknown,
        };
        Exit { ending, at: self.at_ms, ran_for: self.ran_for_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, parse, read};
    use crate::model::{Ending, ProcessIdentity};
    use crate::store::state::{ComposeRecord, Exit, Phase, ServiceRecord, Wanted};

    fn record() -> ServiceRecord {
        let identity =
            ProcessIdentity { pid: 4711, start_ticks: 98765, boot_id: "b-1".into(), pid_namespace: 4_026_531_836 };
        ServiceRecord {
            phase: Phase::Backoff,
            wanted: Wanted::Up,
            shim: Some(identity.clone()),
            service: Some(identity),
            started_at: Some(1_767_323_045_000),
            restarts: 2,
            failures: 3,
            streak: 2,
            exits: vec![
                Exit { ending: Ending::Exited(7), at: 1, ran_for: 2 },
                Exit { ending: Ending::Signalled(9), at: 3, ran_for: 4 },
                Exit { ending: Ending::Unknown, at: 5, ran_for: 6 },
                Exit { ending: Ending::Unhealthy, at: 7, ran_for: 8 },
                Exit { ending: Ending::OutOfMemory, at: 9, ran_for: 10 },
            ],
            next_attempt: Some(u64::MAX),
            spec_hash: 0xdead_beef_0000_0001,
            dropped_bytes: 12,
            failure: Some("no such file: \"/a\\b\"\n\u{1b}[2J\u{9b}é".into()),
            compose: Some(ComposeRecord { project: "a\"b".into(), service: "web".into() }),
        }
    }

    #[test]
    fn what_was_written_is_read_back() {
        let written = record();
        let json = written.to_json();
        assert!(json.trim_end().chars().all(|c| !c.is_control()), "{json:?}");
        assert_eq!(parse(json.as_bytes()), Ok(written));
    }

    #[test]
    fn a_torn_foreign_or_future_file_is_unusable_and_never_a_panic() {
        let json = record().to_json();
        for length in 0..json.trim_end().len() {
            assert!(parse(&json.as_bytes()[..length]).is_err(), "cut at {length}");
        }
        assert!(parse(json.replace("\"schema\":1", "\"schema\":2").as_bytes()).unwrap_err().contains('2'));
        assert!(parse(b"\xff\xfe").is_err());
    }

    #[test]
    fn a_symbolic_link_is_not_followed() {
        let directory = tempfile::tempdir().expect("directory");
        let real = directory.path().join("real.json");
        std::fs::write(&real, record().to_json()).expect("write");
        let link = directory.path().join("link.json");
        std::os::unix::fs::symlink(&real, &link).expect("link");
        assert!(matches!(read(&real), Ok(Found::Record(..))));
        assert!(matches!(read(&link), Ok(Found::Unusable(_))));
        assert_eq!(read(&directory.path().join("none.json")).expect("read"), Found::Nothing);
    }
}
