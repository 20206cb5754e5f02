//! `--wait`: asks until the answer is good or the time is up.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::operate;
use crate::cli::args::WaitArgs;
use crate::cli::session::Face;
use crate::model::ServiceSpec;

/// From one question to the next.
const PACE: Duration = Duration::from_secs(1);

/// How long is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait {
    deadline: Option<Instant>,
}

impl Wait {
    /// Without `--wait` there is one question. Without `--timeout` a start gets as long as the registry gives it.
    pub(super) fn new<'a>(args: WaitArgs, concerned: impl Iterator<Item = &'a ServiceSpec>) -> Self {
        let longest = concerned.map(|spec| spec.startup.start_timeout).max().unwrap_or_default();
        let timeout = args.timeout.map_or(longest, Duration::from_secs);
        Self { deadline: args.wait.then(|| Instant::now() + timeout) }
    }

    /// Waits until it is time to ask again. False when there is no time left. Cancel safe.
    pub(super) async fn again(&self) -> bool {
        let now = Instant::now();
        match self.deadline {
            Some(deadline) if now < deadline => {
                sleep_until(deadline.min(now + PACE)).await;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Whether it waits at all.
    pub(super) fn is_patient(&self) -> bool {
        self.deadline.is_some()
    }
}

/// Waits for an answer with a sign of life. With `--wait` Ctrl+C ends it: `None`.
pub(super) async fn answer<T>(
    what: &str,
    wait: &Wait,
    question: impl Future<Output = T>,
    face: &mut Face,
) -> Option<T> {
    if !wait.is_patient() {
        return Some(face.while_waiting(what, question).await);
    }
    let mut interrupts = operate::interrupts(face);
    let answered = async {
        tokio::select! {
            biased;
            () = operate::interrupted(interrupts.as_mut()) => None,
            answer = question => Some(answer),
        }
    };
    face.while_waiting(what, answered).await
}
