//! `supervise`: the engine without a face, and what a person does with it.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use crate::cli::args::{InstallArgs, JsonArgs, SuperviseArgs, SuperviseCommand};
use crate::cli::exit::Exit;
use crate::cli::session::{Face, HomePlaces, Root, Setup, SetupError, Watched};
use crate::model::Registry;
use crate::report::SuperviseReport;
use crate::supervise::{self, ClaimError, Ended, Notifier, Order, Staying, UNIT, Unit};

/// How long one that was told to go may take, and one in the background to begin.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often is looked meanwhile.
const LOOK: Duration = Duration::from_millis(5);

/// Runs it here, or does what was asked with the one that runs.
///
/// # Errors
/// [`SetupError`].
pub(in crate::cli) async fn run(
    args: &SuperviseArgs,
    root: &dyn Root,
    setup: &Setup,
    face: &mut Face,
) -> Result<Exit, SetupError> {
    let home = root.home()?;
    Ok(match &args.command {
        Some(SuperviseCommand::Status(args)) => status(*args, &home, face),
        Some(SuperviseCommand::Stop) => stop(&home, face).await,
        Some(SuperviseCommand::Install(args)) => install(*args, &home, setup, face)?,
        Some(SuperviseCommand::Uninstall) => uninstall(&home, face)?,
        None if args.background => background(root.watched(setup).await?, face).await,
        None => here(args, root.watched(setup).await?, face).await,
    })
}

fn is_unusable(registry: &Registry, face: &mut Face) -> bool {
    let is_unusable = !registry.is_usable();
    if is_unusable {
        for found in &registry.diagnostics {
            face.out.error(&found.to_string());
        }
    }
    is_unusable
}

/// Leads, in the foreground or, detached by now, in the background.
async fn here(args: &SuperviseArgs, watched: Watched, face: &mut Face) -> Exit {
    let Watched { session, edits } = watched;
    if is_unusable(&session.registry, face) {
        return Exit::Usage;
    }
    if args.replace && !stopped(&session.layout, face).await {
        return Exit::Failed;
    }
    let claim = match supervise::claim(&session.layout, session.registry.source.file()) {
        Ok(claim) => claim,
        Err(error @ ClaimError::AlreadyRunning(_)) => {
            face.out.error(&error.to_string());
            return Exit::Done;
        }
        Err(ClaimError::Unusable(unusable)) => {
            face.out.error(&format!("error: {unusable}"));
            face.out.error(&format!("  Fix: {}", unusable.remedy()));
            return Exit::Usage;
        }
        Err(error @ ClaimError::Lock { .. }) => {
            face.out.error(&format!("error: {error}"));
            return Exit::Failed;
        }
    };
    face.out
        .error(&format!("Looking after the services of {}; services go on when this ends", session.registry.source));
    let staying = if args.stay { Staying::UntilTold } else { Staying::WhileNeeded };
    let notifier = Notifier::new(|name| std::env::var_os(name));
    let order = Order { handle: session.handle.clone(), edits, staying, notifier };
    match supervise::run(claim, order).await {
        Ok(ended) => {
            face.out.error(&format!("No longer looking after services: {ended}"));
            // Nothing is written below a directory that was removed: that would bring it back.
            if ended != Ended::HomeGone {
                tracing::info!("supervise ends: {ended}");
            }
            Exit::done_if(ended != Ended::EngineGone)
        }
        Err(error) => {
            face.out.error(&format!("failed to listen to signals: {error}"));
            Exit::Failed
        }
    }
}

/// Starts it in the background, and says when it runs.
async fn background(watched: Watched, face: &mut Face) -> Exit {
    let session = watched.session;
    if is_unusable(&session.registry, face) {
        return Exit::Usage;
    }
    if let Some(running) = supervise::running(&session.layout) {
        face.out.error(&ClaimError::AlreadyRunning(running).to_string());
        return Exit::Done;
    }
    if let Err(error) = supervise::start(&session.registry) {
        face.out.error(&format!("failed to start supervise: {error}"));
        return Exit::Failed;
    }
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(pid) = supervise::running(&session.layout).and_then(|running| running.pid) {
            face.out.report(&format!("supervise runs in the background (PID {pid})\n"));
            return Exit::Done;
        }
        tokio::time::sleep(LOOK).await;
    }
    let log = session.layout.own_log();
    face.out.error(&format!("supervise did not begin within {} s; see {}", PATIENCE.as_secs(), log.display()));
    Exit::Failed
}

