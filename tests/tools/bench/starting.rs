//! Starting graphs, stopping them, and what that costs above the limit.

use std::time::Duration;

use super::platform::{Platform, Service};
use super::{Figure, limit, median};

const RUNS: usize = 5;

/// Starts the platform several times; the median over the critical path.
fn over_critical_path(services: &[Service], critical_path: Duration) -> f64 {
    let platform = Platform::new(services);
    let ratios = (0..RUNS).map(|_| {
        let took = platform.must(&["platform", "start"]);
        platform.must(&["platform", "stop"]);
        took.as_secs_f64() / critical_path.as_secs_f64()
    });
    median(ratios.collect())
}

/// Fifty in a row, each ready 20 ms after its exec.
pub(crate) fn chain() -> Vec<Figure> {
    let services: Vec<Service> = (0..50)
        .map(|index: usize| {
            let needs = index.checked_sub(1).map(|before| format!("s{before:04}")).into_iter().collect();
            Service::new(index, needs, 20)
        })
        .collect();
    let ratio = over_critical_path(&services, Duration::from_millis(50 * 20));
    vec![Figure::at_most("chain of 50, ready after 20 ms: start", ratio, "× crit. path", 1.35)]
}

/// Ten layers of twenty; each service needs two of the layer below.
pub(crate) fn layered() -> Vec<Figure> {
    let services: Vec<Service> = (0..200)
        .map(|index: usize| {
            let needs = match index.checked_sub(20) {
                None => Vec::new(),
                Some(below) => {
                    let layer = below / 20 * 20;
                    vec![format!("s{below:04}"), format!("s{:04}", layer + (below + 7) % 20)]
                }
            };
            Service::new(index, needs, 50)
        })
        .collect();
    let ratio = over_critical_path(&services, Duration::from_millis(10 * 50));
    vec![Figure::at_most("200 in 10 layers, ready after 50 ms: start", ratio, "× crit. path", 2.2)]
}

fn independent(n: usize, bound: f64) -> (Vec<Figure>, Duration) {
    let services: Vec<Service> = (0..n).map(|index| Service::new(index, Vec::new(), 20)).collect();
    let platform = Platform::new(&services);
    let mut stops = Vec::new();
    let ratios = (0..RUNS).map(|_| {
        let limit = limit::start_independent(&services);
        let took = platform.must(&["platform", "start"]);
        stops.push(platform.must(&["platform", "stop"]));
        took.as_secs_f64() / limit.as_secs_f64()
    });
    let ratio = median(ratios.collect());
    let figure = Figure::at_most(format!("{n} independent, ready after 20 ms: start"), ratio, "× limit", bound);
    stops.sort_unstable();
    (vec![figure], stops[stops.len() / 2])
}

/// A hundred at once, and their stop.
pub(crate) fn hundred() -> Vec<Figure> {
    let (mut figures, stop) = independent(100, 4.0);
    figures.push(Figure::at_most("100 independent: stop", stop.as_secs_f64(), "s", 0.3));
    figures
}

/// Five hundred at once.
pub(crate) fn five_hundred() -> Vec<Figure> {
    independent(500, 5.0).0
}
