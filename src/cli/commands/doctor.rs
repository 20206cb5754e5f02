//! `doctor`: everything that would keep something from starting or surviving, each with its remedy.

use super::Ended;
use crate::cli::args::JsonArgs;
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};
use crate::report::{Diagnosis, DoctorReport, LeaderReport, doctor, leader_line};
use crate::supervise::leader;

/// Looks, and starts nothing. [`Exit::Failed`] when something would fail.
pub(in crate::cli) async fn run(args: &JsonArgs, session: &Session, face: &mut Face) -> Ended {
    session.handle.settled().await?;
    let (host, services) = tokio::try_join!(session.handle.survey(), session.handle.inspect())?;
    let diagnosis = Diagnosis::new(&session.registry, host, services);
    let leader = leader(&session.layout);
    if args.json {
        face.out.json(&DoctorReport::new(&diagnosis, leader.as_ref()));
    } else {
        face.out.report(&format!("{}\n\n", leader_line(leader.as_ref().map(LeaderReport::new).as_ref())));
        face.out.report(&doctor(&diagnosis, face.style, face.verbose));
    }
    Ok(Exit::done_if(diagnosis.n_failed() == 0))
}
