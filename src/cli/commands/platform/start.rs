//! `platform start`: R36 to R44. `--force` restarts what runs.

use crate::cli::args::PlatformStartArgs;
use crate::cli::commands::Ended;
use crate::cli::commands::operate::{self, Task};
use crate::cli::session::{Face, Session};
use crate::engine::operation::Verb;

/// Starts the named services, or every auto-start service.
pub(super) async fn run(args: &PlatformStartArgs, session: &Session, face: &mut Face) -> Ended {
    let verb = if args.force { Verb::StartOrRestart } else { Verb::Start };
    let act = Task { verb, names: &args.services, act: args.act, always_summary: true };
    operate::run(act, session, face).await
}
