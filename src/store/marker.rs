//! The lines that the shim itself writes into a service's log: one at each start, one where bytes were dropped (A35). Std only.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How every such line begins and ends. A service may print the same; then the viewer draws one separator too many.
const FENCE: &str = "---";

/// The line at a start, with its end: `--- gitea started, PID 4711, 2026-01-02T03:04:05Z ---`.
pub fn started(service: &str, pid: u32, at: SystemTime) -> String {
    format!("{FENCE} {service} started, PID {pid}, {} {FENCE}\n", utc(at))
}

/// The line where a full disk made us drop bytes, with its end.
pub fn dropped(n_bytes: u64, at: SystemTime) -> String {
    format!("{FENCE} {n_bytes} bytes dropped, the disk was full, {} {FENCE}\n", utc(at))
}

/// Whether a line (without its end) is one that a start left.
pub fn is_start(line: &[u8]) -> bool {
    let Some(inner) = line.strip_prefix(b"--- ").and_then(|rest| rest.strip_suffix(b" ---")) else { return false };
    let Some(at) = inner.windows(14).position(|window| window == b" started, PID ") else { return false };
    inner.get(at + 14).is_some_and(u8::is_ascii_digit)
}

/// A moment as RFC 3339 writes it, in UTC, to the second.
pub fn utc(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to a civil date, counted in eras of 400 years that begin on 1 March (H. Hinnant, "chrono-compatible low-level date
    // algorithms", civil_from_days).
    let shifted = days + 719_468;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + shifted / 146_097 * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::{is_start, started, utc};
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn moments_are_written_as_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_323_045, "2026-01-02T03:04:05Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_start_is_recognised_and_other_lines_are_not() {
        let line = started("gitea", 4711, UNIX_EPOCH);
        assert!(is_start(line.trim_end().as_bytes()), "{line}");
        assert!(!is_start(b"--- 12 bytes dropped ---") && !is_start(b"gitea started, PID 4711") && !is_start(b""));
    }
}
