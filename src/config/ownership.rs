//! Whether somebody else could have written a file: a registry says which programs run, so one that was merely found must be ours.

use std::path::Path;

use rustix::fs::Stat;

use crate::model::Code;

use super::document::quoted;
use super::findings::Finding;

/// How a registry came to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Naming {
    /// A person named it: `--config`, or the variable.
    Named,
    /// It was found.
    Searched,
}

/// Who owns something and who may write to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// The permission bits, as `chmod` takes them.
    pub(super) mode: u32,
}

impl Owner {
    pub(super) fn of(stat: &Stat) -> Self {
        Self { uid: stat.st_uid, gid: stat.st_gid, mode: stat.st_mode & 0o7777 }
    }
}

/// Why a file is not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Doubt {
    OwnedBy(u32),
    AnyoneWrites,
    GroupWrites(u32),
}

/// The users of this machine, as far as trust is concerned.
pub(super) struct Users {
    /// Who runs this.
    us: u32,
    passwd: Vec<u8>,
    group: Vec<u8>,
}

impl Users {
    pub(super) fn of_this_machine() -> Self {
        // No such file means no such entry: then numbers are named, and no group is known to be private.
        let read = |path: &str| std::fs::read(path).unwrap_or_default();
        Self { us: rustix::process::geteuid().as_raw(), passwd: read("/etc/passwd"), group: read("/etc/group") }
    }

    fn doubt(&self, owner: Owner) -> Option<Doubt> {
        if owner.uid != 0 && owner.uid != self.us {
            Some(Doubt::OwnedBy(owner.uid))
        } else if owner.mode & 0o002 != 0 {
            Some(Doubt::AnyoneWrites)
        } else if owner.mode & 0o020 != 0 && owner.gid != 0 && !self.is_private(owner.gid) {
            Some(Doubt::GroupWrites(owner.gid))
        } else {
            None
        }
    }

    /// Whether a group is the one that many systems give to each user, with nobody else in it: their umask lets it write.
    fn is_private(&self, gid: u32) -> bool {
        let own_name =
            fields(&self.passwd).find(|user| number(user, 2) == Some(self.us)).and_then(|user| text(&user, 0));
        let of_others =
            fields(&self.passwd).any(|user| number(&user, 3) == Some(gid) && number(&user, 2) != Some(self.us));
        let is_own =
            fields(&self.passwd).any(|user| number(&user, 3) == Some(gid) && number(&user, 2) == Some(self.us));
        let has_guests = fields(&self.group).filter(|group| number(group, 2) == Some(gid)).any(|group| {
            let members = text(&group, 3).unwrap_or_default();
            members.split(',').any(|member| !member.is_empty() && Some(member) != own_name.as_deref())
        });
        is_own && !of_others && !has_guests
    }

    fn user(&self, uid: u32) -> String {
        name_of(&self.passwd, uid).map_or_else(|| format!("uid {uid}"), |name| format!("{} (uid {uid})", quoted(&name)))
    }

    fn group(&self, gid: u32) -> String {
        name_of(&self.group, gid).map_or_else(|| format!("gid {gid}"), |name| format!("{} (gid {gid})", quoted(&name)))
    }

    /// What is to be said of a registry file with this owner in a directory with that one; nothing when both are ours. An error means
    /// that it must not be used.
    pub(super) fn judge(&self, path: &Path, file: Owner, directory: Option<Owner>, naming: Naming) -> Option<Finding> {
        let shown = quoted(&path.display().to_string());
        let of_directory = directory.map(|owner| {
            // In a sticky directory nobody can replace what is not his.
            let is_sticky = owner.mode & 0o1000 != 0;
            if is_sticky { Owner { mode: owner.mode & !0o022, ..owner } } else { owner }
        });
        let (subject, object, doubt) = match (self.doubt(file), of_directory.and_then(|owner| self.doubt(owner))) {
            (Some(doubt), _) => (shown, path, doubt),
            (None, Some(doubt)) => (format!("the directory of {shown}"), path.parent().unwrap_or(path), doubt),
            (None, None) => return None,
        };
        let object = quoted(&object.display().to_string());
        let (fact, remedy) = match doubt {
            Doubt::OwnedBy(uid) => {
                (format!("belongs to {}", self.user(uid)), format!("make {object} yours with chown, or copy it"))
            }
            Doubt::AnyoneWrites => {
                ("can be written by anyone".to_owned(), format!("take that away: chmod o-w {object}"))
            }
            Doubt::GroupWrites(gid) => (
                format!("can be written by the group {}", self.group(gid)),
                format!("take that away: chmod g-w {object}"),
            ),
        };
        Some(match naming {
            Naming::Searched => {
                let message = format!("{subject} {fact}, so what it says is not used");
                let hint = format!("{remedy}; or name it with --config to use it all the same");
                Finding::error(Code::Untrusted, message).hint(hint)
            }
            Naming::Named => {
                Finding::warning(Code::Untrusted, format!("{subject} {fact}, who could start programs as you"))
                    .hint(remedy)
            }
        })
    }
}

