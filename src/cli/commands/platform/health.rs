//! `platform health` (O2): R63 to R68. All running services are asked at once, each up to its `retries`.

use crate::cli::args::JsonArgs;
use crate::cli::commands::{Ended, asked, say_set_aside};
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};
use crate::engine::handle::Attempts;
use crate::report::{HealthSummary, PlatformHealthReport, platform_health, rows};

/// Prints what the probes say; exit code 1 when a running service is unhealthy.
pub(super) async fn run(args: JsonArgs, session: &Session, face: &mut Face) -> Ended {
    let (snapshot, checks) = asked(session, Attempts::WithRetries).await?;
    let rows = rows(&snapshot, &checks);
    if args.json {
        face.out.json(&PlatformHealthReport::new(&rows));
    } else {
        face.out.report(&platform_health(&rows, face.style));
    }
    say_set_aside(session, face);
    Ok(Exit::done_if(HealthSummary::of(&rows).unhealthy == 0))
}
