//! What would keep something from starting or surviving: the machine, the registry, each service.

use std::fmt::Write as _;

use serde::Serialize;

use super::style::{Icon, Style};
use super::supervise::LeaderReport;
use super::text::safe;
use crate::engine::handle::Inspection;
use crate::graph::Graph;
use crate::model::{Leader, Registry, ServiceId, Severity};
use crate::preflight::{CheckKind, Finding, HostFinding, Verdict};

/// Something that was found, good or bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Whether it stands in the way.
    pub verdict: Verdict,
    /// What was found.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// What is wrong with one service; nothing when it could start now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceDiagnosis {
    /// Its name, which may be one that the registry sets aside.
    pub name: String,
    /// Failures and warnings.
    pub complaints: Vec<Complaint>,
}

/// Everything that was found, sorted for telling. Both faces show this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Of the machine, good findings included.
    pub host: Vec<HostFinding>,
    /// Warnings of the registry file that belong to no service.
    pub registry: Vec<Complaint>,
    /// Of each service in the file's order, then of those that are set aside.
    pub services: Vec<ServiceDiagnosis>,
}

impl Diagnosis {
    /// Puts together what the engine and the registry say. What is true of the machine is said once, not again for each service.
    pub fn new(registry: &Registry, host: Vec<HostFinding>, inspections: Vec<Inspection>) -> Self {
        let graph = Graph::new(registry);
        let configured = |name: &str| -> Vec<Complaint> { registry.issues_of(name).map(complaint).collect() };
        let checked = inspections.into_iter().map(|inspection| {
            let Inspection { service: id, requirements, circumstances } = inspection;
            let mut complaints = configured(id.as_str());
            let circle = graph.cycle_below(&id).map(circle);
            let findings = requirements.into_iter().chain(circumstances).chain(circle);
            for finding in findings.filter(|finding| finding.verdict != Verdict::Passed) {
                let is_known = registry.issues_of(id.as_str()).any(|known| known.message == finding.message)
                    || host.iter().any(|known| known.message == finding.message);
                if !is_known {
                    let (verdict, message, remedy) = (finding.verdict, finding.message, finding.remedy);
                    complaints.push(Complaint { verdict, message, remedy });
                }
            }
            ServiceDiagnosis { name: id.to_string(), complaints }
        });
        let mut services: Vec<ServiceDiagnosis> = checked.collect();
        let set_aside = registry.set_aside.iter();
        services.extend(set_aside.map(|name| ServiceDiagnosis { name: name.clone(), complaints: configured(name) }));
        let of_the_file = registry.diagnostics.iter().filter(|found| found.service.is_none());
        Self { registry: of_the_file.map(complaint).collect(), host, services }
    }

    fn verdicts(&self) -> impl Iterator<Item = Verdict> + '_ {
        let services = self.services.iter().flat_map(|service| &service.complaints);
        let told = self.registry.iter().chain(services).map(|complaint| complaint.verdict);
        self.host.iter().map(|finding| finding.verdict).chain(told)
    }

    /// How much would fail.
    pub fn n_failed(&self) -> usize {
        self.verdicts().filter(|verdict| *verdict == Verdict::Failed).count()
    }

    /// How much is worth knowing.
    pub fn n_warnings(&self) -> usize {
        self.verdicts().filter(|verdict| *verdict == Verdict::Warning).count()
    }

    /// `2 problems, 1 warning`, or that nothing is wrong.
    pub fn summary(&self) -> String {
        let counted = |n: usize, noun: &str| match n {
            1 => format!("1 {noun}"),
            n => format!("{n} {noun}s"),
        };
        match (self.n_failed(), self.n_warnings()) {
            (0, 0) => "Nothing stands in the way".to_owned(),
            (0, warnings) => format!("Nothing stands in the way; {}", counted(warnings, "warning")),
            (failed, 0) => counted(failed, "problem"),
            (failed, warnings) => format!("{}, {}", counted(failed, "problem"), counted(warnings, "warning")),
        }
    }
}

/// A service in a circle, or above one, cannot be started (M18).
fn circle(circle: &[ServiceId]) -> Finding {
    let names: Vec<&str> = circle.iter().map(ServiceId::as_str).collect();
    Finding {
        check: CheckKind::Dependencies,
        verdict: Verdict::Failed,
        message: format!("Circular dependency: {}", names.join(" -> ")),
        remedy: Some("take one of these dependencies away".to_owned()),
    }
}

fn complaint(found: &crate::model::Diagnostic) -> Complaint {
    let verdict = match found.severity {
        Severity::Error => Verdict::Failed,
        Severity::Warning => Verdict::Warning,
    };
    let place = found.place.as_ref();
    let at =
        place.and_then(|place| Some(format!("{}:{}:{}: ", place.file.as_ref()?.display(), place.line, place.column)));
    let message = format!("{}{}", at.unwrap_or_default(), found.message);
    Complaint { verdict, message, remedy: found.hint.clone() }
}

