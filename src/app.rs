//! The composition root: puts adapters, engine and face together. No logic of its own.

mod adapters;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use self::adapters::Adapters;
use crate::backends::ByMode;
use crate::backends::binary::{BinaryBackend, Settings, ShimProgram};
use crate::cli::{self, ConsoleKind, Exit, HomePlaces, Purpose, Root, Session, Setup, SetupError, Watched};
use crate::config::{self, Environment, Fingerprint, Found};
use crate::engine::handle::Handle;
use crate::engine::operation::{Request, Targets, Verb};
use crate::engine::ports::{OutputSource, UsageSource};
use crate::engine::{self, Options, Ports};
use crate::health::Prober;
use crate::host::{Places, System};
use crate::lifecycle::machine::{Probing, Tending};
use crate::logs::tracing::{PaneLayer, Sink};
use crate::logs::{AllLogs, FileLogs};
use crate::model::{
    Actor, Happening, LeaderKind, Leadership, Mode, Registry, RegistrySource, Role, ServiceId, StopHow,
};
use crate::report::Style;
use crate::store::handover::Rotation;
use crate::store::{Layout, Records, SERVICES_DIR_VARIABLE};
use crate::supervise::{self, Background, Ensured};
use crate::tui::{self, ConsoleError, ConsoleOptions, Opening, RegistryDesk};
use crate::{demo, logs};

/// The theme of the console, where no flag names one.
const THEME_VARIABLE: &str = "PROVISIONING_THEME";

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
            #[cfg(feature = "kubernetes")]
            crate::backends::kubernetes::PLUGIN_ARGUMENT => {
                let error = crate::backends::kubernetes::become_plugin(arguments);
                let why =
                    arguments.first().map_or_else(|| error.to_string(), |it| format!("{}: {error}", it.display()));
                cli::Printer::of_process().error(&format!("{why}\n"));
                Some(ExitCode::from(127))
            }
            _ => demo::hidden(name, arguments),
        }
    }

    fn session<'a>(&'a self, setup: &'a Setup) -> BoxFuture<'a, Result<Session, SetupError>> {
        async move {
            let environment = Environment::from_process();
            let layout = layout(&environment)?;
            log_to(setup.purpose, &layout, None);
            Ok(open(setup, &environment, layout, Probing::WhileStarting)?.session)
        }
        .boxed()
    }

    fn watched<'a>(&'a self, setup: &'a Setup) -> BoxFuture<'a, Result<Watched, SetupError>> {
        async move {
            let environment = Environment::from_process();
            let layout = layout(&environment)?;
            log_to(setup.purpose, &layout, None);
            let Opened { session, found, seen } = open(setup, &environment, layout, Probing::WhileStarting)?;
            Ok(Watched { session, edits: edits(found, seen, environment) })
        }
        .boxed()
    }

    fn home(&self) -> Result<HomePlaces, SetupError> {
        let environment = Environment::from_process();
        let variable = |name: &str| environment.variables.get(OsStr::new(name)).map(PathBuf::from);
        Ok(HomePlaces {
            layout: layout(&environment)?,
            moved_to: variable(SERVICES_DIR_VARIABLE).filter(|path| !path.as_os_str().is_empty()),
            config_home: variable("XDG_CONFIG_HOME"),
            home: environment.home,
        })
    }

    fn console<'a>(&'a self, setup: &'a Setup, kind: ConsoleKind) -> BoxFuture<'a, Result<Exit, SetupError>> {
        async move {
            match kind {
                ConsoleKind::Registry => {
                    let environment = Environment::from_process();
                    let layout = layout(&environment)?;
                    run_console(setup, &environment, layout, kind).await
                }
                ConsoleKind::Demo => run_demo(setup).await,
            }
        }
        .boxed()
    }
}

