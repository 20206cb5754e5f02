//! The timeline as it is read: one entry from one line.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

/// One entry of `state/events.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEntry {
    /// When, by the wall clock of whoever wrote it.
    pub at: SystemTime,
    /// To whom.
    pub service: String,
    /// Who caused it: `console`, `command`, `recovery` or `outside`.
    pub actor: String,
    /// What, as a sentence says it after the service's name.
    pub what: String,
}

#[derive(Deserialize)]
struct Written {
    at_ms: u64,
    service: String,
    actor: String,
    what: String,
}

impl TimelineEntry {
    /// Reads a line without its end. `None` for what no version of ours wrote, or only half of: it is passed over, since a timeline that
    /// one bad line makes unreadable helps nobody. Fields that a later version adds are ignored.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let Written { at_ms, service, actor, what } = serde_json::from_slice(line).ok()?;
        let at = UNIX_EPOCH.checked_add(Duration::from_millis(at_ms))?;
        Some(Self { at, service, actor, what })
    }
}

#[cfg(test)]
mod tests {
    use super::TimelineEntry;
    use crate::model::{Actor, Event, Happening, ServiceId};
    use crate::store::{Layout, Timeline, directory};
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn what_was_written_is_read_back() {
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::new(home.path().join("services"));
        directory::prepare(&layout).unwrap();
        let at = UNIX_EPOCH + Duration::from_millis(1_759_753_800_007);
        let what = Happening::StartFailed { reason: "\u{1b}[2J \"quoted\"\nline".to_owned() };
        let event = Event { at, service: ServiceId::new("a").unwrap(), what: what.clone(), actor: Actor::Recovery };
        Timeline::new(&layout).append(&event).unwrap();
        let text = std::fs::read_to_string(layout.events()).unwrap();
        let entry = TimelineEntry::parse(text.trim_end().as_bytes()).unwrap();
        let expected = TimelineEntry { at, service: "a".into(), actor: "recovery".into(), what: what.to_string() };
        assert_eq!(entry, expected);
    }

    #[test]
    fn what_cannot_be_read_is_passed_over_and_never_a_panic() {
        for line in [
            "",
            "{",
            "null",
            "{\"at_ms\":1}",
            "\u{0}",
            "{\"at_ms\":-1,\"service\":\"a\",\"actor\":\"b\",\"what\":\"c\"}",
        ] {
            assert_eq!(TimelineEntry::parse(line.as_bytes()), None, "{line:?}");
        }
        let far = br#"{"at_ms":18446744073709551615,"service":"a","actor":"b","what":"c","later":true}"#;
        // Whether the calendar reaches so far is the system's matter; that nothing breaks is ours.
        let _ = TimelineEntry::parse(far);
    }
}
