//! `platform logs`: R69 to R75, and every service that has a log when none is named (A71).

use crate::cli::args::PlatformLogsArgs;
use crate::cli::commands::{Ended, logs};
use crate::cli::exit::Exit;
use crate::cli::names::resolve;
use crate::cli::session::{Face, Session};

/// Prints the log of the named service, or all logs.
pub(super) async fn run(args: &PlatformLogsArgs, session: &Session, face: &mut Face) -> Ended {
    match &args.service {
        None => logs::all(args.log, session, face).await,
        Some(name) => match resolve(std::slice::from_ref(name), &session.registry) {
            Ok(ids) => logs::of_each(&ids, args.log, session, face).await,
            Err(problems) => {
                face.out.lines(&problems);
                Ok(Exit::Usage)
            }
        },
    }
}
