//! What the console asks of the one who keeps the registry: its edits, and what an editor needs. The console itself knows no files.

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use tokio::sync::mpsc;

use crate::model::{Registry, ServiceId};

/// Keeps the registry.
pub trait RegistryDesk: Send + Sync {
    /// Every load from now on that differs from the one before, good or bad, until the receiver is dropped.
    fn edits(&self) -> mpsc::Receiver<Registry>;

    /// Reads it now. Cancel safe.
    fn load(&self) -> BoxFuture<'static, Registry>;

    /// The line, from 1, at which the service begins in that file. Cancel safe.
    fn line_of(&self, file: &Path, service: &ServiceId) -> BoxFuture<'static, Option<usize>>;

    /// Writes the built-in registry to the user's own file and returns its path. Not cancel safe: the file may be there all the same.
    ///
    /// # Errors
    /// A sentence for people; nothing is overwritten.
    fn write_built_in(&self) -> BoxFuture<'static, Result<PathBuf, String>>;
}

/// A registry that nobody keeps: it never changes.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoDesk;

impl RegistryDesk for NoDesk {
    fn edits(&self) -> mpsc::Receiver<Registry> {
        mpsc::channel(1).1
    }

    fn load(&self) -> BoxFuture<'static, Registry> {
        Box::pin(std::future::pending())
    }

    fn line_of(&self, _: &Path, _: &ServiceId) -> BoxFuture<'static, Option<usize>> {
        Box::pin(std::future::ready(None))
    }

    fn write_built_in(&self) -> BoxFuture<'static, Result<PathBuf, String>> {
        Box::pin(std::future::ready(Err("this registry has no file".to_owned())))
    }
}
