//! What a container uses, asked once: the engine's own numbers, with the caches left out that the kernel gives back when they are needed.

use std::time::Duration;

use bollard::errors::Error;
use bollard::models::ContainerStatsResponse;
use bollard::query_parameters::StatsOptionsBuilder;
use futures::StreamExt as _;

use super::Engine;
use crate::model::Usage;

impl Engine {
    /// `None` when it does not run, or the engine cannot be asked.
    pub(crate) async fn usage(&self, container: &str) -> Option<Usage> {
        let docker = self.client().await.ok()?;
        // Without waiting for a second sample, which takes the engine a second.
        let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
        let mut answers = std::pin::pin!(docker.stats(container, Some(options)));
        let answer = async { answers.next().await.unwrap_or(Err(Error::RequestTimeoutError)) };
        usage(self.answer(answer).await.ok()?)
    }
}

fn usage(stats: ContainerStatsResponse) -> Option<Usage> {
    let nanoseconds = stats.cpu_stats?.cpu_usage?.total_usage?;
    let memory = stats.memory_stats?;
    let details = memory.stats.unwrap_or_default();
    // As `docker stats` does it; the names are those of the two versions of cgroups.
    let inactive = details.get("total_inactive_file").or_else(|| details.get("inactive_file")).copied();
    Some(Usage {
        processor: Duration::from_nanos(nanoseconds),
        memory: memory.usage?.saturating_sub(inactive.unwrap_or_default()),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::usage;
    use crate::model::Usage;

    #[test]
    fn caches_that_can_be_given_back_do_not_count() {
        for name in ["total_inactive_file", "inactive_file"] {
            let stats = serde_json::json!({
                "cpu_stats": { "cpu_usage": { "total_usage": 1_500_000_000_u64 } },
                "memory_stats": { "usage": 5_000, "stats": { name: 2_000 } },
            });
            let expected = Usage { processor: Duration::from_millis(1500), memory: 3_000 };
            assert_eq!(usage(serde_json::from_value(stats).unwrap()), Some(expected));
        }
        // What the engine says of a container that does not run.
        let stopped = serde_json::json!({ "cpu_stats": { "cpu_usage": { "total_usage": 0 } }, "memory_stats": {} });
        assert_eq!(usage(serde_json::from_value(stopped).unwrap()), None);
    }
}
