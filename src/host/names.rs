//! Which programs and systemd units of given names run (A52), and who descends from whom.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::preflight::{Conflict, ConflictKind};

/// What the kernel keeps of a process's name, `TASK_COMM_LEN` without its NUL.
const COMM_LENGTH: usize = 15;

/// No chain of parents is longer; one that changes under our eyes must not keep us.
const MAX_ANCESTRY: usize = 1024;

/// Which of `names` run, in the order given: as a systemd unit, whose manager would bring a killed process back, else as a process.
pub(super) fn running(proc: &Path, cgroups: &Path, names: &[String]) -> Vec<Conflict> {
    let units = unit_directories(cgroups);
    let processes = processes_named(proc, names);
    names
        .iter()
        .filter_map(|name| {
            let kind = if is_active_unit(&units, name) {
                ConflictKind::SystemdUnit
            } else {
                ConflictKind::Process { pid: *processes.get(name.as_str())? }
            };
            Some(Conflict { name: name.clone(), kind })
        })
        .collect()
}

/// One pass over all processes: the lowest PID of each name that was found.
fn processes_named<'a>(proc: &Path, names: &'a [String]) -> HashMap<&'a str, u32> {
    let mut found = HashMap::new();
    let own = std::process::id();
    for pid in pids(proc).filter(|pid| *pid != own) {
        let Some(process) = Named::read(proc, pid) else { continue };
        for name in names.iter().filter(|name| process.is_called(name)) {
            let lowest = found.entry(name.as_str()).or_insert(pid);
            *lowest = pid.min(*lowest);
        }
    }
    found
}

