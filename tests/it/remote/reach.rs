//! What counts as reachable, how long anybody waits for it, and what is said when it is not.

use std::time::{Duration, Instant};

use super::server::{Reply, Server};
use super::{Remote, fails, home, said};
use crate::process::{DEADLINE, program};
use provisioning::backends::remote::RemoteBackend;
use provisioning::engine::ports::Backend as _;
use provisioning::model::{Check, Deployment, FailureReason, Observed, Presence, RemoteSpec, ServiceId, ServiceSpec};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

#[test]
fn what_answers_runs_and_nothing_is_launched() {
    let server = Server::plain(|_| Reply::Status(404));
    let home = home(&Remote::at(server.url("/api")));
    let list = home.must("services list --json");
    assert!(list.contains("\"running\"") && list.contains("\"uptime_seconds\": null"), "{list}");
    let told = home.must("services start auth");
    assert!(told.contains(&format!("auth is already running (endpoint {})", server.url("/api"))), "{told}");
    let status = home.must("services status auth --verbose");
    assert!(status.contains("Answer: HTTP 404 Not Found in "), "{status}");
    assert!(status.contains(&format!("Endpoint: {}", server.url("/api"))) && !status.contains("PID"), "{status}");
    assert!(home.must("platform status").contains("auth - running"));
    assert!(!home.services_dir().join("pids/auth.pid").exists());
    assert!(said(&home.types("services logs auth")).contains(&server.url("/api")));
}

#[test]
fn each_reason_for_silence_has_words_of_its_own() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let check = |endpoint: &str, words: &[&str]| {
        let remote = Remote { timeout: Some(1), ..Remote::at(endpoint) };
        let home = home(&remote);
        fails(&home, "services start auth", words);
        fails(&home, "services start auth --force", words);
        let told = home.must("services status auth --verbose");
        assert!(told.contains("Status: failed") && told.contains("cannot be reached"), "{told}");
    };
    check(&format!("http://{nobody}/"), &["connection refused"]);
    check("http://no.invalid/", &["cannot resolve host no.invalid"]);
    let server = Server::plain(|_| Reply::Silent);
    check(&server.url("/"), &["no answer within 1s"]);
    server.answers(|_| Reply::Status(503));
    check(&server.url("/"), &["HTTP 503 Service Unavailable", "what should answer there does not"]);
}

#[test]
fn a_body_without_end_keeps_nobody_busy() {
    for reply in [Reply::Drips, Reply::Floods] {
        let server = Server::plain(move |_| reply.clone());
        let remote = Remote { check: Some(server.url("/health")), ..Remote::at(server.url("/")) };
        let home = home(&remote);
        let begun = Instant::now();
        home.must("services start auth");
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        let per_request = server.n_sent() / u64::try_from(server.requests().len()).unwrap();
        // What fits into the buffers of two sockets goes out unread.
        assert!(per_request < 32 * 1024 * 1024, "{per_request} bytes were taken");
    }
}

#[test]
fn redirects_are_followed_a_little_and_never_elsewhere() {
    let server = Server::plain(|request| match request.split(' ').nth(1) {
        Some("/a") => Reply::Redirect("/b".to_owned()),
        Some("/b") => Reply::Redirect("c?x=1".to_owned()),
        Some("/c?x=1") => Reply::Redirect("/d".to_owned()),
        Some("/loop") => Reply::Redirect("/loop".to_owned()),
        Some("/file") => Reply::Redirect("file:///etc/passwd".to_owned()),
        Some(_) | None => Reply::Status(200),
    });
    home(&Remote::at(server.url("/a"))).must("services start auth");
    let paths: Vec<String> =
        server.requests().iter().map(|request| request.split(' ').nth(1).unwrap().to_owned()).take(4).collect();
    assert_eq!(paths, ["/a", "/b", "/c?x=1", "/d"]);
    let n_before = server.requests().len();
    let looping = home(&Remote::at(server.url("/loop")));
    looping.must("services list");
    assert_eq!(server.requests().len() - n_before, 4, "one request and three hops");
    fails(&looping, "services start auth", &["redirects more than 3 times"]);
    let told = said(&home(&Remote::at(server.url("/file"))).types("services status auth --verbose"));
    assert!(told.contains("file:///etc/passwd") && told.contains("not followed"), "{told}");
}