/// The diagnosis as text. `verbose` adds services with nothing wrong by name.
pub fn doctor(diagnosis: &Diagnosis, style: Style, verbose: bool) -> String {
    let mut text = String::from("Host\n");
    for finding in &diagnosis.host {
        tell(&mut text, "  ", style, finding.verdict, &finding.message, finding.remedy.as_deref());
    }
    if diagnosis.host.is_empty() {
        tell(&mut text, "  ", style, Verdict::Warning, "The machine could not be looked at", None);
    }
    if !diagnosis.registry.is_empty() {
        text.push_str("\nRegistry\n");
        tell_all(&mut text, "  ", style, &diagnosis.registry);
    }
    text.push_str("\nServices\n");
    let (well, unwell): (Vec<_>, Vec<_>) = diagnosis.services.iter().partition(|service| service.complaints.is_empty());
    if !well.is_empty() {
        let message = match well.as_slice() {
            [one] => format!("{} can start, or runs", one.name),
            many if verbose => {
                let names: Vec<&str> = many.iter().map(|service| service.name.as_str()).collect();
                format!("{} services can start, or run: {}", many.len(), names.join(", "))
            }
            many => format!("{} services can start, or run", many.len()),
        };
        tell(&mut text, "  ", style, Verdict::Passed, &message, None);
    }
    for service in unwell {
        let _ = writeln!(text, "  {}", safe(&service.name));
        tell_all(&mut text, "    ", style, &service.complaints);
    }
    let _ = write!(text, "\nSummary: {}\n", diagnosis.summary());
    text
}

fn tell_all(text: &mut String, indent: &str, style: Style, complaints: &[Complaint]) {
    for complaint in complaints {
        tell(text, indent, style, complaint.verdict, &complaint.message, complaint.remedy.as_deref());
    }
}

fn tell(text: &mut String, indent: &str, style: Style, verdict: Verdict, message: &str, remedy: Option<&str>) {
    let icon = match verdict {
        Verdict::Passed => Icon::Good,
        Verdict::Failed => Icon::Bad,
        Verdict::Warning => Icon::Warning,
    };
    // The word stands beside the icon, since no meaning rests on an icon alone.
    let word = if verdict == Verdict::Warning { "Warning: " } else { "" };
    let _ = writeln!(text, "{indent}{} {word}{}", icon.draw(style), safe(message));
    if let Some(remedy) = remedy {
        let _ = writeln!(text, "{indent}   Fix: {}", safe(remedy));
    }
}

/// `doctor --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DoctorReport {
    /// How much would keep something from starting or surviving; the exit code is 1 when it is not 0.
    pub failed: usize,
    /// How much is worth knowing.
    pub warnings: usize,
    /// Of the machine, good findings included.
    pub host: Vec<HostReport>,
    /// Of the registry file as a whole.
    pub registry: Vec<ComplaintReport>,
    /// Of each service; `findings` is empty for one that can start, or runs.
    pub services: Vec<ServiceDoctorReport>,
    /// Who acts on its own; null when nobody does.
    pub leader: Option<LeaderReport>,
}

/// One finding about the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HostReport {
    /// A stable word: `state_directory`, `disk_space`, …
    pub topic: &'static str,
    /// `passed`, `warning` or `failed`.
    pub verdict: &'static str,
    /// For people.
    pub message: String,
    /// What to do; null for what is as it should be.
    pub remedy: Option<String>,
}

/// One finding about the registry or a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ComplaintReport {
    /// `warning` or `failed`.
    pub verdict: &'static str,
    /// For people.
    pub message: String,
    /// What to do; null where nothing is known to help.
    pub remedy: Option<String>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ServiceDoctorReport {
    /// Its name.
    pub name: String,
    /// What stands in its way.
    pub findings: Vec<ComplaintReport>,
}

impl DoctorReport {
    /// The report of a diagnosis.
    pub fn new(diagnosis: &Diagnosis, leader: Option<&Leader>) -> Self {
        let complaints = |all: &[Complaint]| -> Vec<ComplaintReport> {
            let report = |one: &Complaint| ComplaintReport {
                verdict: key(one.verdict),
                message: one.message.clone(),
                remedy: one.remedy.clone(),
            };
            all.iter().map(report).collect()
        };
        let host = diagnosis.host.iter().map(|finding| HostReport {
            topic: finding.topic.key(),
            verdict: key(finding.verdict),
            message: finding.message.clone(),
            remedy: finding.remedy.clone(),
        });
        let services = diagnosis.services.iter().map(|service| ServiceDoctorReport {
            name: service.name.clone(),
            findings: complaints(&service.complaints),
        });
        Self {
            failed: diagnosis.n_failed(),
            warnings: diagnosis.n_warnings(),
            host: host.collect(),
            registry: complaints(&diagnosis.registry),
            services: services.collect(),
            leader: leader.map(LeaderReport::new),
        }
    }
}

fn key(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Warning => "warning",
        Verdict::Failed => "failed",
    }
}