async fn run_demo(setup: &Setup) -> Result<Exit, SetupError> {
    let unusable = |error: &dyn std::error::Error| SetupError {
        message: format!("the demo cannot begin: {}", chain(error)),
        remedy: Some("TMPDIR must name a directory that can be written".to_owned()),
    };
    let program = std::env::current_exe().map_err(|error| unusable(&error))?;
    // Dropped last: its services are stopped and its directory is removed after the terminal was handed back.
    let home = demo::Home::create(&program).map_err(|error| unusable(&error))?;
    let setup = Setup { config: Some(home.registry_file()), ..setup.clone() };
    let layout = Layout::new(home.services_dir());
    run_console(&setup, &Environment::from_process(), layout, ConsoleKind::Demo).await
}

async fn run_console(
    setup: &Setup,
    environment: &Environment,
    layout: Layout,
    kind: ConsoleKind,
) -> Result<Exit, SetupError> {
    let own_log = tui::OwnLog::new();
    log_to(setup.purpose, &layout, Some(Box::new(own_log.layer())));
    let Opened { mut session, found, seen } = open(setup, environment, layout, Probing::Continuous)?;
    if kind == ConsoleKind::Demo {
        session.background = Background::off(&session.layout);
    }
    let variable = |name: &str| environment.variables.get(OsStr::new(name)).map(|value| value.to_string_lossy().into());
    let mut beside_the_console = JoinSet::new();
    let explains = Arc::new(AtomicBool::new(false));
    if session.background.is_on() {
        beside_the_console.spawn(look_after(session.handle.clone(), session.background.clone(), Arc::clone(&explains)));
    }
    let leadership = lead_while_open(&session, &mut beside_the_console);
    let options = ConsoleOptions {
        icons: match setup.style {
            Style::Ascii => tui::IconSet::Ascii,
            Style::Emoji => tui::IconSet::detect(variable),
        },
        themes: themes(setup, environment),
        mouse: true,
        flags: match (kind, &setup.config) {
            (ConsoleKind::Registry, Some(config)) => format!(" --config {}", config.display()),
            // No command line reaches the demo's home, so the lines shown are those of a real platform.
            (ConsoleKind::Registry, None) | (ConsoleKind::Demo, _) => String::new(),
        },
        timeline: Some(session.layout.events()),
        logs: Arc::new(tui::LogsByMode::new(session.layout, session.handle.clone(), session.output)),
        usage: session.usage,
        // Where the person is; a directory that has gone since is told when something is to be saved.
        save_in: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
        desk: Arc::new(Desk { found, seen, environment: environment.clone() }),
        editor: tui::Editor::find(variable),
        own_log,
        leadership,
        opening: match kind {
            ConsoleKind::Registry => Opening::Look,
            ConsoleKind::Demo => Opening::StartAll,
        },
    };
    let handle = session.handle.clone();
    let left = tui::run_console(session.handle, options).await;
    beside_the_console.shutdown().await;
    if kind == ConsoleKind::Demo {
        stop_all(&handle).await;
    }
    match left {
        Ok(exit) => {
            let farewell = match kind {
                ConsoleKind::Registry => exit.to_string(),
                ConsoleKind::Demo => "The demo has ended, and its services with it.".to_owned(),
            };
            let mut printer = cli::Printer::of_process();
            printer.report(&format!("{farewell}\n"));
            if explains.load(Ordering::Relaxed) {
                printer.error(&cli::looked_after_note(setup.program));
            }
            Ok(Exit::Done)
        }
        Err(error @ ConsoleError::NotATerminal) => Err(SetupError { message: error.to_string(), remedy: None }),
        Err(error @ ConsoleError::Terminal(_)) => {
            Err(SetupError { message: format!("failed to {}", chain(&error)), remedy: None })
        }
    }
}

