//! What `platform logs` and `services logs` have in common: R69 to R75.

use std::io;
use std::path::PathBuf;

use futures::FutureExt as _;
use futures::future::select_all;
use tokio::signal::unix::{SignalKind, signal};

use super::Ended;
use crate::cli::args::LogArgs;
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};
use crate::logs::{self, Follower, Tabs, sanitize};
use crate::model::{Deployment, ServiceId, ServiceSpec};
use crate::report::{Line, LogLineReport, pad};

/// One log that is printed.
struct Source {
    path: PathBuf,
    /// How its lines are printed.
    printing: Printing,
    follower: Follower,
}

/// How the lines of a log are printed.
enum Printing {
    /// Behind this, which is nothing when there is only one log.
    Text { prefix: String },
    /// As objects that name the service.
    Json { service: String },
}

impl Printing {
    fn new(id: &ServiceId, prefix: String, args: LogArgs) -> Self {
        if args.json { Self::Json { service: id.to_string() } } else { Self::Text { prefix } }
    }
}

/// The log of one service.
pub(super) async fn of_one(id: &ServiceId, args: LogArgs, session: &Session, face: &mut Face) -> Ended {
    let Some(spec) = session.registry.service(id.as_str()) else { return Ok(Exit::Usage) };
    if let Some(elsewhere) = elsewhere(spec) {
        face.out.error(&elsewhere);
        return Ok(Exit::Failed);
    }
    let path = session.layout.log_file(id);
    let has_log = path.symlink_metadata().is_ok();
    if !has_log {
        face.out.error(&format!("No log yet: {}", path.display()));
    }
    match print_last(path, Printing::new(id, String::new(), args), args.lines, face) {
        Some(source) => follow(vec![source], args, face).await,
        None => Ok(Exit::Failed),
    }
}

/// The logs of all services that have one, each line behind its service's name (A71).
pub(super) async fn all(args: LogArgs, session: &Session, face: &mut Face) -> Ended {
    let with_file = session.registry.services.iter().filter(|spec| elsewhere(spec).is_none());
    // Following takes in the logs that are still to come.
    let chosen: Vec<(&ServiceId, PathBuf)> = with_file
        .map(|spec| (&spec.id, session.layout.log_file(&spec.id)))
        .filter(|(_, path)| args.follow || path.symlink_metadata().is_ok())
        .collect();
    if chosen.is_empty() {
        face.out.error(&format!("No logs yet below {}", session.layout.logs().display()));
        return Ok(Exit::Done);
    }
    let widest = chosen.iter().map(|(id, _)| id.as_str().len()).max().unwrap_or(0);
    let n_chosen = chosen.len();
    let sources: Vec<Source> = chosen
        .into_iter()
        .filter_map(|(id, path)| {
            print_last(path, Printing::new(id, format!("{} | ", pad(id.as_str(), widest)), args), args.lines, face)
        })
        .collect();
    let is_complete = sources.len() == n_chosen;
    let ended = follow(sources, args, face).await?;
    Ok(if is_complete { ended } else { Exit::Failed })
}

/// Where the log is, when it is no file of ours.
fn elsewhere(spec: &ServiceSpec) -> Option<String> {
    let id = &spec.id;
    match &spec.deployment {
        Deployment::Binary(_) => None,
        Deployment::Remote(remote) => {
            Some(format!("the logs of {id} are not reachable from here: it runs at {}", remote.endpoint))
        }
        Deployment::Docker(_) | Deployment::DockerCompose(_) | Deployment::Kubernetes(_) => {
            Some(format!("the logs of {id} cannot be read: {} mode is not supported yet", spec.deployment.mode()))
        }
    }
}

/// Prints the last lines of a log. `None` when it cannot be read, which has then been said.
fn print_last(path: PathBuf, printing: Printing, n_lines: usize, face: &mut Face) -> Option<Source> {
    match Follower::with_tail(&path, n_lines) {
        Ok((lines, follower)) => {
            print(&printing, &lines, face);
            Some(Source { path, printing, follower })
        }
        Err(error) => {
            say_unreadable(&path, &error, face);
            None
        }
    }
}

fn print(printing: &Printing, lines: &[logs::Line], face: &mut Face) {
    match printing {
        Printing::Text { prefix } => {
            let text = |line: &logs::Line| Line::result(format!("{prefix}{}", sanitize(&line.bytes, Tabs::Keep)));
            face.out.lines(&lines.iter().map(text).collect::<Vec<Line>>());
        }
        Printing::Json { service } => {
            for line in lines {
                face.out.json_line(&LogLineReport::new(service, &line.bytes));
            }
        }
    }
}

fn say_unreadable(path: &std::path::Path, error: &io::Error, face: &mut Face) {
    face.out.error(&format!("failed to read {}: {error}", path.display()));
}

/// What can happen while logs are followed.
enum Heard {
    Lines(usize, io::Result<Vec<logs::Line>>),
    Interrupt,
}

/// With `--follow`: prints what comes until Ctrl+C, or until nobody reads (R75).
async fn follow(mut sources: Vec<Source>, args: LogArgs, face: &mut Face) -> Ended {
    if !args.follow || sources.is_empty() {
        return Ok(Exit::Done);
    }
    // One listener for the whole time: a Ctrl+C while lines are printed is not missed.
    let mut interrupts = match signal(SignalKind::interrupt()) {
        Ok(interrupts) => interrupts,
        Err(error) => {
            face.out.error(&format!("failed to listen for Ctrl+C: {error}"));
            return Ok(Exit::Failed);
        }
    };
    loop {
        // Reading is cancel safe, so those that were not first lose nothing.
        let any = select_all(sources.iter_mut().map(|source| source.follower.next().boxed()));
        let heard = tokio::select! {
            _ = interrupts.recv() => Heard::Interrupt,
            (lines, index, _) = any => Heard::Lines(index, lines),
        };
        match heard {
            Heard::Interrupt => return Ok(Exit::Done),
            Heard::Lines(index, lines) => {
                let Some(source) = sources.get(index) else { return Ok(Exit::Failed) };
                match lines {
                    Ok(lines) => print(&source.printing, &lines, face),
                    Err(error) => {
                        say_unreadable(&source.path, &error, face);
                        return Ok(Exit::Failed);
                    }
                }
            }
        }
        if face.out.is_closed() {
            return Ok(Exit::Done);
        }
    }
}
