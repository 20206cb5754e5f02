//! What holds between services: dependencies, circles, ports, orders. Nothing here sets a service aside; what cannot start is refused
//! when its start is asked for.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crate::graph::Graph;
use crate::model::{AutoSupervise, Code, Deployment, Protocol, Registry, RegistrySource, ServiceId, ServiceSpec};

use super::document::Document;
use super::findings::{Finding, Findings};
use super::formats::{may_name_a_port, mentions_number};
use super::near::did_you_mean;
use super::service::Located;

/// How many circles are reported: in a dense tangle there are more than anyone can read.
const MAX_CYCLES: usize = 100;

/// How many unknown dependencies get a suggestion: each one is looked for among all names.
const MAX_HINTS: usize = 50;

/// Checks the services against each other.
pub(super) fn check(document: &Document<'_>, services: &[Located], set_aside: &[String], findings: &mut Findings) {
    let mut check = Check { document, services, findings };
    let by_name: HashMap<&str, usize> =
        services.iter().enumerate().map(|(at, located)| (located.spec.id.as_str(), at)).collect();
    check.dependencies(&by_name, &set_aside.iter().map(String::as_str).collect());
    check.cycles(&by_name);
    check.health_ports();
    check.shared_ports();
}

struct Check<'a> {
    document: &'a Document<'a>,
    services: &'a [Located],
    findings: &'a mut Findings,
}

impl Check<'_> {
    fn add(&mut self, service: &ServiceSpec, span: Range<usize>, finding: Finding) {
        self.findings.add(self.document, Some(service.id.as_str()), span, finding);
    }

    fn dependencies(&mut self, by_name: &HashMap<&str, usize>, set_aside: &HashSet<&str>) {
        // In a fixed order, so that of two equally near names always the same is suggested.
        let mut known: Vec<&str> = by_name.keys().chain(set_aside).copied().collect();
        known.sort_unstable();
        let mut n_hints = 0;
        for Located { spec, traces } in self.services {
            for (dependency, span) in spec.dependencies.iter().zip(&traces.dependencies) {
                let name = dependency.as_str();
                if let Some(found) = by_name.get(name).and_then(|at| self.services.get(*at)) {
                    self.start_orders(spec, traces.start_order.as_ref(), found);
                    if are_rivals(spec, &found.spec) {
                        let message =
                            format!("`{}` needs `{name}` and conflicts with it, so it can never start", spec.id);
                        self.add(spec, span.clone(), Finding::warning(Code::Contradiction, message));
                    }
                } else if set_aside.contains(name) {
                    let message = format!("`{}` depends on `{name}`, which cannot be used as it stands", spec.id);
                    let finding = Finding::error(Code::DependencySetAside, message);
                    self.add(spec, span.clone(), finding.hint(format!("correct `{name}` first")));
                } else {
                    let message = format!("`{}` depends on `{name}`, which is not registered", spec.id);
                    n_hints += 1;
                    let hint = if n_hints <= MAX_HINTS { did_you_mean(name, known.iter().copied()) } else { None };
                    self.add(spec, span.clone(), Finding::error(Code::UnknownDependency, message).hint(hint));
                }
            }
        }
    }

    /// A23: only numbers that were both written can contradict what was written.
    fn start_orders(&mut self, spec: &ServiceSpec, span: Option<&Range<usize>>, dependency: &Located) {
        let (Some(span), Some(of_dependency)) = (span, &dependency.traces.start_order) else { return };
        let (own, other) = (spec.startup.start_order, dependency.spec.startup.start_order);
        if own < other {
            let name = &dependency.spec.id;
            let message = format!("`{}` has start_order {own}, but needs `{name}`, which has {other}", spec.id);
            let hint = format!("`{name}` starts first all the same: dependencies win");
            let finding = Finding::warning(Code::Contradiction, message).hint(hint);
            self.add(
                spec,
                span.clone(),
                finding.also(of_dependency.clone(), format!("`{name}` comes later by its own")),
            );
        }
    }

    fn cycles(&mut self, by_name: &HashMap<&str, usize>) {
        let services = self.services.iter().map(|located| Arc::new(located.spec.clone())).collect();
        let source = RegistrySource::BuiltIn;
        let graph = Graph::new(&Registry {
            source,
            services,
            set_aside: Vec::new(),
            auto_supervise: AutoSupervise::On,
            diagnostics: Vec::new(),
        });
        for cycle in graph.cycles().iter().take(MAX_CYCLES) {
            let services = self.services;
            let mut edges = cycle.windows(2).filter_map(|edge| match edge {
                [from, to] => edge_of(services, by_name, from, to),
                _ => None,
            });
            let Some((located, span, label)) = edges.next() else { continue };
            let names: Vec<&str> = cycle.iter().map(|id| id.as_str()).collect();
            let message = format!("Circular dependency: {}", names.join(" -> "));
            let hint = "take one of these dependencies away".to_owned();
            let mut finding = Finding::error(Code::Cycle, message).hint(hint).label(label);
            for (_, span, label) in edges {
                finding = finding.also(span, label);
            }
            self.findings.add(self.document, Some(located.spec.id.as_str()), span, finding);
        }
    }

    /// A2 and A17: a check of a port of this host that nothing in the service's own text speaks of.
    fn health_ports(&mut self) {
        for Located { spec, traces } in self.services {
            let Some(port) = spec.health_port() else { continue };
            let speaks_of_it = match &spec.deployment {
                // The file may name it; it is read at the start only.
                Deployment::Binary(binary) if binary.env_file.is_some() => true,
                Deployment::Binary(binary) => {
                    let env = binary.env.values().map(|value| value.expose());
                    let texts: Vec<&str> = binary.args.iter().map(String::as_str).chain(env).collect();
                    // Many a server has its port in a file of its own; only one that is told a port is told another one here.
                    texts.iter().any(|text| mentions_number(text, port))
                        || !texts.iter().any(|text| may_name_a_port(text))
                }
                Deployment::Docker(_) => {
                    let of_port = || traces.published.iter().filter(|(published, _)| published.host.contains(&port));
                    let speaks_of_it = of_port().next().is_some();
                    if speaks_of_it && of_port().all(|(published, _)| published.protocol == Protocol::Udp) {
                        let message = format!("port {port} is published for udp only, but the check connects over tcp");
                        let hint = format!("publish it for tcp too: \"{port}:…/tcp\"");
                        self.add(
                            spec,
                            traces.health.clone(),
                            Finding::warning(Code::Contradiction, message).hint(hint),
                        );
                    }
                    speaks_of_it
                }
                // Their ports stand in files of their own.
                Deployment::DockerCompose(_) | Deployment::Kubernetes(_) | Deployment::Remote(_) => true,
            };
            if !speaks_of_it {
                let places = if matches!(spec.deployment, Deployment::Docker(_)) { "ports" } else { "args or env" };
                let message = format!("the check asks port {port}, which does not occur in the service's {places}");
                let hint = "if the service does not open that port, it will never be healthy".to_owned();
                self.add(spec, traces.health.clone(), Finding::warning(Code::Contradiction, message).hint(hint));
            }
        }
    }

    /// A3: a probe of a port that two services want may be answered by the wrong one.
    fn shared_ports(&mut self) {
        let mut claims: Vec<Claim> =
            self.services.iter().enumerate().flat_map(|(at, located)| claims_of(at, located)).collect();
        claims.sort_by_key(|claim| (claim.protocol, claim.first, claim.service));
        // In this order, a claim overlaps an earlier one exactly if it overlaps the one that reaches furthest.
        let mut furthest: Option<Claim> = None;
        for claim in claims {
            if let Some(before) = &furthest
                && before.protocol == claim.protocol
                && before.last >= claim.first
                && before.service != claim.service
            {
                self.shared_port(before, &claim);
            }
            if furthest.as_ref().is_none_or(|f| f.protocol != claim.protocol || f.last < claim.last) {
                furthest = Some(claim);
            }
        }
    }

    fn shared_port(&mut self, one: &Claim, other: &Claim) {
        let is_apart = matches!((one.ip, other.ip), (Some(one), Some(other)) if one != other);
        // The later one in the file is told about the earlier one.
        let (earlier, later) = if one.service < other.service { (one, other) } else { (other, one) };
        let (Some(first), Some(second)) = (self.services.get(earlier.service), self.services.get(later.service)) else {
            return;
        };
        // Services that say that they never run side by side may share a port.
        if is_apart || are_rivals(&first.spec, &second.spec) {
            return;
        }
        let line = self.document.line(earlier.span.start);
        let port = one.first.max(other.first);
        let message = format!("`{}` and `{}` (line {line}) both want port {port}", second.spec.id, first.spec.id);
        let hint = "give one of them another port, or name it in `conflicts`".to_owned();
        let finding = Finding::warning(Code::Duplicate, message)
            .hint(hint)
            .label(format!("`{}` wants port {port} here", second.spec.id))
            .also(earlier.span.clone(), format!("`{}` wants it here", first.spec.id));
        self.add(&second.spec, later.span.clone(), finding);
    }
}

