//! From the arguments to an exit code.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::FromArgMatches as _;
use clap::error::ErrorKind;
use rustix::fs::Mode;
use tokio::runtime::{Builder, Runtime};

use super::args::{Cli, Command, PlatformCommand, ServicesCommand};
use super::commands;
use super::complete;
use super::exit::Exit;
use super::man;
use super::print::Printer;
use super::program::{Program, command};
use super::session::{ConsoleKind, Face, Purpose, Root, Session, Setup, SetupError};
use crate::model::{Code, RegistrySource};
use crate::report::Style;
use crate::supervise;

/// The console's runtime needs a second thread so that a slow draw delays no service; commands do with the one they have.
const CONSOLE_WORKERS: usize = 2;

/// Runs the program from its first instruction to its exit code.
///
/// The order matters. The umask comes first, so that nothing is ever created readable to others. Hidden subcommands come before
/// anything that costs memory or starts threads: a shim lives as long as its service.
pub fn run(root: &dyn Root) -> ExitCode {
    let original_umask = rustix::process::umask(Mode::from_raw_mode(0o077)).as_raw_mode();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some((name, rest)) = arguments.get(1..).and_then(<[OsString]>::split_first)
        && name.to_str().is_some_and(|name| name.starts_with("__"))
        && let Some(code) = root.hidden(name, rest, original_umask)
    {
        return code;
    }
    let program = Program::from_first_argument(arguments.first().map(OsString::as_os_str));
    if let Some(code) = complete::answer(program) {
        return code;
    }
    match parse(program, arguments) {
        Ok(cli) => dispatch(root, cli, program, original_umask).into(),
        Err(code) => code,
    }
}

