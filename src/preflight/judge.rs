//! From facts to findings.

use std::path::Path;

use super::{
    CheckKind, Conflict, ConflictKind, DependencyFact, Facts, FileFact, Finding, PortFact, Requirement, Verdict,
};
use crate::model::{Protocol, ServiceSpec};

/// Judges everything that is known about a start: findings in the order prerequisites, conflicts, dependencies (R168), good ones
/// included, so that the check process can be shown (O15).
///
/// Good news is given only where the guide gives it (M16): a working directory that is there says nothing.
pub fn judge(spec: &ServiceSpec, facts: &Facts) -> Vec<Finding> {
    let mut findings = judge_requirements(facts);
    findings.extend(judge_circumstances(spec, facts));
    findings
}

/// Judges what the service needs whatever else runs just now: its program, its directories, its engine.
pub fn judge_requirements(facts: &Facts) -> Vec<Finding> {
    facts.requirements.iter().filter_map(judge_requirement).collect()
}

/// Judges what may be otherwise in a minute: who holds its ports, what runs beside it, whether what it needs could be started.
pub fn judge_circumstances(spec: &ServiceSpec, facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = facts.ports.iter().map(|fact| judge_port(spec, fact)).collect();
    findings.push(judge_conflicts(&facts.conflicts));
    findings.extend(judge_dependencies(&facts.dependencies));
    findings
}

fn passed(check: CheckKind, message: impl Into<String>) -> Finding {
    Finding { check, verdict: Verdict::Passed, message: message.into(), remedy: None }
}

fn failed(check: CheckKind, message: String, remedy: String) -> Finding {
    Finding { check, verdict: Verdict::Failed, message, remedy: Some(remedy) }
}

