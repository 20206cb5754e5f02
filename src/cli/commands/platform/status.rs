//! `platform status` (O1): R57 to R62. Each running service is asked once.

use std::time::{Instant, SystemTime};

use crate::cli::args::JsonArgs;
use crate::cli::commands::{Ended, all_remembered, asked, say_set_aside};
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};
use crate::engine::handle::Attempts;
use crate::report::{BoardReport, Row, platform_status, rows};

/// Prints the board.
pub(super) async fn run(args: JsonArgs, session: &Session, face: &mut Face) -> Ended {
    let (snapshot, checks) = face.while_waiting("asking every service", asked(session, Attempts::One)).await?;
    let now = Instant::now();
    if args.json {
        let wall = SystemTime::now();
        let snapshot = all_remembered(&snapshot, session, wall);
        let rows: Vec<Row<'_>> = rows(&snapshot, &checks).into_iter().map(|row| row.with_history(wall)).collect();
        face.out.json(&BoardReport::new(&rows, &snapshot.registry, now));
    } else {
        face.out.report(&platform_status(&rows(&snapshot, &checks), face.style, face.verbose, now));
    }
    say_set_aside(session, face);
    Ok(Exit::Done)
}
