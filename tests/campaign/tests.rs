//! The tests of this project, as programs that can be run one by one.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Options;

/// A test, and the program that it is in.
pub(crate) struct Test {
    program: String,
    path: String,
}

/// What came of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    /// With the reason.
    Skipped(String),
    /// With what it said.
    Failed(String),
}

/// All of them. Builds what is not built.
pub(crate) fn all() -> Vec<Test> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["test", "--no-run", "--lib", "--test", "it", "--message-format=json"])
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(built.status.success(), "the tests do not build");
    let mut tests = Vec::new();
    for line in String::from_utf8_lossy(&built.stdout).lines() {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let is_test = message["profile"]["test"] == true && message["reason"] == "compiler-artifact";
        let Some(program) = message["executable"].as_str().filter(|_| is_test) else { continue };
        let listed = Command::new(program).args(["--list", "--format", "terse"]).output().expect("a list");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let paths = listed.lines().filter_map(|line| line.strip_suffix(": test"));
        tests.extend(paths.map(|path| Test { program: program.to_owned(), path: path.to_owned() }));
    }
    tests
}

/// The test of this name, `name` or `directory/file::name`.
pub(crate) fn find<'a>(tests: &'a [Test], name: &str) -> Option<&'a Test> {
    let wanted = name.replace('/', "::");
    let (place, function) = wanted.rsplit_once("::").unwrap_or(("", &wanted));
    let is_meant = |test: &&Test| {
        let (module, own) = test.path.rsplit_once("::").unwrap_or(("", &test.path));
        let module = module.trim_end_matches("::tests");
        own == function && (place.is_empty() || module == place || module.ends_with(&format!("::{place}")))
    };
    tests.iter().find(is_meant)
}

impl Test {
    /// Runs it once.
    pub(crate) fn run(&self, variables: &[(&str, String)]) -> (Outcome, Duration) {
        let begun = Instant::now();
        let output = Command::new(&self.program)
            .args(["--exact", &self.path, "--nocapture"])
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .expect("a test runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let outcome = if !output.status.success() || !text.contains("1 passed") {
            Outcome::Failed(text)
        } else if let Some(line) = text.lines().find(|line| line.starts_with("SKIPPED")) {
            Outcome::Skipped(line.to_owned())
        } else {
            Outcome::Passed
        };
        (outcome, begun.elapsed())
    }
}

/// Runs the fuzzing, each target for its share of the time.
pub(crate) fn fuzz(options: &Options) -> bool {
    let tests = all();
    let targets: Vec<&Test> = tests.iter().filter(|test| test.path.starts_with("fuzz::")).collect();
    let share = options.minutes * 60.0 / f64::from(u32::try_from(targets.len().max(1)).unwrap_or(1));
    let variables = [("CAMPAIGN_SECONDS", share.to_string()), ("CAMPAIGN_SEED", options.seed.to_string())];
    let mut is_well = true;
    for test in targets {
        let (outcome, took) = test.run(&variables);
        match outcome {
            Outcome::Failed(text) => {
                is_well = false;
                println!("FAILED  {} after {took:.1?}\n{text}", test.path);
            }
            Outcome::Passed | Outcome::Skipped(_) => println!("passed  {} in {took:.1?}", test.path),
        }
    }
    is_well
}
