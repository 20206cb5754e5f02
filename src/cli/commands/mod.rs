//! One file per command. Each asks the engine, prints what [`crate::report`] says of the answer, and gives an exit code.

mod doctor;
mod events;
mod logs;
mod once;
mod operate;
mod operation;
mod platform;
mod services;
mod waiting;

use std::sync::Arc;
use std::time::SystemTime;

use super::exit::Exit;
use super::session::{Face, Session};
use crate::engine::handle::{Attempts, Checked, EngineGone};
use crate::lifecycle::admission::Checked as Checks;
use crate::lifecycle::sampling::Sampler;
use crate::model::{Check, Sample, ServiceId, ServiceSnapshot, Snapshot};
use crate::store::history;

pub(super) use doctor::run as doctor;
pub(super) use events::run as events;
pub(super) use once::run as once;
pub(super) use operation::{find as find_operation, run as operation};
pub(super) use platform::run as platform;
pub(super) use services::{run as services, validate_unusable};

/// What a command comes to. The error is a broken invariant, not an expected failure.
type Ended = Result<Exit, EngineGone>;

/// All services, observed once, and each running one really asked. The snapshot is as old as the answers.
async fn asked(
    session: &Session,
    attempts: Attempts,
) -> Result<(Arc<Snapshot>, Vec<(ServiceId, Checked)>), EngineGone> {
    let settled = session.handle.settled().await?;
    let ids = settled.services.iter().map(|service| service.id().clone()).collect();
    let checks = session.handle.check(ids, attempts).await?;
    Ok((session.handle.snapshot(), checks))
}

/// A service with what is remembered of its health. How it stands now is the end of that.
fn remembered(service: &ServiceSnapshot, session: &Session, now: SystemTime) -> ServiceSnapshot {
    let check = &service.spec.health_check;
    let mut service = service.clone();
    match history::read(&session.layout, service.id(), check.interval, now) {
        Ok(mut read) => {
            let checked = if check.check == Check::None { Checks::No } else { Checks::Yes };
            for (standing, sighting) in Sampler::default().look(&service.state, service.restarts, checked) {
                read.push(Sample::state(now, standing, sighting));
            }
            service.history = Arc::new(read);
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => service.notes.push(format!("the health history cannot be read: {error}")),
    }
    service
}

/// [`remembered`] of all services.
fn all_remembered(snapshot: &Snapshot, session: &Session, now: SystemTime) -> Snapshot {
    let services = snapshot.services.iter().map(|service| Arc::new(remembered(service, session, now))).collect();
    Snapshot { services, ..snapshot.clone() }
}

/// Says which services of the registry are missing from a report of all services.
fn say_set_aside(session: &Session, face: &mut Face) {
    face.out.lines(&super::names::set_aside_notes(&session.registry));
}
