//! O8: whether every service could do its work as it is configured, on this machine.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::diagnostics;
use super::row::Row;
use super::status::{Issue, issues};
use super::style::{Icon, Style};
use super::text::safe;
use crate::engine::handle::Inspection;
use crate::model::{Diagnostic, Registry, Related, ServiceId, Severity, Snapshot};
use crate::preflight::{CheckKind, Finding, Verdict};

/// `services validate --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ValidationReport {
    /// The registry file, or `built-in registry`.
    pub registry: String,
    /// How many services the registry has, usable or not.
    pub total: usize,
    /// How many can do their work as they are configured.
    pub valid: usize,
    /// How many cannot. `valid` and `invalid` add up to `total`.
    pub invalid: usize,
    /// In registry order; those that cannot be used at all come last.
    pub services: Vec<ServiceValidation>,
    /// Everything that was found in the registry's text, in its order.
    pub diagnostics: Vec<DiagnosticReport>,
}

/// What was found of one service.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ServiceValidation {
    /// Its name.
    pub name: String,
    /// Whether it can do its work as it is configured.
    pub valid: bool,
    /// What makes it invalid.
    pub errors: Vec<FoundReport>,
    /// What does not: what is odd, and what keeps it from starting at this moment only.
    pub warnings: Vec<FoundReport>,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FoundReport {
    /// What is wrong.
    pub message: String,
    /// What to do; null when nothing is known.
    pub remedy: Option<String>,
}

/// One diagnostic of the registry's text.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DiagnosticReport {
    /// What kind of finding it is; stable.
    pub code: String,
    /// `error` or `warning`.
    pub severity: String,
    /// The service's key as written; null when the file as a whole is meant.
    pub service: Option<String>,
    /// What is wrong.
    pub message: String,
    /// The file; null for the built-in registry, and where no place is meant.
    pub file: Option<String>,
    /// From 1; null where no place is meant.
    pub line: Option<usize>,
    /// From 1, in characters; null where no place is meant.
    pub column: Option<usize>,
    /// What stands at the place; null where the message says it all.
    pub label: Option<String>,
    /// Further places that belong to it, such as the other edges of a circle.
    pub related: Vec<RelatedReport>,
    /// What to do; null when nothing is known.
    pub hint: Option<String>,
}

/// A further place of a finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RelatedReport {
    /// The file; null for the built-in registry.
    pub file: Option<String>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is said of it.
    pub label: String,
}

impl RelatedReport {
    fn new(related: &Related) -> Self {
        Self {
            file: related.place.file.as_ref().map(|file| file.display().to_string()),
            line: related.place.line,
            column: related.place.column,
            label: related.label.clone(),
        }
    }
}

impl DiagnosticReport {
    /// The report of a diagnostic.
    pub fn new(found: &Diagnostic) -> Self {
        let place = found.place.as_ref();
        Self {
            code: found.code.to_string(),
            severity: found.severity.to_string(),
            service: found.service.clone(),
            message: found.message.clone(),
            file: place.and_then(|place| place.file.as_ref()).map(|file| file.display().to_string()),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            label: found.label.clone(),
            related: found.related.iter().map(RelatedReport::new).collect(),
            hint: found.hint.clone(),
        }
    }
}

impl ValidationReport {
    /// Judges each service for itself (A19): what the registry says of it, and what it needs on this machine. What may be otherwise in
    /// a minute (a port that is taken, a conflict that runs) is a warning. What is wrong with a dependency is said of the dependency.
    pub fn new(snapshot: &Snapshot, inspections: &[Inspection]) -> Self {
        let registry = &snapshot.registry;
        let by_name: HashMap<&ServiceId, &Inspection> =
            inspections.iter().map(|inspection| (&inspection.service, inspection)).collect();
        let known = snapshot.services.iter().filter(|service| registry.position(service.id()).is_some());
        let judged = known.map(|service| {
            let inspection = by_name.get(service.id());
            let findings: Vec<Finding> = inspection
                .map(|found| {
                    let passing = found.circumstances.iter().filter(|finding| finding.check != CheckKind::Dependencies);
                    found.requirements.iter().cloned().chain(passing.map(as_warning)).collect()
                })
                .unwrap_or_default();
            ServiceValidation::new(service.id().as_str(), issues(&Row::new(snapshot, service, None), &findings))
        });
        let set_aside = registry.set_aside.iter().map(|name| ServiceValidation::set_aside(name, registry));
        let services: Vec<ServiceValidation> = judged.chain(set_aside).collect();
        Self::of(registry, services)
    }

