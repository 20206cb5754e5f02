//! What the composition root hands to this face, and what this face asks of it.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::mpsc;

use super::exit::Exit;
use super::print::Printer;
use super::program::Program;
use crate::engine::handle::Handle;
use crate::engine::ports::{OutputSource, UsageSource};
use crate::model::Registry;
use crate::report::Style;
use crate::store::Layout;
use crate::supervise::Background;

/// What a face needs to know of the way it was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// Whether services will be acted on.
    pub purpose: Purpose,
    /// The umask the program was started with: services get this one, our own files 077.
    pub original_umask: u32,
    /// How icons are drawn.
    pub style: Style,
    /// `--theme`.
    pub theme: Option<String>,
    /// The name it was called by.
    pub program: Program,
}

/// What a session is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To look: nothing is written, started, tended or led.
    Observe,
    /// To act on services.
    Operate,
}

/// A running engine with what belongs to it. The engine ends when the session is dropped; services go on.
#[derive(Debug)]
pub struct Session {
    /// The registry that was loaded, usable or not.
    pub registry: Arc<Registry>,
    /// The way to the engine.
    pub handle: Handle,
    /// Where the files are.
    pub layout: Layout,
    /// Where the output of services comes from that write to no log file of ours.
    pub output: Arc<dyn OutputSource>,
    /// What services use of the machine.
    pub usage: Arc<dyn UsageSource>,
    /// The way to a `supervise` in the background.
    pub background: Background,
}

/// A session whose registry is watched.
#[derive(Debug)]
pub struct Watched {
    /// The session.
    pub session: Session,
    /// Every load from now on that differs from the one before, good or bad.
    pub edits: mpsc::Receiver<Registry>,
}

/// Where the files of a home are.
#[derive(Debug, Clone)]
pub struct HomePlaces {
    /// Of services.
    pub layout: Layout,
    /// Where the environment moved them to, if it did.
    pub moved_to: Option<PathBuf>,
    /// The user's home.
    pub home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub config_home: Option<PathBuf>,
}

/// Why no session could be opened: a matter of configuration (exit code 2).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SetupError {
    /// What failed, on what, and why.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// Which console to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConsoleKind {
    /// On the registry in use.
    Registry,
    /// On stand-in services in a temporary home.
    Demo,
}

/// What the composition root does for [`super::run`].
pub trait Root {
    /// Runs a hidden subcommand (`__shim`, `__demo-service`) to its end. `None` when there is no such one. Called before anything else:
    /// no runtime exists, nothing was parsed, no thread was started.
    fn hidden(&self, name: &OsStr, arguments: &[OsString], original_umask: u32) -> Option<ExitCode>;

    /// Loads the registry and starts an engine on it. Called inside a single-threaded runtime.
    ///
    /// # Errors
    /// [`SetupError`] when there is no home to work in; a registry that cannot be used is no error here, see [`Session::registry`].
    fn session<'a>(&'a self, setup: &'a Setup) -> BoxFuture<'a, Result<Session, SetupError>>;

    /// The same, and watches the registry's file.
    ///
    /// # Errors
    /// [`SetupError`].
    fn watched<'a>(&'a self, setup: &'a Setup) -> BoxFuture<'a, Result<Watched, SetupError>>;

    /// Where the files are; opens nothing.
    ///
    /// # Errors
    /// [`SetupError`] when there is no home.
    fn home(&self) -> Result<HomePlaces, SetupError>;

    /// Runs the console until the person leaves it. Called inside a multi-threaded runtime, with a terminal on both sides.
    ///
    /// # Errors
    /// [`SetupError`].
    fn console<'a>(&'a self, setup: &'a Setup, kind: ConsoleKind) -> BoxFuture<'a, Result<Exit, SetupError>>;
}

/// What a command prints with, and how.
#[derive(Debug)]
pub(super) struct Face {
    /// Standard output and standard error.
    pub(super) out: Printer,
    /// How icons are drawn.
    pub(super) style: Style,
    /// Whether more is told.
    pub(super) verbose: bool,
    /// The name in hints.
    pub(super) program: Program,
    /// The umask the program was started with, for a program that takes its place.
    pub(super) original_umask: u32,
}
