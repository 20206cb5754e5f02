//! `platform status` (O1): R57 to R62. Each running service is asked once.

use std::time::Instant;

use crate::cli::args::JsonArgs;
use crate::cli::commands::{Ended, asked, say_set_aside};
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};
use crate::engine::handle::Attempts;
use crate::report::{BoardReport, platform_status, rows};

/// Prints the board.
pub(super) async fn run(args: JsonArgs, session: &Session, face: &mut Face) -> Ended {
    let (snapshot, checks) = face.while_waiting("asking every service", asked(session, Attempts::One)).await?;
    let rows = rows(&snapshot, &checks);
    let now = Instant::now();
    if args.json {
        face.out.json(&BoardReport::new(&rows, &snapshot.registry, now));
    } else {
        face.out.report(&platform_status(&rows, face.style, face.verbose, now));
    }
    say_set_aside(session, face);
    Ok(Exit::Done)
}
