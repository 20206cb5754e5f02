//! The seven services of B10, in the state of O1 and O2, built by hand: what reports and views are tested with.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::engine::handle::Checked;
use crate::model::{
    AutoSupervise, Category, Check, Deployment, DockerSpec, Health, HealthHistory, Instance, Intent, ProbeOutcome,
    ProbeReport, ProbeVerdict, ProcessIdentity, Registry, RegistrySource, Role, ServiceId, ServiceKind,
    ServiceSnapshot, ServiceSpec, ServiceState, Snapshot,
};
use crate::testkit::builders;
pub use crate::testkit::builders::id;

/// The moment at which reports on [`b10`] are made: orchestrator has then been up for 3600 s.
pub fn noon() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now) + Duration::from_secs(3600)
}

/// A process of this fixture.
pub fn process(pid: u32) -> Instance {
    Instance::Process(ProcessIdentity { pid, start_ticks: 1, boot_id: "boot".to_owned(), pid_namespace: 1 })
}

/// The registry of B10.
pub fn b10_registry() -> Registry {
    use Category::{Api, Dns, Git, Orchestration, Registry as Artifacts, Ui};
    use ServiceKind::{Infrastructure, Platform};
    let http = |port: u16| Check::Http {
        endpoint: format!("http://localhost:{port}/health"),
        expected_status: 200,
        method: "GET".to_owned(),
    };
    let tcp = |port: u16| Check::Tcp { host: "localhost".to_owned(), port };
    let mut services = vec![
        spec("orchestrator", Platform, Orchestration, http(9090), 10, &[]),
        spec("control-center", Platform, Ui, http(9080), 20, &["orchestrator"]),
        spec("coredns", Infrastructure, Dns, tcp(5353), 15, &[]),
        spec("gitea", Infrastructure, Git, http(3000), 30, &[]),
        spec("oci-registry", Infrastructure, Artifacts, http(5000), 35, &[]),
        spec("mcp-server", Platform, Api, tcp(8400), 40, &["orchestrator"]),
        spec("api-gateway", Platform, Api, http(9070), 45, &["orchestrator", "control-center", "mcp-server"]),
    ];
    services[0].startup.auto_start = true;
    services[0].required_for = ["server", "taskserv", "cluster", "workflow", "batch"].map(str::to_owned).to_vec();
    services[2].conflicts = ["dnsmasq", "systemd-resolved"].map(str::to_owned).to_vec();
    services[2].deployment = Deployment::Docker(DockerSpec {
        image: "coredns/coredns:1.11.1".to_owned(),
        container_name: "provisioning-coredns".to_owned(),
        ports: vec!["5353:53/udp".to_owned()],
        volumes: Vec::new(),
        restart_policy: Some("unless-stopped".to_owned()),
    });
    Registry {
        source: RegistrySource::File(PathBuf::from("config/services.toml")),
        services: services.into_iter().map(Arc::new).collect(),
        set_aside: Vec::new(),
        auto_supervise: AutoSupervise::On,
        diagnostics: Vec::new(),
    }
}

fn spec(
    name: &str,
    kind: ServiceKind,
    category: Category,
    check: Check,
    start_order: i64,
    dependencies: &[&str],
) -> ServiceSpec {
    let mut spec = builders::service(name, &dependencies.join(" "));
    (spec.kind, spec.category) = (kind, category);
    spec.description = format!("The {name} of the fixture");
    if let Deployment::Binary(binary) = &mut spec.deployment {
        binary.binary_path = PathBuf::from(format!("/Users/user/.provisioning/bin/provisioning-{name}"));
    }
    spec.health_check.check = check;
    spec.startup.start_order = start_order;
    spec
}

/// O1's moment: orchestrator, control-center and mcp-server run and are healthy, the others are stopped.
pub fn b10() -> Snapshot {
    let up = [("orchestrator", 12345, 3600), ("control-center", 12346, 3550), ("mcp-server", 12347, 3540)];
    let registry = Arc::new(b10_registry());
    let mut snapshot = Snapshot {
        generation: 1,
        services: registry.services.iter().map(|spec| Arc::new(stopped(Arc::clone(spec)))).collect(),
        registry,
        role: Role::Follower,
    };
    for (name, pid, uptime) in up {
        snapshot = edit(snapshot, name, |service| {
            service.intent = Some(Intent::Up);
            let since = noon() - Duration::from_secs(uptime);
            service.state = ServiceState::Running { instance: process(pid), since, health: Health::Healthy };
        });
    }
    snapshot
}

/// A service that nobody ever asked for.
fn stopped(spec: Arc<ServiceSpec>) -> ServiceSnapshot {
    ServiceSnapshot {
        spec,
        intent: None,
        state: ServiceState::Stopped,
        last_probe: None,
        preparing: None,
        history: Arc::new(HealthHistory::default()),
        restarts: 0,
        last_exit: None,
        entered: noon(),
        next_probe: None,
        notes: Vec::new(),
        facts: Vec::new(),
    }
}

/// The snapshot with one service changed.
pub fn edit(mut snapshot: Snapshot, name: &str, change: impl FnOnce(&mut ServiceSnapshot)) -> Snapshot {
    let service = snapshot.services.iter_mut().find(|service| service.id().as_str() == name).unwrap();
    change(Arc::make_mut(service));
    snapshot
}

/// The answer of a probe that passed.
pub fn passed(message: &str, millis: u64) -> Checked {
    answered(ProbeVerdict::Passed, message, millis)
}

/// The answer of a probe that failed.
pub fn failed(message: &str) -> Checked {
    answered(ProbeVerdict::Failed, message, 7)
}

fn answered(verdict: ProbeVerdict, message: &str, millis: u64) -> Checked {
    let took = Duration::from_millis(millis);
    Checked::Probed(ProbeOutcome::Answered(ProbeReport { verdict, message: message.to_owned(), took }))
}

/// The answers of O2's moment.
pub fn b10_checks() -> Vec<(ServiceId, Checked)> {
    b10()
        .services
        .iter()
        .map(|service| {
            let checked = match service.id().as_str() {
                "control-center" => passed("HTTP status 200 matches expected", 9),
                _ if service.state.is_alive() => passed("HTTP health check passed", 15),
                _ => Checked::NotRunning,
            };
            (service.id().clone(), checked)
        })
        .collect()
}
