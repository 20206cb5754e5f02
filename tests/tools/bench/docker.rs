//! Docker mode against the real engine of this machine. Without one, the scenario says so.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use provisioning::backends::docker::{DockerBackend, Settings};
use provisioning::engine::ports::Backend as _;
use provisioning::model::{Deployment, DockerSpec, Presence, ServiceId, ServiceSpec, StartHow};
use provisioning::store::Layout;

use super::platform::Platform;
use super::{Figure, median, program};

/// The engine's usual socket.
const SOCKET: &str = "/var/run/docker.sock";
/// How long quietness is watched.
const QUIET: Duration = Duration::from_secs(5);
/// How many containers are started beside each other.
const TOGETHER: usize = 20;
/// How many are watched.
const WATCHED: usize = 200;

/// Everything that is made has this name and a number.
struct Containers {
    name: String,
    n: usize,
}

impl Containers {
    /// `None`, loudly, where there is no engine.
    fn new(n: usize) -> Option<Self> {
        if !docker(&["version"]) || UnixStream::connect(SOCKET).is_err() {
            eprintln!("SKIPPED: no Docker Engine answers at {SOCKET}");
            return None;
        }
        let it = Self { name: format!("provisioning-bench-{}", std::process::id()), n };
        let program = program::compiled("static-service", &["-C", "target-feature=+crt-static"]);
        let mut tar = Command::new("tar")
            .arg("-C")
            .arg(program.parent().expect("directory"))
            .args(["-c", "static-service"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("tar");
        let imported = Command::new("docker")
            .args(["import", "--change", "CMD [\"/static-service\", \"--end-on-term\"]", "-", &it.name])
            .stdin(tar.stdout.take().expect("stdout"))
            .stdout(Stdio::null())
            .status()
            .expect("docker");
        assert!(tar.wait().expect("tar").success() && imported.success());
        Some(it)
    }

    fn container(&self, index: usize) -> String {
        format!("{}-{index}", self.name)
    }

    fn remove_all(&self) {
        let names: Vec<String> = (0..self.n).map(|index| self.container(index)).collect();
        let mut words = vec!["rm", "-f"];
        words.extend(names.iter().map(String::as_str));
        docker(&words);
    }

    fn spec(&self, index: usize, image: &ServiceSpec) -> ServiceSpec {
        let deployment = Deployment::Docker(DockerSpec {
            image: self.name.clone(),
            container_name: self.container(index),
            ports: Vec::new(),
            volumes: Vec::new(),
            restart_policy: None,
        });
        ServiceSpec { id: ServiceId::new(&format!("s{index:04}")).expect("a name"), deployment, ..image.clone() }
    }

    /// The registry of the same.
    fn registry(&self) -> String {
        let mut text = String::new();
        for index in 0..self.n {
            write!(
                text,
                "[services.s{index:04}]\ntype = \"utility\"\ncategory = \"api\"\n[services.s{index:04}.deployment]\n\
                 mode = \"docker\"\n[services.s{index:04}.deployment.docker]\nimage = {:?}\ncontainer_name = {:?}\n\
                 [services.s{index:04}.startup]\nauto_start = true\n\n",
                self.name,
                self.container(index),
            )
            .expect("text");
        }
        text
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        self.remove_all();
        docker(&["rmi", "-f", &self.name]);
    }
}

fn docker(words: &[&str]) -> bool {
    let mut docker = Command::new("docker");
    docker.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    docker.status().is_ok_and(|status| status.success())
}

/// Twenty containers at once, by us and by the engine's own command line.
pub(crate) fn together() -> Vec<Figure> {
    let Some(containers) = Containers::new(TOGETHER) else { return Vec::new() };
    let platform = Platform::of_text(&containers.registry());
    let mut ratios = Vec::new();
    for _ in 0..3 {
        containers.remove_all();
        let began = Instant::now();
        let running: Vec<_> = (0..TOGETHER)
            .map(|index| {
                let mut run = Command::new("docker");
                run.args(["run", "-d", "--name", &containers.container(index), &containers.name]);
                run.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("docker")
            })
            .collect();
        for mut run in running {
            assert!(run.wait().expect("docker").success());
        }
        let theirs = began.elapsed();
        containers.remove_all();
        let began = Instant::now();
        platform.must(&["platform", "start"]);
        let ours = began.elapsed();
        println!("   docker run: {theirs:.2?}, platform start: {ours:.2?}");
        ratios.push(ours.as_secs_f64() / theirs.as_secs_f64());
    }
    vec![Figure::at_most(format!("{TOGETHER} containers at once"), median(ratios), "x docker run", 1.3)]
}

/// A way to the engine that counts what is sent there.
struct Counted {
    n_bytes: Arc<AtomicU64>,
    _dir: tempfile::TempDir,
    address: String,
}

impl Counted {
    fn open() -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("docker.sock");
        let listener = UnixListener::bind(&path).expect("bind");
        let n_bytes = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&n_bytes);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let far = UnixStream::connect(SOCKET).expect("engine");
                let (from, to) = (near.try_clone().expect("stream"), far.try_clone().expect("stream"));
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || carry(from, to, Some(&counter)));
                std::thread::spawn(move || carry(far, near, None));
            }
        });
        Self { n_bytes, address: format!("unix://{}", path.display()), _dir: dir }
    }
}

