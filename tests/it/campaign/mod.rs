//! The campaign of faults: what breaks, and what has to come of it. `tests/faults.toml` says which test shows which case.

mod a_crash;

/// What every startup section needs to be started again.
const RESTARTS: &str = "auto_start = true\nrestart_on_failure = true\n";

fn startup(name: &str, more: &str) -> String {
    format!("[services.{name}.startup]\n{more}")
}
