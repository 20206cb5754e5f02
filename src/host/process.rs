//! Processes: who they are, whether they live, and who descends from whom. Std and rustix only: the shim uses it too.
//!
//! A PID alone names nobody, since the kernel gives it out again. Everything here speaks of a PID together with the moment its
//! process began, and a signal goes through a descriptor that was opened first and verified after.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal};
use rustix::time::ClockId;

use crate::model::{Ending, ProcessIdentity};

/// What `/proc/<pid>/stat` says of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// The process.
    pub pid: u32,
    /// Its program's name, at most 15 bytes; chosen by the process, so possibly hostile.
    pub comm: String,
    /// `R`, `S`, `Z` and so on.
    pub state: char,
    /// Its parent.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// Clock ticks from boot to its start.
    pub start_ticks: u64,
}

impl Stat {
    /// A process that has ended and only waits to be reaped does not live.
    pub fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// More than the line of `/proc/PID/stat` can have: 64 characters of name and fifty numbers of at most 20 digits.
const MAX_STAT: usize = 2048;

/// Reads `/proc/<pid>/stat`; `None` when there is no such process (or none that may be seen).
pub fn stat(pid: u32) -> Option<Stat> {
    // In one read: the kernel says no length, and reading on until the end would take seven.
    let mut text = [0; MAX_STAT];
    let n_bytes = fs::File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut text).ok()?;
    parse_stat(text.get(..n_bytes)?)
}

fn parse_stat(text: &[u8]) -> Option<Stat> {
    // The name stands in parentheses and may hold parentheses and spaces itself: the last one ends it.
    let open = text.iter().position(|&b| b == b'(')?;
    let close = text.iter().rposition(|&b| b == b')')?;
    let pid = std::str::from_utf8(text.get(..open)?).ok()?.trim().parse().ok()?;
    let comm = String::from_utf8_lossy(text.get(open + 1..close)?).into_owned();
    let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    // Fields 7 to 21 lie between the session and the start time (proc_pid_stat(5)).
    let start_ticks = fields.nth(15)?.parse().ok()?;
    Some(Stat { pid, comm, state, parent, group, session, start_ticks })
}

/// This boot and this PID namespace: the two things that give PIDs and start times their meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Era {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// The inode of `/proc/self/ns/pid`.
    pub pid_namespace: u64,
}

impl Era {
    /// The present one.
    ///
    /// # Errors
    /// When `/proc` is not mounted.
    pub fn present() -> io::Result<Self> {
        Ok(Self {
            boot_id: fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned(),
            pid_namespace: fs::metadata("/proc/self/ns/pid")?.ino(),
        })
    }

    /// The identity of the process that `stat` was read of.
    pub fn identity(&self, stat: &Stat) -> ProcessIdentity {
        ProcessIdentity {
            pid: stat.pid,
            start_ticks: stat.start_ticks,
            boot_id: self.boot_id.clone(),
            pid_namespace: self.pid_namespace,
        }
    }

    /// Whether `identity` was taken in this boot and namespace.
    pub fn covers(&self, identity: &ProcessIdentity) -> bool {
        identity.boot_id == self.boot_id && identity.pid_namespace == self.pid_namespace
    }

    /// Whether exactly this process lives.
    pub fn is_alive(&self, identity: &ProcessIdentity) -> bool {
        self.living(identity).is_some()
    }

    /// What `/proc` says of exactly this process, if it lives.
    pub fn living(&self, identity: &ProcessIdentity) -> Option<Stat> {
        if !self.covers(identity) || identity.pid <= 1 {
            return None;
        }
        stat(identity.pid).filter(|stat| stat.start_ticks == identity.start_ticks && stat.is_alive())
    }

    /// Opens exactly this process for watching and signalling; `None` when it is gone.
    ///
    /// The descriptor is opened before the identity is checked, so it cannot come to mean another process in between.
    ///
    /// # Errors
    /// When the kernel refuses for a reason other than absence (no descriptors left).
    pub fn open(&self, identity: &ProcessIdentity) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = signallable(identity.pid) else { return Ok(None) };
        let pidfd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(self.living(identity).map(|_| pidfd))
    }
}

/// The PID as rustix takes it, unless it is one that nobody may ever signal: 0 and negatives mean groups, 1 is init.
pub fn signallable(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().filter(|&raw| raw > 1).and_then(Pid::from_raw)
}

