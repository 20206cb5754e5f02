//! The composition root: puts adapters, engine and face together. No logic of its own.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};

use crate::backends::ByMode;
use crate::backends::binary::{BinaryBackend, Settings, ShimProgram};
use crate::cli::{self, ConsoleKind, Exit, Purpose, Root, Session, Setup, SetupError};
use crate::config::{self, Environment};
use crate::engine::{self, Options, Ports};
use crate::health::Prober;
use crate::host::System;
use crate::lifecycle::machine::{Probing, Tending};
use crate::store::handover::Rotation;
use crate::tui;
use crate::store::{Layout, SERVICES_DIR_VARIABLE, Timeline};

/// Runs the program: what both executables do.
pub fn main() -> ExitCode {
    cli::run(&App)
}

/// The real world.
struct App;

impl Root for App {
    fn hidden(&self, name: &OsStr, arguments: &[OsString], _original_umask: u32) -> Option<ExitCode> {
        match name.to_str()? {
            ShimProgram::HIDDEN_ARGUMENT => Some(crate::shim::main()),
            _ => None,
        }
    }

    fn session<'a>(&'a self, setup: &'a Setup) -> BoxFuture<'a, Result<Session, SetupError>> {
        async move {
            let environment = Environment::from_process();
            let layout = layout(&environment)?;
            open(setup, &environment, layout, Probing::WhileStarting)
        }
        .boxed()
    }

    fn console<'a>(&'a self, setup: &'a Setup, kind: ConsoleKind) -> BoxFuture<'a, Result<Exit, SetupError>> {
        async move {
            let environment = Environment::from_process();
            let layout = layout(&environment)?;
            let session = open(setup, &environment, layout, Probing::Continuous)?;
            let own_log = tui::OwnLog::new();
            let options = tui::ConsoleOptions {
                icons: tui::IconSet::Emoji,
                colours: tui::ColourDepth::detect(|name| std::env::var(name).ok()),
                mouse: true,
                program: "provisioning".to_owned(),
                logs: Arc::new(tui::NoLogs),
                own_log,
            };
            let exit = tui::run_console(session.handle, options).await.unwrap();
            Ok(Exit::Done)
        }
        .boxed()
    }
}

/// Where the files are: below the home, unless they were moved (P3 to P5, R218).
fn layout(environment: &Environment) -> Result<Layout, SetupError> {
    let moved = environment.variables.get(OsStr::new(SERVICES_DIR_VARIABLE)).filter(|moved| !moved.is_empty());
    match (moved, &environment.home) {
        (Some(moved), _) => {
            let root = PathBuf::from(moved);
            if root.is_absolute() {
                Ok(Layout::new(root))
            } else {
                Err(SetupError {
                    message: format!("{SERVICES_DIR_VARIABLE} is not an absolute path: {}", root.display()),
                    remedy: Some("name the directory from the root, or unset the variable".to_owned()),
                })
            }
        }
        (None, Some(home)) => Ok(Layout::new(home.join(".provisioning/services"))),
        (None, None) => Err(SetupError {
            message: "there is no home directory: HOME is unset or relative, and the user database names none".to_owned(),
            remedy: Some(format!("set HOME, or {SERVICES_DIR_VARIABLE}, to an absolute path")),
        }),
    }
}

/// Loads the registry and starts an engine on it.
fn open(setup: &Setup, environment: &Environment, layout: Layout, probing: Probing) -> Result<Session, SetupError> {
    let source = config::discover(setup.config.as_deref(), environment);
    let registry = config::load(&source, environment);
    let tending = match setup.purpose {
        Purpose::Observe => Tending::No,
        Purpose::Operate => Tending::Yes,
    };
    let ports = ports(environment, &layout)?;
    let handle = engine::spawn(registry.clone(), ports, Options { probing, tending });
    Ok(Session { registry: Arc::new(registry), handle, layout })
}

fn ports(environment: &Environment, layout: &Layout) -> Result<Ports, SetupError> {
    let unusable = |what: &str, error: std::io::Error| SetupError {
        message: format!("{what}: {error}"),
        remedy: Some("/proc must be mounted and readable".to_owned()),
    };
    let shim = ShimProgram::find().map_err(|error| unusable("cannot tell which executable runs", error))?;
    let home = environment.home.clone().unwrap_or_else(|| PathBuf::from("/"));
    let binary = BinaryBackend::new(Settings { layout: layout.clone(), home, shim, rotation: Rotation::default() })
        .map_err(|error| unusable("processes cannot be told apart", error))?;
    Ok(Ports {
        backend: Arc::new(ByMode::new(Arc::new(binary))),
        probe: Arc::new(Prober::new()),
        host: Arc::new(System::new()),
        store: Arc::new(Timeline::new(layout)),
        logs: Arc::new(NoLogs),
    })
}

struct NoLogs;
impl crate::engine::ports::LogSource for NoLogs {
    fn last_lines(&self, _: &crate::model::ServiceSpec, _: usize) -> Vec<String> {
        Vec::new()
    }
}
