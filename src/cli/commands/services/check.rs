//! `services check` (O6): R105 to R108.

use crate::cli::args::OperationArgs;
use crate::cli::commands::{Ended, say_set_aside};
use crate::cli::exit::Exit;
use crate::cli::names::say_near_operation;
use crate::cli::session::{Face, Session};
use crate::report::CheckReport;

/// Prints what the operation needs; exit code 1 when one of it does not run.
pub(super) async fn run(args: &OperationArgs, session: &Session, face: &mut Face) -> Ended {
    let snapshot = session.handle.settled().await?;
    let report = CheckReport::new(&args.operation, &snapshot);
    if args.json.json {
        face.out.json(&report);
    } else {
        face.out.report(&report.text());
    }
    if let Some(note) = report.unknown_note() {
        face.out.error(&note);
        say_near_operation(&args.operation, &session.registry, face);
    }
    say_set_aside(session, face);
    Ok(Exit::done_if(report.all_running))
}
