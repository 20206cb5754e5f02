//! `services logs`: R69 to R75.

use super::named;
use crate::cli::args::ServiceLogsArgs;
use crate::cli::commands::{Ended, logs};
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};

/// Prints the log of one service.
pub(super) async fn run(args: &ServiceLogsArgs, session: &Session, face: &mut Face) -> Ended {
    match named(&args.service, session, face) {
        Some(id) => logs::of_one(&id, args.log, session, face).await,
        None => Ok(Exit::Usage),
    }
}