fn status(args: JsonArgs, home: &HomePlaces, face: &mut Face) -> Exit {
    let running = supervise::running(&home.layout);
    let report = SuperviseReport::new(running.as_ref(), supervise::leader(&home.layout).as_ref());
    if args.json {
        face.out.json(&report);
    } else {
        face.out.report(&report.text());
    }
    Exit::done_if(running.is_some())
}

async fn stop(home: &HomePlaces, face: &mut Face) -> Exit {
    if supervise::running(&home.layout).is_none() {
        face.out.report("supervise is not running\n");
        return Exit::Done;
    }
    let is_stopped = stopped(&home.layout, face).await;
    if is_stopped {
        face.out.report("supervise has ended; services go on\n");
    }
    Exit::done_if(is_stopped)
}

/// Tells the one that runs, if one does, to go, and waits until its lock is free. Says so when that does not come about.
async fn stopped(layout: &crate::store::Layout, face: &mut Face) -> bool {
    let deadline = Instant::now() + PATIENCE;
    let mut told = None;
    while let Some(running) = supervise::running(layout) {
        if running.pid != told {
            match supervise::end(layout) {
                Ok(true) => told = running.pid,
                // It has gone, or another one is about to take its place.
                Ok(false) => {}
                Err(error) => {
                    face.out.error(&format!("failed to signal {running}: {error}"));
                    return false;
                }
            }
        }
        if Instant::now() >= deadline {
            face.out.error(&format!("{running} did not end within {} s", PATIENCE.as_secs()));
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
    true
}

fn unit_path(home: &HomePlaces) -> Result<std::path::PathBuf, SetupError> {
    match &home.home {
        Some(directory) => Ok(Unit::path(home.config_home.as_deref(), directory)),
        None => Err(SetupError {
            message: "there is no home directory to write a unit to".to_owned(),
            remedy: Some("set HOME to an absolute path".to_owned()),
        }),
    }
}

fn install(args: InstallArgs, home: &HomePlaces, setup: &Setup, face: &mut Face) -> Result<Exit, SetupError> {
    let path = unit_path(home)?;
    let absolute = |path: &std::path::PathBuf| std::path::absolute(path);
    let unit = std::env::current_exe().and_then(|program| {
        let config = setup.config.as_ref().map(absolute).transpose()?;
        Unit { program, config, services_dir: home.moved_to.clone() }.text()
    });
    let text = match unit {
        Ok(text) => text,
        Err(error) => return Ok(failed(face, "write the unit", &error)),
    };
    if args.print {
        face.out.report(&text);
        return Ok(Exit::Done);
    }
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| write_aside(&path, &text));
    if let Err(error) = written {
        return Ok(failed(face, &format!("write {}", path.display()), &error));
    }
    let name = face.program.name();
    face.out.report(&format!(
        "Wrote {path}\n\nEnable it:\n  systemctl --user daemon-reload\n  systemctl --user enable --now {UNIT}\n\n\
         It ends at logout unless you linger, which also lets it begin at boot:\n  loginctl enable-linger\n\n\
         To take it back:\n  systemctl --user disable --now {UNIT}\n  {name} supervise uninstall\n",
        path = path.display(),
    ));
    Ok(Exit::Done)
}

/// Written aside and renamed: the service manager never reads a half.
fn write_aside(path: &std::path::Path, text: &str) -> io::Result<()> {
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    fs::write(&aside, text)?;
    fs::rename(&aside, path).inspect_err(|_| drop(fs::remove_file(&aside)))
}

fn uninstall(home: &HomePlaces, face: &mut Face) -> Result<Exit, SetupError> {
    let path = unit_path(home)?;
    match fs::remove_file(&path) {
        Ok(()) => {
            let path = path.display();
            face.out.report(&format!("Removed {path}\nForget it:\n  systemctl --user daemon-reload\n"));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            face.out.report(&format!("There is no {}\n", path.display()));
        }
        Err(error) => return Ok(failed(face, &format!("remove {}", path.display()), &error)),
    }
    Ok(Exit::Done)
}

fn failed(face: &mut Face, what: &str, error: &io::Error) -> Exit {
    face.out.error(&format!("failed to {what}: {error}"));
    Exit::Failed
}
