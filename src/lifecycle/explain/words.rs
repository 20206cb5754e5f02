//! Lengths of time and foreign text, as a sentence says them.

use std::time::{Duration, Instant};

/// With one unit, rounded down: `0 s`, `59 s`, `2 min`, `3 h`, `4 d`.
pub(super) fn span(length: Duration) -> String {
    unit(length.as_secs())
}

/// As [`span`], rounded up, for what is still to come.
pub(super) fn span_up(length: Duration) -> String {
    unit(length.as_secs() + u64::from(length.subsec_nanos() > 0))
}

fn unit(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// `3 s ago`, or `just now`.
pub(super) fn ago(length: Duration) -> String {
    if length.as_secs() == 0 { "just now".to_owned() } else { format!("{} ago", span(length)) }
}

/// `in 4 s`, or `now`.
pub(super) fn in_time(at: Instant, now: Instant) -> String {
    match at.checked_duration_since(now) {
        Some(left) if !left.is_zero() => format!("in {}", span_up(left)),
        Some(_) | None => "now".to_owned(),
    }
}

/// Text from outside on one line and harmless to a terminal: control characters become spaces, runs of them one.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_control() {
            out.push(c);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out.truncate(out.trim_end().len());
    out
}
