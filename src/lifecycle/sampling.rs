//! What of a service's life is worth remembering: how it stands, told when that changes.

use crate::lifecycle::admission::Checked;
use crate::model::ServiceState;
use crate::model::history::{Sighting, Standing};

/// Looks at one service's states, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sampler {
    standing: Option<Standing>,
    restarts: u32,
}

impl Sampler {
    /// Begins anew: how the service stands next is found, and did not become so now. For whoever begins to keep what others kept before.
    pub fn begin_anew(&mut self) {
        self.standing = None;
    }

    /// Takes a look. `restarts` is how often it was started again by itself since a person last started it.
    pub fn look(&mut self, state: &ServiceState, restarts: u32, checked: Checked) -> Vec<(Standing, Sighting)> {
        let Some(standing) = standing(state, checked) else { return Vec::new() };
        let is_running = matches!(standing, Standing::Started | Standing::Running);
        let is_restarted = self.standing.is_some() && is_running && restarts > self.restarts;
        // A restart that was announced has not happened yet.
        if is_running || restarts < self.restarts || self.standing.is_none() {
            self.restarts = restarts;
        }
        let sighting = if self.standing.is_some() { Sighting::Became } else { Sighting::Found };
        if self.standing == Some(standing) && !is_restarted {
            return Vec::new();
        }
        self.standing = Some(standing);
        let restart = is_restarted.then_some((Standing::Restarted, Sighting::Became));
        restart.into_iter().chain([(standing, sighting)]).collect()
    }
}

/// How a service in that state stands; `None` on the way from one to another.
fn standing(state: &ServiceState, checked: Checked) -> Option<Standing> {
    match (state, checked) {
        (ServiceState::Waiting { .. } | ServiceState::Launching { .. }, _) => None,
        (ServiceState::Unknown { .. } | ServiceState::Stopped | ServiceState::Stopping { .. }, _) => {
            Some(Standing::Idle)
        }
        (ServiceState::Starting { .. } | ServiceState::Running { .. }, Checked::Yes) => Some(Standing::Started),
        (ServiceState::Starting { .. } | ServiceState::Running { .. }, Checked::No) => Some(Standing::Running),
        (ServiceState::Backoff { .. } | ServiceState::Failed { .. }, _) => Some(Standing::Down),
    }
}

#[cfg(test)]
mod tests {
    use super::Sampler;
    use crate::lifecycle::admission::Checked;
    use crate::lifecycle::fixture::{backoff, failed, running, stopping};
    use crate::model::ServiceState;
    use crate::model::history::Sighting::{Became, Found};
    use crate::model::history::Standing::{Down, Idle, Restarted, Running, Started};
    use std::time::Instant;

    #[test]
    fn a_fall_and_what_its_guardian_makes_of_it_are_told_once() {
        let now = Instant::now();
        let mut sampler = Sampler::default();
        assert_eq!(sampler.look(&running(now), 0, Checked::Yes), [(Started, Found)]);
        assert_eq!(sampler.look(&running(now), 0, Checked::Yes), []);
        // Some guardians count a restart when they announce it.
        assert_eq!(sampler.look(&backoff(now), 1, Checked::Yes), [(Down, Became)]);
        assert_eq!(sampler.look(&running(now), 1, Checked::Yes), [(Restarted, Became), (Started, Became)]);
        // Too quick to be seen down.
        assert_eq!(sampler.look(&running(now), 2, Checked::Yes), [(Restarted, Became), (Started, Became)]);
        assert_eq!(sampler.look(&failed(), 2, Checked::Yes), [(Down, Became)]);
        // A person's start counts from nothing.
        assert_eq!(sampler.look(&running(now), 0, Checked::Yes), [(Started, Became)]);
    }

    #[test]
    fn a_stop_that_was_asked_for_is_no_fall() {
        let now = Instant::now();
        let mut sampler = Sampler::default();
        assert_eq!(sampler.look(&running(now), 3, Checked::No), [(Running, Found)]);
        assert_eq!(sampler.look(&stopping(now), 3, Checked::No), [(Idle, Became)]);
        assert_eq!(sampler.look(&ServiceState::Stopped, 0, Checked::No), []);
        assert_eq!(sampler.look(&ServiceState::Launching { deadline: now }, 0, Checked::No), []);
        assert_eq!(sampler.look(&running(now), 0, Checked::No), [(Running, Became)]);
    }

    #[test]
    fn who_begins_to_look_does_not_claim_that_it_just_happened() {
        let now = Instant::now();
        let mut sampler = Sampler::default();
        sampler.look(&running(now), 4, Checked::Yes);
        sampler.begin_anew();
        assert_eq!(sampler.look(&running(now), 5, Checked::Yes), [(Started, Found)]);
    }
}
