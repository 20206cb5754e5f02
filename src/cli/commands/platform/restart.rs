//! `platform restart`: R52 to R56.

use crate::cli::args::PlatformRestartArgs;
use crate::cli::commands::Ended;
use crate::cli::commands::operate::{self, Task};
use crate::cli::session::{Face, Session};
use crate::engine::operation::Verb;

/// Restarts the named services, or exactly those that run.
pub(super) async fn run(args: &PlatformRestartArgs, session: &Session, face: &mut Face) -> Ended {
    let act = Task { verb: Verb::Restart, names: &args.services, act: args.act, always_summary: true };
    operate::run(act, session, face).await
}
