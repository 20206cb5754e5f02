//! `platform stop`: R45 to R51. `--force` kills at once.

use crate::cli::args::PlatformStopArgs;
use crate::cli::commands::Ended;
use crate::cli::commands::operate::{self, Task};
use crate::cli::session::{Face, Session};
use crate::engine::operation::Verb;
use crate::model::StopHow;

/// Stops the named services, or every running one.
pub(super) async fn run(args: &PlatformStopArgs, session: &Session, face: &mut Face) -> Ended {
    let verb = if args.force { Verb::StopForced { how: StopHow::Kill } } else { Verb::Stop };
    let act = Task { verb, names: &args.services, act: args.act, always_summary: true };
    operate::run(act, session, face).await
}
