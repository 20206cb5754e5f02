//! A registry that was named or found, and its loads.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use crate::model::{AutoSupervise, Registry, RegistrySource};

use super::findings::Findings;
use super::ownership::Naming;
use super::parse::{BUILT_IN, Depth, parse_with};
use super::{Environment, discover, read};

/// Which registry is used, and why that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The registry.
    pub source: RegistrySource,
    /// Whether a person named it. What was merely found has to be ours, see [`Found::load`].
    pub naming: Naming,
}

/// Two loads with one fingerprint say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Found {
    /// Looks for the registry as [`discover()`] does.
    pub fn find(explicit: Option<&Path>, environment: &Environment) -> Self {
        discover::find(explicit, environment)
    }

    /// Reads and parses it. Blocks on the file system, briefly; never on a FIFO. Whatever is wrong is in the registry's diagnostics.
    ///
    /// A file that was found, not named, and that somebody else could have written is not used: it says which programs run. One that
    /// was named is used with a warning.
    pub fn load(&self, environment: &Environment) -> Registry {
        self.load_with_fingerprint(environment).0
    }

    /// The same with what `services validate` looks at in addition: whether the files that services need are there.
    pub fn load_and_check_files(&self, environment: &Environment) -> Registry {
        self.load_to(Depth::Files, environment).0
    }

    /// The same, and what tells this load from others.
    pub fn load_with_fingerprint(&self, environment: &Environment) -> (Registry, Fingerprint) {
        self.load_to(Depth::Text, environment)
    }

    fn load_to(&self, depth: Depth, environment: &Environment) -> (Registry, Fingerprint) {
        let mut hasher = DefaultHasher::new();
        let path = match &self.source {
            RegistrySource::BuiltIn => {
                BUILT_IN.hash(&mut hasher);
                return (parse_with(BUILT_IN, None, environment, depth), Fingerprint(hasher.finish()));
            }
            RegistrySource::File(path) => path,
        };
        path.hash(&mut hasher);
        let mut findings = Findings::default();
        let text = read::read(path, Some(self.naming), &mut findings);
        let found = findings.into_sorted();
        text.hash(&mut hasher);
        for finding in &found {
            finding.message.hash(&mut hasher);
        }
        let registry = match text {
            Some(text) => {
                let mut registry = parse_with(&text, Some(path.clone()), environment, depth);
                registry.diagnostics.splice(0..0, found);
                registry
            }
            None => Registry {
                source: self.source.clone(),
                services: Vec::new(),
                set_aside: Vec::new(),
                auto_supervise: AutoSupervise::On,
                diagnostics: found,
            },
        };
        (registry, Fingerprint(hasher.finish()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, Naming};
    use crate::config::Environment;
    use crate::model::{Code, RegistrySource, Severity};
    use std::os::unix::fs::PermissionsExt as _;

    const TEXT: &str = "[services.a]\ntype='platform'\ncategory='api'\ndeployment={mode='kubernetes'}\n";

    #[test]
    fn a_file_that_anyone_can_write_is_used_only_when_it_was_named() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("services.toml");
        std::fs::write(&path, TEXT).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        let load = |naming| Found { source: RegistrySource::File(path.clone()), naming }.load(&Environment::default());
        let searched = load(Naming::Searched);
        assert!(searched.services.is_empty() && !searched.is_usable());
        assert_eq!(searched.diagnostics[0].code, Code::Untrusted);
        let named = load(Naming::Named);
        assert_eq!(named.services.len(), 1);
        assert_eq!((named.diagnostics[0].code, named.diagnostics[0].severity), (Code::Untrusted, Severity::Warning));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(load(Naming::Searched).diagnostics, []);
    }

    #[test]
    fn a_fingerprint_tells_texts_and_failures_apart() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("services.toml");
        let found = Found { source: RegistrySource::File(path.clone()), naming: Naming::Named };
        let fingerprint = || found.load_with_fingerprint(&Environment::default()).1;
        let absent = fingerprint();
        std::fs::write(&path, TEXT).unwrap();
        let written = fingerprint();
        assert_ne!(absent, written);
        std::fs::write(&path, "").unwrap();
        assert_ne!(fingerprint(), written);
        assert_ne!(fingerprint(), absent);
        std::fs::write(&path, TEXT).unwrap();
        assert_eq!(fingerprint(), written);
    }
}
