//! What `platform logs` and `services logs` have in common: R69 to R75.

use std::io;
use std::path::PathBuf;

use futures::FutureExt as _;
use futures::future::select_all;
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;

use super::Ended;
use super::operate::{interrupted, interrupts};
use crate::cli::args::LogArgs;
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};
use crate::engine::ports::{Following, Output};
use crate::logs::{self, Follower, LineEnd, Tabs, sanitize};
use crate::model::{Deployment, ServiceId, ServiceSpec};
use crate::report::{Line, LogLineReport, pad};

/// One log that is printed.
struct Source {
    /// As people know it: a path, or a service's name.
    name: String,
    /// How its lines are printed.
    printing: Printing,
    from: Origin,
}

/// Where lines come from.
enum Origin {
    File(Follower),
    Stream(mpsc::Receiver<Vec<Output>>),
}

/// A line, or a piece of one.
struct Piece {
    /// The service's bytes, without the line's end.
    bytes: Vec<u8>,
    /// Whether that is an end that the service wrote.
    has_end: bool,
}

impl From<logs::Line> for Piece {
    fn from(line: logs::Line) -> Self {
        Self { bytes: line.bytes, has_end: line.end == LineEnd::LineFeed }
    }
}

/// What a source yields.
enum News {
    Lines(Vec<Piece>),
    /// There is nothing to read yet.
    NoneYet(String),
    /// It cannot be read.
    Problem(String),
}

impl Source {
    /// The next news; none when a stream has ended. Cancel safe.
    async fn next(&mut self) -> Option<Vec<News>> {
        match &mut self.from {
            Origin::File(follower) => Some(vec![match follower.next().await {
                Ok(lines) => News::Lines(lines.into_iter().map(Piece::from).collect()),
                Err(error) => News::Problem(unreadable(&self.name, &error)),
            }]),
            Origin::Stream(stream) => Some(stream.recv().await?.into_iter().map(news_of).collect()),
        }
    }

    /// Shows it, and says whether it was no problem.
    fn show(&self, news: News, face: &mut Face) -> bool {
        match news {
            News::Lines(lines) => print(&self.printing, &lines, face),
            News::NoneYet(why) => face.out.error(&format!("{}{why}", self.printing.prefix())),
            News::Problem(why) => {
                face.out.error(&format!("{}{why}", self.printing.prefix()));
                return false;
            }
        }
        true
    }

    /// Shows the beginning of a line whose end has not come.
    fn show_unfinished(&mut self, face: &mut Face) {
        if let Origin::File(follower) = &mut self.from
            && let Some(line) = follower.flush()
        {
            print(&self.printing, &[line.into()], face);
        }
    }

    fn is_stream(&self) -> bool {
        matches!(self.from, Origin::Stream(_))
    }
}

fn news_of(piece: Output) -> News {
    match piece {
        Output::Line(bytes) => News::Lines(vec![Piece { bytes, has_end: true }]),
        // As it is marked in files.
        Output::Started { instance, .. } => {
            let bytes = format!("--- started, {instance} ---").into_bytes();
            News::Lines(vec![Piece { bytes, has_end: true }])
        }
        Output::NoneYet(why) => News::NoneYet(why),
        Output::Problem(why) => News::Problem(why),
    }
}

/// The stream of a service whose log is no file.
fn stream_of(spec: &ServiceSpec, printing: Printing, args: LogArgs, session: &Session) -> Option<Source> {
    let following = if args.follow { Following::Yes } else { Following::No };
    let stream = session.output.output(spec, args.lines, following)?;
    Some(Source { name: spec.id.to_string(), printing, from: Origin::Stream(stream) })
}

/// Reads streams to their end, one after the other. Says whether that went well.
async fn print_streams(sources: Vec<Source>, face: &mut Face) -> bool {
    let mut is_well = true;
    for mut source in sources {
        while let Some(news) = source.next().await {
            for news in news {
                is_well &= source.show(news, face);
            }
        }
    }
    is_well
}

/// How the lines of a log are printed.
enum Printing {
    /// Behind this, which is nothing when there is only one log.
    Text { prefix: String },
    /// As objects that name the service.
    Json { service: String },
    /// As they are, behind this: where it is nothing, not a byte more or less.
    Raw { prefix: String },
}

