//! From a survey of the machine to findings.

use std::time::Duration;

use super::{FileLimit, HostFinding, Logout, LogoutPolicy, PipeLimit, Reach, Space, Survey, Topic, Trial, Where};
use crate::preflight::Verdict;

/// Below this, a log fills the disk within minutes: bytes.
const LITTLE_SPACE: u64 = 200 * 1024 * 1024;

/// Below this, not even a state file can be trusted to be written: bytes.
const NO_SPACE: u64 = 1024 * 1024;

/// Below this, new logs and state files soon cannot be made.
const FEW_FILES: u64 = 1000;

/// What an engine has open apart from its services: terminal, runtime, probes, watches, the log that is read.
const OPEN_FILES_BASE: u64 = 128;

/// What an engine holds open for each binary-mode service: handles of its process and of its shim, a probe, and one to spare.
const OPEN_FILES_EACH: u64 = 4;

/// The buffer of a new pipe, in bytes (`pipe(7)`).
const PIPE_BUFFER: u64 = 64 * 1024;

/// A difference of clocks that no one would call a clock set back.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// Judges everything that was found out about the machine, good findings included, in the order of [`Topic`].
pub fn judge_host(survey: &Survey) -> Vec<HostFinding> {
    let mut findings = vec![state(survey), space(survey)];
    findings.extend(splice(&survey.splice));
    findings.push(inotify(&survey.inotify));
    findings.push(open_files(survey.open_files, survey.asked.n_binary));
    findings.extend(survey.pipes.filter(|_| !survey.is_superuser).map(|limit| pipes(limit, survey.asked.n_binary)));
    findings.push(logout(&survey.logout));
    findings.extend(hidepid(survey));
    findings.push(clock(survey));
    findings.extend(survey.docker.as_ref().map(docker));
    findings.extend(survey.kubernetes.as_ref().map(kubernetes));
    findings
}

fn passed(topic: Topic, message: impl Into<String>) -> HostFinding {
    HostFinding { topic, verdict: Verdict::Passed, message: message.into(), remedy: None }
}

fn failed(topic: Topic, message: impl Into<String>, remedy: impl Into<String>) -> HostFinding {
    HostFinding { topic, verdict: Verdict::Failed, message: message.into(), remedy: Some(remedy.into()) }
}

fn warning(topic: Topic, message: impl Into<String>, remedy: impl Into<String>) -> HostFinding {
    HostFinding { topic, verdict: Verdict::Warning, message: message.into(), remedy: Some(remedy.into()) }
}

fn state(survey: &Survey) -> HostFinding {
    let path = survey.state.path.display();
    match &survey.state.problem {
        None => passed(Topic::StateDirectory, format!("State directory: {path}")),
        Some((problem, remedy)) => {
            failed(Topic::StateDirectory, format!("State directory cannot be used: {problem}"), remedy)
        }
    }
}

fn space(survey: &Survey) -> HostFinding {
    let topic = Topic::DiskSpace;
    let path = survey.state.path.display();
    let remedy = || format!("remove what is not needed, or move the directory (df {path} shows its file system)");
    match &survey.space {
        Err(why) => warning(topic, format!("Free space below {path} is not known: {why}"), format!("df {path}")),
        Ok(Space { free_files: Some(0), .. }) => {
            failed(topic, format!("No file can be made below {path}: its file system has no inode left"), remedy())
        }
        Ok(Space { free, .. }) if *free < NO_SPACE => {
            failed(topic, format!("The disk is full: {} free below {path}", bytes(*free)), remedy())
        }
        Ok(Space { free, .. }) if *free < LITTLE_SPACE => {
            warning(topic, format!("The disk is nearly full: {} free below {path}", bytes(*free)), remedy())
        }
        Ok(Space { free_files: Some(files), .. }) if *files < FEW_FILES => {
            warning(topic, format!("Only {files} files can still be made below {path}"), remedy())
        }
        Ok(Space { free, .. }) => passed(topic, format!("Free space: {}", bytes(*free))),
    }
}

fn splice(trial: &Trial) -> Option<HostFinding> {
    let topic = Topic::LogTransfer;
    match trial {
        Trial::Works => Some(passed(topic, "Output reaches the logs without loss (splice works)")),
        Trial::Refused(why) => Some(warning(
            topic,
            format!(
                "splice is refused by the file system of the logs ({why}): lines can be lost when a shim is killed"
            ),
            "put the state directory on a local file system (PROVISIONING_SERVICES_DIR)",
        )),
        // Why nothing can be written there is said by the state directory's own finding.
        Trial::NotTried(_) => None,
    }
}

fn inotify(trial: &Trial) -> HostFinding {
    let topic = Topic::FileWatching;
    let remedy = "sudo sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288";
    match trial {
        Trial::Works => passed(topic, "Changes of files are noticed (inotify works)"),
        Trial::Refused(why) => failed(topic, format!("No more inotify instances can be made: {why}"), remedy),
        Trial::NotTried(why) => warning(topic, format!("inotify could not be tried: {why}"), remedy),
    }
}

