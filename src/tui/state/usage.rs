//! What the visible services use: asked at a slow pace, and only for what is on the screen.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::model::{Instance, ServiceId, ServiceSnapshot, Usage};

/// From one look to the next.
pub(crate) const PACE: Duration = Duration::from_secs(5);
/// The same for a service that was looked at only once: a share takes two looks.
pub(crate) const FIRST_PACE: Duration = Duration::from_secs(1);

/// The newest looks.
#[derive(Debug, Clone, Default)]
pub(crate) struct UsageState {
    looks: HashMap<ServiceId, Look>,
    /// When the next look comes; none while nothing that can be looked at is on the screen, or one is under way.
    pub(crate) due: Option<Instant>,
    pub(crate) is_under_way: bool,
    last: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Look {
    instance: Instance,
    at: Instant,
    usage: Usage,
    /// Of one processor, in percent.
    share: Option<f64>,
}

/// What is shown of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsageText {
    /// `0.3 %`; `None` before the second look.
    pub(crate) processor: Option<String>,
    /// `42 MiB`.
    pub(crate) memory: String,
}

impl UsageState {
    /// What is known of what runs now.
    pub(crate) fn of(&self, service: &ServiceSnapshot) -> Option<UsageText> {
        let look = self.looks.get(service.id())?;
        (service.state.instance() == Some(&look.instance))
            .then(|| UsageText { processor: look.share.map(percent), memory: size(look.usage.memory) })
    }

    /// Whether one more look would tell the share.
    fn is_seen_twice(&self, service: &ServiceSnapshot) -> bool {
        self.of(service).is_some_and(|text| text.processor.is_some())
    }

    /// When these have to be looked at next: at once when one of them never was.
    pub(crate) fn next(&self, visible: &[&ServiceSnapshot], now: Instant) -> Option<Instant> {
        if visible.is_empty() {
            return None;
        }
        let Some(last) = self.last else { return Some(now) };
        let is_settled = visible.iter().all(|service| self.is_seen_twice(service));
        Some(last + if is_settled { PACE } else { FIRST_PACE })
    }

    /// Takes a look in.
    pub(crate) fn take(&mut self, found: Vec<(ServiceId, Instance, Usage)>, now: Instant) {
        self.is_under_way = false;
        self.last = Some(now);
        let old = std::mem::take(&mut self.looks);
        for (id, instance, usage) in found {
            let before = old.get(&id).filter(|before| before.instance == instance);
            let share = before.and_then(|before| {
                let between = now.saturating_duration_since(before.at).as_secs_f64();
                let used = usage.processor.saturating_sub(before.usage.processor).as_secs_f64();
                (between > 0.0).then(|| used / between * 100.0)
            });
            self.looks.insert(id, Look { instance, at: now, usage, share });
        }
    }
}

/// `0.3 %` below ten, `42 %` above; more than a hundred where several processors are busy.
fn percent(share: f64) -> String {
    if share < 9.95 { format!("{share:.1} %") } else { format!("{share:.0} %") }
}

/// `512 KiB`, `42 MiB`, `1.5 GiB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut tenths = bytes.saturating_mul(10) / 1024;
    for unit in UNITS {
        match tenths {
            0..100 if unit != "KiB" => return format!("{}.{} {unit}", tenths / 10, tenths % 10),
            0..10_240 => return format!("{} {unit}", tenths / 10),
            _ => tenths /= 1024,
        }
    }
    "much".to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{UsageState, percent, size};
    use crate::lifecycle::fixture::service_in;
    use crate::model::{Instance, ServiceState, Usage};
    use crate::testkit::builders::service as spec_of;

    #[test]
    fn numbers_are_short() {
        for (share, text) in [(0.0, "0.0 %"), (0.27, "0.3 %"), (9.96, "10 %"), (250.4, "250 %")] {
            assert_eq!(percent(share), text);
        }
        let mib = 1024 * 1024;
        for (bytes, text) in [
            (0, "0 KiB"),
            (512 * 1024, "512 KiB"),
            (mib * 2, "2.0 MiB"),
            (mib * 42 + 1, "42 MiB"),
            (mib * 1023, "1023 MiB"),
            (mib * 1536, "1.5 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn a_share_takes_two_looks_at_one_instance() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let instance = |id: &str| Instance::Container { id: id.to_owned(), run: "1".to_owned() };
        let service = |id: &str| {
            let state =
                ServiceState::Running { instance: instance(id), since: now, health: crate::model::Health::Unknown };
            service_in(spec_of("web", ""), state, now)
        };
        let usage = |millis| Usage { processor: Duration::from_millis(millis), memory: 1024 * 1024 };
        let mut state = UsageState::default();
        let first = service("a");
        let id = first.id().clone();
        assert_eq!(state.next(&[], now), None, "what is not seen is not asked about");
        assert_eq!(state.next(&[&first], now), Some(now));
        state.take(vec![(id.clone(), instance("a"), usage(100))], now);
        assert_eq!(state.of(&first).unwrap().processor, None);
        assert_eq!(state.next(&[&first], now), Some(now + super::FIRST_PACE));
        state.take(vec![(id.clone(), instance("a"), usage(600))], now + second);
        assert_eq!(state.of(&first).unwrap().processor.as_deref(), Some("50 %"));
        assert_eq!(state.next(&[&first], now), Some(now + second + super::PACE));
        // Another instance has used nothing yet that could be compared.
        assert_eq!(state.of(&service("b")), None);
        state.take(vec![(id, instance("b"), usage(10))], now + second);
        assert_eq!(state.of(&service("b")).unwrap().processor, None);
    }
}
