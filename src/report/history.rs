//! What is remembered of a service's health: `services history`, and the numbers in other reports.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::moment;
use super::text::{pad, percent};
use crate::model::history::{HOUR, Hour, Seen, Sighting, Standing, Turn};
use crate::model::{HealthHistory, ProbeVerdict, Sample, ServiceId, Statistics, Window};

/// Uptime and latency over two windows. A window is whole hours of the wall clock: the one under way and those before it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HealthNumbers {
    /// The hour under way and the 23 before it.
    pub last_24_hours: WindowReport,
    /// The hour under way and the 167 before it.
    pub last_7_days: WindowReport,
}

impl HealthNumbers {
    /// The numbers of a history; `None` when nothing at all is remembered.
    pub fn new(history: &HealthHistory, now: SystemTime) -> Option<Self> {
        history.hours().find(|hour| is_something(hour))?;
        let report = |window| WindowReport::new(&history.statistics(window, now));
        Some(Self { last_24_hours: report(Window::DAY), last_7_days: report(Window::WEEK) })
    }
}

/// Numbers of one window.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WindowReport {
    /// The share of the time of which something is known in which it was up, 0 to 100, never rounded up. Times in which nobody looked, and
    /// times after a stop that was asked for, count for nothing. Null when nothing is known.
    pub uptime_percent: Option<f64>,
    /// For how long it was known to be up: from a passed probe to the next answer; while it ran, where there is no health check.
    pub up_seconds: u64,
    /// For how long it was known to be down: from a failed probe to the next answer; while it did not run although it was wanted.
    pub down_seconds: u64,
    /// Probes that were answered.
    pub probes: u64,
    /// Those of them that failed.
    pub failed_probes: u64,
    /// How often healthy became unhealthy, or unhealthy healthy.
    pub flaps: u32,
    /// How often it was started again without a person asking.
    pub restarts: u32,
    /// The latency that 95 % of the passed probes stay at or below, at most an eighth more than the exact one; null before the first.
    pub p95_ms: Option<f64>,
}

impl WindowReport {
    fn new(numbers: &Statistics) -> Self {
        Self {
            // Three digits behind the point tell a second of a day.
            uptime_percent: numbers.uptime().map(|share| (share * 100_000.0).floor() / 1000.0),
            up_seconds: numbers.up.as_secs(),
            down_seconds: numbers.down.as_secs(),
            probes: numbers.n_passed + numbers.n_failed,
            failed_probes: numbers.n_failed,
            flaps: numbers.n_flaps,
            restarts: numbers.n_restarts,
            p95_ms: numbers.p95.map(millis),
        }
    }
}

fn millis(latency: Duration) -> f64 {
    latency.as_micros() as f64 / 1000.0
}

/// `services history SERVICE --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HistoryReport {
    /// Its name.
    pub service: String,
    /// The numbers of the time that was asked for, in whole hours.
    pub total: WindowReport,
    /// The hours of which something is known, oldest first.
    pub hours: Vec<HourReport>,
    /// Every single sample of that time, oldest first, up to 8,640; empty without `--samples`.
    pub samples: Vec<SampleReport>,
}

/// One hour.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HourReport {
    /// When it begins: RFC 3339, UTC.
    pub from: String,
    /// What it says.
    pub numbers: WindowReport,
    #[serde(skip)]
    start: SystemTime,
}

/// One sample.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SampleReport {
    /// When: RFC 3339, UTC.
    pub at: String,
    /// `passed` or `failed` for a probe; `started`, `restarted`, `running` (without a health check), `down` (although it is wanted) or `idle`
    /// (nothing is expected of it, or it cannot be seen) for how the service stands.
    pub what: &'static str,
    /// How long the probe took; null for what is no probe.
    pub took_ms: Option<f64>,
    /// Whether this probe made a healthy service unhealthy, or an unhealthy one healthy.
    pub flap: bool,
    /// Whether it was found so by somebody who began to look, and may have been so before.
    pub found: bool,
    #[serde(skip)]
    moment: SystemTime,
}

impl SampleReport {
    fn new(sample: &Sample) -> Self {
        let report = |what, took_ms, flap, found| Self {
            at: moment::utc(sample.at),
            what,
            took_ms,
            flap,
            found,
            moment: sample.at,
        };
        match sample.seen {
            Seen::Answer { verdict, took, turn } => {
                let what = if verdict == ProbeVerdict::Passed { "passed" } else { "failed" };
                report(what, Some(millis(took)), turn == Turn::Turned, false)
            }
            Seen::State { standing, sighting } => {
                let what = match standing {
                    Standing::Started => "started",
                    Standing::Restarted => "restarted",
                    Standing::Running => "running",
                    Standing::Down => "down",
                    Standing::Idle => "idle",
                };
                report(what, None, false, sighting == Sighting::Found)
            }
        }
    }

    /// `2025-10-06 14:30:00  passed     15 ms`, in local time.
    fn line(&self) -> String {
        let took = self.took_ms.map(|took| format!("{took:.1} ms")).unwrap_or_default();
        let turn = match (self.flap, self.what) {
            (true, "passed") => "  healthy again",
            (true, _) => "  unhealthy from here on",
            (false, _) if self.found => "  found so",
            (false, _) => "",
        };
        let line = format!("  {}  {}{took:>10}{turn}", moment::local(self.moment), pad(self.what, 9));
        format!("{}\n", line.trim_end())
    }
}