fn open_files(limit: FileLimit, n_binary: usize) -> HostFinding {
    let topic = Topic::OpenFiles;
    let needed = OPEN_FILES_BASE + OPEN_FILES_EACH * n_binary as u64;
    match limit {
        FileLimit { soft: None, .. } => passed(topic, "Open files: no limit"),
        FileLimit { soft: Some(soft), .. } if soft >= needed => passed(topic, format!("Open files: up to {soft}")),
        FileLimit { soft: Some(soft), hard } => {
            let message = format!("Only {soft} files may be open at once; {n_binary} services need about {needed}");
            let remedy = if hard.is_none_or(|hard| hard >= needed) {
                format!("ulimit -n {needed}")
            } else {
                format!("raise the limit `nofile` to {needed} in /etc/security/limits.conf, and log in again")
            };
            failed(topic, message, remedy)
        }
    }
}

fn pipes(limit: PipeLimit, n_binary: usize) -> HostFinding {
    let topic = Topic::PipeBuffers;
    let needed = n_binary as u64 * PIPE_BUFFER.div_ceil(limit.page.max(1));
    if limit.soft_pages == 0 || needed <= limit.soft_pages {
        return passed(topic, format!("Pipe buffers: {} pages of {}", needed, limit.soft_pages));
    }
    warning(
        topic,
        format!(
            "{n_binary} services need {needed} pages of pipe buffers, and one user may have {}: later ones get small \
             buffers and wait for their log sooner",
            limit.soft_pages
        ),
        format!("sudo sysctl fs.pipe-user-pages-soft={}", needed.next_power_of_two()),
    )
}

fn logout(logout: &Logout) -> HostFinding {
    let topic = Topic::Logout;
    let (place, policy, lingers, user) = match logout {
        Logout::NoManager => {
            return passed(topic, "Services survive logout: no login manager ends processes");
        }
        Logout::Logind { place, policy, lingers, user } => (*place, *policy, *lingers, user),
    };
    // `enable-linger` keeps the user's manager; only what stands below that is out of the session's reach.
    let out_of_session = format!(
        "loginctl enable-linger {user}, and start services out of the session: systemd-run --user --scope provisioning \
         platform start; or set KillUserProcesses=no in /etc/systemd/logind.conf"
    );
    match (place, policy) {
        (Where::Elsewhere, _) => passed(topic, "Services survive logout: this is no login session"),
        (Where::Session, LogoutPolicy::Spares) => passed(topic, "Services survive logout (KillUserProcesses=no)"),
        (Where::Session, LogoutPolicy::Kills) => {
            failed(topic, "Services are killed when you log out (KillUserProcesses=yes)", out_of_session)
        }
        (Where::Session, LogoutPolicy::Unknown) => {
            warning(topic, "Whether services are killed when you log out is not known", out_of_session)
        }
        (Where::UserManager, _) if lingers => passed(topic, "Services survive logout (lingering is enabled)"),
        (Where::UserManager, _) => warning(
            topic,
            "Services started here end when you log out: they stand below your user manager",
            format!("loginctl enable-linger {user}"),
        ),
    }
}

fn hidepid(survey: &Survey) -> Option<HostFinding> {
    let option = survey.hidepid.as_ref().filter(|_| !survey.is_superuser)?;
    Some(warning(
        Topic::ProcessVisibility,
        format!("/proc hides processes of other users ({option}): what holds a port or conflicts may go unnamed"),
        "ask an administrator to add you to the group that /proc is mounted with (gid=), or use sudo lsof -i",
    ))
}

fn clock(survey: &Survey) -> HostFinding {
    let topic = Topic::Clock;
    let remedy = "timedatectl set-ntp true";
    let clock = survey.clock;
    if clock.now < clock.earliest {
        return failed(
            topic,
            "The clock says a time before this program was made: certificates cannot be valid",
            remedy,
        );
    }
    match clock.ahead.filter(|ahead| *ahead > CLOCK_TOLERANCE) {
        None => passed(topic, "The clock agrees with our own files"),
        Some(ahead) => warning(
            topic,
            format!("Our newest file lies {} s in the future: the clock was set back", ahead.as_secs()),
            remedy,
        ),
    }
}

fn docker(reach: &Reach) -> HostFinding {
    let topic = Topic::Docker;
    match reach {
        Reach::Answers(address) => passed(topic, format!("Docker is reachable: {address}")),
        // M4, as the guide has it.
        Reach::Absent(why) => failed(
            topic,
            "Docker is not installed or not running",
            format!("systemctl start docker, or set DOCKER_HOST ({why})"),
        ),
        Reach::Forbidden(why) => failed(
            topic,
            format!("Docker refuses us: {why}"),
            "add yourself to the group docker (sudo usermod -aG docker $USER), and log in again",
        ),
    }
}

fn kubernetes(reach: &Reach) -> HostFinding {
    let topic = Topic::Kubernetes;
    match reach {
        Reach::Answers(path) => passed(topic, format!("Kubernetes configuration found: {path}")),
        // M23.
        Reach::Absent(why) => failed(
            topic,
            "kubectl is not installed or not configured",
            format!("set KUBECONFIG, or put a configuration where it is looked for ({why})"),
        ),
        Reach::Forbidden(why) => {
            failed(topic, format!("The Kubernetes configuration cannot be read: {why}"), "make it readable for you")
        }
    }
}

/// `1.4 GiB`, rounded down so that little is never called more.
fn bytes(n: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, size) in UNITS {
        if n >= size {
            return format!("{}.{} {unit}", n / size, n % size * 10 / size);
        }
    }
    format!("{n} bytes")
}

#[cfg(test)]
mod tests;