/// Parses the command line, or prints what clap has to say (help, version, usage errors) and gives its exit code.
fn parse(program: Program, arguments: Vec<OsString>) -> Result<Cli, ExitCode> {
    let parsed = command(program).try_get_matches_from(arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    let refused = match parsed {
        Ok(cli) if cli.command.is_some() && (cli.console.once || cli.console.demo || cli.console.theme.is_some()) => {
            let why = "--once, --demo and --theme belong to the console and go with no command";
            command(program).error(ErrorKind::ArgumentConflict, why)
        }
        Ok(cli) => return Ok(cli),
        Err(refused) => refused,
    };
    // A reader that has gone (`--help | head`) is no error.
    let _ = refused.print();
    Err(ExitCode::from(u8::try_from(refused.exit_code()).unwrap_or(Exit::Usage.code())))
}

fn dispatch(root: &dyn Root, cli: Cli, program: Program, original_umask: u32) -> Exit {
    let style = if cli.global.ascii { Style::Ascii } else { Style::Emoji };
    let mut face = Face { out: Printer::of_process(), style, verbose: cli.global.verbose, program, original_umask };
    let purpose = cli.command.as_ref().map_or(Purpose::Observe, purpose);
    let theme = cli.console.theme.clone();
    let mut setup = Setup { config: cli.global.config.clone(), purpose, original_umask, style, theme, program };
    match &cli.command {
        Some(Command::Completions(args)) => complete::print_script(args.shell, program, &mut face.out),
        Some(Command::Man(args)) => man::run(args.directory.as_deref(), program, &mut face.out),
        Some(Command::Supervise(args)) => {
            // Nothing is open yet, and no thread runs.
            if args.detached
                && let Err(error) = supervise::detach()
            {
                face.out.error(&format!("failed to leave the terminal: {error}"));
                return Exit::Failed;
            }
            on_one_thread(&mut face, async |face| match commands::supervise(args, root, &setup, face).await {
                Ok(exit) => exit,
                Err(error) => cannot_begin(face, &error),
            })
        }
        Some(_) => on_one_thread(&mut face, async |face| with_session(root, &setup, face, &cli).await),
        None if cli.console.once => on_one_thread(&mut face, async |face| with_session(root, &setup, face, &cli).await),
        None => {
            let has_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
            if !has_terminal {
                return without_terminal(&mut face, cli.console.demo);
            }
            setup.purpose = Purpose::Operate;
            let kind = if cli.console.demo { ConsoleKind::Demo } else { ConsoleKind::Registry };
            let mut builder = Builder::new_multi_thread();
            let runtime = builder.worker_threads(CONSOLE_WORKERS).enable_all().build();
            on_runtime(&mut face, runtime, async |face| match root.console(&setup, kind).await {
                Ok(exit) => exit,
                Err(error) => cannot_begin(face, &error),
            })
        }
    }
}

/// Whether a command acts on services.
fn purpose(command: &Command) -> Purpose {
    let acts = |is_dry_run: bool| if is_dry_run { Purpose::Observe } else { Purpose::Operate };
    match command {
        Command::Platform(PlatformCommand::Start(args)) => acts(args.act.dry_run),
        Command::Platform(PlatformCommand::Stop(args)) => acts(args.act.dry_run),
        Command::Platform(PlatformCommand::Restart(args)) => acts(args.act.dry_run),
        Command::Services(ServicesCommand::Start(args)) => acts(args.act.dry_run),
        Command::Services(ServicesCommand::Stop(args)) => acts(args.act.dry_run),
        Command::Services(ServicesCommand::Restart(args)) => acts(args.act.dry_run),
        Command::Services(ServicesCommand::Ensure(_)) => Purpose::Operate,
        // A typing error starts nothing, and so writes nothing.
        Command::Operation(words) => acts(words.first().is_none_or(|name| commands::find_operation(name).is_none())),
        Command::Supervise(args) => acts(args.command.is_some()),
        Command::Doctor(_)
        | Command::Platform(PlatformCommand::Status(_) | PlatformCommand::Health(_) | PlatformCommand::Logs(_))
        | Command::Services(
            ServicesCommand::List(_)
            | ServicesCommand::Status(_)
            | ServicesCommand::Health(_)
            | ServicesCommand::History(_)
            | ServicesCommand::Logs(_)
            | ServicesCommand::Check(_)
            | ServicesCommand::Dependencies(_)
            | ServicesCommand::Validate(_)
            | ServicesCommand::Readiness(_)
            | ServicesCommand::Monitor(_),
        )
        | Command::Events(_)
        | Command::Completions(_)
        | Command::Man(_) => Purpose::Observe,
    }
}

fn without_terminal(face: &mut Face, is_demo: bool) -> Exit {
    if is_demo {
        face.out.error("the console needs a terminal on standard input and standard output");
    } else {
        let help = command(face.program).render_help();
        for line in help.to_string().lines() {
            face.out.error(line);
        }
    }
    Exit::Usage
}

fn on_one_thread(face: &mut Face, work: impl AsyncFnOnce(&mut Face) -> Exit) -> Exit {
    on_runtime(face, Builder::new_current_thread().enable_all().build(), work)
}

fn on_runtime(face: &mut Face, runtime: std::io::Result<Runtime>, work: impl AsyncFnOnce(&mut Face) -> Exit) -> Exit {
    match runtime {
        Ok(runtime) => {
            let exit = runtime.block_on(work(face));
            // A look-up that hangs must not hold the prompt.
            runtime.shutdown_background();
            exit
        }
        Err(error) => {
            face.out.error(&format!("failed to start: {error}"));
            Exit::Failed
        }
    }
}

fn cannot_begin(face: &mut Face, error: &SetupError) -> Exit {
    face.out.error(&format!("error: {error}"));
    if let Some(remedy) = &error.remedy {
        face.out.error(&format!("  Fix: {remedy}"));
    }
    Exit::Usage
}

async fn with_session(root: &dyn Root, setup: &Setup, face: &mut Face, cli: &Cli) -> Exit {
    let session = match root.session(setup).await {
        Ok(session) => session,
        Err(error) => return cannot_begin(face, &error),
    };
    execute(cli, &session, face).await
}

/// Runs one command, or the one-shot board, on an open session.
pub(super) async fn execute(cli: &Cli, session: &Session, face: &mut Face) -> Exit {
    if !session.registry.is_usable() {
        if let Some(Command::Services(ServicesCommand::Validate(args))) = &cli.command
            && args.json
        {
            commands::validate_unusable(session, face);
            return Exit::Usage;
        }
        for found in &session.registry.diagnostics {
            face.out.error(&found.to_string());
        }
        return Exit::Usage;
    }
    say_registry(face, session);
    let exit = match &cli.command {
        None => commands::once(cli.console.format.unwrap_or_default(), session, face).await,
        Some(Command::Platform(command)) => commands::platform(command, session, face).await,
        Some(Command::Doctor(args)) => commands::doctor(args, session, face).await,
        Some(Command::Services(command)) => commands::services(command, session, face).await,
        Some(Command::Events(args)) => commands::events(args, session, face).await,
        Some(Command::Operation(words)) => commands::operation(words, session, face).await,
        // Answered before a session was opened.
        Some(Command::Completions(_) | Command::Man(_) | Command::Supervise(_)) => Ok(Exit::Done),
    };
    match exit {
        Ok(Exit::Done) if face.out.has_failed() => Exit::Failed,
        Ok(exit) => exit,
        Err(gone) => {
            face.out.error(&format!("error: {gone}"));
            Exit::Failed
        }
    }
}

/// The registry in use is said where nobody chose it (R34), and where somebody wants to know.
fn say_registry(face: &mut Face, session: &Session) {
    match &session.registry.source {
        RegistrySource::BuiltIn => face.out.error("note: no services.toml was found; using the built-in registry"),
        RegistrySource::File(path) if face.verbose => face.out.error(&format!("Registry: {}", path.display())),
        RegistrySource::File(_) => {}
    }
    // Who could start programs through it has to be known before anything is started.
    for found in session.registry.diagnostics.iter().filter(|found| found.code == Code::Untrusted) {
        face.out.error(&found.to_string());
    }
}
