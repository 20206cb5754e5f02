//! Everything that was found so far, bounded.

use std::ops::Range;

use crate::model::{Code, Diagnostic, Severity};

use super::document::Document;

/// How many errors, and how many warnings, are kept: a file of another kind would fill the memory with what nobody reads.
const MAX_KEPT: usize = 500;

/// Collects diagnostics.
#[derive(Debug, Default)]
pub(super) struct Findings {
    kept: Vec<Diagnostic>,
    n_errors: usize,
    n_warnings: usize,
}

/// What is said of one place, before the place is known.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) code: Code,
    pub(super) severity: Severity,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Finding {
    pub(super) fn error(code: Code, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, message: message.into(), hint: None }
    }

    pub(super) fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    pub(super) fn hint(self, hint: impl Into<Option<String>>) -> Self {
        Self { hint: hint.into(), ..self }
    }
}

impl Findings {
    /// Adds a finding at a place of the document, about a service or about the file.
    pub(super) fn add(&mut self, document: &Document<'_>, service: Option<&str>, span: Range<usize>, finding: Finding) {
        if self.has_room(finding.severity) {
            let place = Some(document.place(span));
            let Finding { code, severity, message, hint } = finding;
            self.kept.push(Diagnostic { code, severity, service: service.map(str::to_owned), message, place, hint });
        }
    }

    /// Adds a finding about the whole file.
    pub(super) fn add_without_place(&mut self, finding: Finding) {
        if self.has_room(finding.severity) {
            let Finding { code, severity, message, hint } = finding;
            self.kept.push(Diagnostic { code, severity, service: None, message, place: None, hint });
        }
    }

    /// Whether another suggestion is worth its search: past that, nobody reads them.
    pub(super) fn wants_hints(&self) -> bool {
        self.n_errors < MAX_KEPT && self.n_warnings < MAX_KEPT
    }

    /// Everything in the file's order; how much was left out comes last.
    pub(super) fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.kept.sort_by_key(|found| found.place.as_ref().map(|place| place.span.start));
        let n_left_out = (self.n_errors + self.n_warnings).saturating_sub(self.kept.len());
        if n_left_out > 0 {
            self.kept.push(Diagnostic {
                code: Code::Syntax,
                severity: Severity::Warning,
                service: None,
                message: format!("{n_left_out} more findings are not shown"),
                place: None,
                hint: None,
            });
        }
        self.kept
    }

    fn has_room(&mut self, severity: Severity) -> bool {
        let n = match severity {
            Severity::Error => &mut self.n_errors,
            Severity::Warning => &mut self.n_warnings,
        };
        *n += 1;
        *n <= MAX_KEPT
    }
}
