//! `services status` (O4): R80 to R84. The service is asked once, and its pre-flight checks are made.

use std::time::{Instant, SystemTime};

use super::{asked, named};
use crate::cli::args::ServiceArgs;
use crate::cli::commands::{Ended, remembered};
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};
use crate::engine::handle::Attempts;
use crate::report::{LeaderReport, Row, ServiceStatusReport, issues, leader_line, service_status};
use crate::supervise::leader;

/// Prints one service in full.
pub(super) async fn run(args: &ServiceArgs, session: &Session, face: &mut Face) -> Ended {
    let Some(id) = named(&args.service, session, face) else { return Ok(Exit::Usage) };
    let what = format!("asking {id}");
    let asked = face.while_waiting(&what, asked(&id, Attempts::One, session)).await?;
    let findings = face.while_waiting(&what, session.handle.preflight(id)).await?;
    let wall = SystemTime::now();
    let service = remembered(&asked.service, session, wall);
    let row = Row::new(&asked.snapshot, &service, asked.checked.as_ref()).with_history(wall);
    let issues = issues(&row, &findings);
    let now = Instant::now();
    let leader = leader(&session.layout);
    if args.json.json {
        face.out.json(&ServiceStatusReport::new(&row, &issues, leader.as_ref(), now));
    } else {
        face.out.report(&service_status(&row, &issues, face.verbose, now));
        if face.verbose {
            face.out.report(&format!("{}\n", leader_line(leader.as_ref().map(LeaderReport::new).as_ref())));
        }
    }
    Ok(Exit::Done)
}