impl Printing {
    fn new(id: &ServiceId, prefix: String, args: LogArgs) -> Self {
        match args {
            LogArgs { json: true, .. } => Self::Json { service: id.to_string() },
            LogArgs { raw: true, .. } => Self::Raw { prefix },
            LogArgs { .. } => Self::Text { prefix },
        }
    }

    /// What stands before sentences about the log.
    fn prefix(&self) -> &str {
        match self {
            Self::Text { prefix } | Self::Raw { prefix } => prefix,
            // They are for people, on standard error, and name the service themselves.
            Self::Json { .. } => "",
        }
    }

    fn put_before(&mut self, text: String) {
        match self {
            Self::Text { prefix } | Self::Raw { prefix } => *prefix = text,
            Self::Json { .. } => {}
        }
    }
}

/// The log of one service.
pub(super) async fn of_one(id: &ServiceId, args: LogArgs, session: &Session, face: &mut Face) -> Ended {
    if is_refused(args, face) {
        return Ok(Exit::Usage);
    }
    let Some(spec) = session.registry.service(id.as_str()) else { return Ok(Exit::Usage) };
    let interrupts = interrupts_of(args, face);
    if let Some(stream) = stream_of(spec, Printing::new(&spec.id, String::new(), args), args, session) {
        if args.follow {
            return follow(vec![stream], interrupts, args, face).await;
        }
        return Ok(if print_streams(vec![stream], face).await { Exit::Done } else { Exit::Failed });
    }
    if let Some(elsewhere) = elsewhere(spec) {
        face.out.error(&elsewhere);
        return Ok(Exit::Failed);
    }
    let path = session.layout.log_file(id);
    let has_log = path.symlink_metadata().is_ok();
    if !has_log {
        face.out.error(&format!("No log yet: {}", path.display()));
    }
    match print_last(path, Printing::new(id, String::new(), args), args, face) {
        Some(source) => follow(vec![source], interrupts, args, face).await,
        None => Ok(Exit::Failed),
    }
}

/// The logs of all services that have one, each line behind its service's name (A71).
pub(super) async fn all(args: LogArgs, session: &Session, face: &mut Face) -> Ended {
    if is_refused(args, face) {
        return Ok(Exit::Usage);
    }
    let interrupts = interrupts_of(args, face);
    let mut streams = Vec::new();
    let mut files = Vec::new();
    for spec in &session.registry.services {
        if let Some(stream) = stream_of(spec, Printing::new(&spec.id, String::new(), args), args, session) {
            streams.push(stream);
        } else if elsewhere(spec).is_none() {
            let path = session.layout.log_file(&spec.id);
            // Following takes in the logs that are still to come.
            if args.follow || path.symlink_metadata().is_ok() {
                files.push((&spec.id, path));
            }
        }
    }
    if files.is_empty() && streams.is_empty() {
        face.out.error(&format!("No logs yet below {}", session.layout.logs().display()));
        return Ok(Exit::Done);
    }
    let names = files.iter().map(|(id, _)| id.as_str()).chain(streams.iter().map(|stream| stream.name.as_str()));
    let widest = names.map(str::len).max().unwrap_or(0);
    let prefix = |name: &str| format!("{} | ", pad(name, widest));
    for stream in &mut streams {
        stream.printing.put_before(prefix(&stream.name));
    }
    let n_files = files.len();
    let mut sources: Vec<Source> = files
        .into_iter()
        .filter_map(|(id, path)| print_last(path, Printing::new(id, prefix(id.as_str()), args), args, face))
        .collect();
    let mut is_complete = sources.len() == n_files;
    if args.follow {
        sources.extend(streams);
    } else {
        is_complete &= print_streams(streams, face).await;
    }
    let ended = follow(sources, interrupts, args, face).await?;
    Ok(if is_complete { ended } else { Exit::Failed })
}

/// With `--follow`, one listener for the whole time and before the first line: whoever reads that may press Ctrl+C.
fn interrupts_of(args: LogArgs, face: &mut Face) -> Option<Signal> {
    args.follow.then(|| interrupts(face)).flatten()
}

