//! What happens to our processes when their user logs out: where we stand, and what systemd-logind was told.

use std::path::{Path, PathBuf};

use crate::preflight::{Logout, LogoutPolicy, Where};

/// Where logind keeps what it knows of sessions; there while it runs.
const LOGIND: &str = "/run/systemd/sessions";

/// A file per user who lingers.
const LINGERING: &str = "/var/lib/systemd/linger";

/// The main file, in the order in which the first that is there counts (`logind.conf(5)`).
const MAIN_FILES: [&str; 4] = [
    "/etc/systemd/logind.conf",
    "/run/systemd/logind.conf",
    "/usr/local/lib/systemd/logind.conf",
    "/usr/lib/systemd/logind.conf",
];

/// Where further files are, the last that names a setting counting.
const DROP_INS: [&str; 4] = [
    "/usr/lib/systemd/logind.conf.d",
    "/usr/local/lib/systemd/logind.conf.d",
    "/run/systemd/logind.conf.d",
    "/etc/systemd/logind.conf.d",
];

pub(super) fn logout(proc: &Path) -> Logout {
    if !Path::new(LOGIND).is_dir() {
        return Logout::NoManager;
    }
    let uid = rustix::process::getuid().as_raw();
    let user = user_name(uid).unwrap_or_else(|| uid.to_string());
    let cgroup = std::fs::read_to_string(proc.join("self/cgroup")).unwrap_or_default();
    Logout::Logind {
        place: place(&cgroup),
        policy: policy(&texts(), &user),
        lingers: Path::new(LINGERING).join(&user).exists(),
        user,
    }
}

/// `user.slice/user-1000.slice/session-3.scope`, or `…/user@1000.service/app.slice/…`.
fn place(cgroup: &str) -> Where {
    let paths = cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let mut place = Where::Elsewhere;
    for part in paths.flat_map(|path| path.split('/')) {
        if part.starts_with("user@") && part.ends_with(".service") {
            return Where::UserManager;
        }
        if part.starts_with("session-") && part.ends_with(".scope") {
            place = Where::Session;
        }
    }
    place
}

/// The configuration, what counts more coming later.
fn texts() -> Vec<String> {
    let main = MAIN_FILES.iter().find_map(|file| std::fs::read_to_string(file).ok());
    let mut drop_ins: Vec<PathBuf> = DROP_INS
        .iter()
        .filter_map(|directory| std::fs::read_dir(directory).ok())
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
        .collect();
    // By name, whatever the directory; of one name, the directory that counts more comes later already.
    drop_ins.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    main.into_iter().chain(drop_ins.iter().filter_map(|path| std::fs::read_to_string(path).ok())).collect()
}

/// What the texts say of this user. Nothing said is the distribution's choice, which differs.
fn policy(texts: &[String], user: &str) -> LogoutPolicy {
    let set = |key: &str| texts.iter().flat_map(|text| text.lines()).filter_map(|line| value(line, key)).next_back();
    // By default the superuser is spared.
    let is_excluded = set("KillExcludeUsers").unwrap_or("root").split_whitespace().any(|name| name == user);
    let only = set("KillOnlyUsers").unwrap_or_default();
    let is_meant = only.is_empty() || only.split_whitespace().any(|name| name == user);
    if is_excluded || !is_meant {
        return LogoutPolicy::Spares;
    }
    match set("KillUserProcesses").map(str::to_ascii_lowercase).as_deref() {
        Some("yes" | "true" | "on" | "1" | "y" | "t") => LogoutPolicy::Kills,
        Some("no" | "false" | "off" | "0" | "n" | "f") => LogoutPolicy::Spares,
        Some(_) | None => documented_default(texts),
    }
}

/// Distributions that keep the file as shipped name their default in it, behind a `#`.
fn documented_default(texts: &[String]) -> LogoutPolicy {
    let lines = texts.iter().flat_map(|text| text.lines());
    match lines.filter_map(|line| value(line.trim_start().strip_prefix('#')?, "KillUserProcesses")).next() {
        Some("yes") => LogoutPolicy::Kills,
        Some("no") => LogoutPolicy::Spares,
        Some(_) | None => LogoutPolicy::Unknown,
    }
}

fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let (name, value) = line.split_once('=')?;
    (name.trim() == key).then(|| value.trim())
}

/// The name of a user from the local user database; who is not in it is named by number.
fn user_name(uid: u32) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::{place, policy};
    use crate::preflight::{LogoutPolicy, Where};

    #[test]
    fn the_control_group_tells_where_a_process_stands() {
        for (cgroup, expected) in [
            ("0::/user.slice/user-1000.slice/session-3.scope\n", Where::Session),
            ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope\n", Where::UserManager),
            ("0::/system.slice/ssh.service\n", Where::Elsewhere),
            ("0::/\n", Where::Elsewhere),
            ("12:pids:/x\n1:name=systemd:/user.slice/user-0.slice/session-c1.scope\n", Where::Session),
            ("", Where::Elsewhere),
        ] {
            assert_eq!(place(cgroup), expected, "{cgroup}");
        }
    }

    #[test]
    fn the_last_setting_counts_and_the_superuser_is_spared_by_default() {
        for (texts, user, expected) in [
            (&["[Login]\nKillUserProcesses=yes\n"][..], "ada", LogoutPolicy::Kills),
            (&["KillUserProcesses=yes", " KillUserProcesses = no "][..], "ada", LogoutPolicy::Spares),
            (&["KillUserProcesses=yes"][..], "root", LogoutPolicy::Spares),
            (&["KillUserProcesses=yes\nKillExcludeUsers=\n"][..], "root", LogoutPolicy::Kills),
            (&["KillUserProcesses=yes\nKillOnlyUsers=bob eve\n"][..], "ada", LogoutPolicy::Spares),
            (&["#KillUserProcesses=no\n"][..], "ada", LogoutPolicy::Spares),
            (&["#KillUserProcesses=yes\n"][..], "ada", LogoutPolicy::Kills),
            (&["#KillUserProcesses=no\n", "KillUserProcesses=1"][..], "ada", LogoutPolicy::Kills),
            (&[][..], "ada", LogoutPolicy::Unknown),
        ] {
            let owned: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
            assert_eq!(policy(&owned, user), expected, "{texts:?} {user}");
        }
    }
}
