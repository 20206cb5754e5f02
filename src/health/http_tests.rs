use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::probe;
use crate::model::{ProbeOutcome, ProbeReport, ProbeVerdict};
use crate::net::{Access, Clients};

/// What the other side does once it has read a request.
#[derive(Clone, Copy)]
enum Server {
    Says(&'static str),
    Silent,
    Closes,
    DripsItsHead,
    DripsItsBody,
    NeverEndsItsBody,
    NeverEndsItsHead,
}

async fn serve(behaviour: Server) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, behaviour));
        }
    });
    address
}

/// Ends when the prober hangs up.
async fn answer(mut stream: TcpStream, behaviour: Server) -> std::io::Result<()> {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await?;
    match behaviour {
        Server::Says(text) => stream.write_all(text.as_bytes()).await,
        Server::Closes => Ok(()),
        Server::Silent => {
            stream.read_to_end(&mut Vec::new()).await?;
            Ok(())
        }
        Server::DripsItsHead => drip(&mut stream, "HTTP/1.1 200 OK\r\nX-Slow: a very long header\r\n").await,
        Server::DripsItsBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n").await?;
            drip(&mut stream, &"x".repeat(1_000_000)).await
        }
        Server::NeverEndsItsBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                stream.write_all(&[b'x'; 65536]).await?;
            }
        }
        Server::NeverEndsItsHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                stream.write_all(format!("X-Long: {}\r\n", "x".repeat(4096)).as_bytes()).await?;
            }
        }
    }
}

async fn drip(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    for byte in text.bytes() {
        stream.write_all(&[byte]).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn ask(endpoint: &str, expected: u16, timeout: Duration) -> ProbeReport {
    match probe(&Clients::default(), &Access::default(), endpoint, "GET", expected, timeout).await {
        ProbeOutcome::Answered(report) => report,
        other => panic!("{other:?}"),
    }
}

/// Asks `behaviour` once; `{}` in the message stands for the endpoint.
async fn check(behaviour: Server, expected: u16, verdict: ProbeVerdict, message: &str) {
    let endpoint = format!("http://{}/health", serve(behaviour).await);
    let report = ask(&endpoint, expected, Duration::from_secs(10)).await;
    assert_eq!((report.verdict, report.message), (verdict, message.replace("{}", &endpoint)));
    assert!(report.took < Duration::from_secs(8), "{:?}", report.took);
}

async fn unused_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn the_status_decides() {
    use ProbeVerdict::{Failed, Passed};
    let ok = Server::Says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let missing = Server::Says("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    check(ok, 200, Passed, "HTTP health check passed").await;
    check(ok, 204, Failed, "HTTP status 200 does not match expected 204").await;
    check(missing, 404, Passed, "HTTP status 404 matches expected").await;
    check(missing, 200, Failed, "HTTP status 404 does not match expected 200").await;
}

#[tokio::test]
async fn the_method_of_the_registry_is_what_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/health", listener.local_addr().unwrap());
    let served = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        String::from_utf8(request).unwrap()
    };
    let clients = Clients::default();
    let access = Access::default();
    let asked = probe(&clients, &access, &endpoint, "HEAD", 200, Duration::from_secs(10));
    let (request, outcome) = futures::join!(served, asked);
    assert!(request.starts_with("HEAD /health HTTP/1.1\r\n"), "{request}");
    assert!(
        matches!(&outcome, ProbeOutcome::Answered(report) if report.verdict == ProbeVerdict::Passed),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let redirect = Server::Says("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    check(redirect, 302, ProbeVerdict::Passed, "HTTP status 302 matches expected").await;
    check(redirect, 200, ProbeVerdict::Failed, "HTTP status 302 does not match expected 200").await;
}

#[tokio::test]
async fn the_body_neither_delays_nor_changes_the_verdict() {
    check(Server::DripsItsBody, 200, ProbeVerdict::Passed, "HTTP health check passed").await;
    check(Server::NeverEndsItsBody, 200, ProbeVerdict::Passed, "HTTP health check passed").await;
}

#[tokio::test]
async fn a_server_that_hangs_up_is_told_from_one_that_refuses() {
    let failed = ProbeVerdict::Failed;
    check(Server::Closes, 200, failed, "HTTP request to {} failed: connection closed without an answer").await;
    check(Server::NeverEndsItsHead, 200, failed, "HTTP request to {} failed: message head is too large").await;
    check(
        Server::Says("SSH-2.0-OpenSSH\r\n\r\n"),
        200,
        failed,
        "HTTP request to {} failed: invalid HTTP version parsed",
    )
    .await;

    for host in ["localhost", "127.0.0.1"] {
        let endpoint = format!("http://{host}:{}/health", unused_port().await);
        let report = ask(&endpoint, 200, Duration::from_secs(10)).await;
        assert_eq!(report.message, format!("HTTP request to {endpoint} failed: connection refused"));
    }
}

#[tokio::test]
async fn an_unresolvable_host_is_named() {
    let report = ask("http://no.invalid/health", 200, Duration::from_secs(10)).await;
    assert_eq!(report.message, "HTTP request to http://no.invalid/health failed: cannot resolve host no.invalid");
}

#[tokio::test]
async fn the_deadline_holds_for_the_whole_attempt() {
    for behaviour in [Server::Silent, Server::DripsItsHead] {
        let endpoint = format!("http://{}/", serve(behaviour).await);
        let report = ask(&endpoint, 200, Duration::from_millis(500)).await;
        assert_eq!(report.message, format!("HTTP request to {endpoint} timed out after 500ms"));
        assert!(report.took < Duration::from_secs(3), "{:?}", report.took);
    }
}

#[tokio::test]
async fn localhost_means_both_families() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else { return };
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Server::Says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")));
        }
    });
    let report = ask(&format!("http://localhost:{port}/"), 200, Duration::from_secs(10)).await;
    assert_eq!(report.message, "HTTP health check passed");
}

