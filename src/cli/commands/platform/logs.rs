//! `platform logs`: R69 to R75, and every service that has a log when none is named (A71).

use crate::cli::args::PlatformLogsArgs;
use crate::cli::commands::services::named;
use crate::cli::commands::{Ended, logs};
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};

/// Prints the log of the named service, or all logs.
pub(super) async fn run(args: &PlatformLogsArgs, session: &Session, face: &mut Face) -> Ended {
    match &args.service {
        None => logs::all(args.log, session, face).await,
        Some(name) => match named(name, session, face) {
            Some(id) => logs::of_one(&id, args.log, session, face).await,
            None => Ok(Exit::Usage),
        },
    }
}