fn judge_requirement(requirement: &Requirement) -> Option<Finding> {
    match requirement {
        Requirement::Binary { path, found } => Some(judge_binary(path, found)),
        Requirement::WorkingDirectory { path, found } => judge_directory(path, found),
        Requirement::File { path, field, found } => judge_file(path, field, found),
        Requirement::StateDirectory { path: _, problem } => problem.as_ref().map(|(problem, remedy)| {
            failed(CheckKind::Prerequisites, format!("State directory cannot be used: {problem}"), remedy.clone())
        }),
        Requirement::ContainerEngine { problem } => problem.as_ref().map(|(cause, remedy)| {
            // The guide's sentence merges the causes (A18); the remedy tells them apart.
            let message = "Docker is not installed or not running".to_owned();
            failed(CheckKind::Prerequisites, message, format!("{cause}: {remedy}"))
        }),
        Requirement::Image { name, is_here } => (!is_here).then(|| Finding {
            check: CheckKind::Prerequisites,
            verdict: Verdict::Warning,
            message: format!("Image is not here yet and will be pulled: {name}"),
            remedy: Some(format!("docker pull {name}")),
        }),
        Requirement::ContainerName { name, is_taken } => is_taken.then(|| {
            failed(
                CheckKind::Prerequisites,
                format!("Container name is taken by a container that is not ours: {name}"),
                format!("docker rename {name} to something else, or change `container_name` in the registry"),
            )
        }),
        Requirement::Compose { problem } => {
            problem.as_ref().map(|(message, remedy)| failed(CheckKind::Prerequisites, message.clone(), remedy.clone()))
        }
        Requirement::ComposeDependencies { missing, typed } => Some(Finding {
            check: CheckKind::Prerequisites,
            verdict: Verdict::Warning,
            message: format!("Compose services it depends on do not run and are not started: {}", missing.join(", ")),
            remedy: Some(format!(
                "{typed} up -d {}, or register them too and name them in `dependencies`",
                missing.join(" ")
            )),
        }),
        Requirement::ComposeProject { kept, own } => Some(Finding {
            check: CheckKind::Prerequisites,
            verdict: Verdict::Warning,
            message: format!("Compose project is still {kept}, although Compose would call it {own} now"),
            remedy: Some(format!("set `project_name` in the registry to \"{kept}\" to keep it, or to \"{own}\"")),
        }),
        // Whether it is free is no matter of what the service is: among `Facts::ports` it is judged.
        Requirement::PublishedPort { .. } => None,
        Requirement::RequestFile { problem: (what, remedy) } => {
            Some(failed(CheckKind::Prerequisites, what.clone(), remedy.clone()))
        }
        Requirement::Endpoint { url, answer: Ok(answer), .. } => {
            Some(passed(CheckKind::Prerequisites, format!("Endpoint answers: {url} ({answer})")))
        }
        Requirement::Endpoint { url, answer: Err((why, remedy)), may_come } => Some(Finding {
            check: CheckKind::Prerequisites,
            verdict: if *may_come { Verdict::Warning } else { Verdict::Failed },
            message: format!("Endpoint cannot be reached: {url}: {why}"),
            remedy: Some(remedy.clone().unwrap_or_else(|| "start it where it runs, or check `endpoint`".to_owned())),
        }),
        Requirement::Cluster { place, problem: None, .. } => {
            Some(passed(CheckKind::Prerequisites, format!("Kubernetes cluster accessible: {place}")))
        }
        Requirement::Cluster { problem: Some((cause, remedy)), is_configured, .. } => {
            // The guide speaks of kubectl, whose configuration is what is read (M23).
            let message = if *is_configured {
                "Kubernetes cluster is not accessible"
            } else {
                "kubectl is not installed or not configured"
            };
            Some(failed(CheckKind::Prerequisites, message.to_owned(), format!("{cause}: {remedy}")))
        }
        Requirement::ClusterObject { problem, remedy } => {
            Some(failed(CheckKind::Prerequisites, problem.clone(), remedy.clone()))
        }
        Requirement::ClusterLimit { limit, remedy } => Some(Finding {
            check: CheckKind::Prerequisites,
            verdict: Verdict::Warning,
            message: limit.clone(),
            remedy: Some(remedy.clone()),
        }),
        Requirement::OpenKubeconfig { path, deed } => Some(Finding {
            check: CheckKind::Prerequisites,
            verdict: Verdict::Warning,
            message: format!("Kubeconfig can be {deed} by other users: {}", path.display()),
            remedy: Some(format!("chmod 600 {}", path.display())),
        }),
        Requirement::Manifests { path, problem } => problem.as_ref().map(|problem| {
            failed(
                CheckKind::Prerequisites,
                format!("Manifests cannot be used: {problem}"),
                format!("correct it, or `manifests_path` in the registry ({})", path.display()),
            )
        }),
        Requirement::UnsupportedMode { mode } => Some(failed(
            CheckKind::Prerequisites,
            format!("Deployment mode is not supported yet: {mode}"),
            "set `deployment.mode` to `binary` in the registry".to_owned(),
        )),
    }
}

fn judge_binary(path: &Path, found: &FileFact) -> Finding {
    let check = CheckKind::Prerequisites;
    let shown = path.display();
    let in_registry = || "check `binary_path` in the registry".to_owned();
    match found {
        FileFact::Executable => passed(check, format!("Binary found: {shown}")),
        FileFact::Missing => failed(check, format!("Binary not found: {shown}"), in_registry()),
        FileFact::NotExecutable => {
            failed(check, format!("Binary is not executable: {shown}"), format!("chmod +x {shown}"))
        }
        FileFact::Directory => failed(check, format!("Binary is a directory: {shown}"), in_registry()),
        FileFact::Other => failed(check, format!("Binary is not a regular file: {shown}"), in_registry()),
        FileFact::Unreadable(why) => failed(
            check,
            format!("Binary cannot be looked at: {shown}: {why}"),
            format!("check `binary_path` in the registry and the permissions of the directories above {shown}"),
        ),
    }
}

fn judge_directory(path: &Path, found: &FileFact) -> Option<Finding> {
    let check = CheckKind::Prerequisites;
    let shown = path.display();
    let remedy = || format!("mkdir -p {shown}, or check `working_dir` in the registry");
    match found {
        FileFact::Directory => None,
        FileFact::Missing => Some(failed(check, format!("Working directory not found: {shown}"), remedy())),
        FileFact::Executable | FileFact::NotExecutable | FileFact::Other => Some(failed(
            check,
            format!("Working directory is not a directory: {shown}"),
            "check `working_dir` in the registry".to_owned(),
        )),
        FileFact::Unreadable(why) => Some(failed(
            check,
            format!("Working directory cannot be entered: {shown}: {why}"),
            format!("check `working_dir` in the registry and the permissions of {shown}"),
        )),
    }
}

