//! `platform restart`: R52 to R56.

use crate::cli::args::NamesArgs;
use crate::cli::commands::Ended;
use crate::cli::commands::operate::{self, Act};
use crate::cli::session::{Face, Session};
use crate::engine::operation::Verb;

/// Restarts the named services, or exactly those that run.
pub(super) async fn run(args: &NamesArgs, session: &Session, face: &mut Face) -> Ended {
    let act = Act { verb: Verb::Restart, names: &args.services, json: args.json.json, always_summary: true };
    operate::run(act, session, face).await
}
