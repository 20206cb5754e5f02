//! `services list` (O3): R76 to R79. Asks nobody: the list is there at once.

use std::time::Instant;

use crate::cli::args::ListArgs;
use crate::cli::commands::{Ended, say_set_aside};
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};
use crate::model::StateKind;
use crate::report::{ListReport, rows, services_list};

/// Prints the services that the flags leave.
pub(super) async fn run(args: &ListArgs, session: &Session, face: &mut Face) -> Ended {
    let snapshot = session.handle.settled().await?;
    let mut rows = rows(&snapshot, &[]);
    rows.retain(|row| !args.running || row.status() == StateKind::Running);
    rows.retain(|row| args.category.is_none_or(|category| row.service.spec.category == category));
    if args.json.json {
        face.out.json(&ListReport::new(&rows, Instant::now()));
    } else {
        face.out.report(&services_list(&rows));
    }
    say_set_aside(session, face);
    Ok(Exit::Done)
}
