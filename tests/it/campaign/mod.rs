//! The campaign of faults: what breaks, and what has to come of it. `tests/faults.toml` says which test shows which case.

mod a_crash;
mod b_children;
mod c_identity;
mod d_escapes;
mod d_logs;
mod e_state;
mod f_config;
mod g_probes;
mod i_terminal;
mod j_secrets;

/// What every startup section needs to be started again.
const RESTARTS: &str = "auto_start = true\nrestart_on_failure = true\n";

fn startup(name: &str, more: &str) -> String {
    format!("[services.{name}.startup]\n{more}")
}

/// A number of bytes that `/proc` tells of a process: `VmRSS`, `VmHWM`.
fn memory(pid: u32, key: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("no {key}: {status}"));
    let number: u64 = line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap();
    number * 1024
}
