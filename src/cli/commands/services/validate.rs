//! `services validate` (O8): R115 to R120, R33. Reads only.

use crate::cli::args::JsonArgs;
use crate::cli::commands::Ended;
use crate::cli::exit::Exit;
use crate::cli::session::{Face, Session};
use crate::config::{Environment, Found, Naming};
use crate::model::{Code, Diagnostic, Registry};
use crate::report::{DiagnosticReport, ValidationReport, diagnostics_text};

/// Prints what is wrong; exit code 1 when a service is invalid.
pub(super) async fn run(args: JsonArgs, session: &Session, face: &mut Face) -> Ended {
    let snapshot = session.handle.settled().await?;
    let inspections = face.while_waiting("checking every service", session.handle.inspect()).await?;
    let mut report = ValidationReport::new(&snapshot, &inspections);
    let missing = missing_files(session);
    report.diagnostics.extend(missing.iter().map(DiagnosticReport::new));
    if args.json {
        face.out.json(&report);
    } else {
        face.out.report(&report.text(face.style));
        let registry = Registry {
            diagnostics: session.registry.diagnostics.iter().cloned().chain(missing).collect(),
            ..(*session.registry).clone()
        };
        let diagnostics = diagnostics_text(&registry, face.out.has_color());
        if !diagnostics.is_empty() {
            face.out.report(&format!("\n{diagnostics}"));
        }
    }
    Ok(Exit::done_if(report.invalid == 0))
}

/// The files that services need and that are not there, each at its place in the registry.
fn missing_files(session: &Session) -> Vec<Diagnostic> {
    // Whoever could have written it was judged when the session was opened.
    let found = Found { source: session.registry.source.clone(), naming: Naming::Named };
    let registry = found.load_and_check_files(&Environment::from_process());
    registry.diagnostics.into_iter().filter(|found| found.code == Code::MissingFile).collect()
}

/// A registry whose text cannot be used: for scripts that read JSON, since everybody else was told already.
pub(in crate::cli) fn unusable(session: &Session, face: &mut Face) {
    face.out.json(&ValidationReport::of_unusable(&session.registry));
}
