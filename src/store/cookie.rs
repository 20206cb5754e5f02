//! What every process of a service carries in its environment, so that it is found when all files about it were removed. Std only: the
//! shim uses it.

use std::ffi::OsString;
use std::path::Path;

use crate::model::ServiceId;

/// The name of the variable.
pub const VARIABLE: &str = "PROVISIONING_INSTANCE_OF";

/// Its value: the service, and the directory of the home, by its real name. No service's name holds an `@`.
pub fn value(root: &Path, id: &ServiceId) -> OsString {
    let mut value = OsString::from(id.as_str());
    value.push(suffix(root));
    value
}

/// What the values of all services of a home end with.
pub fn suffix(root: &Path) -> OsString {
    // While it is gone, its real name is that of what is left of the way to it.
    let present = root.ancestors().find_map(|part| Some((part.canonicalize().ok()?, root.strip_prefix(part).ok()?)));
    let real = present.map_or_else(|| root.to_owned(), |(real, rest)| real.join(rest));
    let mut suffix = OsString::from("@");
    // Without a slash at the end, which joining nothing adds.
    suffix.push(real.components().as_path());
    suffix
}

/// The variable's value in the text of a `/proc/<pid>/environ`. The first one counts, as it does for `getenv`.
pub fn find(environ: &[u8]) -> Option<&[u8]> {
    environ.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(VARIABLE.as_bytes())?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::{VARIABLE, find, value};
    use crate::model::ServiceId;

    #[test]
    fn the_whole_value_counts_and_only_of_this_variable() {
        let has = |text: &str| find(text.replace('|', "\0").as_bytes()) == Some(b"a@/home");
        assert!(has(&format!("X=1|{VARIABLE}=a@/home|Y=2|")));
        assert!(!has(&format!("{VARIABLE}=a@/home2|")));
        assert!(!has(&format!("MY_{VARIABLE}=a@/home|")));
        assert!(!has(&format!("{VARIABLE}=b@/home|{VARIABLE}=a@/home|")));
        assert!(!has(""));
    }

    #[test]
    fn two_ways_to_one_directory_are_one_home() {
        let home = tempfile::tempdir().expect("directory");
        let link = home.path().join("link");
        std::os::unix::fs::symlink(home.path(), &link).expect("link");
        let id = ServiceId::new("a").expect("name");
        assert_eq!(value(home.path(), &id), value(&link, &id));
        let gone = |root: &std::path::Path| value(&root.join("a/b"), &id);
        assert_eq!(gone(home.path()), gone(&link), "also after it was removed");
        let there = gone(home.path());
        std::fs::create_dir_all(home.path().join("a/b")).expect("directories");
        assert_eq!(gone(&link), there);
    }
}
