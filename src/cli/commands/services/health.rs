//! `services health` (O5): R101 to R104. Nothing cached is printed.

use super::{asked, named};
use crate::cli::args::ServiceArgs;
use crate::cli::commands::Ended;
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};
use crate::engine::handle::Attempts;
use crate::model::Health;
use crate::report::{HealthReport, Row, service_health};

/// Prints what the probe says now; exit code 0 only when the service is healthy.
pub(super) async fn run(args: &ServiceArgs, session: &Session, face: &mut Face) -> Ended {
    let Some(id) = named(&args.service, session, face) else { return Ok(Exit::Usage) };
    let asked = asked(&id, Attempts::WithRetries, session).await?;
    let row = Row::new(&asked.snapshot, &asked.service, asked.checked.as_ref());
    if args.json.json {
        face.out.json(&HealthReport::new(&row));
    } else {
        face.out.report(&service_health(&row));
    }
    Ok(Exit::done_if(row.health() == Health::Healthy))
}
