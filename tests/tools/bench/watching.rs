//! What a supervised service costs while nothing happens, and how soon it is back when it dies.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::platform::{Platform, Service};
use super::{Figure, median};

/// A run that counts as stable, with a second to spare: `lifecycle::backoff::STABLE_RUN`.
const STABLE: Duration = Duration::from_secs(11);

/// How long quietness is watched.
const QUIET: Duration = Duration::from_secs(5);

/// Ten services: memory and wake-ups of their shims, and the time from a death to the next process.
pub(crate) fn shim() -> Vec<Figure> {
    let services: Vec<Service> = (0..10).map(|index| Service::new(index, Vec::new(), 0)).collect();
    let platform = Platform::new(&services);
    platform.must(&["platform", "start"]);
    std::thread::sleep(STABLE);
    let shims: Vec<u32> =
        services.iter().filter_map(|service| parent(platform.pid(&service.name).expect("a PID"))).collect();
    let memory = median(shims.iter().map(|pid| private_kib(*pid)).collect());
    let before: u64 = shims.iter().map(|pid| wake_ups(*pid)).sum();
    std::thread::sleep(QUIET);
    let after: u64 = shims.iter().map(|pid| wake_ups(*pid)).sum();
    let restarts = services.iter().map(|service| restart(&platform, &service.name).as_secs_f64() * 1e3);
    let restart = median(restarts.collect());
    vec![
        Figure::at_most("shim: private memory", memory, "KiB", 250.0),
        Figure::at_most("10 shims, quiet for 5 s: wake-ups", (after - before) as f64, "", 0.0),
        Figure::at_most("stable service killed: until its next process", restart, "ms", 10.0),
    ]
}

/// From the kill of a service to its next process. The PID file is only looked at, so the look itself is part of the time.
fn restart(platform: &Platform, name: &str) -> Duration {
    let old = platform.pid(name).expect("a PID");
    let pid = Pid::from_raw(i32::try_from(old).expect("a PID")).expect("a PID");
    let began = Instant::now();
    kill_process(pid, Signal::KILL).expect("kill");
    while platform.pid(name).is_none_or(|new| new == old) {
        assert!(began.elapsed() < Duration::from_secs(5), "{name} was not restarted");
        std::hint::spin_loop();
    }
    began.elapsed()
}

fn status(pid: u32, file: &str, key: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).expect("a living process");
    let line = text.lines().find(|line| line.starts_with(key)).expect("the key");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

pub(crate) fn parent(pid: u32) -> Option<u32> {
    u32::try_from(status(pid, "status", "PPid:")).ok()
}

/// Dirty and clean pages that nobody shares.
pub(crate) fn private_kib(pid: u32) -> f64 {
    let of = |key| status(pid, "smaps_rollup", key);
    (of("Private_Dirty:") + of("Private_Clean:")) as f64
}

/// Its share of the memory that several processes use.
pub(crate) fn shared_fairly_kib(pid: u32) -> f64 {
    status(pid, "smaps_rollup", "Pss:") as f64
}

pub(crate) fn wake_ups(pid: u32) -> u64 {
    status(pid, "status", "voluntary_ctxt_switches:")
}
