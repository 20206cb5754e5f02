//! `events`: the timeline of what happened. Read from the file alone: nobody is looked at.

use std::io;

use super::Ended;
use super::operate::{interrupted, interrupts};
use crate::cli::args::EventsArgs;
use crate::cli::exit::Exit;
use crate::cli::names::resolve;
use crate::cli::session::{Face, Session};
use crate::logs::{Follower, Line};
use crate::report::EventReport;
use crate::store::TimelineEntry;

/// Prints the newest entries, and with `--follow` those that come.
pub(in crate::cli) async fn run(args: &EventsArgs, session: &Session, face: &mut Face) -> Ended {
    let path = session.layout.events();
    // The file is bounded, so that all of it is read and filtered: the newest lines of all services may say nothing of one.
    let (lines, mut follower) = match Follower::with_tail(&path, usize::MAX) {
        Ok(read) => read,
        Err(error) => return Ok(unreadable(&error, session, face)),
    };
    let mut entries = chosen(&lines, args);
    // A service that left the registry keeps its past; only a name that neither knows is a typing error.
    if let Some(name) = &args.service
        && entries.is_empty()
        && let Err(problems) = resolve(std::slice::from_ref(name), &session.registry)
        && !session.registry.set_aside.contains(name)
    {
        face.out.lines(&problems);
        return Ok(Exit::Usage);
    }
    // Before the first line, so that whoever reads it may press Ctrl+C.
    let mut interrupts = args.follow.then(|| interrupts(face)).flatten();
    let newest = entries.split_off(entries.len().saturating_sub(args.lines));
    print(&newest, args, face);
    if newest.is_empty() && !args.follow && args.lines > 0 {
        face.out.error("Nothing has happened yet");
    }
    if !args.follow {
        return Ok(Exit::Done);
    }
    while !face.out.is_closed() {
        let lines = tokio::select! {
            () = interrupted(interrupts.as_mut()) => return Ok(Exit::Done),
            lines = follower.next() => lines,
        };
        match lines {
            Ok(lines) => print(&chosen(&lines, args), args, face),
            Err(error) => return Ok(unreadable(&error, session, face)),
        }
    }
    Ok(Exit::Done)
}

fn unreadable(error: &io::Error, session: &Session, face: &mut Face) -> Exit {
    face.out.error(&format!("failed to read {}: {error}", session.layout.events().display()));
    Exit::Failed
}

fn chosen(lines: &[Line], args: &EventsArgs) -> Vec<EventReport> {
    lines
        .iter()
        .filter_map(|line| TimelineEntry::parse(&line.bytes))
        .filter(|entry| args.service.as_ref().is_none_or(|name| *name == entry.service))
        .map(|entry| EventReport::new(entry.at, entry.service, entry.actor, entry.what))
        .collect()
}

fn print(entries: &[EventReport], args: &EventsArgs, face: &mut Face) {
    for entry in entries {
        if args.json {
            face.out.json_line(entry);
        } else {
            face.out.report(&entry.line());
        }
    }
}
