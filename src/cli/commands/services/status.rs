//! `services status` (O4): R80 to R84. The service is asked once, and its pre-flight checks are made.

use std::time::{Instant, SystemTime};

use super::{asked, named};
use crate::cli::args::ServiceArgs;
use crate::cli::commands::{Ended, remembered};
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};
use crate::engine::handle::Attempts;
use crate::report::{Row, ServiceStatusReport, issues, service_status};

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
    if args.json.json {
        face.out.json(&ServiceStatusReport::new(&row, &issues, now));
    } else {
        face.out.report(&service_status(&row, &issues, face.verbose, now));
    }
    Ok(Exit::Done)
}
