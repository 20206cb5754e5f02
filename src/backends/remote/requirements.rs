//! What a start needs: files that may be used, and an endpoint that answers.

use std::time::Duration;

use super::ask::Answer;
use super::{RemoteBackend, remote_spec, shown_endpoint};
use crate::model::ServiceSpec;
use crate::preflight::Requirement;

/// What was seen this short a time ago is as good as a new look.
const FRESH: Duration = Duration::from_secs(2);

impl RemoteBackend {
    /// Looks at everything a start needs. Changes nothing.
    pub(super) async fn gather(&self, spec: &ServiceSpec) -> Vec<Requirement> {
        if remote_spec(spec).is_err() {
            return vec![Requirement::UnsupportedMode { mode: spec.deployment.mode().as_str() }];
        }
        let sight = match self.inner.known.sight(spec).filter(|sight| sight.at.elapsed() < FRESH) {
            Some(sight) => sight,
            None => self.inner.ask(spec).await,
        };
        let answer = match sight.answer {
            Answer::Up { .. } => Ok(sight.answer.fact().map(|fact| fact.value).unwrap_or_default()),
            // A file of ours that keeps us from asking says nothing about the endpoint.
            Answer::Down(problem) if problem.is_ours => {
                let remedy = problem.remedy.unwrap_or_else(|| "check the registry".to_owned());
                return vec![Requirement::RequestFile { problem: (capitalised(&problem.why), remedy) }];
            }
            Answer::Down(problem) => Err((problem.why, problem.remedy)),
        };
        let may_come = !spec.dependencies.is_empty();
        vec![Requirement::Endpoint { url: shown_endpoint(spec), answer, may_come }]
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
