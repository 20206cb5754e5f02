//! `services restart`: R99 and R100.

use crate::cli::args::ServiceArgs;
use crate::cli::commands::Ended;
use crate::cli::commands::operate::{self, Act};
use crate::cli::session::{Face, Session};
use crate::engine::operation::Verb;

/// Restarts one service.
pub(super) async fn run(args: &ServiceArgs, session: &Session, face: &mut Face) -> Ended {
    let names = std::slice::from_ref(&args.service);
    let act = Act { verb: Verb::Restart, names, json: args.json.json, always_summary: false };
    operate::run(act, session, face).await
}
