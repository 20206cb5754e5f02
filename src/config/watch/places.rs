//! What has to be watched for a path to be known: directories, and the names in them that decide what it leads to.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// Links on the way before a path counts as a circle; the kernel's own limit.
const MAX_LINKS: usize = 40;

/// Directories to watch, and the paths in them that matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) directories: BTreeSet<PathBuf>,
    pub(super) paths: BTreeSet<PathBuf>,
}

impl Places {
    /// Adds what `path`, which is absolute, leads through: the directory of the file, of each symbolic link on the way, and of the first
    /// part that is not there.
    pub(super) fn add(&mut self, path: &Path) {
        let mut pending: VecDeque<OsString> = parts(path);
        let mut at = PathBuf::from("/");
        let mut n_links = 0;
        while let Some(name) = pending.pop_front() {
            if name == ".." {
                at.pop();
                continue;
            }
            let here = at.join(&name);
            match std::fs::symlink_metadata(&here) {
                Ok(found) if found.is_symlink() => {
                    self.note(&at, here.clone());
                    n_links += 1;
                    let Ok(target) = std::fs::read_link(&here) else { return };
                    if n_links > MAX_LINKS {
                        return;
                    }
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    let rest = std::mem::take(&mut pending);
                    pending = parts(&target);
                    pending.extend(rest);
                }
                Ok(_) if pending.is_empty() => {
                    self.note(&at, here);
                    return;
                }
                Ok(_) => at = here,
                Err(_) => {
                    self.note(&at, here);
                    return;
                }
            }
        }
    }

    fn note(&mut self, directory: &Path, path: PathBuf) {
        self.directories.insert(directory.to_owned());
        self.paths.insert(path);
    }

    /// Whether an event of `path` matters.
    pub(super) fn matter(&self, path: &Path) -> bool {
        self.paths.contains(path) || self.directories.contains(path)
    }
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let named = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::Places;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    /// The names of what is watched, below the test's directory.
    fn watched(build: impl FnOnce(&std::path::Path)) -> (Vec<String>, Vec<String>) {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().canonicalize().unwrap();
        build(&root);
        let mut places = Places::default();
        places.add(&root.join("services.toml"));
        let below = |path: &PathBuf| path.strip_prefix(&root).unwrap().display().to_string();
        (places.directories.iter().map(below).collect(), places.paths.iter().map(below).collect())
    }

    #[test]
    fn a_plain_file_is_known_by_its_directory() {
        let (directories, paths) = watched(|root| std::fs::write(root.join("services.toml"), "").unwrap());
        assert_eq!((directories, paths), (vec![String::new()], vec!["services.toml".to_owned()]));
    }

    #[test]
    fn a_file_that_is_not_there_is_awaited_in_the_nearest_directory_that_is() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().canonicalize().unwrap();
        let mut places = Places::default();
        places.add(&root.join("a/b/services.toml"));
        assert_eq!(places.paths.into_iter().collect::<Vec<_>>(), [root.join("a")]);
        assert_eq!(places.directories.into_iter().collect::<Vec<_>>(), [root]);
    }

    #[test]
    fn every_link_on_the_way_is_watched() {
        let (directories, paths) = watched(|root| {
            std::fs::create_dir(root.join("..1")).unwrap();
            std::fs::write(root.join("..1/services.toml"), "").unwrap();
            symlink("..1", root.join("..data")).unwrap();
            symlink("..data/services.toml", root.join("services.toml")).unwrap();
        });
        assert_eq!(directories, ["", "..1"]);
        assert_eq!(paths, ["..1/services.toml", "..data", "services.toml"]);
    }

    #[test]
    fn links_in_a_circle_come_to_an_end() {
        let (directories, _) = watched(|root| symlink("services.toml", root.join("services.toml")).unwrap());
        assert_eq!(directories, [""]);
    }
}
