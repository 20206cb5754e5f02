//! Finding what lives when all files about it were removed (`rm -rf` of the directory): by what its processes carry in their environment.

use std::ffi::OsStr;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use super::BinaryBackend;
use super::look::Look;
use crate::engine::ports::{BackendError, ErrorKind};
use crate::host::process::{self, Stat};
use crate::model::{ProcessIdentity, ServiceId};
use crate::store::{cookie, directory};

/// For so long one look at all processes serves all services: a start of many asks for each of them at the same moment.
const FRESH: Duration = Duration::from_millis(500);

/// The processes that carried a cookie when they were looked for last.
#[derive(Debug, Default)]
pub(super) struct Lost {
    at: Option<Instant>,
    seen: Vec<Bearer>,
}

/// A process that carries the cookie of a service, of this home or of another.
#[derive(Debug, Clone)]
struct Bearer {
    cookie: Vec<u8>,
    stat: Stat,
}

impl BinaryBackend {
    /// Looks among all processes for an instance of a service of which no file tells.
    pub(super) fn look_for_lost(&self, id: &ServiceId) -> Look {
        let mut look = Look::nothing();
        let value = cookie::value(self.settings.layout.root(), id);
        let is_its = |found: &[u8]| found == OsStr::as_encoded_bytes(&value);
        let mut members: Vec<Stat> =
            self.bearers().into_iter().filter(|bearer| is_its(&bearer.cookie)).map(|bearer| bearer.stat).collect();
        // A service leads a group; what it started carries the cookie too, and may have a group of its own, but is younger.
        members.sort_by_key(|stat| stat.start_ticks);
        match members.iter().find(|stat| stat.group == stat.pid) {
            Some(leader) => {
                look.service = Some(self.era.identity(leader));
                look.shim = self.shim_of(id, leader);
            }
            None => look.left_behind = members,
        }
        if look.service.is_some() || !look.left_behind.is_empty() {
            look.notes.push("the files about it were removed while it ran".to_owned());
        }
        look
    }

    /// Notes that nothing is lost, once: every process of this home has a record beside it. Called after the directory was prepared.
    pub(super) fn note_completeness(&self) {
        let layout = &self.settings.layout;
        let marker = layout.complete_marker();
        if marker.exists() {
            return;
        }
        let suffix = cookie::suffix(layout.root());
        let has_record = |found: &[u8]| {
            let name =
                found.strip_suffix(OsStr::as_encoded_bytes(&suffix)).and_then(|name| std::str::from_utf8(name).ok());
            // A process of another home, or of no service, is none of ours.
            name.and_then(|name| ServiceId::new(name).ok()).is_none_or(|id| layout.state_file(&id).exists())
        };
        if self.bearers().iter().all(|bearer| has_record(&bearer.cookie))
            && let Err(error) = directory::open_regular(&marker, OFlags::WRONLY | OFlags::CREATE)
        {
            tracing::debug!(%error, "the marker of a complete state directory could not be made");
        }
    }

    /// The shim that is the parent of this process: by its program, and by the lock of this very service that it holds open, whether that
    /// file still has its name or not.
    fn shim_of(&self, id: &ServiceId, service: &Stat) -> Option<ProcessIdentity> {
        let parent = process::stat(service.parent).filter(Stat::is_alive)?;
        let identity = self.era.identity(&parent);
        let root = self.settings.layout.root();
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let lock = crate::store::Layout::new(root).shim_lock_file(id);
        let mut removed = lock.clone().into_os_string();
        removed.push(" (deleted)");
        let names = [lock.as_os_str(), removed.as_os_str()];
        let is_its_shim = process::open_files(parent.pid).iter().any(|file| names.contains(&file.as_os_str()));
        // The identity was taken before the look, and is verified once more by whoever signals it.
        is_its_shim.then_some(identity)
    }

    /// Every living process with a cookie, whosever.
    fn bearers(&self) -> Vec<Bearer> {
        // What is behind this lock is whole at any moment.
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if lost.at.is_none_or(|at| at.elapsed() >= FRESH) {
            let found = process::with_environment(|environ| cookie::find(environ).map(<[u8]>::to_vec));
            lost.seen = found.into_iter().map(|(cookie, stat)| Bearer { cookie, stat }).collect();
            lost.at = Some(Instant::now());
        }
        let lives = |bearer: &&Bearer| self.era.is_alive(&self.era.identity(&bearer.stat));
        lost.seen.iter().filter(lives).cloned().collect()
    }
}

/// Why nothing is started beside what is left of an earlier instance.
pub(super) fn left_behind(id: &ServiceId, left: &[Stat]) -> BackendError {
    let names: Vec<String> =
        left.iter().map(|stat| format!("{} (PID {})", stat.comm.escape_debug(), stat.pid)).collect();
    let pids: Vec<String> = left.iter().map(|stat| stat.pid.to_string()).collect();
    BackendError {
        kind: ErrorKind::Permanent,
        message: format!(
            "processes of an earlier {id}, about which all files were removed, still run: {}",
            names.join(", ")
        ),
        remedy: Some(format!("Look at them, end them (kill {}), then start it again", pids.join(" "))),
    }
}
