//! What `platform logs` and `services logs` have in common.

use super::Ended;
use crate::cli::args::LogArgs;
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};
use crate::model::ServiceId;

pub(super) async fn of_each(_ids: &[ServiceId], _args: LogArgs, _session: &Session, _face: &mut Face) -> Ended {
    Ok(Exit::Done)
}

pub(super) async fn all(_args: LogArgs, _session: &Session, _face: &mut Face) -> Ended {
    Ok(Exit::Done)
}
