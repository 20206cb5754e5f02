//! `services stop` (O14): R95 to R98. `--force` ignores dependents, and kills only what does not end in time.

use crate::cli::args::ServiceStopArgs;
use crate::cli::commands::Ended;
use crate::cli::commands::operate::{self, Task};
use crate::cli::session::{Face, Session};
use crate::engine::operation::Verb;
use crate::model::StopHow;

/// Stops one service.
pub(super) async fn run(args: &ServiceStopArgs, session: &Session, face: &mut Face) -> Ended {
    let verb = if args.force { Verb::StopForced { how: StopHow::AskThenKill } } else { Verb::Stop };
    let names = std::slice::from_ref(&args.service);
    operate::run(Task { verb, names, act: args.act, always_summary: false }, session, face).await
}
