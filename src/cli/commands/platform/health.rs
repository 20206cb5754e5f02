//! `platform health` (O2): R63 to R68. All running services are asked at once, each up to its `retries`.

use std::time::SystemTime;

use crate::cli::args::PlatformHealthArgs;
use crate::cli::commands::waiting::{Wait, answer};
use crate::cli::commands::{Ended, all_remembered, asked, say_set_aside};
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};
use crate::engine::handle::{Attempts, EngineGone};
use crate::model::{Intent, StateKind};
use crate::report::{self, HealthSummary, PlatformHealthReport, Row, platform_health, rows};

/// Prints what the probes say; exit code 1 when a running service is unhealthy. With `--wait` also when one that is wanted does not run.
pub(super) async fn run(args: &PlatformHealthArgs, session: &Session, face: &mut Face) -> Ended {
    let wait = Wait::new(args.wait, session.registry.services.iter().map(AsRef::as_ref));
    let attempts = if wait.is_patient() { Attempts::One } else { Attempts::WithRetries };
    let question = async {
        loop {
            let (snapshot, checks) = asked(session, attempts).await?;
            if is_good(&rows(&snapshot, &checks), &wait) || !wait.again().await {
                return Ok::<_, EngineGone>((snapshot, checks));
            }
        }
    };
    let Some(answered) = answer("asking every service", &wait, question, face).await else {
        return Ok(Exit::Interrupted);
    };
    let (snapshot, checks) = answered?;
    let rows = rows(&snapshot, &checks);
    if args.json.json {
        let wall = SystemTime::now();
        let snapshot = all_remembered(&snapshot, session, wall);
        let rows: Vec<Row<'_>> =
            report::rows(&snapshot, &checks).into_iter().map(|row| row.with_history(wall)).collect();
        face.out.json(&PlatformHealthReport::new(&rows));
    } else {
        face.out.report(&platform_health(&rows, face.style));
    }
    say_set_aside(session, face);
    Ok(Exit::done_if(is_good(&rows, &wait)))
}

fn is_good(rows: &[Row<'_>], wait: &Wait) -> bool {
    let is_missing = |row: &Row<'_>| row.service.intent == Some(Intent::Up) && row.status() != StateKind::Running;
    HealthSummary::of(rows).unhealthy == 0 && !(wait.is_patient() && rows.iter().any(is_missing))
}
