//! A connection is accepted.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::prober::{answered, could_not_run};
use crate::model::{ProbeOutcome, ProbeVerdict};
use crate::net::cause::{self, Cause};

/// How long an address may stay silent before the next one is tried beside it (RFC 8305, section 5).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Connects once and closes again. `localhost` means both loopback addresses (R156).
pub(super) async fn probe(host: &str, port: u16, timeout: Duration) -> ProbeOutcome {
    let started = Instant::now();
    let connected = tokio::time::timeout(timeout, connect(host, port)).await;
    let name = Endpoint { host, port };
    let reason = match connected {
        Ok(Ok(())) => {
            return answered(started, ProbeVerdict::Passed, format!("TCP connection to {name} succeeded"));
        }
        Ok(Err(Cause::Service(reason))) => reason,
        Ok(Err(Cause::Ours(reason))) => return could_not_run(reason),
        Err(_) => format!("timed out after {timeout:?}"),
    };
    answered(started, ProbeVerdict::Failed, format!("TCP connection to {name} failed: {reason}"))
}

async fn connect(host: &str, port: u16) -> Result<(), Cause> {
    let addresses = resolve(host, port).await?;
    let attempts = addresses.into_iter().map(|address| async move { TcpStream::connect(address).await.map(drop) });
    match first_success(attempts).await {
        None => Err(cause::unresolvable(host)),
        Some(Ok(())) => Ok(()),
        Some(Err(error)) => Err(cause::of_io(&error, host)),
    }
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Cause> {
    if cause::is_localhost(host) {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    // People write `[::1]` as in a URL, too.
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    let found = tokio::net::lookup_host((host, port)).await.map_err(|_| cause::unresolvable(host))?;
    Ok(found.collect())
}

/// The first success, else the first failure; `None` without attempts. The next attempt begins when one has failed or is slow.
async fn first_success(
    mut attempts: impl Iterator<Item = impl Future<Output = io::Result<()>>>,
) -> Option<io::Result<()>> {
    let mut running = FuturesUnordered::new();
    let mut first_error = None;
    loop {
        let has_more = match attempts.next() {
            Some(attempt) => {
                running.push(attempt);
                true
            }
            None => false,
        };
        tokio::select! {
            ended = running.next() => match ended {
                Some(Ok(())) => return Some(Ok(())),
                Some(Err(error)) => { first_error.get_or_insert(error); }
                None => return first_error.map(Err),
            },
            () = tokio::time::sleep(NEXT_ADDRESS_AFTER), if has_more => {}
        }
    }
}

/// Prints `host:port`, an IPv6 address in brackets.
struct Endpoint<'a> {
    host: &'a str,
    port: u16,
}

impl std::fmt::Display for Endpoint<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.parse::<Ipv6Addr>().is_ok() {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{first_success, probe};
    use crate::model::{ProbeOutcome, ProbeVerdict};
    use std::time::Duration;

    async fn check(host: &str, port: u16, verdict: ProbeVerdict, message: &str) {
        match probe(host, port, Duration::from_secs(5)).await {
            ProbeOutcome::Answered(report) => assert_eq!((report.verdict, report.message.as_str()), (verdict, message)),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn localhost_means_both_families() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let passed = |host: &str| format!("TCP connection to {host}:{port} succeeded");
        check("localhost", port, ProbeVerdict::Passed, &passed("localhost")).await;
        check("127.0.0.1", port, ProbeVerdict::Passed, &passed("127.0.0.1")).await;

        let Ok(listener) = tokio::net::TcpListener::bind("[::1]:0").await else { return };
        let port = listener.local_addr().unwrap().port();
        let passed = |host: &str| format!("TCP connection to {host}:{port} succeeded");
        check("localhost", port, ProbeVerdict::Passed, &passed("localhost")).await;
        check("::1", port, ProbeVerdict::Passed, &passed("[::1]")).await;
        check("[::1]", port, ProbeVerdict::Passed, &passed("[::1]")).await;
    }

    #[tokio::test]
    async fn refused_and_unresolvable_have_different_words() {
        let port = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap().port()
        };
        let failed = ProbeVerdict::Failed;
        for host in ["localhost", "127.0.0.1"] {
            check(host, port, failed, &format!("TCP connection to {host}:{port} failed: connection refused")).await;
        }
        check("no.invalid", 80, failed, "TCP connection to no.invalid:80 failed: cannot resolve host no.invalid").await;
    }

    #[tokio::test]
    async fn a_full_backlog_times_out() {
        // A listener that never accepts, its queue filled: further connections get no answer.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || tokio::time::timeout(Duration::from_millis(100), tokio::net::TcpStream::connect(address));
        let mut queued = Vec::new();
        while let Ok(Ok(stream)) = connect().await {
            queued.push(stream);
            assert!(queued.len() < 1000, "the queue never fills");
        }
        match probe("127.0.0.1", address.port(), Duration::from_millis(200)).await {
            ProbeOutcome::Answered(report) => {
                assert_eq!(
                    report.message,
                    format!("TCP connection to 127.0.0.1:{} failed: timed out after 200ms", address.port())
                );
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_does_not_hold_up_the_next() {
        let attempts = (0..3).map(|n: u32| async move {
            match n {
                0 => std::future::pending().await,
                1 => Err(std::io::Error::other("refused")),
                _ => Ok(()),
            }
        });
        let started = tokio::time::Instant::now();
        assert!(matches!(first_success(attempts).await, Some(Ok(()))));
        assert!(started.elapsed() < Duration::from_millis(600));
    }
}
