//! What a process and everything below it use, from a few small files of `/proc` for each process.

use std::fs;
use std::time::Duration;

use super::process;
use crate::model::{ProcessIdentity, Usage};

/// The parent of a service's first process, by the name that the kernel has for it: what the service leaves behind becomes its child.
const SHIM: &str = "provisioning-sh";

/// What the tree of this process uses: the process, what descends from it, and what was left behind by parents that have ended. `None`
/// when it has gone.
pub fn of_tree(top: &ProcessIdentity) -> Option<Usage> {
    let stat = process::stat(top.pid).filter(|stat| stat.start_ticks == top.start_ticks)?;
    let has_shim = process::stat(stat.parent).is_some_and(|parent| parent.comm.starts_with(SHIM));
    let below = process::descendants(if has_shim { stat.parent } else { top.pid });
    let pids = below.iter().map(|stat| stat.pid).filter(|pid| *pid != top.pid);
    let mut sum = Sum::default();
    for pid in std::iter::once(top.pid).chain(pids) {
        // One that has ended meanwhile counts in its parent's time from now on.
        sum.add(pid);
    }
    Some(sum.usage())
}

#[derive(Default)]
struct Sum {
    n_ticks: u64,
    /// Pages that belong to one process alone.
    n_private: u64,
    /// Pages that the largest of them shares with somebody: mostly programs and libraries, the same for all of them.
    n_shared: u64,
}

impl Sum {
    fn add(&mut self, pid: u32) {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        self.n_ticks += ticks(&read("stat")).unwrap_or_default();
        let (resident, shared) = pages(&read("statm")).unwrap_or_default();
        self.n_private += resident.saturating_sub(shared);
        self.n_shared = self.n_shared.max(shared);
    }

    fn usage(&self) -> Usage {
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
        let millis = self.n_ticks.saturating_mul(1_000) / per_second;
        Usage {
            processor: Duration::from_millis(millis),
            memory: (self.n_private + self.n_shared).saturating_mul(page),
        }
    }
}

/// Fields 14 to 17 of `/proc/<pid>/stat` (proc_pid_stat(5)): the process's own time, and that of its children it has waited for.
fn ticks(stat: &[u8]) -> Option<u64> {
    let end = stat.iter().rposition(|&b| b == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    let times: Vec<u64> = rest.split_ascii_whitespace().skip(11).take(4).filter_map(|it| it.parse().ok()).collect();
    (times.len() == 4).then(|| times.iter().sum())
}

/// Fields 2 and 3 of `/proc/<pid>/statm`: resident and shared pages.
fn pages(statm: &[u8]) -> Option<(u64, u64)> {
    let mut fields = std::str::from_utf8(statm).ok()?.split_ascii_whitespace().skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::{of_tree, pages, ticks};
    use crate::host::process;
    use crate::model::ProcessIdentity;

    #[test]
    fn a_tree_is_measured_with_what_its_children_use() {
        // The loop runs in a child of the shell, since another command follows.
        let mut shell = Command::new("sh").args(["-c", "sh -c 'while :; do :; done'; true"]).spawn().unwrap();
        let start_ticks = process::stat(shell.id()).unwrap().start_ticks;
        let own = ProcessIdentity { pid: shell.id(), start_ticks, boot_id: String::new(), pid_namespace: 0 };
        let deadline = Instant::now() + Duration::from_secs(20);
        let usage = loop {
            let usage = of_tree(&own).unwrap();
            if usage.processor >= Duration::from_millis(50) {
                break usage;
            }
            assert!(Instant::now() < deadline, "{usage:?}");
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!((100 * 1024..200 * 1024 * 1024).contains(&usage.memory), "{usage:?}");
        for child in process::descendants(shell.id()) {
            let pid = rustix::process::Pid::from_raw(i32::try_from(child.pid).unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        shell.wait().unwrap();
        assert_eq!(of_tree(&own), None, "nobody is left");
        let recycled = ProcessIdentity { pid: std::process::id(), start_ticks: 1, ..own };
        assert_eq!(of_tree(&recycled), None, "another process of that number");
    }

    #[test]
    fn odd_files_are_no_numbers() {
        assert_eq!(ticks(b"1 (a) b) S 0 1 1 0 -1 0 0 0 0 0 7 5 3 1 20 0"), Some(16));
        for text in [&b""[..], b"1 (a", b"1 (a) S 1", b"\xff"] {
            assert_eq!((ticks(text), pages(text)), (None, None));
        }
        assert_eq!(pages(b"100 30 20 1 0 5 0\n"), Some((30, 20)));
    }
}
