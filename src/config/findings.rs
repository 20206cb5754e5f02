//! Everything that was found so far, bounded.

use std::ops::Range;

use crate::model::{Code, Diagnostic, Related, Severity};

use super::document::Document;

/// How many errors, and how many warnings, are kept: a file of another kind would fill the memory with what nobody reads.
const MAX_KEPT: usize = 500;

/// How many further places one finding names: of a circle of a thousand services nobody reads each edge.
const MAX_RELATED: usize = 20;

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
    /// What stands at the place itself.
    pub(super) label: Option<String>,
    /// Further places with what is said of them.
    pub(super) related: Vec<(Range<usize>, String)>,
}

impl Finding {
    pub(super) fn error(code: Code, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, message: message.into(), hint: None, label: None, related: Vec::new() }
    }

    pub(super) fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    pub(super) fn label(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// Names a further place.
    pub(super) fn also(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }

    pub(super) fn hint(self, hint: impl Into<Option<String>>) -> Self {
        Self { hint: hint.into(), ..self }
    }
}

impl Findings {
    /// Adds a finding at a place of the document, about a service or about the file.
    pub(super) fn add(&mut self, document: &Document<'_>, service: Option<&str>, span: Range<usize>, finding: Finding) {
        if self.has_room(finding.severity) {
            let related = |(span, label): (Range<usize>, String)| Related { place: document.place(span), label };
            self.kept.push(Diagnostic {
                code: finding.code,
                severity: finding.severity,
                service: service.map(str::to_owned),
                message: finding.message,
                place: Some(document.place(span)),
                label: finding.label,
                related: finding.related.into_iter().take(MAX_RELATED).map(related).collect(),
                hint: finding.hint,
            });
        }
    }

    /// Adds a finding about the whole file.
    pub(super) fn add_without_place(&mut self, finding: Finding) {
        if self.has_room(finding.severity) {
            let Finding { code, severity, message, hint, .. } = finding;
            self.kept.push(without_place(code, severity, message, hint));
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
            let message = format!("{n_left_out} more findings are not shown");
            self.kept.push(without_place(Code::Syntax, Severity::Warning, message, None));
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

fn without_place(code: Code, severity: Severity, message: String, hint: Option<String>) -> Diagnostic {
    Diagnostic { code, severity, service: None, message, place: None, label: None, related: Vec::new(), hint }
}
