//! A file is there, or is not.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::prober::{answered, could_not_run};
use crate::model::{ProbeOutcome, ProbeVerdict};

/// Looks whether `path` exists. The file is never opened, so a FIFO or a device cannot hold the probe up; a hanging network file system
/// ends at `timeout`.
pub(super) async fn probe(path: &Path, must_exist: bool, timeout: Duration) -> ProbeOutcome {
    let started = Instant::now();
    let shown = path.display();
    let exists = match tokio::time::timeout(timeout, tokio::fs::metadata(path)).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => false,
        Ok(Err(error)) => return could_not_run(format!("file cannot be looked at: {shown}: {error}")),
        Err(_) => {
            return answered(started, ProbeVerdict::Failed, format!("File check timed out after {timeout:?}: {shown}"));
        }
    };
    let (verdict, message) = match (exists, must_exist) {
        (true, true) => (ProbeVerdict::Passed, format!("File exists: {shown}")),
        (false, false) => (ProbeVerdict::Passed, format!("File does not exist: {shown}")),
        (false, true) => (ProbeVerdict::Failed, format!("File does not exist: {shown}")),
        (true, false) => (ProbeVerdict::Failed, format!("File exists but should not: {shown}")),
    };
    answered(started, verdict, message)
}

#[cfg(test)]
mod tests {
    use super::probe;
    use crate::model::{ProbeOutcome, ProbeVerdict};
    use std::path::Path;
    use std::time::Duration;

    async fn check(path: &Path, must_exist: bool, verdict: ProbeVerdict, message: &str) {
        match probe(path, must_exist, Duration::from_secs(5)).await {
            ProbeOutcome::Answered(report) => {
                assert_eq!((report.verdict, report.message), (verdict, format!("{message}: {}", path.display())));
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn presence_and_absence_are_what_the_registry_wants_or_not() {
        use ProbeVerdict::{Failed, Passed};
        let dir = tempfile::tempdir().unwrap();
        let there = dir.path().join("there");
        std::fs::write(&there, "").unwrap();
        let absent = dir.path().join("absent");
        check(&there, true, Passed, "File exists").await;
        check(&there, false, Failed, "File exists but should not").await;
        check(&absent, true, Failed, "File does not exist").await;
        check(&absent, false, Passed, "File does not exist").await;
        check(&there.join("below-a-file"), true, Failed, "File does not exist").await;
    }

    #[tokio::test]
    async fn a_fifo_nobody_writes_to_is_only_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        check(&fifo, true, ProbeVerdict::Passed, "File exists").await;
    }
}
