//! `services validate` (O8): R115 to R120, R33. Reads only.

use crate::cli::args::JsonArgs;
use crate::cli::commands::Ended;
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};
use crate::report::{ValidationReport, diagnostics_text};

/// Prints what is wrong; exit code 1 when a service is invalid.
pub(super) async fn run(args: JsonArgs, session: &Session, face: &mut Face) -> Ended {
    let snapshot = session.handle.settled().await?;
    let inspections = face.while_waiting("checking every service", session.handle.inspect()).await?;
    let report = ValidationReport::new(&snapshot, &inspections);
    if args.json {
        face.out.json(&report);
    } else {
        face.out.report(&report.text(face.style));
        let diagnostics = diagnostics_text(&session.registry, face.out.has_color());
        if !diagnostics.is_empty() {
            face.out.report(&format!("\n{diagnostics}"));
        }
    }
    Ok(Exit::done_if(report.invalid == 0))
}

/// A registry whose text cannot be used: for scripts that read JSON, since everybody else was told already.
pub(in crate::cli) fn unusable(session: &Session, face: &mut Face) {
    face.out.json(&ValidationReport::of_unusable(&session.registry));
}
