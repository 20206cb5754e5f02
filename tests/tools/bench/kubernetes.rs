//! Kubernetes mode against the double of an API server that the tests have, in this very process: its own threads are not counted.

use std::time::{Duration, Instant};

use provisioning::backends::kubernetes::{Access, KubernetesBackend, Pace, Settings};
use provisioning::engine::ports::Backend as _;
use provisioning::model::{Deployment, KubernetesSpec, Presence, ServiceId, ServiceSpec, StartHow, StopHow};
use provisioning::store::Layout;

use super::{Figure, median};

#[allow(dead_code, clippy::unwrap_used, reason = "the tests use all of it, and unwrap there")]
#[path = "../../it/kubernetes/double.rs"]
mod double;

use double::Double;

const NAMESPACE: &str = "platform";
/// How many are watched.
const WATCHED: usize = 500;
/// How long quietness is watched.
const QUIET: Duration = Duration::from_secs(10);
/// The threads that do our part.
const THREADS: &str = "watcher";

/// The processor time of our threads so far, in seconds.
fn processor_time() -> f64 {
    let mut ticks = 0;
    for task in std::fs::read_dir("/proc/self/task").expect("/proc").flatten() {
        // A thread that ended meanwhile did nothing meanwhile.
        let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else { continue };
        let (name, rest) = stat.rsplit_once(')').expect("fields");
        if name.ends_with(THREADS) {
            ticks +=
                rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
        }
    }
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

fn manifest(name: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  replicas: 1\n  selector: {{matchLabels: {{app: {name}}}}}\n  \
         template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      containers:\n      - {{name: main, image: registry.example/{name}}}\n"
    )
}

/// Five hundred Deployments watched while nothing happens, and one of them scaled by hand.
pub(crate) fn watched() -> Vec<Figure> {
    let home = tempfile::tempdir().expect("directory");
    let double = Double::new(&[NAMESPACE]);
    let kubeconfig = home.path().join("kubeconfig");
    std::fs::write(&kubeconfig, double.kubeconfig("    token: secret-token")).expect("kubeconfig");
    let template = template(&home.path().join("services.toml"));
    let specs: Vec<ServiceSpec> = (0..WATCHED)
        .map(|index| {
            let name = format!("service-{index}");
            let path = home.path().join(format!("{name}.yaml"));
            std::fs::write(&path, manifest(&name)).expect("manifest");
            let mut spec = template.clone();
            spec.id = ServiceId::new(&name).expect("a name");
            spec.deployment = Deployment::Kubernetes(KubernetesSpec {
                namespace: NAMESPACE.to_owned(),
                deployment_name: name,
                manifests_path: Some(path),
            });
            spec
        })
        .collect();
    let access = Access { kubeconfig: Some(kubeconfig.into()), home: None, program: None };
    let layout = Layout::new(home.path().join("services"));
    let backend = KubernetesBackend::new(Settings { layout, access, pace: Pace::default() });
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    let runtime = threads.worker_threads(2).thread_name(THREADS).enable_all().build().expect("runtime");
    let mut changes = runtime.block_on(async { backend.changes() });
    let began = Instant::now();
    runtime.block_on(async {
        for spec in &specs {
            backend.start(spec, StartHow::AsItIs).await.expect("starts");
        }
        for spec in &specs {
            while !matches!(backend.observe(spec).await.expect("observation").presence, Presence::Present { .. }) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        // What the starts themselves are told of. The double's controllers rest from now on.
        double.freeze(true);
        while tokio::time::timeout(Duration::from_secs(1), changes.recv()).await.is_ok() {}
    });
    println!("   {WATCHED} Deployments are up after {:.1?}", began.elapsed());
    assert!(processor_time() > 0.0, "our threads are not found");
    let (busy, asked) = (processor_time(), double.requests().len());
    std::thread::sleep(QUIET);
    let busy = (processor_time() - busy) / QUIET.as_secs_f64() * 100.0;
    let asked = double.requests().len() - asked;
    let mut seen = Vec::new();
    for spec in specs.iter().take(9) {
        let began = Instant::now();
        double.scale(NAMESPACE, spec.id.as_str(), 0);
        runtime.block_on(async {
            while matches!(backend.observe(spec).await.expect("observation").presence, Presence::Present { .. }) {
                while changes.recv().await.expect("a watch") != spec.id {}
            }
        });
        seen.push(began.elapsed().as_secs_f64() * 1e3);
    }
    double.freeze(false);
    let first = specs.first().expect("a service");
    runtime.block_on(backend.stop(first, StopHow::Ask, Duration::from_secs(10))).expect("stops");
    vec![
        Figure::at_most(format!("{WATCHED} Deployments watched, quiet: share of a core"), busy, "%", 1.0),
        Figure::at_most(format!("{WATCHED} Deployments watched, quiet: requests"), asked as f64, "", 0.0),
        Figure::at_most("a Deployment scaled by hand: until it is seen", median(seen), "ms", 200.0),
    ]
}

/// A service of which only the Deployment differs.
fn template(file: &std::path::Path) -> ServiceSpec {
    let text = "[services.a]\ntype = \"utility\"\ncategory = \"api\"\n[services.a.deployment]\nmode = \"kubernetes\"\n\
                [services.a.deployment.kubernetes]\nnamespace = \"a\"\n";
    std::fs::write(file, text).expect("registry");
    let environment = provisioning::config::Environment::from_process();
    let registry = provisioning::config::Found::find(Some(file), &environment).load(&environment);
    (**registry.services.first().expect("a service")).clone()
}