fn carry(mut from: UnixStream, mut to: UnixStream, counter: Option<&AtomicU64>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if let Some(counter) = counter {
            counter.fetch_add(n as u64, Ordering::Relaxed);
        }
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    // Either end may have gone already.
    let _ = to.shutdown(Shutdown::Write);
}

fn processor_time(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a living process");
    let rest = stat.rsplit(')').next().expect("fields");
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// Two hundred containers watched while nothing happens, and one of them killed by hand.
pub(crate) fn watched() -> Vec<Figure> {
    let Some(containers) = Containers::new(WATCHED) else { return Vec::new() };
    let way = Counted::open();
    let home = tempfile::tempdir().expect("directory");
    let backend = DockerBackend::new(Settings {
        layout: Layout::new(home.path().join("services")),
        docker_host: Some(way.address.clone()),
        docker_certificates: None,
        docker_config: None,
    });
    let template = template(home.path());
    let specs: Vec<ServiceSpec> = (0..WATCHED).map(|index| containers.spec(index, &template)).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    let mut changes = runtime.block_on(async { backend.changes() });
    runtime.block_on(async {
        for few in specs.chunks(4) {
            let starts = few.iter().map(|spec| backend.start(spec, StartHow::AsItIs));
            for start in futures::future::join_all(starts).await {
                start.expect("starts");
            }
        }
        for spec in &specs {
            backend.observe(spec).await.expect("observation");
        }
        // What the starts themselves are told of.
        while tokio::time::timeout(Duration::from_secs(1), changes.recv()).await.is_ok() {}
    });
    let (busy, asked) = (processor_time(std::process::id()), way.n_bytes.load(Ordering::Relaxed));
    std::thread::sleep(QUIET);
    let busy = (processor_time(std::process::id()) - busy) / QUIET.as_secs_f64() * 100.0;
    let asked = way.n_bytes.load(Ordering::Relaxed) - asked;
    let mut seen = Vec::new();
    for spec in specs.iter().take(9) {
        let Deployment::Docker(docker_spec) = &spec.deployment else { continue };
        let mut inspect = Command::new("docker");
        inspect.args(["inspect", "--format", "{{.State.Pid}}", &docker_spec.container_name]);
        let pid = String::from_utf8(output_of(&mut inspect)).expect("a PID").trim().to_owned();
        let began = Instant::now();
        if !Command::new("kill").args(["-9", &pid]).status().expect("kill").success() {
            docker(&["kill", &docker_spec.container_name]);
        }
        runtime.block_on(async {
            loop {
                let id = changes.recv().await.expect("a watch");
                if id == spec.id
                    && let Presence::Failed { .. } = backend.observe(spec).await.expect("observation").presence
                {
                    break;
                }
            }
        });
        seen.push(began.elapsed().as_secs_f64() * 1e3);
    }
    vec![
        Figure::at_most(format!("{WATCHED} containers watched, quiet: share of a core"), busy, "%", 1.0),
        Figure::at_most(
            format!("{WATCHED} containers watched, quiet: bytes sent to the engine"),
            asked as f64,
            "",
            0.0,
        ),
        Figure::at_most("a container killed by hand: until it is seen", median(seen), "ms", 200.0),
    ]
}

fn output_of(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output().expect("docker");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A service of which only the container differs.
fn template(home: &Path) -> ServiceSpec {
    let file = home.join("services.toml");
    let text = "[services.a]\ntype = \"utility\"\ncategory = \"api\"\n[services.a.deployment]\nmode = \"docker\"\n\
                [services.a.deployment.docker]\nimage = \"a\"\n";
    std::fs::write(&file, text).expect("registry");
    let environment = provisioning::config::Environment::from_process();
    let registry = provisioning::config::Found::find(Some(&file), &environment).load(&environment);
    (**registry.services.first().expect("a service")).clone()
}
