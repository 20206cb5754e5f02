//! An engine that is absent, goes away, and comes back.

use std::time::Duration;

use provisioning::backends::docker::{DockerBackend, Settings};
use provisioning::engine::ports::Backend as _;
use provisioning::model::{Deployment, DockerSpec, Presence, StartHow, StopHow};
use provisioning::preflight::Requirement;
use provisioning::store::Layout;

use super::{Fixture, GOOD, is_at_the_usual_socket};
use crate::process::{DEADLINE, program};

#[tokio::test]
async fn an_engine_that_cannot_be_reached_makes_the_state_unknown_with_the_reason() {
    let home = tempfile::tempdir().expect("directory");
    let layout = Layout::new(home.path().join("services"));
    let docker_host = Some("unix:///nonexistent/docker.sock".to_owned());
    let backend = DockerBackend::new(Settings { layout, docker_host, docker_certificates: None, docker_config: None });
    let mut spec = program("web", "/service".into(), &[]);
    spec.deployment = Deployment::Docker(DockerSpec {
        image: "a".to_owned(),
        container_name: "a".to_owned(),
        ports: Vec::new(),
        volumes: Vec::new(),
        restart_policy: None,
    });
    let error = backend.observe(&spec).await.expect_err("unknown");
    assert!(error.message.contains("/nonexistent/docker.sock does not exist"), "{error}");
    let requirements = backend.requirements(&spec).await;
    assert!(
        matches!(&requirements[0], Requirement::ContainerEngine { problem: Some((cause, _)) } if cause.contains("does not exist")),
        "{requirements:?}"
    );
    assert!(backend.stop(&spec, StopHow::Kill, DEADLINE).await.is_err(), "what is unknown is not said to be stopped");
}

/// A way to the real engine that can be cut: a socket of our own, and everything that goes through it.
struct Way {
    connections: tokio::task::JoinHandle<()>,
}

impl Way {
    fn open(socket: &std::path::Path) -> Self {
        drop(std::fs::remove_file(socket));
        let listener = tokio::net::UnixListener::bind(socket).expect("bind");
        Self {
            connections: tokio::spawn(async move {
                // Aborting this drops the set, and with it every connection.
                let mut open = tokio::task::JoinSet::new();
                while let Ok((mut near, _)) = listener.accept().await {
                    open.spawn(async move {
                        let mut far = tokio::net::UnixStream::connect("/var/run/docker.sock").await.expect("engine");
                        drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
                    });
                }
            }),
        }
    }

    async fn cut(self) {
        self.connections.abort();
        drop(self.connections.await);
    }
}

#[tokio::test]
async fn an_engine_that_goes_away_makes_the_state_unknown_at_once_and_is_found_again_by_itself() {
    let Some(it) = Fixture::new(&GOOD) else { return };
    if !is_at_the_usual_socket() {
        return;
    }
    let socket = it.home.path().join("docker.sock");
    let way = Way::open(&socket);
    let layout = Layout::new(it.home.path().join("services"));
    let docker_host = Some(format!("unix://{}", socket.display()));
    let backend = DockerBackend::new(Settings { layout, docker_host, docker_certificates: None, docker_config: None });
    let mut changes = backend.changes();
    let running = backend.start(&it.spec, StartHow::AsItIs).await.expect("starts").instance;
    backend.observe(&it.spec).await.expect("observation");
    let hint = async |changes: &mut tokio::sync::mpsc::Receiver<_>| {
        tokio::time::timeout(DEADLINE, changes.recv()).await.expect("a hint").expect("a watch")
    };
    hint(&mut changes).await;
    while let Ok(Some(_)) = tokio::time::timeout(Duration::from_millis(300), changes.recv()).await {}

    way.cut().await;
    hint(&mut changes).await;
    let error = backend.observe(&it.spec).await.expect_err("unknown");
    assert!(error.message.contains("unreachable"), "{error}");

    let way = Way::open(&socket);
    hint(&mut changes).await;
    let observed = backend.observe(&it.spec).await.expect("known again");
    assert!(matches!(&observed.presence, Presence::Present { instance, .. } if *instance == running), "{observed:?}");

    way.cut().await;
    it.backend.stop(&it.spec, StopHow::Kill, DEADLINE).await.expect("stops");
}