/// A file has to be readable; whether it is executable does not matter.
fn judge_file(path: &Path, field: &str, found: &FileFact) -> Option<Finding> {
    let shown = path.display();
    let message = match found {
        FileFact::Executable | FileFact::NotExecutable => return None,
        FileFact::Missing => format!("File not found: {shown} (`{field}`)"),
        FileFact::Directory | FileFact::Other => format!("Not a regular file: {shown} (`{field}`)"),
        FileFact::Unreadable(why) => format!("File cannot be read: {shown} (`{field}`): {why}"),
    };
    Some(failed(CheckKind::Prerequisites, message, format!("check `{field}` in the registry")))
}

/// M20, also when the holder belongs to somebody else and is hidden from us.
fn judge_port(spec: &ServiceSpec, fact: &PortFact) -> Finding {
    let port = fact.port;
    let at = match port.protocol {
        Protocol::Tcp => format!(":{}", port.number),
        Protocol::Udp | Protocol::Sctp => format!("{}:{}", port.protocol.as_str(), port.number),
    };
    let id = &spec.id;
    if let Some(service) = &fact.service {
        return failed(
            CheckKind::Prerequisites,
            format!("Port {port} is already in use by the service {service}"),
            format!("provisioning services stop {service}, or give {id} another port"),
        );
    }
    let message = match (&fact.holder.program, fact.holder.pid) {
        (Some(program), Some(pid)) => format!("Port {port} is already in use by {program} (PID {pid})"),
        (None, Some(pid)) => format!("Port {port} is already in use by an unnamed process (PID {pid})"),
        (Some(program), None) => format!("Port {port} is already in use by {program}"),
        (None, None) => format!("Port {port} is already in use by a process that only root can see"),
    };
    let remedy = match fact.holder.pid {
        Some(pid) => format!("stop it (kill {pid}), or give {id} another port; lsof -i {at} shows who listens"),
        None => format!("sudo lsof -i {at} shows who listens; stop it, or give {id} another port"),
    };
    failed(CheckKind::Prerequisites, message, remedy)
}

/// One finding for all of them (M13), its remedy saying how each was found.
fn judge_conflicts(conflicts: &[Conflict]) -> Finding {
    if conflicts.is_empty() {
        return passed(CheckKind::Conflicts, "No conflicts detected");
    }
    let names: Vec<&str> = conflicts.iter().map(|conflict| conflict.name.as_str()).collect();
    let remedies: Vec<String> = conflicts.iter().map(conflict_remedy).collect();
    failed(
        CheckKind::Conflicts,
        format!("Conflicting services running: {}", names.join(", ")),
        format!("stop what conflicts first: {}", remedies.join("; ")),
    )
}

fn conflict_remedy(conflict: &Conflict) -> String {
    let name = &conflict.name;
    match conflict.kind {
        ConflictKind::Service => format!("{name} is a registered service (provisioning services stop {name})"),
        ConflictKind::Process { pid } => format!("{name} runs as a process (kill {pid})"),
        ConflictKind::SystemdUnit => format!("{name} is an active systemd unit (systemctl stop {name})"),
        ConflictKind::Container => format!("{name} is a running container (docker stop {name})"),
    }
}