/// Whether a service's bytes would reach a terminal as they are, which has then been refused. Whoever wants even that says so by `| cat`.
fn is_refused(args: LogArgs, face: &mut Face) -> bool {
    let is_refused = args.raw && face.out.is_terminal();
    if is_refused {
        face.out.error("--raw is not for a terminal, which would obey what the service printed");
        face.out.error("  Send it to a file or a program; | cat sends it to this terminal all the same");
    }
    is_refused
}

/// Where the log is, when it is no file of ours.
fn elsewhere(spec: &ServiceSpec) -> Option<String> {
    let id = &spec.id;
    match &spec.deployment {
        Deployment::Binary(_) => None,
        Deployment::Remote(remote) => {
            Some(format!("the logs of {id} are not reachable from here: it runs at {}", remote.shown_endpoint()))
        }
        Deployment::Docker(_) | Deployment::DockerCompose(_) | Deployment::Kubernetes(_) => {
            Some(format!("the logs of {id} cannot be read: {} mode is not supported yet", spec.deployment.mode()))
        }
    }
}

/// Prints the last lines of a log. `None` when it cannot be read, which has then been said.
fn print_last(path: PathBuf, printing: Printing, args: LogArgs, face: &mut Face) -> Option<Source> {
    match Follower::with_tail(&path, args.lines) {
        Ok((lines, follower)) => {
            // Whoever follows gets a line that has no end yet when it has one.
            let lines = if args.follow { Ok(lines) } else { logs::tail(&path, args.lines) };
            let lines: Vec<Piece> = lines.unwrap_or_default().into_iter().map(Piece::from).collect();
            print(&printing, &lines, face);
            Some(Source { name: path.display().to_string(), printing, from: Origin::File(follower) })
        }
        Err(error) => {
            face.out.error(&unreadable(&path.display(), &error));
            None
        }
    }
}

fn print(printing: &Printing, lines: &[Piece], face: &mut Face) {
    match printing {
        Printing::Text { prefix } => {
            let text = |line: &Piece| Line::result(format!("{prefix}{}", sanitize(&line.bytes, Tabs::Keep)));
            face.out.lines(&lines.iter().map(text).collect::<Vec<Line>>());
        }
        Printing::Json { service } => {
            for line in lines {
                face.out.json_line(&LogLineReport::new(service, &line.bytes));
            }
        }
        Printing::Raw { prefix } => {
            let mut bytes = Vec::new();
            for line in lines {
                bytes.extend_from_slice(prefix.as_bytes());
                bytes.extend_from_slice(&line.bytes);
                // Lines of several services stand below each other, whoever did not end his.
                if line.has_end || !prefix.is_empty() {
                    bytes.push(b'\n');
                }
            }
            face.out.raw(&bytes);
        }
    }
}

fn unreadable(name: &impl std::fmt::Display, error: &io::Error) -> String {
    format!("failed to read {name}: {error}")
}

/// What can happen while logs are followed.
enum Heard {
    News(usize, Option<Vec<News>>),
    Interrupt,
}

/// With `--follow`: prints what comes until Ctrl+C, or until nobody reads (R75).
async fn follow(mut sources: Vec<Source>, mut interrupts: Option<Signal>, args: LogArgs, face: &mut Face) -> Ended {
    if !args.follow || sources.is_empty() {
        return Ok(Exit::Done);
    }
    loop {
        // Reading is cancel safe, so those that were not first lose nothing.
        let any = select_all(sources.iter_mut().map(|source| source.next().boxed()));
        let heard = tokio::select! {
            () = interrupted(interrupts.as_mut()) => Heard::Interrupt,
            (news, index, _) = any => Heard::News(index, news),
        };
        match heard {
            Heard::Interrupt => {
                sources.iter_mut().for_each(|source| source.show_unfinished(face));
                return Ok(Exit::Done);
            }
            Heard::News(index, None) => {
                sources.remove(index);
                if sources.is_empty() {
                    return Ok(Exit::Done);
                }
            }
            Heard::News(index, Some(news)) => {
                let Some(source) = sources.get(index) else { return Ok(Exit::Failed) };
                let mut is_well = true;
                for news in news {
                    is_well &= source.show(news, face);
                }
                // A stream goes on when its engine is back; a file that cannot be read stays so.
                if !is_well && !source.is_stream() {
                    return Ok(Exit::Failed);
                }
            }
        }
        if face.out.is_closed() {
            return Ok(Exit::Done);
        }
    }
}
