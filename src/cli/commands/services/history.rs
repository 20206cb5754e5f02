//! `services history`: what was seen of a service's health before. Read from the file; nobody is asked.

use std::time::{Duration, SystemTime};

use super::named;
use crate::cli::args::HistoryArgs;
use crate::cli::commands::{Ended, remembered};
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};
use crate::model::Window;
use crate::report::HistoryReport;
use crate::store::history;

/// Prints the history of one service.
pub(super) async fn run(args: &HistoryArgs, session: &Session, face: &mut Face) -> Ended {
    let Some(id) = named(&args.service, session, face) else { return Ok(Exit::Usage) };
    let settled = session.handle.settled().await?;
    let Some(service) = settled.service(id.as_str()) else { return Ok(Exit::Failed) };
    let now = SystemTime::now();
    let service = remembered(service, session, now);
    let samples = if args.samples { history::samples(&session.layout, &id).unwrap_or_default() } else { Vec::new() };
    let window = Window::covering(Duration::from_secs(args.since));
    let report = HistoryReport::new(&id, &service.history, &samples, window, now);
    if args.json.json {
        face.out.json(&report);
    } else {
        face.out.report(&report.text(window));
    }
    Ok(Exit::Done)
}
