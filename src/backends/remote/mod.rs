//! Remote mode: a service that runs elsewhere. Nothing is launched and nothing is stopped; what runs is what answers at `endpoint`.
//!
//! Any answer counts, except one that says that we may not ask (401, 403, 407) or that nothing is there behind a gateway (502, 503,
//! 504). Whether what answers is well is the health check's to say. A service that cannot be reached has failed: it is not stopped,
//! since nobody here stopped it, and not unknown, since that it cannot be used is certain.
//!
//! It is asked when it is first looked at, at every start, and at the interval of its health check while somebody looks on; between
//! that, looks are answered from what was seen last.

mod ask;
mod known;
mod requirements;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::engine::ports::{Backend, BackendError, ErrorKind, IsWanted, StopError};
use crate::model::{
    Deployment, Fact, FailureReason, Guardian, Instance, Launch, LaunchOrigin, Observed, Presence, RemoteSpec,
    ServiceId, ServiceSpec, StartHow, StopHow,
};
use crate::net::Clients;
use crate::preflight::Requirement;
use ask::Answer;
use known::{Known, Sight};

/// Looks at services of remote mode. Cheap to clone: clones share their clients and what was seen.
#[derive(Debug, Clone, Default)]
pub struct RemoteBackend {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    clients: Clients,
    known: Known,
    tasks: watch::Tasks,
}

impl RemoteBackend {
    /// Contacts nothing yet. The methods of [`Backend`] want to be called inside a tokio runtime with I/O and time enabled.
    pub fn new() -> Self {
        Self::default()
    }

    async fn look(&self, spec: &ServiceSpec) -> Result<Observed, BackendError> {
        remote_spec(spec)?;
        let sight = match self.inner.known.sight(spec) {
            Some(sight) => sight,
            None => self.inner.ask(spec).await,
        };
        let (presence, notes) = match sight.answer {
            Answer::Up { aside, .. } => {
                let instance = instance(spec);
                (Presence::Present { instance, since: sight.since, guardian: Guardian::Alive }, Vec::from_iter(aside))
            }
            Answer::Down(problem) => {
                (Presence::Failed { reason: FailureReason::Unreachable(problem.sentence()) }, Vec::new())
            }
        };
        Ok(Observed { presence, entered: Some(sight.since), intent: None, restarts: 0, last_exit: None, notes })
    }

    async fn reach(&self, spec: &ServiceSpec) -> Result<Launch, BackendError> {
        remote_spec(spec)?;
        let sight = self.inner.ask(spec).await;
        match sight.answer {
            Answer::Up { .. } => {
                // It was there before anybody asked.
                Ok(Launch { instance: instance(spec), since: sight.since, origin: LaunchOrigin::FoundRunning })
            }
            Answer::Down(problem) => Err(BackendError {
                kind: problem.kind,
                message: format!("{} cannot be reached at {}: {}", spec.id, shown_endpoint(spec), problem.why),
                remedy: problem.remedy,
            }),
        }
    }
}

impl Inner {
    /// Asks now, and remembers the answer.
    async fn ask(&self, spec: &ServiceSpec) -> Sight {
        let answer = ask::ask(&self.clients, spec).await;
        self.known.learn(spec, answer, Instant::now().into_std())
    }
}

impl Backend for RemoteBackend {
    fn observe<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Result<Observed, BackendError>> {
        self.look(spec).boxed()
    }

    fn start_if<'a>(
        &'a self,
        spec: &'a ServiceSpec,
        _how: StartHow,
        is_wanted: &'a IsWanted<'a>,
    ) -> BoxFuture<'a, Result<Option<Launch>, BackendError>> {
        async move { if is_wanted() { self.reach(spec).await.map(Some) } else { Ok(None) } }.boxed()
    }

    /// Refuses, naming the endpoint (A29). Plans refuse or leave out what runs elsewhere before this is ever asked.
    fn stop<'a>(
        &'a self,
        spec: &'a ServiceSpec,
        _how: StopHow,
        _grace: Duration,
    ) -> BoxFuture<'a, Result<(), StopError>> {
        let error = BackendError {
            kind: ErrorKind::Permanent,
            message: format!("{} runs at {}, which cannot be stopped from here", spec.id, shown_endpoint(spec)),
            remedy: Some("stop it where it runs, or take it out of the registry".to_owned()),
        };
        std::future::ready(Err(error.into())).boxed()
    }

    /// Whoever runs it looks after it.
    fn tend<'a>(&'a self, _spec: &'a ServiceSpec) -> BoxFuture<'a, Result<(), BackendError>> {
        std::future::ready(Ok(())).boxed()
    }

    /// What happens to it is seen by onlookers alone.
    fn has_own_witness(&self, _spec: &ServiceSpec) -> bool {
        false
    }

    fn facts(&self, spec: &ServiceSpec) -> Vec<Fact> {
        self.inner.known.sight(spec).and_then(|sight| sight.answer.fact()).into_iter().collect()
    }

    fn requirements<'a>(&'a self, spec: &'a ServiceSpec) -> BoxFuture<'a, Vec<Requirement>> {
        self.gather(spec).boxed()
    }

    fn changes(&self) -> mpsc::Receiver<ServiceId> {
        watch::subscribe(&self.inner)
    }
}

/// The part of a specification that this mode is about.
fn remote_spec(spec: &ServiceSpec) -> Result<&RemoteSpec, BackendError> {
    match &spec.deployment {
        Deployment::Remote(remote) => Ok(remote),
        Deployment::Binary(_) | Deployment::Docker(_) | Deployment::DockerCompose(_) | Deployment::Kubernetes(_) => {
            Err(BackendError {
                kind: ErrorKind::Misconfigured,
                message: format!("{} is not a service of remote mode", spec.id),
                remedy: None,
            })
        }
    }
}

fn instance(spec: &ServiceSpec) -> Instance {
    Instance::Endpoint(shown_endpoint(spec))
}

/// The endpoint as people may see it.
fn shown_endpoint(spec: &ServiceSpec) -> String {
    remote_spec(spec).map(RemoteSpec::shown_endpoint).unwrap_or_default()
}
