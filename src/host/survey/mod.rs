//! Finds out what [`crate::preflight::judge_host`] judges. Leaves nothing behind: what has to be tried is tried on files without a name.

mod files;
mod limits;
mod logout;
mod reach;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::preflight::{Clock, Platform, Survey, Surveyed};
use crate::store::Layout;

/// How much older than our own executable a right clock may be: it may have been made on a machine whose clock was ahead.
const BUILD_TOLERANCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a survey looks.
#[derive(Debug, Clone)]
pub struct Places {
    /// Where the files of services are.
    pub layout: Layout,
    /// The home directory, for `~/.kube/config`.
    pub home: Option<PathBuf>,
    /// `DOCKER_HOST`.
    pub docker_host: Option<OsString>,
    /// `KUBECONFIG`.
    pub kubeconfig: Option<OsString>,
}

/// Looks at everything. Blocks: up to a few seconds where something does not answer.
pub(super) fn survey(proc: &Path, places: &Places, asked: Surveyed) -> Survey {
    let root = places.layout.root();
    let wanted = |platform, look: &dyn Fn() -> _| (platform == Platform::Used).then(look);
    Survey {
        asked,
        is_superuser: rustix::process::geteuid().is_root(),
        state: files::state(&places.layout),
        space: files::space(root),
        splice: files::splice(&places.layout.logs()),
        inotify: limits::inotify(),
        open_files: limits::open_files(),
        pipes: limits::pipes(proc),
        logout: logout::logout(proc),
        hidepid: limits::hidepid(proc),
        clock: clock(&places.layout),
        docker: wanted(asked.uses_docker, &|| reach::docker(places.docker_host.as_deref())),
        kubernetes: wanted(asked.uses_kubernetes, &|| {
            reach::kubernetes(places.kubeconfig.as_deref(), places.home.as_deref())
        }),
    }
}

fn clock(layout: &Layout) -> Clock {
    let now = SystemTime::now();
    let built = std::env::current_exe().and_then(std::fs::metadata).and_then(|found| found.modified());
    let earliest = built.ok().and_then(|built| built.checked_sub(BUILD_TOLERANCE)).unwrap_or(SystemTime::UNIX_EPOCH);
    let newest = files::newest(&[layout.state(), layout.logs()]);
    Clock { now, earliest, ahead: newest.and_then(|newest| newest.duration_since(now).ok()) }
}