    /// The report of a registry whose text could not be used at all.
    pub fn of_unusable(registry: &Registry) -> Self {
        Self::of(registry, Vec::new())
    }

    fn of(registry: &Registry, services: Vec<ServiceValidation>) -> Self {
        let valid = services.iter().filter(|service| service.valid).count();
        Self {
            registry: registry.source.to_string(),
            total: services.len(),
            valid,
            invalid: services.len() - valid,
            services,
            diagnostics: registry.diagnostics.iter().map(DiagnosticReport::new).collect(),
        }
    }

    /// O8, with the registry in use before it (R33) and warnings behind it.
    pub fn text(&self, style: Style) -> String {
        let mut text = format!("Registry: {}\n\n", safe(&self.registry));
        let _ = writeln!(text, "Total services: {}\nValid: {}\nInvalid: {}", self.total, self.valid, self.invalid);
        type Part = fn(&ServiceValidation) -> &[FoundReport];
        let parts: [(&str, Icon, Part); 2] = [
            ("Invalid services", Icon::Bad, |service| &service.errors),
            ("Warnings", Icon::Changing, |service| &service.warnings),
        ];
        for (heading, icon, part) in parts {
            if self.services.iter().any(|service| !part(service).is_empty()) {
                let _ = writeln!(text, "\n{heading}:");
            }
            for service in self.services.iter().filter(|service| !part(service).is_empty()) {
                let _ = writeln!(text, "  {} {}:", icon.draw(style), safe(&service.name));
                for found in part(service) {
                    let _ = writeln!(text, "    - {}", safe(&found.message));
                    if let Some(remedy) = &found.remedy {
                        let _ = writeln!(text, "      Fix: {}", safe(remedy));
                    }
                }
            }
        }
        text
    }
}

impl ServiceValidation {
    fn new(name: &str, issues: Vec<Issue>) -> Self {
        let found = |issue: Issue| FoundReport { message: issue.message, remedy: issue.remedy };
        let (errors, warnings): (Vec<Issue>, Vec<Issue>) =
            issues.into_iter().partition(|issue| issue.severity == Severity::Error);
        Self {
            name: name.to_owned(),
            valid: errors.is_empty(),
            errors: errors.into_iter().map(found).collect(),
            warnings: warnings.into_iter().map(found).collect(),
        }
    }

    fn set_aside(name: &str, registry: &Registry) -> Self {
        let issue = |found: &Diagnostic| Issue {
            severity: found.severity,
            message: found.message.clone(),
            remedy: found.hint.clone(),
        };
        let mut judged = Self::new(name, registry.issues_of(name).map(issue).collect());
        // It was set aside for a reason, even where that is said of the file and not of the service.
        judged.valid = false;
        judged
    }
}

fn as_warning(finding: &Finding) -> Finding {
    let verdict = match finding.verdict {
        Verdict::Failed => Verdict::Warning,
        Verdict::Passed | Verdict::Warning => finding.verdict,
    };
    Finding { verdict, ..finding.clone() }
}

/// The diagnostics of the registry's text as a person reads them: each with its line and what in it is meant.
pub fn diagnostics_text(registry: &Registry, color: bool) -> String {
    registry
        .diagnostics
        .iter()
        .map(|found| format!("{}\n", diagnostics::render(found, color)))
        .collect::<Vec<_>>()
        .join("\n")
}