/// The person's own themes are beside those of the program; a flag goes before the variable.
fn themes(setup: &Setup, environment: &Environment) -> tui::ThemeSource {
    let variable = |name: &str| environment.variables.get(OsStr::new(name)).filter(|value| !value.is_empty());
    let text = |name: &str| variable(name).map(|value| value.to_string_lossy().into_owned());
    let config = variable("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let config = config.or_else(|| environment.home.as_ref().map(|home| home.join(".config")));
    let flag = setup.theme.clone().map(|name| (name, "--theme"));
    tui::ThemeSource {
        dir: config.map(|config| config.join("provisioning/themes")),
        depth: tui::ColourDepth::detect(text),
        wanted: flag.or_else(|| text(THEME_VARIABLE).map(|name| (name, THEME_VARIABLE))),
    }
}

/// Leads as long as the console is open and nobody who goes before it does.
fn lead_while_open(session: &Session, tasks: &mut JoinSet<()>) -> watch::Receiver<Option<Leadership>> {
    let (sender, leadership) = watch::channel(None);
    let registry = session.registry.source.file();
    tasks.spawn(supervise::campaign(
        session.layout.clone(),
        LeaderKind::Console,
        registry,
        session.handle.clone(),
        sender,
    ));
    leadership
}

/// Starts `supervise` in the background when something is started here, so that somebody leads when the console is closed. Says in
/// `explains` whether that has to be told.
async fn look_after(handle: Handle, background: Background, explains: Arc<AtomicBool>) {
    let mut events = handle.events();
    drop(handle);
    loop {
        let is_ours = match events.recv().await {
            Ok(event) => matches!(event.what, Happening::Started(_)) && event.actor == Actor::Console,
            // What was missed may have been a start.
            Err(RecvError::Lagged(_)) => true,
            Err(RecvError::Closed) => return,
        };
        if !is_ours {
            continue;
        }
        match background.ensure().await {
            Ok(Ensured::StartedForTheFirstTime) => explains.store(true, Ordering::Relaxed),
            Ok(Ensured::Nothing | Ensured::Started) => {}
            Err(error) => tracing::warn!(%error, "supervise could not be started in the background"),
        }
    }
}

/// Stops everything and waits for it, dependents first. What does not stop is left to whoever comes next.
async fn stop_all(handle: &Handle) {
    let verb = Verb::StopForced { how: StopHow::AskThenKill };
    let request = Request { verb, targets: Targets::All, actor: Actor::Console };
    if let Ok(Ok(mut stop)) = handle.begin(request).await {
        while stop.progress.recv().await.is_some() {}
    }
}

/// An error with its causes, as one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Whoever only looks writes nothing, not even a log.
fn log_to(purpose: Purpose, layout: &Layout, pane: Option<PaneLayer>) {
    let file = match purpose {
        Purpose::Observe => None,
        Purpose::Operate => Some(layout.own_log()),
    };
    // Only a test that runs twice in one process could have been first.
    drop(logs::tracing::init(Sink { file, pane }));
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
            message: "there is no home directory: HOME is unset or relative, and the user database names none"
                .to_owned(),
            remedy: Some(format!("set HOME, or {SERVICES_DIR_VARIABLE}, to an absolute path")),
        }),
    }
}

/// A session with where its registry came from.
struct Opened {
    session: Session,
    found: Found,
    seen: Fingerprint,
}

/// Loads the registry and starts an engine on it.
fn open(setup: &Setup, environment: &Environment, layout: Layout, probing: Probing) -> Result<Opened, SetupError> {
    let found = Found::find(setup.config.as_deref(), environment);
    let (registry, seen) = found.load_with_fingerprint(environment);
    let tending = match setup.purpose {
        Purpose::Observe => Tending::No,
        Purpose::Operate => Tending::Yes,
    };
    let Assembled { ports, output, usage } = ports(environment, &layout)?;
    let background = match setup.purpose {
        Purpose::Observe => Background::off(&layout),
        Purpose::Operate => {
            Background::new(&layout, &registry, |name| environment.variables.get(OsStr::new(name)).cloned())
        }
    };
    let handle = engine::spawn(registry.clone(), ports, Options { probing, tending, role: Role::Follower });
    Ok(Opened {
        session: Session { registry: Arc::new(registry), handle, layout, output, usage, background },
        found,
        seen,
    })
}

