//! `services dependencies` (O7, O11): R109 to R114. Asks the registry alone: nothing has to run, and nobody is looked at.

use super::named;
use crate::cli::args::DependenciesArgs;
use crate::cli::commands::{Ended, say_set_aside};
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};
use crate::report::{DependenciesReport, dependencies_text};

/// Prints who needs whom.
pub(super) fn run(args: &DependenciesArgs, session: &Session, face: &mut Face) -> Ended {
    let id = match &args.service {
        None => None,
        Some(name) => match named(name, session, face) {
            Some(id) => Some(id),
            None => return Ok(Exit::Usage),
        },
    };
    if args.json.json {
        face.out.json(&DependenciesReport::new(&session.registry, id.as_ref()));
    } else {
        face.out.report(&dependencies_text(&session.registry, id.as_ref(), face.style));
    }
    if id.is_none() {
        say_set_aside(session, face);
    }
    Ok(Exit::Done)
}
