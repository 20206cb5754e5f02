//! `services restart`: R99 and R100.

use crate::cli::args::ServiceRestartArgs;
use crate::cli::commands::Ended;
use crate::cli::commands::operate::{self, Task};
use crate::cli::session::{Face, Session};
use crate::engine::operation::Verb;

/// Restarts one service.
pub(super) async fn run(args: &ServiceRestartArgs, session: &Session, face: &mut Face) -> Ended {
    let names = std::slice::from_ref(&args.service);
    let act = Task { verb: Verb::Restart, names, act: args.act, always_summary: false };
    operate::run(act, session, face).await
}