/// Signals every process of `members` that still is the one that was seen there, through a descriptor.
///
/// Those that are gone or may not be signalled are skipped: the caller looks at what remains.
pub fn signal_each(era: &Era, members: &[Stat], signal: Signal) {
    for member in members {
        if let Ok(Some(pidfd)) = era.open(&era.identity(member)) {
            // A process that ended in between, or changed its user, is left to the caller's next look.
            let _gone = rustix::process::pidfd_send_signal(&pidfd, signal);
        }
    }
}

/// Every process that descends from `ancestor` and lives, `ancestor` itself not included; parents before children.
pub fn descendants(ancestor: u32) -> Vec<Stat> {
    let mut found = Vec::new();
    let mut queue = match children(ancestor) {
        Some(children) => children,
        None => return scan_descendants(ancestor),
    };
    while let Some(pid) = queue.pop() {
        if let Some(stat) = stat(pid) {
            queue.extend(children(pid).unwrap_or_default());
            if stat.is_alive() {
                found.push(stat);
            }
        }
    }
    found
}

/// The process that all of a service's tree descends from: its shim, which leads the session of the process that it made and adopts what
/// loses its parent; without one, the service's process itself.
pub fn top_of_tree(service: u32) -> u32 {
    stat(service).filter(|stat| stat.parent == stat.session).map_or(service, |stat| stat.parent)
}

/// What became a child of the shim of a service because it left the process that made it, and left its process group too: a daemon, which
/// ends with the service all the same. Costs one look at the shim's children where there are none; where the kernel does not list
/// children, nothing is found.
pub fn daemons_of(shim: u32, service: u32) -> Vec<Stat> {
    let adopted: Vec<u32> = children(shim).unwrap_or_default().into_iter().filter(|child| *child != service).collect();
    if adopted.is_empty() {
        return Vec::new();
    }
    let group = stat(service).map(|stat| stat.group);
    adopted.into_iter().filter_map(stat).filter(|it| it.is_alive() && Some(it.group) != group).collect()
}

/// The children that all threads of `pid` have; `None` where the kernel does not tell (`CONFIG_PROC_CHILDREN`).
fn children(pid: u32) -> Option<Vec<u32>> {
    let mut found = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let Ok(task) = task else { continue };
        match fs::read_to_string(task.path().join("children")) {
            Ok(text) => found.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok())),
            Err(error) if error.kind() == io::ErrorKind::NotFound && task.path().exists() => return None,
            // The thread has ended.
            Err(_) => {}
        }
    }
    Some(found)
}

fn scan_descendants(ancestor: u32) -> Vec<Stat> {
    let mut by_parent: BTreeMap<u32, Vec<Stat>> = BTreeMap::new();
    for stat in all() {
        by_parent.entry(stat.parent).or_default().push(stat);
    }
    let mut found = Vec::new();
    let mut queue = vec![ancestor];
    while let Some(parent) = queue.pop() {
        for stat in by_parent.remove(&parent).unwrap_or_default() {
            queue.push(stat.pid);
            if stat.is_alive() {
                found.push(stat);
            }
        }
    }
    found
}

/// Every living process of session `session`. A session's number is not given out again while a process is in it, so members of
/// the session of a process that lives, or lived as its leader while these were started, belong together.
pub fn session_members(session: u32) -> Vec<Stat> {
    all().filter(|stat| stat.session == session && stat.is_alive()).collect()
}

/// Every process that can be seen.
pub fn all() -> impl Iterator<Item = Stat> {
    pids().filter_map(stat)
}

/// Every living process of this user in whose environment `find` finds something, with that. Reads that of every process:
/// milliseconds.
pub fn with_environment<T>(find: impl Fn(&[u8]) -> Option<T>) -> Vec<(T, Stat)> {
    let own = rustix::process::geteuid().as_raw();
    pids()
        .filter(|pid| fs::metadata(format!("/proc/{pid}")).is_ok_and(|found| found.uid() == own))
        .filter_map(|pid| Some((find(&fs::read(format!("/proc/{pid}/environ")).ok()?)?, pid)))
        .filter_map(|(found, pid)| Some((found, stat(pid).filter(Stat::is_alive)?)))
        .collect()
}

/// What the descriptors of a process stand for, as `/proc` names it; ` (deleted)` is added to files that were removed.
pub fn open_files(pid: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
    entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).collect()
}

