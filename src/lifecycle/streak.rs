//! Health is a streak: one result changes nothing, enough equal ones in a row do.

use crate::model::{Health, ProbeVerdict};

/// Counts results in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Streak {
    health: Health,
    failures: u32,
    threshold: u32,
}

impl Streak {
    /// Nothing known yet; `retries` failures in a row make it unhealthy (0 counts as 1).
    pub fn new(retries: u32) -> Self {
        Self { health: Health::Unknown, failures: 0, threshold: retries.max(1) }
    }

    /// What the results so far say.
    pub fn health(&self) -> Health {
        self.health
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// As after `retries` failures in a row: a start that ran out of time has had its chances.
    #[must_use]
    pub fn exhausted(self) -> Self {
        Self { health: Health::Unhealthy, failures: self.threshold, ..self }
    }

    /// As without the failures so far, where they are not enough to mean something.
    #[must_use]
    pub fn forgiven(self) -> Self {
        if self.health == Health::Unhealthy { self } else { Self { failures: 0, ..self } }
    }

    /// Takes one result in: one success is health, `retries` failures in a row are not.
    #[must_use]
    pub fn after(self, verdict: ProbeVerdict) -> Self {
        match verdict {
            ProbeVerdict::Passed => Self { health: Health::Healthy, failures: 0, ..self },
            ProbeVerdict::Failed => {
                let failures = self.failures.saturating_add(1);
                let health = if failures >= self.threshold { Health::Unhealthy } else { self.health };
                Self { health, failures, ..self }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Streak;
    use crate::model::{Health, ProbeVerdict};

    fn walk(retries: u32, results: &str) -> Vec<Health> {
        let mut streak = Streak::new(retries);
        results
            .chars()
            .map(|result| {
                streak = streak.after(if result == '+' { ProbeVerdict::Passed } else { ProbeVerdict::Failed });
                streak.health()
            })
            .collect()
    }

    #[test]
    fn a_blip_is_not_an_illness() {
        use Health::{Healthy, Unhealthy, Unknown};
        assert_eq!(walk(3, "+--+"), [Healthy, Healthy, Healthy, Healthy]);
        assert_eq!(walk(3, "+---+"), [Healthy, Healthy, Healthy, Unhealthy, Healthy]);
        assert_eq!(walk(2, "--"), [Unknown, Unhealthy]);
        assert_eq!(walk(0, "-"), [Unhealthy]);
    }
}