fn judge_dependencies(dependencies: &[DependencyFact]) -> Vec<Finding> {
    let problems: Vec<Finding> = dependencies
        .iter()
        .filter_map(|fact| fact.problem.as_ref().map(|problem| (&fact.id, problem)))
        .map(|(id, problem)| {
            failed(
                CheckKind::Dependencies,
                format!("Dependency not available: {id}: {problem}"),
                format!("provisioning services status {id} says what it needs"),
            )
        })
        .collect();
    if problems.is_empty() { vec![passed(CheckKind::Dependencies, "All dependencies available")] } else { problems }
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::model::{HostPort, ServiceId};
    use crate::preflight::{
        CheckKind, Conflict, ConflictKind, DependencyFact, Facts, FileFact, PortFact, PortHolder, Requirement, Verdict,
    };
    use crate::testkit::builders::service;

    /// The findings as lines: `+` passed, `-` failed, `!` warning, with the remedy behind `=>`.
    fn check(facts: &Facts, expected: &[&str]) {
        let lines: Vec<String> = judge(&service("api", ""), facts)
            .into_iter()
            .map(|finding| {
                let mark = match finding.verdict {
                    Verdict::Passed => '+',
                    Verdict::Failed => '-',
                    Verdict::Warning => '!',
                };
                let remedy = finding.remedy.map(|remedy| format!(" => {remedy}")).unwrap_or_default();
                format!("{mark} {}: {}{remedy}", finding.check, finding.message)
            })
            .collect();
        assert_eq!(lines, expected);
    }

    const GOOD_END: [&str; 2] = ["+ conflicts: No conflicts detected", "+ dependencies: All dependencies available"];

    fn check_requirement(requirement: Requirement, expected: Option<&str>) {
        let facts = Facts { requirements: vec![requirement], ..Facts::default() };
        let lines: Vec<&str> = expected.into_iter().chain(GOOD_END).collect();
        check(&facts, &lines);
    }

    #[test]
    fn a_good_start_says_what_the_guide_says() {
        let facts = Facts {
            requirements: vec![
                Requirement::Binary { path: "/usr/bin/api".into(), found: FileFact::Executable },
                Requirement::WorkingDirectory { path: "/srv".into(), found: FileFact::Directory },
                Requirement::File { path: "/srv/env".into(), field: "env_file", found: FileFact::NotExecutable },
                Requirement::StateDirectory { path: "/home/me".into(), problem: None },
            ],
            dependencies: vec![DependencyFact { id: ServiceId::new("db").unwrap(), problem: None }],
            ..Facts::default()
        };
        check(
            &facts,
            &[
                "+ prerequisites: Binary found: /usr/bin/api",
                "+ conflicts: No conflicts detected",
                "+ dependencies: All dependencies available",
            ],
        );
    }

    #[test]
    fn each_fault_of_a_binary_has_its_own_words() {
        let binary = |found| Requirement::Binary { path: "/x/api".into(), found };
        let registry = "check `binary_path` in the registry";
        for (found, expected) in [
            (FileFact::Missing, format!("- prerequisites: Binary not found: /x/api => {registry}")),
            (FileFact::NotExecutable, "- prerequisites: Binary is not executable: /x/api => chmod +x /x/api".into()),
            (FileFact::Directory, format!("- prerequisites: Binary is a directory: /x/api => {registry}")),
            (FileFact::Other, format!("- prerequisites: Binary is not a regular file: /x/api => {registry}")),
            (
                FileFact::Unreadable("Permission denied".into()),
                format!(
                    "- prerequisites: Binary cannot be looked at: /x/api: Permission denied => {registry} and the \
                     permissions of the directories above /x/api"
                ),
            ),
        ] {
            check_requirement(binary(found), Some(&expected));
        }
    }

    #[test]
    fn other_prerequisites_are_named_when_they_are_missing() {
        check_requirement(
            Requirement::WorkingDirectory { path: "/srv/x".into(), found: FileFact::Missing },
            Some(
                "- prerequisites: Working directory not found: /srv/x => mkdir -p /srv/x, or check `working_dir` in the \
                 registry",
            ),
        );
        check_requirement(
            Requirement::WorkingDirectory { path: "/srv/x".into(), found: FileFact::NotExecutable },
            Some(
                "- prerequisites: Working directory is not a directory: /srv/x => check `working_dir` in the registry",
            ),
        );
        check_requirement(
            Requirement::File { path: "/srv/env".into(), field: "env_file", found: FileFact::Missing },
            Some("- prerequisites: File not found: /srv/env (`env_file`) => check `env_file` in the registry"),
        );
        check_requirement(
            Requirement::StateDirectory {
                path: "/home/me".into(),
                problem: Some(("/home/me/x: read-only file system".into(), "Make sure".into())),
            },
            Some("- prerequisites: State directory cannot be used: /home/me/x: read-only file system => Make sure"),
        );
        check_requirement(
            Requirement::UnsupportedMode { mode: "docker" },
            Some(
                "- prerequisites: Deployment mode is not supported yet: docker => set `deployment.mode` to `binary` in \
                 the registry",
            ),
        );
    }

    #[test]
    fn a_taken_port_names_its_holder_as_far_as_it_can_be_seen() {
        let known = "stop it (kill 77), or give api another port; lsof -i :9090 shows who listens";
        let hidden = "sudo lsof -i :9090 shows who listens; stop it, or give api another port";
        for (program, pid, expected) in [
            (Some("nginx"), Some(77), format!("by nginx (PID 77) => {known}")),
            (None, Some(77), format!("by an unnamed process (PID 77) => {known}")),
            (Some("nginx"), None, format!("by nginx => {hidden}")),
            (None, None, format!("by a process that only root can see => {hidden}")),
        ] {
            let holder = PortHolder { pid, program: program.map(str::to_owned) };
            let facts = Facts {
                ports: vec![PortFact { port: HostPort::tcp(9090), holder, service: None }],
                ..Facts::default()
            };
            let line = format!("- prerequisites: Port 9090 is already in use {expected}");
            check(&facts, &[&line, GOOD_END[0], GOOD_END[1]]);
        }
    }

    #[test]
    fn a_port_of_another_service_is_freed_by_stopping_that_service() {
        let holder = PortHolder { pid: Some(77), program: Some("dnsmasq".to_owned()) };
        let fact = PortFact { port: HostPort::tcp(53), holder, service: Some(ServiceId::new("cache").unwrap()) };
        let facts = Facts { ports: vec![fact], ..Facts::default() };
        check(
            &facts,
            &[
                "- prerequisites: Port 53 is already in use by the service cache => provisioning services stop cache, or \
                 give api another port",
                GOOD_END[0],
                GOOD_END[1],
            ],
        );
    }

    #[test]
    fn several_conflicts_are_one_finding_that_says_how_each_was_found() {
        let conflict = |name: &str, kind| Conflict { name: name.to_owned(), kind };
        let facts = Facts {
            conflicts: vec![
                conflict("dnsmasq", ConflictKind::Process { pid: 12 }),
                conflict("systemd-resolved", ConflictKind::SystemdUnit),
                conflict("old-dns", ConflictKind::Container),
                conflict("coredns", ConflictKind::Service),
            ],
            ..Facts::default()
        };
        check(
            &facts,
            &[
                "- conflicts: Conflicting services running: dnsmasq, systemd-resolved, old-dns, coredns => stop what \
                 conflicts first: dnsmasq runs as a process (kill 12); systemd-resolved is an active systemd unit \
                 (systemctl stop systemd-resolved); old-dns is a running container (docker stop old-dns); coredns is a \
                 registered service (provisioning services stop coredns)",
                GOOD_END[1],
            ],
        );
    }

    #[test]
    fn each_unavailable_dependency_is_a_finding_of_its_own() {
        let fact = |id: &str, problem: Option<&str>| DependencyFact {
            id: ServiceId::new(id).unwrap(),
            problem: problem.map(str::to_owned),
        };
        let facts = Facts {
            dependencies: vec![fact("db", Some("not registered")), fact("ok", None), fact("mq", Some("set aside"))],
            ..Facts::default()
        };
        check(
            &facts,
            &[
                GOOD_END[0],
                "- dependencies: Dependency not available: db: not registered => provisioning services status db says \
                 what it needs",
                "- dependencies: Dependency not available: mq: set aside => provisioning services status mq says what \
                 it needs",
            ],
        );
    }

    #[test]
    fn the_order_is_prerequisites_conflicts_dependencies_whatever_failed() {
        let facts = Facts {
            requirements: vec![Requirement::UnsupportedMode { mode: "remote" }],
            ports: vec![PortFact {
                port: HostPort::tcp(1),
                holder: PortHolder { pid: None, program: None },
                service: None,
            }],
            conflicts: vec![Conflict { name: "x".into(), kind: ConflictKind::SystemdUnit }],
            dependencies: vec![DependencyFact { id: ServiceId::new("db").unwrap(), problem: Some("gone".into()) }],
        };
        let kinds: Vec<CheckKind> =
            judge(&service("api", ""), &facts).into_iter().map(|finding| finding.check).collect();
        assert!(kinds.is_sorted(), "{kinds:?}");
        assert_eq!(kinds.len(), 4);
    }
}