/// How a process ended that nobody has waited for yet; `None` when it runs, or when it is gone and cannot be asked any more.
pub fn unreaped_ending(pid: u32, start_ticks: u64) -> Option<Ending> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = parse_stat(&text)?;
    if stat.start_ticks != start_ticks || stat.state != 'Z' {
        return None;
    }
    let close = text.iter().rposition(|&b| b == b')')?;
    // The last field: the state is the third, the exit code the 52nd (proc_pid_stat(5)), as waitpid(2) gives it.
    let fields = std::str::from_utf8(text.get(close + 1..)?).ok()?;
    let status: i32 = fields.split_ascii_whitespace().nth(52 - 3)?.parse().ok()?;
    Some(match status & 0x7f {
        0 => Ending::Exited((status >> 8) & 0xff),
        signal => Ending::Signalled(signal),
    })
}

/// Every PID that can be seen.
fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// A living process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockHolder {
    /// The process.
    pub stat: Stat,
    /// Who took the lock before it was handed on: the same for everybody who inherited it.
    pub taken_by: u32,
}

/// Every living process that has inherited, or took itself, the lock on the file with this device and inode: `flock` belongs to the
/// open file, and `fdinfo` lists it only for descriptors of that open file, so one who merely tries the lock is not found.
///
/// One that hides its descriptors, as whoever holds a token does, is found where it took the lock itself.
pub fn lock_holders(device: u64, inode: u64) -> Vec<LockHolder> {
    let mut takers = None;
    pids()
        .filter_map(|pid| {
            let taken_by = match shown_lock_taker(pid, device, inode) {
                Shown::Taker(taken_by) => taken_by,
                Shown::None => return None,
                Shown::Hidden => takers.get_or_insert_with(|| takers_of(inode)).contains(&pid).then_some(pid)?,
            };
            Some(LockHolder { stat: stat(pid).filter(Stat::is_alive)?, taken_by })
        })
        .collect()
}

/// Who took the lock that `pid` holds on this file, if it holds one. One that hides its descriptors, as whoever holds a token does, is
/// found where it took the lock itself.
pub fn lock_taker(pid: u32, device: u64, inode: u64) -> Option<u32> {
    match shown_lock_taker(pid, device, inode) {
        Shown::Taker(taken_by) => Some(taken_by),
        Shown::None => None,
        Shown::Hidden => takers_of(inode).contains(&pid).then_some(pid),
    }
}

/// What a process lets us see of a lock.
enum Shown {
    /// It holds it, and this one took it.
    Taker(u32),
    /// It does not hold it, or is gone.
    None,
    /// It does not let us look.
    Hidden,
}

fn shown_lock_taker(pid: u32, device: u64, inode: u64) -> Shown {
    let is_hidden = |error: io::Error| match error.kind() {
        io::ErrorKind::PermissionDenied => Shown::Hidden,
        _ => Shown::None,
    };
    let entries = match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(entries) => entries,
        Err(error) => return is_hidden(error),
    };
    for entry in entries.filter_map(Result::ok) {
        match fs::metadata(entry.path()) {
            Ok(found) if found.dev() == device && found.ino() == inode => {}
            // The superuser without privileges may list what is hidden, and nothing more.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Shown::Hidden,
            Ok(_) | Err(_) => continue,
        }
        // A process that hides its descriptors may still list its own, and not what they are about.
        let info = match fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", entry.file_name().to_string_lossy())) {
            Ok(info) => info,
            Err(error) => return is_hidden(error),
        };
        // `lock:  1: FLOCK  ADVISORY  WRITE 4711 fd:01:1234 0 EOF` (proc_pid_fdinfo(5)).
        let line = info.lines().find(|line| line.starts_with("lock:"));
        if let Some(taken_by) = line.and_then(|line| line.split_ascii_whitespace().nth(5)?.parse().ok()) {
            return Shown::Taker(taken_by);
        }
    }
    Shown::None
}

/// Who took the locks that are held on files with this inode, by the kernel's list of all. The device is left out, since some file systems
/// have another one there than `stat` says; the callers know the process that they ask about by more than this.
fn takers_of(inode: u64) -> Vec<u32> {
    takers_in(&fs::read_to_string("/proc/locks").unwrap_or_default(), inode)
}

/// `1: FLOCK  ADVISORY  WRITE 4711 fd:01:1234 0 EOF` (proc_locks(5)); an arrow in the second place is one who waits.
fn takers_in(locks: &str, inode: u64) -> Vec<u32> {
    let taker = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        if fields.next()? != "FLOCK" {
            return None;
        }
        let pid = fields.nth(2)?.parse().ok()?;
        let file = fields.next()?.rsplit(':').next()?;
        (file.parse() == Ok(inode)).then_some(pid)
    };
    locks.lines().filter_map(taker).collect()
}

