//! Docker and Compose mode on one engine: what they share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use provisioning::backends::compose::{ComposeBackend, Settings as ComposeSettings};
use provisioning::backends::docker::{DockerBackend, Settings};
use provisioning::engine::ports::Backend as _;
use provisioning::host::{Places, System};
use provisioning::model::{ComposeSpec, Deployment, ServiceId, ServiceSpec, StartHow, StopHow};
use provisioning::store::Layout;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Fixture, GOOD, is_at_the_usual_socket};
use crate::process::{DEADLINE, is_present, program};
use crate::support::engine::{docker, must};

/// A way to the machine's engine that notes what is asked. The client makes a connection for each request.
struct Noted {
    asked: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Noted {
    fn new(socket: &std::path::Path) -> Self {
        let listener = UnixListener::bind(socket).expect("bind");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&asked);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                // A client that goes is no failure.
                let notes = Arc::clone(&notes);
                open.spawn(async move { drop(pass_on(near, &notes).await) });
            }
        });
        Self { asked, _serving: serving }
    }

    fn count(&self, path: &str) -> usize {
        self.asked.lock().expect("whole").iter().filter(|it| it.contains(path)).count()
    }
}

async fn pass_on(mut near: UnixStream, notes: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(near.read_u8().await?);
    }
    notes.lock().expect("whole").push(String::from_utf8_lossy(&line).into_owned());
    let mut far = UnixStream::connect("/var/run/docker.sock").await?;
    far.write_all(&line).await?;
    copy_bidirectional(&mut near, &mut far).await.map(drop)
}

async fn hint(changes: &mut mpsc::Receiver<ServiceId>) -> String {
    tokio::time::timeout(DEADLINE, changes.recv()).await.expect("a hint").expect("a watch").to_string()
}

/// A container that Compose could have made is removed at the end.
struct Made(String);

impl Drop for Made {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.0]);
    }
}

fn compose_service(project: &str) -> ServiceSpec {
    let mut spec = program("part", "/service".into(), &[]);
    spec.deployment = Deployment::DockerCompose(ComposeSpec {
        compose_file: PathBuf::from("/nonexistent/compose.yaml"),
        service_name: "app".to_owned(),
        project_name: Some(project.to_owned()),
    });
    spec
}

#[tokio::test]
async fn docker_and_compose_share_one_stream_of_events_and_each_hears_of_its_own() {
    let Some(it) = Fixture::new(&GOOD) else { return };
    if !is_at_the_usual_socket() {
        return;
    }
    let socket = it.home.path().join("docker.sock");
    let way = Noted::new(&socket);
    let host = Some(format!("unix://{}", socket.display()));
    let layout = Layout::new(it.home.path().join("services"));
    let settings =
        Settings { layout: layout.clone(), docker_host: host.clone(), docker_certificates: None, docker_config: None };
    let docker_mode = DockerBackend::new(settings);
    let places = Places { layout: layout.clone(), home: None, docker_host: None, kubeconfig: None };
    let settings = ComposeSettings::new(layout, None, Arc::new(System::new(places)));
    let compose_mode = ComposeBackend::beside(ComposeSettings { docker_host: host, ..settings }, Some(&docker_mode));
    let part = compose_service(&it.name);

    let (mut of_docker, mut of_compose) = (docker_mode.changes(), compose_mode.changes());
    docker_mode.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    compose_mode.observe(&part).await.expect("observation");
    assert!(is_present(&docker_mode.observe(&it.spec).await.expect("observation").presence));
    assert_eq!(hint(&mut of_docker).await, "web");
    let made = Made(format!("{}-part", it.name));
    let project = format!("com.docker.compose.project={}", it.name);
    let service = "com.docker.compose.service=app";
    must(&["run", "-d", "--name", &made.0, "--label", &project, "--label", service, &it.name]);
    assert_eq!(hint(&mut of_compose).await, "part");
    assert!(is_present(&compose_mode.observe(&part).await.expect("observation").presence));
    assert_eq!((way.count(" /events"), way.count(" /version")), (1, 1), "{:?}", way.asked);

    // One of the two is heard no more, and the other goes on.
    drop(of_docker);
    while of_compose.try_recv().is_ok() {}
    must(&["kill", &made.0]);
    assert_eq!(hint(&mut of_compose).await, "part");
    docker_mode.stop(&it.spec, StopHow::Kill, DEADLINE).await.expect("stops");
    assert_eq!(way.count(" /events"), 1, "{:?}", way.asked);
}