/// The place at which `from` says that it needs `to`, and what is said of it.
fn edge_of<'a>(
    services: &'a [Located],
    by_name: &HashMap<&str, usize>,
    from: &ServiceId,
    to: &ServiceId,
) -> Option<(&'a Located, Range<usize>, String)> {
    let located = services.get(*by_name.get(from.as_str())?)?;
    let at = located.spec.dependencies.iter().position(|dependency| dependency == to);
    let span = at.and_then(|at| located.traces.dependencies.get(at)).unwrap_or(&located.traces.key);
    Some((located, span.clone(), format!("`{from}` needs `{to}`")))
}

/// Whether one of the two says that they never run side by side; it counts both ways (A53).
fn are_rivals(one: &ServiceSpec, other: &ServiceSpec) -> bool {
    let names = |spec: &ServiceSpec, other: &ServiceSpec| spec.conflicts.iter().any(|name| name == other.id.as_str());
    names(one, other) || names(other, one)
}

/// A range of ports of this host that a service wants.
struct Claim {
    service: usize,
    protocol: Protocol,
    first: u16,
    last: u16,
    ip: Option<std::net::IpAddr>,
    span: Range<usize>,
}

/// The claims of one service; its health port only where it is not published anyway.
fn claims_of(service: usize, located: &Located) -> Vec<Claim> {
    let published = located.traces.published.iter().map(|(port, span)| Claim {
        service,
        protocol: port.protocol,
        first: *port.host.start(),
        last: *port.host.end(),
        ip: port.ip,
        span: span.clone(),
    });
    let mut claims: Vec<Claim> = published.collect();
    if let Some(port) = located.spec.health_port()
        && !claims.iter().any(|claim| claim.protocol == Protocol::Tcp && (claim.first..=claim.last).contains(&port))
    {
        let span = located.traces.health.clone();
        claims.push(Claim { service, protocol: Protocol::Tcp, first: port, last: port, ip: None, span });
    }
    claims
}