/// How long ago, by the clock that counts suspended time too, a process with these start ticks began.
pub fn age(start_ticks: u64) -> Duration {
    let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
    let started = Duration::from_secs(start_ticks / ticks_per_second)
        + Duration::from_secs(start_ticks % ticks_per_second) / u32::try_from(ticks_per_second).unwrap_or(100);
    since_boot().saturating_sub(started)
}

/// The moment a process with these start ticks began.
pub fn started_at(start_ticks: u64) -> Instant {
    let now = Instant::now();
    now.checked_sub(age(start_ticks)).unwrap_or(now)
}

/// The time since boot, suspended time included. Comparable between processes.
pub fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{Era, age, descendants, parse_stat, signallable, stat};
    use crate::model::Ending;
    use std::time::Duration;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_confuse_the_parser() {
        let line = b"4711 (evil) R 1 (x)) S 12 34 56 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3";
        let stat = parse_stat(line).expect("parses");
        assert_eq!((stat.pid, stat.parent, stat.group, stat.session), (4711, 12, 34, 56));
        assert_eq!((stat.comm.as_str(), stat.state, stat.start_ticks), ("evil) R 1 (x)", 'S', 98765));
    }

    #[test]
    fn the_kernels_list_tells_who_took_a_lock_and_not_who_waits_for_it() {
        let locks = "1: POSIX  ADVISORY  WRITE 5 fd:01:77 0 EOF\n2: FLOCK  ADVISORY  WRITE 6 00:2f:77 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 7 00:2f:77 0 EOF\n3: FLOCK  ADVISORY  READ 8 00:2f:78 0 EOF\nodd\n";
        assert_eq!(super::takers_in(locks, 77), [6]);
        assert_eq!(super::takers_in(locks, 78), [8]);
        assert!(super::takers_in(locks, 79).is_empty());
    }

    #[test]
    fn this_process_is_alive_and_one_with_another_start_time_is_not() {
        let era = Era::present().expect("/proc");
        let me = era.identity(&stat(std::process::id()).expect("own stat"));
        assert!(era.is_alive(&me));
        assert!(era.open(&me).expect("pidfd").is_some());
        let mut other = me.clone();
        other.start_ticks += 1;
        assert!(!era.is_alive(&other));
        assert!(era.open(&other).expect("pidfd").is_none());
        let rebooted = crate::model::ProcessIdentity { boot_id: "another".into(), ..me.clone() };
        assert!(!era.is_alive(&rebooted));
        assert!(age(me.start_ticks) < Duration::from_secs(3600));
    }

    #[test]
    fn init_and_groups_are_never_signallable() {
        assert!([0, 1, u32::MAX, 1 << 31].into_iter().all(|pid| signallable(pid).is_none()));
        assert!(signallable(2).is_some());
    }

    #[test]
    fn the_ending_of_a_process_is_seen_until_somebody_waits_for_it() {
        let mut child = std::process::Command::new("sh").args(["-c", "exit 7"]).spawn().expect("sh");
        let begun = std::time::Instant::now();
        let zombie = loop {
            match stat(child.id()) {
                Some(stat) if stat.state == 'Z' => break stat,
                _ => assert!(begun.elapsed() < Duration::from_secs(20), "it never ended"),
            }
        };
        assert_eq!(super::unreaped_ending(child.id(), zombie.start_ticks), Some(Ending::Exited(7)));
        assert_eq!(super::unreaped_ending(child.id(), zombie.start_ticks + 1), None, "another process");
        child.wait().expect("wait");
        assert_eq!(super::unreaped_ending(child.id(), zombie.start_ticks), None);
        let mut child = std::process::Command::new("sleep").arg("30").spawn().expect("sleep");
        let start_ticks = stat(child.id()).expect("stat").start_ticks;
        assert_eq!(super::unreaped_ending(child.id(), start_ticks), None, "it runs");
        child.kill().expect("kill");
        while super::unreaped_ending(child.id(), start_ticks).is_none() {}
        assert_eq!(super::unreaped_ending(child.id(), start_ticks), Some(Ending::Signalled(9)));
        child.wait().expect("wait");
    }

    #[test]
    fn a_child_is_found_among_the_descendants() {
        let mut child = std::process::Command::new("sleep").arg("30").spawn().expect("sleep");
        assert!(descendants(std::process::id()).iter().any(|stat| stat.pid == child.id()));
        child.kill().expect("kill");
        child.wait().expect("wait");
        assert!(!descendants(std::process::id()).iter().any(|stat| stat.pid == child.id()));
    }
}
