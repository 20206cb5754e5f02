//! What the product promises of speed and memory, measured on the real executables: `cargo bench`.
//!
//! Times are printed as ratios against a limit: the critical path of the graph, or a minimal supervisor that only forks and executes
//! (`limit`). Absolute times of a shared machine say little. `cargo bench -- console` runs the scenarios whose names hold that word.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    clippy::panic,
    clippy::type_complexity,
    reason = "a measurement that cannot be made ends the run, and what is measured is printed"
)]

mod console;
#[cfg(feature = "docker")]
mod docker;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod limit;
mod logs;
mod platform;
mod reading;
mod starting;
mod supervise;
mod watching;

#[path = "../../it/support/program.rs"]
mod program;

/// One measured figure and what was promised of it.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) bound: Bound,
}

/// What was promised.
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Figure {
    pub(crate) fn at_most(name: impl Into<String>, value: f64, unit: &'static str, bound: f64) -> Self {
        Self { name: name.into(), value, unit, bound: Bound::AtMost(bound) }
    }

    pub(crate) fn at_least(name: impl Into<String>, value: f64, unit: &'static str, bound: f64) -> Self {
        Self { name: name.into(), value, unit, bound: Bound::AtLeast(bound) }
    }

    fn print(&self) {
        let (sign, bound, holds) = match self.bound {
            Bound::AtMost(bound) => ('≤', bound, self.value <= bound),
            Bound::AtLeast(bound) => ('≥', bound, self.value >= bound),
        };
        let verdict = if holds { "ok" } else { "MISSED" };
        println!("{:<64} {:>10.3} {:<14} {sign} {bound:<8} {verdict}", self.name, self.value, self.unit);
    }
}

/// The middle one of several runs of a noisy machine.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How much of the machine is somebody else's, during half a second in which we do nothing: a reader must know.
fn others() -> String {
    let busy_and_idle = || -> (u64, u64) {
        let stat = std::fs::read_to_string("/proc/stat").expect("/proc");
        let line = stat.lines().next().expect("cpu");
        let ticks: Vec<u64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
        let idle = ticks.iter().skip(3).take(2).sum();
        (ticks.iter().take(8).sum::<u64>() - idle, idle)
    };
    let before = busy_and_idle();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let after = busy_and_idle();
    let (busy, idle) = ((after.0 - before.0) as f64, (after.1 - before.1) as f64);
    let n_processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as f64;
    format!("{:.1} of {n_processors}", busy / (busy + idle).max(1.0) * n_processors)
}

fn main() {
    // Cargo hands `--bench` over; the first other word picks scenarios.
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let scenarios: &[(&str, fn() -> Vec<Figure>)] = &[
        ("starting: chain of 50", starting::chain),
        ("starting: layered graph of 200", starting::layered),
        ("starting: 100 independent", starting::hundred),
        ("starting: 500 independent", starting::five_hundred),
        ("watching: restart and shim", watching::shim),
        ("logs: throughput", logs::throughput),
        ("reading: list and once", reading::list_and_once),
        ("console: idle and keys", console::idle_and_keys),
        ("console: 1000 services", console::thousand),
        ("console: a week of history", console::week_of_history),
        ("supervise: 100 services", supervise::hundred),
        ("supervise: killed shims", supervise::flood),
        #[cfg(feature = "docker")]
        ("docker: 20 containers at once", docker::together),
        #[cfg(feature = "docker")]
        ("docker: 200 containers watched", docker::watched),
        #[cfg(feature = "kubernetes")]
        ("kubernetes: 500 Deployments watched", kubernetes::watched),
    ];
    for (name, scenario) in scenarios.iter().filter(|(name, _)| name.contains(&wanted)) {
        println!("── {name} (others keep {} processors busy)", others());
        for figure in scenario() {
            figure.print();
        }
    }
}
