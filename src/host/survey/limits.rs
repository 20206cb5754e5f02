//! Limits of the kernel and of this session.

use std::path::Path;

use rustix::fs::inotify;
use rustix::process::{Resource, getrlimit};

use crate::preflight::{FileLimit, PipeLimit, Trial};

/// What a console and a shim that starts at the same moment need, with one to spare.
const INOTIFY_INSTANCES: usize = 4;

/// Makes as many inotify instances as will be needed, and lets them go.
pub(super) fn inotify() -> Trial {
    let made: Result<Vec<_>, _> =
        (0..INOTIFY_INSTANCES).map(|_| inotify::init(inotify::CreateFlags::CLOEXEC)).collect();
    match made {
        Ok(_) => Trial::Works,
        Err(error) => Trial::Refused(error.to_string()),
    }
}

pub(super) fn open_files() -> FileLimit {
    let limit = getrlimit(Resource::Nofile);
    FileLimit { soft: limit.current, hard: limit.maximum }
}

pub(super) fn pipes(proc: &Path) -> Option<PipeLimit> {
    let text = std::fs::read_to_string(proc.join("sys/fs/pipe-user-pages-soft")).ok()?;
    Some(PipeLimit { soft_pages: text.trim().parse().ok()?, page: rustix::param::page_size() as u64 })
}

/// The option by which `/proc` hides processes, as its mount shows it: `hidepid=2`, `hidepid=invisible`.
pub(super) fn hidepid(proc: &Path) -> Option<String> {
    let mounts = std::fs::read_to_string(proc.join("self/mounts")).ok()?;
    let options = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (_, at, kind, options) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        (at == "/proc" && kind == "proc").then_some(options)
    })?;
    let option = options.split(',').find(|option| option.starts_with("hidepid="))?;
    // `off` shows everything, and `noaccess` still shows that a process is there; but not what it has open.
    (!matches!(option, "hidepid=0" | "hidepid=off")).then(|| option.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{hidepid, pipes};

    fn proc(mounts: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("self")).unwrap();
        std::fs::write(directory.path().join("self/mounts"), mounts).unwrap();
        directory
    }

    #[test]
    fn only_an_option_that_hides_something_is_told() {
        for (options, expected) in [
            ("rw,nosuid", None),
            ("rw,hidepid=0", None),
            ("rw,hidepid=off", None),
            ("rw,hidepid=2", Some("hidepid=2")),
            ("rw,gid=4,hidepid=invisible", Some("hidepid=invisible")),
        ] {
            let proc = proc(&format!("sys /sys sysfs rw 0 0\nproc /proc proc {options} 0 0\n"));
            assert_eq!(hidepid(proc.path()).as_deref(), expected, "{options}");
        }
    }

    #[test]
    fn a_limit_that_cannot_be_read_is_none() {
        assert_eq!(pipes(proc("").path()), None);
        assert!(pipes("/proc".as_ref()).is_some());
    }
}
