//! `platform …`: all services as one system.

mod health;
mod logs;
mod restart;
mod start;
mod status;
mod stop;

use super::Ended;
use crate::cli::args::PlatformCommand;
use crate::cli::session::{Face, Session};

/// Runs one command of the group.
pub(in crate::cli) async fn run(command: &PlatformCommand, session: &Session, face: &mut Face) -> Ended {
    match command {
        PlatformCommand::Start(args) => start::run(args, session, face).await,
        PlatformCommand::Stop(args) => stop::run(args, session, face).await,
        PlatformCommand::Restart(args) => restart::run(args, session, face).await,
        PlatformCommand::Status(args) => status::run(*args, session, face).await,
        PlatformCommand::Health(args) => health::run(args, session, face).await,
        PlatformCommand::Logs(args) => logs::run(args, session, face).await,
    }
}
