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

use std::sync::Arc;
use std::time::SystemTime;

use super::exit::Exit;
use super::session::{Face, Session};
use crate::engine::handle::{Attempts, Checked, EngineGone};
use crate::lifecycle::admission::Checked as Checks;
use crate::lifecycle::sampling::Sampler;
use crate::model::{Check, Intent, Sample, ServiceId, ServiceSnapshot, Snapshot};
use crate::store::history;
use crate::supervise::Ensured;

pub(super) use doctor::run as doctor;
pub(super) use events::run as events;
pub(super) use once::run as once;
pub(super) use operation::{find as find_operation, run as operation};
pub(super) use platform::run as platform;
pub(super) use services::{run as services, validate_unusable};
pub(super) use supervise::run as supervise;

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
        Ok(read) if read.samples().len() == 0 => service.history = Arc::new(read),
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

/// Whether what is done by itself is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aside {
    /// On standard error, once for each home.
    Told,
    /// Not at all: what is printed is for a program.
    Silent,
}

/// Starts `supervise` in the background after something was started, unless one runs or it is switched off. What was started runs
/// without it too, so a failure changes no result.
async fn look_after(session: &Session, aside: Aside, face: &mut Face) {
    let is_wanted = |service: &Arc<ServiceSnapshot>| service.intent == Some(Intent::Up) || service.state.is_alive();
    if !session.handle.snapshot().services.iter().any(is_wanted) {
        return;
    }
    match session.background.ensure().await {
        Ok(Ensured::StartedForTheFirstTime) if aside == Aside::Told => {
            face.out.error(&super::looked_after_note(face.program));
        }
        Ok(Ensured::Nothing | Ensured::Started | Ensured::StartedForTheFirstTime) => {}
        Err(error) => face.out.error(&format!("note: supervise could not be started in the background: {error}")),
    }
}

/// Says which services of the registry are missing from a report of all services.
fn say_set_aside(session: &Session, face: &mut Face) {
    face.out.lines(&super::names::set_aside_notes(&session.registry));
}
