//! What the tests of faults share: how often, with which chance, and in which world of their own.
//!
//! `cargo test` runs each once or a few times; `cargo test --test campaign -- all` runs them as often as `tests/faults.toml` says, and
//! tells them so by the environment.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::dice::Dice;

/// The seed of a campaign.
const SEED: &str = "CAMPAIGN_SEED";

/// How many of the demanded rounds a campaign runs: 1 for all of them.
const SCALE: &str = "CAMPAIGN_SCALE";

/// How long a campaign lets an open-ended test run, in seconds.
const SECONDS: &str = "CAMPAIGN_SECONDS";

/// Set for a test that runs in a world of its own.
const INSIDE: &str = "CAMPAIGN_INSIDE";

/// Chance, from the campaign's seed; the same one in every run where there is none.
pub(crate) fn dice() -> Dice {
    Dice::new(std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or(1))
}

/// How many rounds: `few` in every `cargo test`, and `all` in a campaign.
pub(crate) fn rounds(few: u64, all: u64) -> u64 {
    match std::env::var(SCALE).ok().and_then(|scale| scale.parse::<f64>().ok()) {
        None => few,
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a count"
        )]
        Some(scale) => ((all as f64 * scale) as u64).max(few),
    }
}

/// Says loudly that a test did not run, and why.
pub(crate) fn skipped(test: &str, why: &str) {
    // Not by `eprintln`, which the test harness keeps to itself.
    writeln!(std::io::stderr(), "SKIPPED, {why}: {test}").expect("stderr");
}

/// Where the machine lets us make namespaces of our own: root in them, without being root outside.
pub(crate) fn has_namespaces() -> bool {
    let mut unshare = Command::new("unshare");
    unshare.args(["-Urpfm", "--mount-proc", "--kill-child", "true"]).stdin(Stdio::null()).stdout(Stdio::null());
    unshare.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Runs the rest of a test in namespaces of its own: users, processes, mounts. Everything in them ends with them.
///
/// `here` is [`crate::own_path`] of the test. The test's process runs itself again, inside.
pub(crate) fn in_own_world(here: &str, body: impl FnOnce()) {
    let test = here.split_once("::").expect("a path").1;
    if std::env::var_os(INSIDE).is_some_and(|inside| inside == *test) {
        return body();
    }
    if !has_namespaces() {
        return skipped(test, "no namespaces of one's own here (unshare -Urpfm)");
    }
    let output = Command::new("unshare")
        .args(["-Urpfm", "--mount-proc", "--kill-child"])
        // A shell as the first process waits for whatever loses its parent; the test would not.
        .args(["sh", "-c", "\"$0\" \"$@\"; exit $?"])
        .arg(std::env::current_exe().expect("own path"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, test)
        .stdin(Stdio::null())
        .output()
        .expect("unshare");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "inside: {text}");
    for line in text.lines().filter(|line| line.starts_with("SKIPPED")) {
        writeln!(std::io::stderr(), "{line}").expect("stderr");
    }
}

/// The path of the function that this stands in.
#[macro_export]
macro_rules! own_path {
    () => {{
        fn here() {}
        std::any::type_name_of_val(&here).trim_end_matches("::here").trim_end_matches("::{{closure}}")
    }};
}

/// How long an open-ended test runs, in seconds: `few` in every `cargo test`, and what a campaign says.
pub(crate) fn seconds(few: f64) -> f64 {
    std::env::var(SECONDS).ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(few)
}