pub(super) fn pids(proc: &Path) -> impl Iterator<Item = u32> + use<> {
    fs::read_dir(proc).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// The names of one process.
struct Named {
    /// Cut at [`COMM_LENGTH`].
    comm: Vec<u8>,
    /// The last part of its first argument.
    first_argument: Vec<u8>,
    /// The last part of its executable's path; `None` for the processes of others.
    executable: Option<Vec<u8>>,
}

impl Named {
    /// `None` when the process has gone, or has no command line: kernel threads and zombies, which conflict with nobody.
    fn read(proc: &Path, pid: u32) -> Option<Self> {
        let dir = proc.join(pid.to_string());
        let cmdline = fs::read(dir.join("cmdline")).ok()?;
        let first = cmdline.split(|byte| *byte == 0).next().filter(|first| !first.is_empty())?;
        // Daemons write sentences here: `nginx: master process /usr/sbin/nginx`, `-bash`.
        let word = first.split(|byte| matches!(byte, b' ' | b':')).next().unwrap_or(first);
        let mut comm = fs::read(dir.join("comm")).ok()?;
        comm.pop_if(|last| *last == b'\n');
        let executable = fs::read_link(dir.join("exe")).ok().map(|path| {
            let path = path.as_os_str().as_bytes();
            base_name(path.strip_suffix(b" (deleted)").unwrap_or(path)).to_vec()
        });
        Some(Self { comm, first_argument: base_name(word).to_vec(), executable })
    }

    /// By its full name. Further arguments don't count: an editor that has `dnsmasq` open is not dnsmasq. A script that is run by its
    /// own name is called so by the kernel, and counts.
    fn is_called(&self, name: &str) -> bool {
        let name = name.as_bytes();
        self.executable.as_deref() == Some(name)
            || self.first_argument == name
            || (self.comm == name && name.len() <= COMM_LENGTH && self.comm_is_its_own())
    }

    /// A cut name is no name: `provisioning-or` stands for all programs that begin so.
    fn comm_is_its_own(&self) -> bool {
        self.comm.len() < COMM_LENGTH || !self.longer_names().any(|longer| longer.len() > COMM_LENGTH)
    }

    fn longer_names(&self) -> impl Iterator<Item = &[u8]> {
        self.executable.iter().chain([&self.first_argument]).map(Vec::as_slice).filter(|n| n.starts_with(&self.comm))
    }
}

fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// The name of a process as people know it: the kernel's, completed where it was cut. `None` when the process has gone.
pub(super) fn program_name(proc: &Path, pid: u32) -> Option<String> {
    let name = match Named::read(proc, pid) {
        Some(process) if process.comm.len() == COMM_LENGTH => {
            process.longer_names().next().map_or_else(|| process.comm.clone(), <[u8]>::to_vec)
        }
        Some(process) => process.comm,
        None => {
            let mut comm = fs::read(proc.join(pid.to_string()).join("comm")).ok()?;
            comm.pop_if(|last| *last == b'\n');
            comm
        }
    };
    Some(String::from_utf8_lossy(&name).into_owned())
}

/// Whether `pid` is `ancestor` or one of its descendants.
pub(super) fn is_descendant(proc: &Path, pid: u32, ancestor: u32) -> bool {
    let mut current = pid;
    for _ in 0..MAX_ANCESTRY {
        if current == ancestor {
            return true;
        }
        match parent(proc, current) {
            Some(parent) if parent != 0 => current = parent,
            Some(_) | None => return false,
        }
    }
    false
}

/// Field 4 of `stat` (proc(5)). The name before it may hold spaces and brackets, but nothing behind it holds a bracket.
fn parent(proc: &Path, pid: u32) -> Option<u32> {
    let stat = fs::read(proc.join(pid.to_string()).join("stat")).ok()?;
    let behind_name = stat.iter().rposition(|byte| *byte == b')')?;
    let text = std::str::from_utf8(stat.get(behind_name + 1..)?).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The cgroups that hold units: of the system and of each user's manager, in the unified tree and in the named one of systemd.
fn unit_directories(cgroups: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for root in [cgroups.to_owned(), cgroups.join("unified"), cgroups.join("systemd")] {
        found.push(root.join("system.slice"));
        for user in subdirectories(&root.join("user.slice")) {
            for manager in subdirectories(&user).filter(|path| has_ending(path, ".service")) {
                found.extend(subdirectories(&manager).filter(|path| has_ending(path, ".slice")));
                found.push(manager);
            }
        }
    }
    found.retain(|path| path.is_dir());
    found
}

fn subdirectories(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(path)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.file_name().map(OsStr::as_bytes).is_some_and(|name| name.ends_with(ending.as_bytes()))
}

/// Whether a unit of that name has processes. A unit that is active without any (`RemainAfterExit`) cannot be seen here.
fn is_active_unit(units: &[PathBuf], name: &str) -> bool {
    // A name becomes one part of a path, or nothing at all.
    if name.is_empty() || name.contains('/') {
        return false;
    }
    let unit = if name.ends_with(".service") { name.to_owned() } else { format!("{name}.service") };
    units.iter().any(|dir| is_populated(&dir.join(&unit)))
}

/// The unified tree says it for a whole subtree (`cgroup.events`, cgroup-v2.rst); in the older one, processes are looked for.
fn is_populated(cgroup: &Path) -> bool {
    match fs::read_to_string(cgroup.join("cgroup.events")) {
        Ok(events) => events.lines().any(|line| line == "populated 1"),
        Err(_) => {
            let has_processes = |dir: &Path| fs::read(dir.join("cgroup.procs")).is_ok_and(|procs| !procs.is_empty());
            has_processes(cgroup) || subdirectories(cgroup).any(|below| has_processes(&below))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_descendant, processes_named, program_name, running};
    use crate::preflight::{Conflict, ConflictKind};
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    const PROC: &str = "/proc";

    /// A copy of `sleep` under another name, killed and reaped on drop.
    struct Sleeper {
        child: Child,
        _dir: tempfile::TempDir,
    }

    impl Sleeper {
        fn called(name: &str) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(name);
            fs::copy("/bin/sleep", &path).unwrap();
            Self::spawn(dir, Command::new(path).arg("1000"))
        }

        fn spawn(dir: tempfile::TempDir, command: &mut Command) -> Self {
            // Another test's fork may still hold the freshly written file open (ETXTBSY): until it has called exec.
            let deadline = Instant::now() + Duration::from_secs(10);
            let child = loop {
                match command.stdin(Stdio::piped()).spawn() {
                    Ok(child) => break child,
                    Err(error) => assert!(Instant::now() < deadline, "{error}"),
                }
            };
            // The kernel lets us go on a moment before the new program has its arguments.
            let cmdline = Path::new(PROC).join(child.id().to_string()).join("cmdline");
            while fs::read(&cmdline).unwrap().is_empty() {
                assert!(Instant::now() < deadline, "the program has not begun");
            }
            Self { child, _dir: dir }
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }

    fn pid_of(name: &str) -> Option<u32> {
        processes_named(Path::new(PROC), &[name.to_owned()]).values().next().copied()
    }

    #[test]
    fn a_process_is_found_by_its_full_name_only() {
        let long = Sleeper::called("a-rather-long-program-name");
        let pid = Some(long.child.id());
        assert_eq!(pid_of("a-rather-long-program-name"), pid);
        assert_eq!(pid_of("a-rather-long-p"), None, "what the kernel cut off is no name");
        assert_eq!(pid_of("a-rather-long-program"), None);
        assert_eq!(program_name(Path::new(PROC), long.child.id()).as_deref(), Some("a-rather-long-program-name"));
        drop(long);
        assert_eq!(pid_of("a-rather-long-program-name"), None);
    }

    #[test]
    fn an_argument_is_no_name() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("strange-daemon-x");
        fs::write(&script, "read line\n").unwrap();
        let _shell = Sleeper::spawn(dir, Command::new("sh").arg(script));
        assert_eq!(pid_of("strange-daemon-x"), None);
    }

    #[test]
    fn zombies_and_ourselves_are_nobody() {
        let mut zombie = Sleeper::called("soon-a-zombie");
        zombie.child.kill().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while pid_of("soon-a-zombie").is_some() {
            assert!(Instant::now() < deadline, "a zombie counts as running");
        }
        let own = std::env::current_exe().unwrap();
        assert_ne!(pid_of(own.file_name().unwrap().to_str().unwrap()), Some(std::process::id()));
        drop(zombie);
    }

    #[test]
    fn descent_is_followed_and_ends() {
        let child = Sleeper::called("descendant");
        let (pid, own) = (child.child.id(), std::process::id());
        let proc = Path::new(PROC);
        assert!(is_descendant(proc, pid, own) && is_descendant(proc, pid, pid));
        assert!(!is_descendant(proc, own, pid) && !is_descendant(proc, u32::MAX, own));
    }

    /// A process table with one process.
    fn table(comm: &str, cmdline: &str, exe: Option<&str>) -> tempfile::TempDir {
        let proc = tempfile::tempdir().unwrap();
        let dir = proc.path().join("42");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("comm"), format!("{comm}\n")).unwrap();
        fs::write(dir.join("cmdline"), cmdline).unwrap();
        if let Some(exe) = exe {
            symlink(exe, dir.join("exe")).unwrap();
        }
        proc
    }

    #[test]
    fn names_are_compared_with_all_that_a_process_is_called() {
        for (comm, cmdline, exe, name, expected) in [
            ("dnsmasq", "/usr/sbin/dnsmasq\0-k\0", None, "dnsmasq", true),
            ("systemd-resolve", "/usr/lib/systemd/systemd-resolved\0", None, "systemd-resolved", true),
            ("systemd-resolve", "/usr/lib/systemd/systemd-resolved\0", None, "systemd-resolve", false),
            ("exactly-fifteen", "/bin/exactly-fifteen\0", None, "exactly-fifteen", true),
            ("nginx", "nginx: master process /usr/sbin/nginx\0", None, "nginx", true),
            ("gitea", "/old/name\0", Some("/opt/gitea (deleted)"), "gitea", true),
            ("vim", "vim\0/etc/dnsmasq\0", Some("/usr/bin/vim"), "dnsmasq", false),
            ("kworker", "", None, "kworker", false),
        ] {
            let proc = table(comm, cmdline, exe);
            let found = running(proc.path(), Path::new("/nonexistent"), &[name.to_owned()]);
            let wanted = Conflict { name: name.to_owned(), kind: ConflictKind::Process { pid: 42 } };
            assert_eq!(found, if expected { vec![wanted] } else { vec![] }, "{name} in {cmdline:?}");
        }
    }

    #[test]
    fn a_unit_with_processes_is_active_in_either_tree_and_for_any_user() {
        let root = tempfile::tempdir().unwrap();
        let unit = |path: &str, file: &str, content: &str| {
            let dir: PathBuf = root.path().join(path);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join(file), content).unwrap();
        };
        unit("system.slice/dnsmasq.service", "cgroup.events", "populated 1\nfrozen 0\n");
        unit("system.slice/idle.service", "cgroup.events", "populated 0\nfrozen 0\n");
        unit("systemd/system.slice/old.service", "cgroup.procs", "12\n");
        unit("systemd/system.slice/empty.service", "cgroup.procs", "");
        unit("user.slice/user-1000.slice/user@1000.service/app.slice/mine.service", "cgroup.events", "populated 1\n");
        let names = ["mine", "dnsmasq", "idle", "old", "empty", "../system.slice/dnsmasq", "dnsmasq.service", ""];
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let found = running(Path::new("/nonexistent"), root.path(), &names);
        let found: Vec<&str> = found.iter().map(|conflict| conflict.name.as_str()).collect();
        assert_eq!(found, ["mine", "dnsmasq", "old", "dnsmasq.service"]);
    }
}
