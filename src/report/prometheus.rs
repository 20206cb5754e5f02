//! The board in the Prometheus text exposition format 0.0.4, for a node exporter's text file collector.
//!
//! Names and labels are stable as those of the JSON are. One family at a time, each with its HELP and TYPE, as the format demands.

use std::fmt::Write as _;
use std::time::Instant;

use super::row::Row;
use crate::engine::handle::Checked;
use crate::model::{Health, Intent, ProbeOutcome, Registry, StateKind};

/// Writes one family.
struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl<'a> Family<'a> {
    fn gauge(text: &'a mut String, name: &'static str, help: &str) -> Self {
        let _ =
            writeln!(text, "# HELP {name} {}\n# TYPE {name} gauge", help.replace('\\', "\\\\").replace('\n', "\\n"));
        Self { text, name }
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "{}{labels} {value}", self.name);
    }
}

/// A label's value: backslash, quote and line feed are the only characters with a meaning.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn number(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

/// The metrics of all rows.
pub fn prometheus(rows: &[Row<'_>], registry: &Registry, now: Instant) -> String {
    let mut text = String::new();
    let mut all = |name, help: &str, value: usize| {
        Family::gauge(&mut text, name, help).sample(&[], value as f64);
    };
    all("provisioning_services_registered", "Services that the registry names and that can be used.", rows.len());
    let n_running = rows.iter().filter(|row| row.status() == StateKind::Running).count();
    all("provisioning_services_running", "Services that run.", n_running);
    all("provisioning_services_set_aside", "Services of the registry that cannot be used.", registry.set_aside.len());

    let mut each = |name, help: &str, value: &dyn Fn(&Row<'_>) -> Option<f64>| {
        let mut family = Family::gauge(&mut text, name, help);
        for row in rows {
            if let Some(value) = value(row) {
                family.sample(&[("service", row.name())], value);
            }
        }
    };
    each("provisioning_service_up", "Whether the service runs.", &|row| {
        Some(number(row.status() == StateKind::Running))
    });
    each("provisioning_service_wanted", "Whether the service was asked to run and not asked to stop since.", &|row| {
        Some(number(row.service.intent == Some(Intent::Up)))
    });
    each(
        "provisioning_service_healthy",
        "Whether the health check made for this report passed; absent where none was made.",
        &|row| match row.health() {
            Health::Healthy => Some(1.0),
            Health::Unhealthy => Some(0.0),
            Health::Unknown => None,
        },
    );
    each("provisioning_service_check_duration_seconds", "How long that health check took.", &|row| match row.checked {
        Some(Checked::Probed(ProbeOutcome::Answered(report))) => Some(report.took.as_secs_f64()),
        _ => None,
    });
    each(
        "provisioning_service_uptime_seconds",
        "For how long the service has run; absent where it does not.",
        &|row| row.uptime(now).map(|uptime| uptime.as_secs_f64()),
    );
    each(
        "provisioning_service_restarts",
        "How often the service was restarted by itself since somebody last started it.",
        &|row| Some(f64::from(row.service.restarts)),
    );
    let day = |row: &Row<'_>| row.numbers().map(|numbers| numbers.last_24_hours);
    each(
        "provisioning_service_uptime_ratio_24h",
        "The share of the last 24 hours' known time in which the service was up, 0 to 1; absent where nothing is known.",
        &|row| day(row)?.uptime_percent.map(|percent| percent / 100.0),
    );
    each(
        "provisioning_service_check_duration_p95_seconds_24h",
        "What 95 % of the passed health checks of the last 24 hours took at most; absent where there was none.",
        &|row| day(row)?.p95_ms.map(|millis| millis / 1000.0),
    );
    each(
        "provisioning_service_flaps_24h",
        "How often the service went from healthy to unhealthy or back in the last 24 hours; absent where nothing is known.",
        &|row| Some(f64::from(day(row)?.flaps)),
    );
    let mut info =
        Family::gauge(&mut text, "provisioning_service_info", "What the registry says of the service; always 1.");
    for row in rows {
        let spec = &row.service.spec;
        let labels = [
            ("service", row.name()),
            ("type", spec.kind.as_str()),
            ("category", spec.category.as_str()),
            ("deployment_mode", spec.deployment.mode().as_str()),
            ("status", &row.status().to_string()),
        ];
        info.sample(&labels, 1.0);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn a_label_cannot_leave_its_quotes() {
        assert_eq!(escape("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
