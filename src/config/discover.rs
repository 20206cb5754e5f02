//! Which registry is used (A14).

use std::io;
use std::path::{Path, PathBuf};

use crate::model::RegistrySource;

use super::ownership::Naming;
use super::{Environment, Found};

/// Names the registry file when `--config` does not.
pub const CONFIG_VARIABLE: &str = "PROVISIONING_CONFIG";

/// Looked for in the current directory and every directory above it, in this order.
const IN_PROJECT: [&str; 2] = ["provisioning/config/services.toml", "config/services.toml"];

/// Looked for in the home directory.
pub(super) const IN_HOME: &str = ".provisioning/config/services.toml";

/// The registry to use: `explicit` (`--config`), the file named by [`CONFIG_VARIABLE`], the nearest project file upwards, the user's
/// file, the built-in one. The first two are taken whether or not they exist, so that a mistyped name is reported and not passed over.
pub fn discover(explicit: Option<&Path>, environment: &Environment) -> RegistrySource {
    find(explicit, environment).source
}

pub(super) fn find(explicit: Option<&Path>, environment: &Environment) -> Found {
    let named =
        |path: &Path| Found { source: RegistrySource::File(absolute(path, environment)), naming: Naming::Named };
    let searched = |source| Found { source, naming: Naming::Searched };
    if let Some(path) = explicit {
        return named(path);
    }
    if let Some(path) = environment.variables.get(std::ffi::OsStr::new(CONFIG_VARIABLE)).filter(|path| !path.is_empty())
    {
        return named(Path::new(path));
    }
    let in_project = environment.current_dir.iter().flat_map(|start| start.ancestors()).find_map(|directory| {
        // What may not be looked at belongs to somebody else: a private `/config` must not disable the tool everywhere.
        IN_PROJECT.iter().map(|name| directory.join(name)).find(|path| matches!(presence(path), Presence::Found))
    });
    if let Some(path) = in_project {
        return searched(RegistrySource::File(path));
    }
    if let Some(home) = &environment.home {
        let path = home.join(IN_HOME);
        if !matches!(presence(&path), Presence::Absent) {
            return searched(RegistrySource::File(path));
        }
    }
    searched(RegistrySource::BuiltIn)
}

/// Where a first file is expected, while there is none: what the search looks at in the current directory and in the home. A file that
/// appears further up is found by the next console.
pub(super) fn awaited(environment: &Environment) -> Vec<PathBuf> {
    let in_project = environment.current_dir.iter().flat_map(|start| IN_PROJECT.iter().map(|name| start.join(name)));
    in_project.chain(environment.home.iter().map(|home| home.join(IN_HOME))).collect()
}

fn absolute(path: &Path, environment: &Environment) -> PathBuf {
    match &environment.current_dir {
        Some(current_dir) => current_dir.join(path),
        None => path.to_owned(),
    }
}

enum Presence {
    /// There, in whatever form: a dangling link or a directory is reported when it is read, not passed over.
    Found,
    Absent,
    NotToBeKnown,
}

fn presence(path: &Path) -> Presence {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Presence::Found,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Presence::Absent
        }
        Err(_) => Presence::NotToBeKnown,
    }
}

#[cfg(test)]
mod tests {
    use super::{CONFIG_VARIABLE, discover};
    use crate::config::Environment;
    use crate::model::RegistrySource;
    use std::path::{Path, PathBuf};

    struct World {
        root: tempfile::TempDir,
    }

    impl World {
        fn new() -> Self {
            let world = Self { root: tempfile::tempdir().unwrap() };
            std::fs::create_dir_all(world.path("project/deep/inside")).unwrap();
            std::fs::create_dir_all(world.path("home")).unwrap();
            world
        }

        fn path(&self, name: &str) -> PathBuf {
            self.root.path().join(name)
        }

        fn file(&self, name: &str) -> RegistrySource {
            let path = self.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            RegistrySource::File(path)
        }

        fn environment(&self) -> Environment {
            Environment {
                variables: Default::default(),
                home: Some(self.path("home")),
                current_dir: Some(self.path("project/deep/inside")),
            }
        }
    }

    #[test]
    fn without_any_file_the_built_in_registry_is_used() {
        let world = World::new();
        assert_eq!(discover(None, &world.environment()), RegistrySource::BuiltIn);
        assert_eq!(discover(None, &Environment::default()), RegistrySource::BuiltIn);
    }

    #[test]
    fn each_place_wins_over_those_after_it() {
        let world = World::new();
        let mut environment = world.environment();
        let home = world.file("home/.provisioning/config/services.toml");
        assert_eq!(discover(None, &environment), home);
        let above = world.file("project/config/services.toml");
        assert_eq!(discover(None, &environment), above);
        let above = world.file("project/provisioning/config/services.toml");
        assert_eq!(discover(None, &environment), above);
        let nearer = world.file("project/deep/config/services.toml");
        assert_eq!(discover(None, &environment), nearer);
        environment.variables.insert(CONFIG_VARIABLE.into(), "mine.toml".into());
        assert_eq!(discover(None, &environment), RegistrySource::File(world.path("project/deep/inside/mine.toml")));
        let explicit = discover(Some(Path::new("/x/y.toml")), &environment);
        assert_eq!(explicit, RegistrySource::File("/x/y.toml".into()));
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let world = World::new();
        let mut environment = world.environment();
        environment.variables.insert(CONFIG_VARIABLE.into(), "".into());
        assert_eq!(discover(None, &environment), RegistrySource::BuiltIn);
    }

    #[test]
    fn a_dangling_link_is_found_so_that_it_gets_reported() {
        let world = World::new();
        std::fs::create_dir_all(world.path("project/config")).unwrap();
        let link = world.path("project/config/services.toml");
        std::os::unix::fs::symlink("/nowhere/services.toml", &link).unwrap();
        assert_eq!(discover(None, &world.environment()), RegistrySource::File(link));
    }
}
