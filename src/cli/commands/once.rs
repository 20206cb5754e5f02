//! `--once`: the board as text. Writes nothing, starts nothing.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::{Ended, all_remembered, asked, say_set_aside};
use crate::cli::args::BoardFormat;
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};
use crate::engine::handle::{Attempts, Checked};
use crate::model::{Health, Intent, StateKind};
use crate::report::{BoardReport, Row, board_table, platform_status, prometheus, rows};

/// Prints the board; exit code 0 when everything that is wanted up, or up, is healthy.
pub(in crate::cli) async fn run(format: BoardFormat, session: &Session, face: &mut Face) -> Ended {
    let (snapshot, checks) = face.while_waiting("asking every service", asked(session, Attempts::One)).await?;
    let wall = SystemTime::now();
    let snapshot = match format {
        BoardFormat::Text | BoardFormat::Table => snapshot,
        BoardFormat::Prometheus | BoardFormat::Json => Arc::new(all_remembered(&snapshot, session, wall)),
    };
    let rows: Vec<Row<'_>> = rows(&snapshot, &checks).into_iter().map(|row| row.with_history(wall)).collect();
    let now = Instant::now();
    match format {
        BoardFormat::Text => face.out.report(&platform_status(&rows, face.style, face.verbose, now)),
        BoardFormat::Table => face.out.report(&board_table(&rows, now)),
        BoardFormat::Prometheus => face.out.report(&prometheus(&rows, &snapshot.registry, now)),
        BoardFormat::Json => face.out.json(&BoardReport::new(&rows, &snapshot.registry, now)),
    }
    say_set_aside(session, face);
    Ok(Exit::done_if(rows.iter().all(is_as_wanted)))
}

/// Not wanted and not there, or running and healthy. Where no check is configured, running is enough.
fn is_as_wanted(row: &Row<'_>) -> bool {
    let is_concerned = row.service.intent == Some(Intent::Up) || row.service.state.is_alive();
    let is_well = row.status() == StateKind::Running
        && (row.health() == Health::Healthy || row.checked == Some(&Checked::NoCheck));
    is_well || !is_concerned
}

#[cfg(test)]
mod tests {
    use super::is_as_wanted;
    use crate::engine::handle::Checked;
    use crate::model::{Intent, ServiceState};
    use crate::report::Row;
    use crate::testkit::fixture::{b10, edit, failed, passed};

    fn is_well(name: &str, change: impl FnOnce(&mut crate::model::ServiceSnapshot), checked: Option<Checked>) -> bool {
        let snapshot = edit(b10(), name, change);
        let service = snapshot.service(name).unwrap();
        is_as_wanted(&Row::new(&snapshot, service, checked.as_ref()))
    }

    #[test]
    fn what_nobody_wants_may_be_down() {
        assert!(is_well("gitea", |_| (), Some(Checked::NotRunning)));
        assert!(is_well("gitea", |gitea| gitea.intent = Some(Intent::Down), Some(Checked::NotRunning)));
    }

    #[test]
    fn what_is_wanted_must_run_and_be_healthy() {
        assert!(!is_well("gitea", |gitea| gitea.intent = Some(Intent::Up), Some(Checked::NotRunning)));
        assert!(is_well("orchestrator", |_| (), Some(passed("ok", 1))));
        assert!(!is_well("orchestrator", |_| (), Some(failed("refused"))));
    }

    #[test]
    fn no_check_is_fine_for_what_runs_but_not_for_what_only_starts() {
        assert!(is_well("orchestrator", |_| (), Some(Checked::NoCheck)));
        let starting = |service: &mut crate::model::ServiceSnapshot| {
            let ServiceState::Running { instance, since, .. } = service.state.clone() else { panic!("runs") };
            service.state = ServiceState::Starting { instance, since, deadline: since };
        };
        assert!(!is_well("orchestrator", starting, Some(Checked::NoCheck)));
    }
}
