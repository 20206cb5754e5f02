//! `services monitor` (O10): R124 to R128, A10, A61, A62. It leads, so that what is unhealthy is restarted; between the checks, ends and
//! restarts are told as they happen.

use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::named;
use crate::cli::args::MonitorArgs;
use crate::cli::commands::{Ended, say_set_aside};
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};
use crate::engine::handle::{Attempts, EngineGone};
use crate::model::{Event, LeaderKind, ServiceId};
use crate::report::{MonitorReport, Row, monitor_event_line, monitor_header, monitor_line};
use crate::supervise::campaign;

/// Checks again and again. Ctrl+C is the normal end (A62).
pub(super) async fn run(args: &MonitorArgs, session: &Session, face: &mut Face) -> Ended {
    let ids: Vec<ServiceId> = match &args.service {
        None => {
            say_set_aside(session, face);
            session.registry.services.iter().map(|spec| spec.id.clone()).collect()
        }
        Some(name) => match named(name, session, face) {
            Some(id) => vec![id],
            None => return Ok(Exit::Usage),
        },
    };
    // Before the header, so that whoever reads it may press Ctrl+C.
    let mut interrupts = match signal(SignalKind::interrupt()) {
        Ok(interrupts) => interrupts,
        Err(error) => {
            face.out.error(&format!("failed to listen for Ctrl+C: {error}"));
            return Ok(Exit::Failed);
        }
    };
    if !args.json {
        face.out.report(&monitor_header(args.service.as_deref(), args.interval));
    }
    session.handle.settled().await?;
    // While nobody else does, this acts on its own: what is unhealthy is restarted while it looks (R128).
    let mut beside = JoinSet::new();
    let (leadership, _leader) = watch::channel(None);
    let registry = session.registry.source.file();
    beside.spawn(campaign(session.layout.clone(), LeaderKind::Monitor, registry, session.handle.clone(), leadership));
    let mut events = session.handle.events();
    // From start to start: a slow check shifts nothing, and one that takes longer than the interval leaves out what it missed.
    let mut ticks = interval(Duration::from_secs(args.interval));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = interrupts.recv() => return Ok(Exit::Done),
            _ = ticks.tick() => {}
            event = happened(&mut events, &ids), if !args.json => {
                if let Some(line) = monitor_event_line(&event, face.style) {
                    face.out.report(&line);
                }
                continue;
            }
        }
        let done = tokio::select! {
            _ = interrupts.recv() => return Ok(Exit::Done),
            done = check(&ids, args.json, session, face) => done,
        };
        done?;
        if face.out.is_closed() {
            return Ok(Exit::Done);
        }
    }
}

/// The next thing that happens to one of those that are watched. Cancel safe.
async fn happened(events: &mut broadcast::Receiver<Event>, ids: &[ServiceId]) -> Event {
    loop {
        match events.recv().await {
            Ok(event) if ids.contains(&event.service) => return event,
            // What was missed stands in the timeline; the next check says what came of it.
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Asks everybody at once, and prints one line each.
async fn check(ids: &[ServiceId], json: bool, session: &Session, face: &mut Face) -> Result<(), EngineGone> {
    let at = SystemTime::now();
    let answers = session.handle.check(ids.to_vec(), Attempts::One).await?;
    let snapshot = session.handle.snapshot();
    for (id, answer) in &answers {
        let Some(service) = snapshot.service(id.as_str()) else { continue };
        let row = Row::new(&snapshot, service, Some(answer));
        if json {
            face.out.json_line(&MonitorReport::new(&row, at));
        } else {
            face.out.report(&monitor_line(&row, at, face.style));
        }
    }
    Ok(())
}
