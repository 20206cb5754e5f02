//! The one that is asked: picks the kind of probe, and bounds how many run at a time.

use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{command, file, http, tcp};
use crate::engine::ports::Probe;
use crate::model::{Check, ProbeOutcome, ProbeReport, ProbeVerdict, ServiceSpec};
use crate::net::{Access, Clients};

/// How many probes run at the same time. Each may hold a descriptor, a look-up that cannot be cancelled, or a process.
pub const MAX_IN_FLIGHT: usize = 64;

/// Probes over the network, by commands and by files. Shared by all services; needs a tokio runtime with time and I/O.
#[derive(Debug)]
pub struct Prober {
    permits: Semaphore,
    http: Clients,
}

impl Prober {
    /// Nothing is opened before the first probe needs it.
    pub fn new() -> Self {
        Self { permits: Semaphore::new(MAX_IN_FLIGHT), http: Clients::default() }
    }

    async fn attempt(&self, check: &Check, access: Access, timeout: Duration) -> ProbeOutcome {
        // Waiting here is our own business: neither the service's latency nor its timeout.
        let Ok(_permit) = self.permits.acquire().await else {
            return could_not_run("the program is shutting down");
        };
        match check {
            Check::Http { endpoint, expected_status, method } => {
                http::probe(&self.http, &access, endpoint, method, *expected_status, timeout).await
            }
            Check::Tcp { host, port } => tcp::probe(host, *port, timeout).await,
            Check::Command { command, expected_exit_code } => {
                command::probe(command, *expected_exit_code, timeout).await
            }
            Check::File { path, must_exist } => file::probe(path, *must_exist, timeout).await,
            Check::None => could_not_run("no health check configured"),
        }
    }
}

impl Default for Prober {
    fn default() -> Self {
        Self::new()
    }
}

impl Probe for Prober {
    fn probe<'a>(&'a self, check: &'a Check, timeout: Duration) -> BoxFuture<'a, ProbeOutcome> {
        self.attempt(check, Access::default(), timeout).boxed()
    }

    fn probe_service<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, ProbeOutcome> {
        self.attempt(&spec.health_check.check, Access::of(spec), spec.health_check.timeout).boxed()
    }
}

/// An answer, timed from `started` to now.
pub(super) fn answered(started: Instant, verdict: ProbeVerdict, message: String) -> ProbeOutcome {
    ProbeOutcome::Answered(ProbeReport { verdict, message, took: started.elapsed() })
}

/// No answer, for a reason that is not the service's.
pub(super) fn could_not_run(reason: impl Into<String>) -> ProbeOutcome {
    ProbeOutcome::CouldNotRun { reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::{MAX_IN_FLIGHT, Prober};
    use crate::engine::ports::Probe;
    use crate::model::{Check, ProbeOutcome, ProbeVerdict};
    use std::time::Duration;

    fn command(line: &str) -> Check {
        Check::Command { command: line.to_owned(), expected_exit_code: 0 }
    }

    #[tokio::test]
    async fn waiting_for_a_free_place_is_neither_latency_nor_timeout() {
        let prober = Prober::new();
        let all_places = u32::try_from(MAX_IN_FLIGHT).unwrap();
        let taken = prober.permits.acquire_many(all_places).await.unwrap();
        let check = command("true");
        let probe = prober.probe(&check, Duration::from_secs(10));
        tokio::pin!(probe);
        let waited = Duration::from_millis(300);
        assert!(tokio::time::timeout(waited, &mut probe).await.is_err(), "it did not wait for its turn");
        drop(taken);
        match probe.await {
            ProbeOutcome::Answered(report) => assert_eq!(report.verdict, ProbeVerdict::Passed),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn no_more_than_the_limit_run_at_a_time() {
        let prober = Prober::new();
        let dir = tempfile::tempdir().unwrap();
        // Each command counts those that run beside it, itself included.
        let line = format!("touch {0}/$$; ls {0} | wc -l >> {0}.counts; sleep 0.05; rm {0}/$$", dir.path().display());
        let check = command(&line);
        let answers = (0..MAX_IN_FLIGHT * 2).map(|_| prober.probe(&check, Duration::from_secs(60)));
        for outcome in futures::future::join_all(answers).await {
            assert!(matches!(&outcome, ProbeOutcome::Answered(r) if r.verdict == ProbeVerdict::Passed), "{outcome:?}");
        }
        let counts_file = format!("{}.counts", dir.path().display());
        let counts = std::fs::read_to_string(&counts_file).unwrap();
        std::fs::remove_file(counts_file).unwrap();
        let most = counts.lines().map(|n| n.trim().parse::<usize>().unwrap()).max().unwrap();
        assert!(most <= MAX_IN_FLIGHT, "{most} ran at the same time");
    }

    #[tokio::test]
    async fn without_a_check_nothing_is_learned() {
        let outcome = Prober::new().probe(&Check::None, Duration::from_secs(1)).await;
        assert_eq!(outcome, ProbeOutcome::CouldNotRun { reason: "no health check configured".into() });
    }

    /// Takes all descriptors that are left; not for a process with other tests in it.
    async fn probe_without_descriptors() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let prober = Prober::new();
        let checks = [
            Check::Tcp { host: "127.0.0.1".into(), port },
            Check::Http { endpoint: format!("http://127.0.0.1:{port}/"), expected_status: 200, method: "GET".into() },
            command("true"),
        ];
        let mut taken = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            taken.push(file);
            assert!(taken.len() < 1000, "the limit is not in force");
        }
        for check in &checks {
            let outcome = prober.probe(check, Duration::from_secs(5)).await;
            assert!(matches!(outcome, ProbeOutcome::CouldNotRun { .. }), "{check:?}: {outcome:?}");
        }
    }

    /// Set for the process that takes all of its descriptors.
    const VARIABLE: &str = "PROVISIONING_TEST_TAKES_ALL_DESCRIPTORS";

    #[tokio::test]
    async fn a_lack_of_descriptors_says_nothing_about_the_service() {
        if std::env::var_os(VARIABLE).is_some() {
            return probe_without_descriptors().await;
        }
        let name = concat!(module_path!(), "::a_lack_of_descriptors_says_nothing_about_the_service");
        let output = std::process::Command::new("sh")
            .arg("-c")
            .arg("ulimit -n 64 && exec \"$0\" --exact \"$1\"")
            .arg(std::env::current_exe().unwrap())
            .arg(name.split_once("::").unwrap().1)
            .env(VARIABLE, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }
}