#[tokio::test]
async fn what_is_no_request_says_why() {
    let report = ask("not a url", 200, Duration::from_secs(1)).await;
    assert_eq!(report.message, "HTTP request to not a url failed: not a valid URL: relative URL without a base");
    let report = ask("ftp://localhost/x", 200, Duration::from_secs(1)).await;
    assert_eq!(report.verdict, ProbeVerdict::Failed);
}

#[tokio::test]
async fn credentials_in_a_url_stay_between_us_and_the_service() {
    let port = unused_port().await;
    let report = ask(&format!("http://me:secret@127.0.0.1:{port}/x"), 200, Duration::from_secs(5)).await;
    assert_eq!(report.message, format!("HTTP request to http://***@127.0.0.1:{port}/x failed: connection refused"));
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn a_server_that_speaks_no_tls_is_a_tls_error() {
    let endpoint = format!("https://{}/", serve(Server::Says("HTTP/1.1 400 Bad Request\r\n\r\n")).await);
    let report = ask(&endpoint, 200, Duration::from_secs(20)).await;
    assert!(report.message.starts_with(&format!("HTTP request to {endpoint} failed: TLS error: ")), "{report:?}");
}

#[tokio::test]
async fn many_probes_leave_no_descriptor_behind() {
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let clients = Clients::default();
    let good = format!("http://{}/", serve(Server::Says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await);
    let bad = format!("http://{}/", serve(Server::NeverEndsItsBody).await);
    let refused = format!("http://127.0.0.1:{}/", unused_port().await);
    let access = Access::default();
    let ask = |endpoint| probe(&clients, &access, endpoint, "GET", 200, Duration::from_secs(5));
    ask(&good).await;
    let before = open();
    for _ in 0..200 {
        futures::join!(ask(&good), ask(&bad), ask(&refused));
    }
    // Other tests of this process open descriptors, too, so the bound is loose; a leak would be 200 or more.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while open() >= before + 150 {
        assert!(tokio::time::Instant::now() < deadline, "{before} descriptors became {}", open());
        tokio::task::yield_now().await;
    }
}
