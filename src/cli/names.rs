//! From names on a command line to registered services (R84, A56): all of them, before anything is started or stopped.

use super::program::{Program, command};
use super::session::Face;
use crate::model::{Registry, ServiceId, Severity};
use crate::report::{Line, known_operations, unknown_service_lines};

/// How many near names are offered.
const MAX_NEAR: usize = 3;

/// The services of those names, each once, in the order given.
///
/// # Errors
/// The lines to print when a name is unknown (M21) or was set aside (its diagnostics); the command ends with exit code 2.
pub(super) fn resolve(names: &[String], registry: &Registry) -> Result<Vec<ServiceId>, Vec<Line>> {
    let mut found: Vec<ServiceId> = Vec::new();
    let mut problems = Vec::new();
    for name in names {
        match registry.service(name) {
            Some(spec) if found.contains(&spec.id) => {}
            Some(spec) => found.push(spec.id.clone()),
            None if registry.set_aside.iter().any(|aside| aside == name) => problems.extend(set_aside(name, registry)),
            None => problems.extend(unknown_service_lines(name, &near(name, registry))),
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

fn set_aside(name: &str, registry: &Registry) -> Vec<Line> {
    std::iter::once(Line::error(format!("Service {name} cannot be used:")))
        .chain(registry.issues_of(name).map(|found| Line::error(found.to_string()).indented()))
        .collect()
}

/// One line for each service that was set aside: the first error that was found in it.
pub(super) fn set_aside_notes(registry: &Registry) -> Vec<Line> {
    registry
        .set_aside
        .iter()
        .map(|name| {
            let error = registry.issues_of(name).find(|found| found.severity == Severity::Error);
            Line::error(match error {
                Some(error) => format!("service {name} is set aside: {error}"),
                None => format!("service {name} is set aside"),
            })
        })
        .collect()
}

/// The operation that was probably meant, where the one given is unknown.
pub(super) fn near_operation(name: &str, registry: &Registry) -> Option<String> {
    near_of(name, known_operations(registry).into_iter()).first().map(|&near| near.to_owned())
}

/// Says which operation was probably meant.
pub(super) fn say_near_operation(name: &str, registry: &Registry, face: &mut Face) {
    if let Some(near) = near_operation(name, registry) {
        face.out.error(&format!("  Did you mean {near}?"));
    }
}

/// The command of the first level that was probably meant.
pub(super) fn near_command(name: &str, program: Program) -> Option<String> {
    let tree = command(program);
    near_of(name, tree.get_subcommands().map(clap::Command::get_name)).first().map(|&near| near.to_owned())
}

/// Registered names that look like `name`, best first.
fn near<'a>(name: &str, registry: &'a Registry) -> Vec<&'a str> {
    near_of(name, registry.services.iter().map(|spec| spec.id.as_str()))
}

/// The known names that look like `name`, best first.
fn near_of<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = name.to_ascii_lowercase();
    let limit = (wanted.len() / 3).max(1);
    let mut scored: Vec<(usize, &str)> = known
        .filter_map(|known| {
            let lower = known.to_ascii_lowercase();
            let is_beginning = wanted.len() >= 2 && lower.starts_with(&wanted);
            let distance = if is_beginning { 0 } else { strsim::damerau_levenshtein(&wanted, &lower) };
            (distance <= limit).then_some((distance, known))
        })
        .collect();
    // Stable: equal ones stay in registry order.
    scored.sort_by_key(|(distance, _)| *distance);
    scored.into_iter().take(MAX_NEAR).map(|(_, known)| known).collect()
}

/// What a person is told once in each home: that something goes on in the background, and how to end it.
pub fn looked_after_note(program: Program) -> String {
    let name = program.name();
    format!(
        "note: `{name} supervise` now looks after the services in the background; `{name} supervise stop` ends it, \
         `auto = false` below [supervise] in the registry keeps it from being started"
    )
}

#[cfg(test)]
mod tests {
    use super::resolve;
    use crate::testkit::fixture::b10;

    fn said(names: &[&str]) -> Result<Vec<String>, Vec<String>> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        resolve(&names, &b10().registry)
            .map(|ids| ids.iter().map(ToString::to_string).collect())
            .map_err(|lines| lines.iter().map(|line| line.text().to_owned()).collect())
    }

    #[test]
    fn names_are_found_once_each_in_the_order_given() {
        assert_eq!(said(&["gitea", "coredns", "gitea"]), Ok(vec!["gitea".into(), "coredns".into()]));
    }

    #[test]
    fn a_typing_error_gets_a_suggestion() {
        let Err(lines) = said(&["orchestrater", "gitea"]) else { panic!("found") };
        assert_eq!(lines, ["Unknown service: orchestrater", "  Did you mean orchestrator?"]);
        assert_eq!(said(&["orch"]).unwrap_err()[1], "  Did you mean orchestrator?");
        assert_eq!(said(&["Gitea"]).unwrap_err()[1], "  Did you mean gitea?");
    }

    #[test]
    fn a_name_unlike_all_others_gets_none_and_cannot_reach_the_terminal() {
        let lines = said(&["\u{1b}[2Jxxxxxxxxxxxxxx"]).unwrap_err();
        assert_eq!(lines.len(), 1);
        assert!(!lines[0].contains('\u{1b}'), "{lines:?}");
    }
}
