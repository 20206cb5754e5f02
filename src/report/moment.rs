//! Moments of the wall clock, as people and as scripts read them.

use std::time::SystemTime;

use jiff::{Timestamp, tz::TimeZone};

/// `2025-10-06 14:30:00`, in the time zone of the reader (A61). A moment that no calendar has is shown as the calendar's first.
pub(super) fn local(at: SystemTime) -> String {
    timestamp(at).to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// RFC 3339 with milliseconds, in UTC: `2025-10-06T12:30:00.000Z`.
pub(super) fn utc(at: SystemTime) -> String {
    format!("{:.3}", timestamp(at))
}

fn timestamp(at: SystemTime) -> Timestamp {
    Timestamp::try_from(at).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::utc;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn a_moment_for_scripts_has_milliseconds_and_its_zone() {
        assert_eq!(utc(UNIX_EPOCH + Duration::from_millis(1_759_753_800_007)), "2025-10-06T12:30:00.007Z");
    }
}
