//! `services readiness` (O9): R121 to R123.

use crate::cli::args::JsonArgs;
use crate::cli::commands::{Ended, say_set_aside};
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};
use crate::report::ReadinessReport;
use crate::supervise::leader;

/// Prints what runs, what could be started, and what stands in the way of the rest.
pub(super) async fn run(args: JsonArgs, session: &Session, face: &mut Face) -> Ended {
    let snapshot = session.handle.settled().await?;
    let inspections = face.while_waiting("checking every service", session.handle.inspect()).await?;
    let report = ReadinessReport::new(&snapshot, &inspections, leader(&session.layout).as_ref());
    if args.json {
        face.out.json(&report);
    } else {
        face.out.report(&report.text(face.style, face.verbose));
    }
    say_set_aside(session, face);
    Ok(Exit::Done)
}
