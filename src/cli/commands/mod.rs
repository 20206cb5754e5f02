//! One file per command. Each asks the engine, prints what [`crate::report`] says of the answer, and gives an exit code.

mod doctor;
mod events;
mod logs;
mod once;
mod operate;
mod operation;
mod platform;
mod services;
mod supervise;
mod waiting;

use super::exit::Exit;
use super::session::{Face, Session};
use crate::engine::handle::{Attempts, Checked, EngineGone};
use crate::model::{ServiceId, Snapshot};

pub(super) use doctor::run as doctor;
pub(super) use events::run as events;
pub(super) use once::run as once;
pub(super) use operation::{find as find_operation, run as operation};
pub(super) use platform::run as platform;
pub(super) use supervise::run as supervise;
pub(super) use services::{run as services, validate_unusable};

/// What a command comes to. The error is a broken invariant, not an expected failure.
type Ended = Result<Exit, EngineGone>;

/// All services, observed once, and each running one really asked. The snapshot is as old as the answers.
async fn asked(
    session: &Session,
    attempts: Attempts,
) -> Result<(std::sync::Arc<Snapshot>, Vec<(ServiceId, Checked)>), EngineGone> {
    let settled = session.handle.settled().await?;
    let ids = settled.services.iter().map(|service| service.id().clone()).collect();
    let checks = session.handle.check(ids, attempts).await?;
    Ok((session.handle.snapshot(), checks))
}

/// Says which services of the registry are missing from a report of all services.
fn say_set_aside(session: &Session, face: &mut Face) {
    face.out.lines(&super::names::set_aside_notes(&session.registry));
}
