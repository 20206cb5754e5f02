//! `services health` (O5): R101 to R104. Nothing cached is printed.

use std::time::SystemTime;

use super::{Asked, asked, named};
use crate::cli::args::ServiceHealthArgs;
use crate::cli::commands::waiting::{Wait, answer};
use crate::cli::commands::{Ended, remembered};
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};
use crate::engine::handle::{Attempts, EngineGone};
use crate::model::{Health, ServiceId};
use crate::report::{HealthReport, Row, service_health};

/// Prints what the probe says now; exit code 0 only when the service is healthy.
pub(super) async fn run(args: &ServiceHealthArgs, session: &Session, face: &mut Face) -> Ended {
    let Some(id) = named(&args.service, session, face) else { return Ok(Exit::Usage) };
    let concerned = session.registry.service(id.as_str()).map(AsRef::as_ref);
    let wait = Wait::new(args.wait, concerned.into_iter());
    let what = format!("asking {id}");
    let Some(asked) = answer(&what, &wait, ask(&id, &wait, session), face).await else { return Ok(Exit::Interrupted) };
    let asked = asked?;
    let row = row(&asked);
    if args.json.json {
        let wall = SystemTime::now();
        let service = remembered(&asked.service, session, wall);
        let row = Row::new(&asked.snapshot, &service, asked.checked.as_ref()).with_history(wall);
        face.out.json(&HealthReport::new(&row));
    } else {
        face.out.report(&service_health(&row));
    }
    Ok(Exit::done_if(row.health() == Health::Healthy))
}

fn row(asked: &Asked) -> Row<'_> {
    Row::new(&asked.snapshot, &asked.service, asked.checked.as_ref())
}

async fn ask(id: &ServiceId, wait: &Wait, session: &Session) -> Result<Asked, EngineGone> {
    let attempts = if wait.is_patient() { Attempts::One } else { Attempts::WithRetries };
    loop {
        let asked = asked(id, attempts, session).await?;
        if row(&asked).health() == Health::Healthy || !wait.again().await {
            return Ok(asked);
        }
    }
}