/// The adapters of this build.
struct Assembled {
    ports: Ports,
    /// Where the output of those services comes from that write no log file.
    output: Arc<dyn OutputSource>,
    /// What services use of the machine.
    usage: Arc<dyn UsageSource>,
}

fn ports(environment: &Environment, layout: &Layout) -> Result<Assembled, SetupError> {
    let unusable = |what: &str, error: std::io::Error| SetupError {
        message: format!("{what}: {error}"),
        remedy: Some("/proc must be mounted and readable".to_owned()),
    };
    let shim = ShimProgram::find().map_err(|error| unusable("cannot tell which executable runs", error))?;
    let home = environment.home.clone().unwrap_or_else(|| PathBuf::from("/"));
    let binary = BinaryBackend::new(Settings { layout: layout.clone(), home, shim, rotation: Rotation::default() })
        .map_err(|error| unusable("processes cannot be told apart", error))?;
    let variable = |name: &str| environment.variables.get(OsStr::new(name)).cloned();
    let places = Places {
        layout: layout.clone(),
        home: environment.home.clone(),
        docker_host: variable("DOCKER_HOST"),
        kubeconfig: variable("KUBECONFIG"),
    };
    let binary = Arc::new(binary);
    let adapters = Adapters {
        backend: ByMode::new().with(Mode::Binary, binary.clone()).with_usage(Mode::Binary, binary),
        host: Arc::new(System::new(places)),
    };
    let Adapters { backend, host } = adapters.with_engines(environment, layout);
    let backend = Arc::new(backend);
    let output: Arc<dyn OutputSource> = backend.clone();
    let usage: Arc<dyn UsageSource> = backend.clone();
    let ports = Ports {
        backend,
        probe: Arc::new(Prober::new()),
        host,
        store: Arc::new(Records::new(layout)),
        logs: Arc::new(AllLogs::new(FileLogs::new(layout.clone()), Arc::clone(&output))),
    };
    Ok(Assembled { ports, output, usage })
}

/// Keeps the registry for the console.
struct Desk {
    found: Found,
    seen: Fingerprint,
    environment: Environment,
}

impl Desk {
    /// What is in use now: a first file may have appeared since.
    fn found(&self) -> Found {
        match &self.found.source {
            RegistrySource::BuiltIn => Found::find(None, &self.environment),
            RegistrySource::File(_) => self.found.clone(),
        }
    }
}

/// Runs what blocks on the file system beside the loop. A panic in it is passed on.
fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> BoxFuture<'static, T> {
    async move {
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is ending, and nobody waits any more.
                Err(_) => std::future::pending().await,
            },
        }
    }
    .boxed()
}

/// Every load of the registry from now on that differs from the one before, until the receiver is dropped.
fn edits(found: Found, seen: Fingerprint, environment: Environment) -> mpsc::Receiver<Registry> {
    let (sender, edits) = mpsc::channel(1);
    let mut watch = config::watch(found, seen, environment);
    tokio::spawn(async move {
        loop {
            let load = tokio::select! {
                load = watch.next() => load,
                () = sender.closed() => None,
            };
            let Some(load) = load else { return };
            if sender.send(load).await.is_err() {
                return;
            }
        }
    });
    edits
}

impl RegistryDesk for Desk {
    fn edits(&self) -> mpsc::Receiver<Registry> {
        edits(self.found.clone(), self.seen, self.environment.clone())
    }

    fn load(&self) -> BoxFuture<'static, Registry> {
        let (found, environment) = (self.found(), self.environment.clone());
        beside(move || found.load(&environment))
    }

    fn line_of(&self, file: &Path, service: &ServiceId) -> BoxFuture<'static, Option<usize>> {
        let (file, service) = (file.to_owned(), service.clone());
        beside(move || config::line_of(&file, service.as_str()))
    }

    fn write_built_in(&self) -> BoxFuture<'static, Result<PathBuf, String>> {
        let environment = self.environment.clone();
        beside(move || config::write_built_in(&environment).map_err(|error| error.to_string()))
    }
}
