//! `services start` (O12, O13, O15): R85 to R94. `--force` skips the checks and what it needs.

use crate::cli::args::ServiceStartArgs;
use crate::cli::commands::Ended;
use crate::cli::commands::operate::{self, Task};
use crate::cli::session::{Face, Session};
use crate::engine::operation::Verb;

/// Starts one service.
pub(super) async fn run(args: &ServiceStartArgs, session: &Session, face: &mut Face) -> Ended {
    let verb = if args.force { Verb::StartUnchecked } else { Verb::Start };
    let names = std::slice::from_ref(&args.service);
    operate::run(Task { verb, names, act: args.act, always_summary: false }, session, face).await
}
