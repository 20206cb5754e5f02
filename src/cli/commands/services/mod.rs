//! `services …`: one service at a time.

mod check;
mod dependencies;
mod ensure;
mod health;
mod history;
mod list;
mod logs;
mod monitor;
mod readiness;
mod restart;
mod start;
mod status;
mod stop;
mod validate;

use std::sync::Arc;

use super::Ended;
use crate::cli::args::ServicesCommand;
use crate::cli::names::resolve;
use crate::cli::session::{Face, Session};
use crate::engine::handle::{Attempts, Checked, EngineGone};
use crate::model::{ServiceId, ServiceSnapshot, Snapshot};

pub(in crate::cli) use ensure::{Telling, ensure};
pub(in crate::cli) use validate::unusable as validate_unusable;

/// Runs one command of the group.
pub(in crate::cli) async fn run(command: &ServicesCommand, session: &Session, face: &mut Face) -> Ended {
    match command {
        ServicesCommand::List(args) => list::run(args, session, face).await,
        ServicesCommand::Status(args) => status::run(args, session, face).await,
        ServicesCommand::Start(args) => start::run(args, session, face).await,
        ServicesCommand::Stop(args) => stop::run(args, session, face).await,
        ServicesCommand::Restart(args) => restart::run(args, session, face).await,
        ServicesCommand::Health(args) => health::run(args, session, face).await,
        ServicesCommand::History(args) => history::run(args, session, face).await,
        ServicesCommand::Logs(args) => logs::run(args, session, face).await,
        ServicesCommand::Check(args) => check::run(args, session, face).await,
        ServicesCommand::Ensure(args) => ensure::run(args, session, face).await,
        ServicesCommand::Dependencies(args) => dependencies::run(args, session, face),
        ServicesCommand::Validate(args) => validate::run(*args, session, face).await,
        ServicesCommand::Readiness(args) => readiness::run(*args, session, face).await,
        ServicesCommand::Monitor(args) => monitor::run(args, session, face).await,
    }
}

/// The one service that was named on the command line. `None` when there is no such one, which has then been said.
pub(super) fn named(name: &str, session: &Session, face: &mut Face) -> Option<ServiceId> {
    match resolve(&[name.to_owned()], &session.registry) {
        Ok(ids) => ids.into_iter().next(),
        Err(problems) => {
            face.out.lines(&problems);
            None
        }
    }
}

/// One service, observed and, when it runs, really asked.
struct Asked {
    snapshot: Arc<Snapshot>,
    service: Arc<ServiceSnapshot>,
    checked: Option<Checked>,
}

async fn asked(id: &ServiceId, attempts: Attempts, session: &Session) -> Result<Asked, EngineGone> {
    session.handle.settled().await?;
    let checks = session.handle.check(vec![id.clone()], attempts).await?;
    let snapshot = session.handle.snapshot();
    // The snapshot's registry is the session's, in which the name was found; only an ended engine could lack it.
    let service = snapshot.service(id.as_str()).cloned().ok_or(EngineGone)?;
    let checked = checks.into_iter().find(|(checked, _)| checked == id).map(|(_, checked)| checked);
    Ok(Asked { snapshot, service, checked })
}
