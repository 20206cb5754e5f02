//! A shell line exits as expected.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::Instant;

use super::prober::{answered, could_not_run};
use crate::host::group::Group;
use crate::model::{Ending, ProbeOutcome, ProbeVerdict};

/// Runs `sh -c <line>` with nothing to read and nowhere to write, and kills whatever is left of it when the shell has ended, the time
/// is over, or the call is dropped.
///
/// The output goes to `/dev/null`, since the exit code is the answer: a flood costs nothing, and a background child that keeps its output open
/// holds nobody up.
pub(super) async fn probe(line: &str, expected: i32, timeout: Duration) -> ProbeOutcome {
    let started = Instant::now();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(line).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut group = match Group::spawn(&mut shell) {
        Ok(group) => group,
        Err(error) => return could_not_run(format!("cannot run sh: {error}")),
    };
    let ended = tokio::time::timeout(timeout, group.wait()).await;
    let (verdict, message) = match ended {
        Ok(Ok(status)) => judge(status, expected),
        Ok(Err(error)) => return could_not_run(format!("cannot wait for sh: {error}")),
        Err(_) => (ProbeVerdict::Failed, format!("Command timed out after {timeout:?}")),
    };
    let outcome = answered(started, verdict, message);
    if let Err(error) = group.end().await {
        tracing::warn!(%error, "cannot reap a health check's shell");
    }
    outcome
}

/// M9.
fn judge(status: ExitStatus, expected: i32) -> (ProbeVerdict, String) {
    match (status.code(), status.signal()) {
        (Some(code), _) if code == expected => {
            (ProbeVerdict::Passed, format!("Command exited with code {code} as expected"))
        }
        (Some(code), _) => (ProbeVerdict::Failed, format!("Command exited with code {code}, expected {expected}")),
        (None, Some(signal)) => {
            (ProbeVerdict::Failed, format!("Command {}, expected exit code {expected}", Ending::Signalled(signal)))
        }
        (None, None) => (ProbeVerdict::Failed, format!("Command ended in an unknown way, expected {expected}")),
    }
}

#[cfg(test)]
mod tests {
    use super::probe;
    use crate::model::{ProbeOutcome, ProbeVerdict};
    use std::path::Path;
    use std::time::Duration;
    use tokio::time::Instant;

    async fn report(line: &str, expected: i32, timeout: Duration) -> (ProbeVerdict, String, Duration) {
        match probe(line, expected, timeout).await {
            ProbeOutcome::Answered(report) => (report.verdict, report.message, report.took),
            other => panic!("{other:?}"),
        }
    }

    async fn check(line: &str, expected: i32, verdict: ProbeVerdict, message: &str) {
        let (was, said, _) = report(line, expected, Duration::from_secs(20)).await;
        assert_eq!((was, said.as_str()), (verdict, message), "{line}");
    }

    /// Waits until nobody has the number that `file` holds any more.
    async fn until_gone(file: &Path) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let pid = std::fs::read_to_string(file).unwrap_or_default();
            if !pid.trim().is_empty() && !Path::new(&format!("/proc/{}", pid.trim())).exists() {
                return;
            }
            assert!(Instant::now() < deadline, "process {pid:?} still lives");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_exit_code_decides() {
        use ProbeVerdict::{Failed, Passed};
        check("true", 0, Passed, "Command exited with code 0 as expected").await;
        check("exit 3", 3, Passed, "Command exited with code 3 as expected").await;
        check("exit 3", 0, Failed, "Command exited with code 3, expected 0").await;
        check("/nonexistent/program", 0, Failed, "Command exited with code 127, expected 0").await;
        check("kill -9 $$", 0, Failed, "Command was killed by SIGKILL, expected exit code 0").await;
        check("test -t 0 || read x || exit 5", 5, Passed, "Command exited with code 5 as expected").await;
    }

    #[tokio::test]
    async fn a_flood_of_output_costs_nothing() {
        check("head -c 300000000 /dev/zero", 0, ProbeVerdict::Passed, "Command exited with code 0 as expected").await;
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let line = format!("trap '' TERM; sleep 1000 & echo $! > {}; wait", pid.display());
        let (verdict, message, took) = report(&line, 0, Duration::from_millis(500)).await;
        assert_eq!((verdict, message.as_str()), (ProbeVerdict::Failed, "Command timed out after 500ms"));
        assert!(took < Duration::from_secs(5), "{took:?}");
        until_gone(&pid).await;
    }

    #[tokio::test]
    async fn a_background_child_that_keeps_the_output_open_is_neither_waited_for_nor_left() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let line = format!("sleep 1000 & echo $! > {}", pid.display());
        let (verdict, _, took) = report(&line, 0, Duration::from_secs(20)).await;
        assert_eq!(verdict, ProbeVerdict::Passed);
        assert!(took < Duration::from_secs(10), "{took:?}");
        until_gone(&pid).await;
    }

    #[tokio::test]
    async fn a_dropped_probe_leaves_no_process() {
        let dir = tempfile::tempdir().unwrap();
        let (shell, child) = (dir.path().join("shell"), dir.path().join("child"));
        let line = format!("sleep 1000 & echo $! > {}; echo $$ > {}; wait", child.display(), shell.display());
        let running = tokio::spawn(async move { probe(&line, 0, Duration::from_secs(100)).await });
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::fs::read_to_string(&shell).unwrap_or_default().is_empty() {
            assert!(Instant::now() < deadline, "the command never began");
            tokio::task::yield_now().await;
        }
        running.abort();
        until_gone(&child).await;
        // Gone, not a zombie: tokio reaps orphans when the next child ends.
        probe("true", 0, Duration::from_secs(20)).await;
        until_gone(&shell).await;
    }
}
