//! The services that are registered, in the file's order.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Diagnostic, ServiceId, ServiceSpec, Severity};

/// Where a registry came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrySource {
    /// A file.
    File(PathBuf),
    /// The seven services carried by the program.
    BuiltIn,
}

impl RegistrySource {
    /// The file, where there is one.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.clone()),
            Self::BuiltIn => None,
        }
    }
}

impl std::fmt::Display for RegistrySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::BuiltIn => f.write_str("built-in registry"),
        }
    }
}

/// Whether the first command that starts something also starts `supervise` in the background: `[supervise] auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AutoSupervise {
    /// It does.
    #[default]
    On,
    /// It does not.
    Off,
}

/// The registered services with what was found wrong on the way.
#[derive(Debug, Clone)]
pub struct Registry {
    /// Where it came from.
    pub source: RegistrySource,
    /// The services that can be used, in the file's order.
    pub services: Vec<Arc<ServiceSpec>>,
    /// The names that the file has but that cannot be used, in the file's order; `diagnostics` say why.
    pub set_aside: Vec<String>,
    /// Whether `supervise` is started in the background.
    pub auto_supervise: AutoSupervise,
    /// Everything that was found, errors and warnings, in the file's order.
    pub diagnostics: Vec<Diagnostic>,
}

impl Registry {
    /// The service of that name.
    pub fn service(&self, name: &str) -> Option<&Arc<ServiceSpec>> {
        self.services.iter().find(|spec| spec.id.as_str() == name)
    }

    /// The place of a service in the file, from 0.
    pub fn position(&self, id: &ServiceId) -> Option<usize> {
        self.services.iter().position(|spec| spec.id == *id)
    }

    /// What was found wrong with one service.
    pub fn issues_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Diagnostic> {
        self.diagnostics.iter().filter(move |found| found.service.as_deref() == Some(name))
    }

    /// Whether the file as a whole could be used: no error that belongs to no service.
    pub fn is_usable(&self) -> bool {
        !self.diagnostics.iter().any(|found| found.severity == Severity::Error && found.service.is_none())
    }

    /// Whether a newer load must not take the place of this one: it cannot be used at all, or has errors where there were none.
    pub fn is_better_than(&self, load: &Self) -> bool {
        !load.is_usable() || (load.has_errors() && !self.has_errors())
    }

    /// Whether anything is wrong enough to set a service, or the file, aside.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|found| found.severity == Severity::Error)
    }
}
