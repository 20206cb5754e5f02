//! An engine behind TLS: the machine's engine, with a real TLS server of the test's own before it that wants a certificate.

use std::path::PathBuf;

use provisioning::backends::docker::{DockerBackend, Settings};
use provisioning::engine::ports::{self, Backend as _, Following, OutputSource as _};
use provisioning::model::{LaunchOrigin, Presence, StartHow, StopHow};
use provisioning::store::Layout;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{Fixture, GOOD, is_at_the_usual_socket};
use crate::process::{DEADLINE, is_present};
use crate::support::authority::{Authority, Front, Oddity, Target};

/// The machine's own.
const ENGINE: Target = Target::Socket("/var/run/docker.sock");

/// What a client of that engine is given.
struct Client {
    home: tempfile::TempDir,
}

impl Client {
    fn new(authority: &Authority, (certificate, key): (String, String)) -> Self {
        let client = Self { home: tempfile::tempdir().expect("directory") };
        client.write("ca.pem", &authority.pem());
        client.write("cert.pem", &certificate);
        client.write("key.pem", &key);
        client
    }

    fn certificates(&self) -> PathBuf {
        self.home.path().join("certificates")
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.certificates()).expect("directory");
        std::fs::write(self.certificates().join(name), text).expect("file");
    }

    fn backend(&self, host: &str) -> DockerBackend {
        DockerBackend::new(Settings {
            layout: Layout::new(self.home.path().join("services")),
            docker_host: Some(host.to_owned()),
            docker_certificates: Some(self.certificates()),
            docker_config: None,
        })
    }
}

#[tokio::test]
async fn an_engine_behind_tls_is_used_like_any_other() {
    let Some(it) = Fixture::new(&GOOD) else { return };
    if !is_at_the_usual_socket() {
        return;
    }
    let authority = Authority::new();
    let server = Front::new(authority.server_for_clients(Oddity::Nothing), ENGINE).await;
    let client = Client::new(&authority, authority.client());
    let backend = client.backend(&format!("tcp://localhost:{}", server.port));
    let mut changes = backend.changes();
    let mut output = backend.output(&it.spec, 10, Following::Yes).expect("a stream");
    let launch = backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    assert_eq!(launch.origin, LaunchOrigin::Started);
    assert!(is_present(&backend.observe(&it.spec).await.expect("observation").presence));
    tokio::time::timeout(DEADLINE, changes.recv()).await.expect("a hint").expect("a watch");
    let is_line = |piece: &ports::Output| matches!(piece, ports::Output::Line(line) if line == b"ready");
    while !tokio::time::timeout(DEADLINE, output.recv()).await.expect("a line").expect("a stream").iter().any(is_line) {
    }
    backend.stop(&it.spec, StopHow::Ask, DEADLINE).await.expect("stops");
    assert_eq!(backend.observe(&it.spec).await.expect("observation").presence, Presence::Absent);
}

#[tokio::test]
async fn the_environment_of_docker_leads_commands_to_an_engine_behind_tls() {
    if !crate::support::engine::engine_answers() || !is_at_the_usual_socket() {
        return;
    }
    let authority = Authority::new();
    let server = Front::new(authority.server_for_clients(Oddity::Nothing), ENGINE).await;
    let client = Client::new(&authority, authority.client());
    let home = crate::support::home::Home::empty();
    home.write(
        "[services.web]\ntype = \"utility\"\ncategory = \"ui\"\n[services.web.deployment]\nmode = \"docker\"\n\
         [services.web.deployment.docker]\nimage = \"nothing-of-this-name\"\ncontainer_name = \"nothing-of-this-name\"\n",
    );
    let status = async |verify: Option<&str>, certificates: PathBuf| {
        let mut command = tokio::process::Command::from(home.command("services status web"));
        command.env("DOCKER_HOST", format!("tcp://localhost:{}", server.port)).env("DOCKER_CERT_PATH", certificates);
        if let Some(verify) = verify {
            command.env("DOCKER_TLS_VERIFY", verify);
        }
        let output = tokio::time::timeout(DEADLINE, command.output()).await.expect("an end").expect("runs");
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let known = status(Some("1"), client.certificates()).await;
    assert!(known.contains("Status: stopped"), "{known}");
    let nowhere = status(Some("1"), client.home.path().join("nowhere")).await;
    assert!(nowhere.contains("Status: unknown") && nowhere.contains("set DOCKER_CERT_PATH"), "{nowhere}");
    let plain = status(None, client.certificates()).await;
    assert!(plain.contains("Status: unknown"), "{plain}");
}

#[track_caller]
fn assert_refused(error: &ports::BackendError, words: &str, remedy: &str) {
    assert!(error.message.contains("docker is unreachable at tcp://") && error.message.contains(words), "{error:?}");
    assert!(error.remedy.as_deref().is_some_and(|it| it.contains(remedy)), "{error:?}");
}

#[tokio::test]
async fn who_is_not_trusted_is_refused_on_either_side_with_what_to_do() {
    let authority = Authority::new();
    let spec = super::spec("nothing-of-this-name");
    let seen = async |oddity, client: &Client| {
        // Nothing of it reaches an engine, so it needs none.
        let server = Front::new(authority.server_for_clients(oddity), ENGINE).await;
        let backend = client.backend(&format!("tcp://localhost:{}", server.port));
        tokio::time::timeout(DEADLINE, backend.observe(&spec)).await.expect("an answer").expect_err("refused")
    };
    let good = || Client::new(&authority, authority.client());
    for (oddity, words, remedy) in [
        (Oddity::SelfSigned, "is not signed by the authority in ca.pem", "never skip the verification"),
        (Oddity::AnotherHost, "is made out to another name", "name the engine in DOCKER_HOST"),
        (Oddity::Expired, "has expired", "has to be renewed"),
        (Oddity::NotYetValid, "is not valid yet", "compare the clocks"),
    ] {
        assert_refused(&seen(oddity, &good()).await, words, remedy);
    }
    let client = good();
    client.write("ca.pem", &Authority::new().pem());
    assert_refused(&seen(Oddity::Nothing, &client).await, "is not signed by the authority in ca.pem", "ca.pem");

    let stranger = Client::new(&authority, Authority::new().client());
    assert_refused(
        &seen(Oddity::Nothing, &stranger).await,
        "does not accept the certificate of this client",
        "cert.pem",
    );
    let client = good();
    client.write("key.pem", "no key at all");
    assert_refused(&seen(Oddity::Nothing, &client).await, "does not accept the certificate of this client", "key.pem");
    let client = good();
    std::fs::remove_file(client.certificates().join("cert.pem")).expect("removed");
    assert_refused(&seen(Oddity::Nothing, &client).await, "cert.pem: No such file", "set DOCKER_CERT_PATH");

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    let mut plain = JoinSet::new();
    plain.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            use tokio::io::AsyncWriteExt as _;
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
            drop(stream.read_to_end(&mut Vec::new()).await);
        }
    });
    let client = good();
    let backend = client.backend(&format!("tcp://localhost:{port}"));
    let error = backend.observe(&spec).await.expect_err("refused");
    assert_refused(&error, "it speaks no TLS at that port", "unset DOCKER_TLS_VERIFY");
}
