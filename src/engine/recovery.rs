//! What a leader finds out before it has an unhealthy service restarted.

use std::sync::Arc;

use futures::future::join_all;

use super::ports::Probe;
use crate::lifecycle::explain;
use crate::model::{Check, ProbeOutcome, ProbeVerdict, ServiceId, ServiceSnapshot};

/// The first of `needs`, which come in startup order, that is not well, and how it is. Those that seem to be well are asked now: checks of
/// a service often look at what it needs, too, and its own may have failed a moment earlier than theirs.
pub(super) async fn root_cause(needs: &[Arc<ServiceSnapshot>], probe: &dyn Probe) -> Option<(ServiceId, String)> {
    let known = needs.iter().find_map(|need| hindrance(need).map(|how| (need.id().clone(), how)));
    if known.is_some() {
        return known;
    }
    let asked = needs.iter().filter(|need| need.spec.health_check.check != Check::None);
    let answers = join_all(asked.map(|need| async move { (need.id(), probe.probe_service(&need.spec).await) })).await;
    answers.into_iter().find_map(|(id, outcome)| match outcome {
        ProbeOutcome::Answered(report) if report.verdict == ProbeVerdict::Failed => {
            Some((id.clone(), format!("does not answer well: {}", report.message)))
        }
        ProbeOutcome::Answered(_) | ProbeOutcome::CouldNotRun { .. } => None,
    })
}

fn hindrance(need: &ServiceSnapshot) -> Option<String> {
    explain::hindrance(need, tokio::time::Instant::now().into_std())
}