impl HistoryReport {
    /// The report of the hours of a window, and of `samples` within it.
    pub fn new(
        service: &ServiceId,
        history: &HealthHistory,
        samples: &[Sample],
        window: Window,
        now: SystemTime,
    ) -> Self {
        let hours = history.hours().filter(|hour| window.contains(hour.number, now) && is_something(hour));
        let is_within = |sample: &&Sample| window.contains(crate::model::history::hour_of(sample.at), now);
        Self {
            service: service.to_string(),
            total: WindowReport::new(&history.statistics(window, now)),
            hours: hours
                .map(|hour| HourReport {
                    from: moment::utc(hour.start()),
                    numbers: WindowReport::new(&Statistics::of([hour])),
                    start: hour.start(),
                })
                .collect(),
            samples: samples.iter().filter(is_within).map(SampleReport::new).collect(),
        }
    }

    /// For people: the total, then one line an hour or a sample.
    pub fn text(&self, window: Window) -> String {
        let n_hours = window.n_hours();
        let mut text = format!("Service: {}\n", self.service);
        let of = match n_hours {
            1 => "this hour".to_owned(),
            n if n % 24 == 0 && n > 24 => format!("the last {} days", n / 24),
            n => format!("the last {n} hours"),
        };
        if self.hours.is_empty() {
            let _ = writeln!(text, "Nothing is remembered of {of}");
            text.push_str("\nThe history is kept while a console or `supervise` leads\n");
            return text;
        }
        let _ = writeln!(text, "Uptime: {} of {of}{}", uptime(&self.total), watched(&self.total, n_hours));
        if let Some(p95) = self.total.p95_ms {
            let _ = writeln!(text, "Latency: {p95:.1} ms (95 % of the passed probes)");
        }
        let WindowReport { probes, failed_probes, flaps, restarts, .. } = self.total;
        let _ = writeln!(text, "Probes: {probes}, {failed_probes} failed");
        let _ = writeln!(text, "Flaps: {flaps}\nRestarts: {restarts}\n");
        if self.samples.is_empty() {
            text.push_str("  Hour                 Uptime   Known        p95     Failed  Flaps  Restarts\n");
            for hour in &self.hours {
                text.push_str(&hour.line());
            }
        } else {
            self.samples.iter().for_each(|sample| text.push_str(&sample.line()));
        }
        text
    }
}

impl HourReport {
    fn line(&self) -> String {
        let numbers = &self.numbers;
        let known = Duration::from_secs(numbers.up_seconds + numbers.down_seconds);
        let p95 = numbers.p95_ms.map_or("–".to_owned(), |p95| format!("{p95:.1} ms"));
        let failed = format!("{}/{}", numbers.failed_probes, numbers.probes);
        let (uptime, known) = (uptime(numbers), short(known));
        let start = moment::local(self.start);
        let start = start.get(..16).unwrap_or(&start);
        let (flaps, restarts) = (numbers.flaps, numbers.restarts);
        format!("  {start}  {uptime:>9}  {known:>6} {p95:>10} {failed:>10}  {flaps:>5}  {restarts:>8}\n")
    }
}

fn uptime(numbers: &WindowReport) -> String {
    numbers.uptime_percent.map_or("unknown".to_owned(), |share| percent(share / 100.0))
}

/// Whether an hour says anything: hours in which nothing was expected do not.
fn is_something(hour: &Hour) -> bool {
    !hour.observed().is_zero() || hour.n_failed > 0 || hour.latencies.count() > 0 || hour.n_restarts > 0
}

/// Says of how much of the window something is known, where that is not nearly all of it.
fn watched(numbers: &WindowReport, n_hours: u32) -> String {
    let known = Duration::from_secs(numbers.up_seconds + numbers.down_seconds);
    if known >= HOUR * n_hours / 10 * 9 { String::new() } else { format!(", of which {} are known", short(known)) }
}

/// `0s`, `42s`, `59m`, `23h 10m`.
fn short(length: Duration) -> String {
    match length.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds if seconds % 3600 < 60 => format!("{}h", seconds / 3600),
        seconds => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// The numbers in one line, for `services status --verbose`: `24 h 99.8 %, p95 15.2 ms, 2 flaps; 7 d 99.9 %`.
pub(super) fn numbers_line(numbers: &HealthNumbers) -> String {
    let words = |label: &str, numbers: &WindowReport| {
        let mut words = vec![format!("{label} {}", uptime(numbers))];
        words.extend(numbers.p95_ms.map(|p95| format!("p95 {p95:.1} ms")));
        words.extend((numbers.flaps > 0).then(|| format!("{} flaps", numbers.flaps)));
        words.extend((numbers.restarts > 0).then(|| format!("{} restarts", numbers.restarts)));
        words.join(", ")
    };
    format!("{}; {}", words("24 h", &numbers.last_24_hours), words("7 d", &numbers.last_7_days))
}
