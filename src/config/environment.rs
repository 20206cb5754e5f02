//! What the registry may depend on besides its text: variables, the home directory, the current directory. A value, so that tests need
//! no global state.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The variables and directories that the search and the expansion look at.
#[derive(Clone, Default)]
pub struct Environment {
    /// Environment variables.
    pub variables: HashMap<OsString, OsString>,
    /// The user's home, absolute; `None` when neither `$HOME` nor the user database knows one.
    pub home: Option<PathBuf>,
    /// Where the upward search begins; `None` when the current directory is gone or may not be known.
    pub current_dir: Option<PathBuf>,
}

impl Environment {
    /// What this process has. The home is `$HOME` when it is absolute, else the entry of the effective user in `/etc/passwd`.
    pub fn from_process() -> Self {
        let variables: HashMap<OsString, OsString> = std::env::vars_os().collect();
        let home = variables.get(OsStr::new("HOME")).map(PathBuf::from).filter(|home| home.is_absolute());
        let home = home.or_else(|| {
            // No such file means no such entry: what needs a home then says so.
            let users = std::fs::read("/etc/passwd").unwrap_or_default();
            home_in_passwd(&users, rustix::process::geteuid().as_raw())
        });
        Self { variables, home, current_dir: std::env::current_dir().ok() }
    }

    /// The value that `${name}` stands for. `HOME` is [`Environment::home`], so that both ways of writing it agree.
    pub(super) fn value(&self, name: &str) -> Option<&OsStr> {
        if name == "HOME" {
            return self.home.as_ref().map(|home| home.as_os_str());
        }
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }
}

impl fmt::Debug for Environment {
    /// Without the variables' values: they hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("n_variables", &self.variables.len())
            .field("home", &self.home)
            .field("current_dir", &self.current_dir)
            .finish()
    }
}

/// The home of the user `uid` in the text of `/etc/passwd` (passwd(5): name, password, uid, gid, gecos, home, shell).
fn home_in_passwd(users: &[u8], uid: u32) -> Option<PathBuf> {
    users.split(|byte| *byte == b'\n').find_map(|line| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        let [_, _, id, _, _, home, ..] = fields.as_slice() else { return None };
        let id: u32 = std::str::from_utf8(id).ok()?.parse().ok()?;
        let home = PathBuf::from(OsString::from_vec(home.to_vec()));
        (id == uid && home.is_absolute()).then_some(home)
    })
}

#[cfg(test)]
mod tests {
    use super::{Environment, home_in_passwd};
    use std::path::{Path, PathBuf};

    #[test]
    fn the_home_of_a_user_is_read_from_the_user_database() {
        let users =
            b"root:x:0:0:root:/root:/bin/sh\nbroken line\nana:x:1000:1000:Ana,,,:/home/ana:/bin/zsh\nrel:x:7:7::x:\n";
        assert_eq!(home_in_passwd(users, 1000).as_deref(), Some(Path::new("/home/ana")));
        assert_eq!(home_in_passwd(users, 0).as_deref(), Some(Path::new("/root")));
        assert_eq!(home_in_passwd(users, 7), None, "a relative home is no home");
        assert_eq!(home_in_passwd(users, 5), None);
    }

    #[test]
    fn debug_output_shows_no_values_of_variables() {
        let environment = Environment {
            variables: [("TOKEN".into(), "hunter2".into())].into(),
            home: Some(PathBuf::from("/home/u")),
            current_dir: None,
        };
        assert!(!format!("{environment:?}").contains("hunter2"));
    }
}