/// The entries of a file such as `/etc/passwd` (passwd(5), group(5)).
fn fields(file: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    file.split(|byte| *byte == b'\n').map(|line| line.split(|byte| *byte == b':').collect())
}

fn text(entry: &[&[u8]], at: usize) -> Option<String> {
    entry.get(at).map(|field| String::from_utf8_lossy(field).into_owned())
}

fn number(entry: &[&[u8]], at: usize) -> Option<u32> {
    std::str::from_utf8(entry.get(at)?).ok()?.parse().ok()
}

fn name_of(file: &[u8], id: u32) -> Option<String> {
    fields(file).find(|entry| number(entry, 2) == Some(id)).and_then(|entry| text(&entry, 0))
}

#[cfg(test)]
mod tests {
    use super::{Naming, Owner, Users};
    use crate::model::Severity;
    use std::path::Path;

    fn users() -> Users {
        Users {
            us: 1000,
            passwd: b"root:x:0:0::/root:/bin/sh\nana:x:1000:1000::/home/ana:/bin/sh\nmallory:x:1001:1001::/:/bin/sh\n"
                .to_vec(),
            group: b"root:x:0:\nana:x:1000:\nstaff:x:50:ana,mallory\nmallory:x:1001:\n".to_vec(),
        }
    }

    /// The severity and the message for a file of `ana`, changed.
    fn judged(uid: u32, gid: u32, mode: u32, naming: Naming) -> Option<(Severity, String)> {
        let path = Path::new("/srv/config/services.toml");
        let found = users().judge(path, Owner { uid, gid, mode }, None, naming)?;
        Some((found.severity, format!("{} ({})", found.message, found.hint.unwrap_or_default())))
    }

    #[test]
    fn what_is_ours_or_of_the_machines_owner_is_trusted() {
        for (uid, gid, mode) in [(1000, 1000, 0o600), (1000, 1000, 0o644), (0, 0, 0o644), (0, 0, 0o664)] {
            assert_eq!(judged(uid, gid, mode, Naming::Searched), None, "{uid} {gid} {mode:o}");
        }
    }

    #[test]
    fn a_group_with_nobody_else_in_it_may_write() {
        assert_eq!(judged(1000, 1000, 0o664, Naming::Searched), None);
        let mut shared = users();
        shared.group = b"ana:x:1000:mallory\n".to_vec();
        let owner = Owner { uid: 1000, gid: 1000, mode: 0o664 };
        assert!(shared.judge(Path::new("/x/y"), owner, None, Naming::Searched).is_some());
    }

    #[test]
    fn what_others_could_have_written_is_refused_with_the_owner_and_the_remedy() {
        let (severity, text) = judged(1001, 1001, 0o644, Naming::Searched).unwrap();
        assert_eq!(severity, Severity::Error);
        assert!(text.contains("belongs to `mallory` (uid 1001)") && text.contains("--config"), "{text}");
        let (_, text) = judged(4242, 0, 0o644, Naming::Searched).unwrap();
        assert!(text.contains("belongs to uid 4242"), "{text}");
        let (_, text) = judged(1000, 50, 0o664, Naming::Searched).unwrap();
        assert!(
            text.contains("group `staff` (gid 50)") && text.contains("chmod g-w `/srv/config/services.toml`"),
            "{text}"
        );
        let (_, text) = judged(0, 0, 0o666, Naming::Searched).unwrap();
        assert!(text.contains("anyone") && text.contains("chmod o-w"), "{text}");
    }

    #[test]
    fn what_a_person_named_is_used_with_a_warning() {
        let (severity, text) = judged(1001, 1001, 0o644, Naming::Named).unwrap();
        assert_eq!(severity, Severity::Warning);
        assert!(text.contains("mallory") && !text.contains("--config"), "{text}");
    }

    #[test]
    fn a_directory_in_which_others_replace_files_counts_like_the_file() {
        let own = Owner { uid: 1000, gid: 1000, mode: 0o600 };
        let judge = |directory| users().judge(Path::new("/d/services.toml"), own, Some(directory), Naming::Searched);
        assert!(judge(Owner { uid: 1000, gid: 1000, mode: 0o777 }).unwrap().message.contains("the directory of"));
        assert!(judge(Owner { uid: 0, gid: 0, mode: 0o1777 }).is_none(), "a sticky directory, such as /tmp");
        assert!(judge(Owner { uid: 1001, gid: 1001, mode: 0o755 }).is_some());
    }
}