#[test]
fn within_this_machine_no_proxy_is_asked() {
    let proxy = Server::plain(|_| Reply::Status(200));
    let server = Server::plain(|_| Reply::Status(200));
    let home = home(&Remote { check: Some(server.url("/health")), ..Remote::at(server.url("/")) });
    let mut command = home.command("services start auth");
    for variable in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(variable, proxy.url(""));
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(proxy.requests(), Vec::<String>::new());
    assert!(!server.requests().is_empty());
}

fn spec(endpoint: String) -> ServiceSpec {
    let mut spec = program("auth", "/nothing".into(), &[]);
    spec.deployment =
        Deployment::Remote(RemoteSpec { endpoint, tls_enabled: false, auth_token_path: None, ca_path: None });
    spec.health_check.check = Check::Tcp { host: "localhost".into(), port: 1 };
    spec.health_check.interval = Duration::from_secs(1);
    spec.health_check.timeout = Duration::from_secs(5);
    spec
}

/// What is seen of the service at the next hint.
async fn at_the_next_hint(
    backend: &RemoteBackend,
    changes: &mut mpsc::Receiver<ServiceId>,
    spec: &ServiceSpec,
) -> Observed {
    tokio::time::timeout(DEADLINE, changes.recv()).await.expect("a hint").unwrap();
    backend.observe(spec).await.unwrap()
}

#[test]
fn whoever_looks_on_hears_that_it_went_and_that_it_is_back() {
    let runtime = Runtime::new().unwrap();
    let server = Server::plain(|_| Reply::Status(200));
    let address = server.address;
    let spec = spec(server.url("/"));
    let backend = RemoteBackend::new();
    let mut changes = runtime.block_on(async { backend.changes() });
    let seen = runtime.block_on(backend.observe(&spec)).unwrap();
    let Presence::Present { since, .. } = seen.presence else { panic!("{seen:?}") };
    assert!(backend.facts(&spec).iter().any(|fact| fact.value.starts_with("HTTP 200 OK in ")));
    drop(server);
    let gone = loop {
        let seen = runtime.block_on(at_the_next_hint(&backend, &mut changes, &spec));
        match seen.presence {
            Presence::Failed { reason: FailureReason::Unreachable(why) } => {
                assert_eq!(why, "connection refused");
                break seen.entered.unwrap();
            }
            Presence::Present { since: still, .. } => assert_eq!(still, since),
            other => panic!("{other:?}"),
        }
    };
    assert!(gone > since);
    let _server = Server::plain_at(address, |_| Reply::Status(200));
    loop {
        let seen = runtime.block_on(at_the_next_hint(&backend, &mut changes, &spec));
        match seen.presence {
            Presence::Present { since, .. } => {
                assert!(since > gone);
                return;
            }
            Presence::Failed { .. } => assert_eq!(seen.entered, Some(gone)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn whoever_is_in_no_registry_any_more_is_asked_no_more() {
    let runtime = Runtime::new().unwrap();
    let server = Server::plain(|_| Reply::Status(200));
    let spec = spec(server.url("/"));
    let backend = RemoteBackend::new();
    let mut changes = runtime.block_on(async { backend.changes() });
    runtime.block_on(backend.observe(&spec)).unwrap();
    // Nobody looks after the first hint.
    runtime.block_on(changes.recv()).unwrap();
    let n_requests = server.requests().len();
    let none = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(3), changes.recv()).await });
    assert!(none.is_err());
    assert_eq!(server.requests().len(), n_requests);
}
