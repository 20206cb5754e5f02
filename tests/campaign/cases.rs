//! Every case of `tests/faults.toml`, as often as it is wanted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::Options;
use crate::tests::{Outcome, all, find};

/// What came of a test that several cases may name.
#[derive(Clone)]
struct Result {
    outcome: Outcome,
    took: Duration,
    n_runs: u64,
    seed: u64,
}

/// Runs them and prints the table. Whether none failed.
pub(crate) fn run(options: &Options) -> bool {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults.toml")).expect("the list");
    let table: toml::Table = text.parse().expect("the list is TOML");
    let tests = all();
    let mut keys: Vec<&String> = table.keys().filter(|key| is_wanted(key, &options.only)).collect();
    keys.sort_by_key(|key| (key.starts_with('S'), key[1..].parse::<u32>().unwrap_or(0)));
    let mut done: BTreeMap<String, Result> = BTreeMap::new();
    let mut failures = Vec::new();
    let (mut n_passed, mut n_skipped) = (0, 0);
    println!("{:<5} {:<8} {:>5} {:>9}  {:<12} test", "case", "result", "runs", "time", "seed");
    for key in keys {
        let entry = &table[key];
        if let Some(reason) = entry.get("not").and_then(toml::Value::as_str) {
            n_skipped += 1;
            println!("{key:<5} {:<8} {:>5} {:>9}  {:<12} {reason}", "skipped", "-", "-", "-");
            continue;
        }
        let repeat = entry.get("repeat").and_then(toml::Value::as_integer).unwrap_or(1);
        for name in entry["by"].as_array().expect("names").iter().filter_map(toml::Value::as_str) {
            let result = match done.get(name) {
                Some(result) => result.clone(),
                None => {
                    let result = several(options, &tests, name, repeat);
                    done.insert(name.to_owned(), result.clone());
                    result
                }
            };
            let word = match &result.outcome {
                Outcome::Passed => {
                    n_passed += 1;
                    "passed".to_owned()
                }
                Outcome::Skipped(_) => {
                    n_skipped += 1;
                    "skipped".to_owned()
                }
                Outcome::Failed(text) => {
                    failures.push(format!("{key} {name}, seed {}:\n{text}", result.seed));
                    "FAILED".to_owned()
                }
            };
            let took = format!("{:.1?}", result.took);
            println!("{key:<5} {word:<8} {:>5} {took:>9}  {:<12} {name}", result.n_runs, result.seed);
            if let Outcome::Skipped(why) = &result.outcome {
                println!("{:<5} {why}", "");
            }
        }
        if let Some(gap) = entry.get("gap").and_then(toml::Value::as_str) {
            println!("{key:<5} {:<8} {:>5} {:>9}  {:<12} {gap}", "not seen", "-", "-", "-");
        }
    }
    for failure in &failures {
        println!("\n{failure}");
    }
    println!("\n{n_passed} passed, {n_skipped} skipped, {} failed; seed {}", failures.len(), options.seed);
    failures.is_empty()
}

/// `A` means all of its group, `A1` that case.
fn is_wanted(key: &str, only: &[String]) -> bool {
    only.is_empty() || only.iter().any(|wanted| key == wanted || wanted.len() == 1 && key.starts_with(wanted.as_str()))
}

/// Runs a test as often as is wanted, or until it fails, each time with another seed that follows from the first.
fn several(options: &Options, tests: &[crate::tests::Test], name: &str, repeat: i64) -> Result {
    let begun = Instant::now();
    let mut result = Result { outcome: Outcome::Passed, took: Duration::ZERO, n_runs: 0, seed: options.seed };
    let Some(test) = find(tests, name) else {
        result.outcome = Outcome::Failed("there is no such test".to_owned());
        return result;
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a count")]
    let n_wanted = (repeat as f64 * options.scale).max(1.0) as u64;
    while result.n_runs < n_wanted && result.outcome == Outcome::Passed {
        result.seed = options.seed.wrapping_add(result.n_runs);
        let variables = [("CAMPAIGN_SEED", result.seed.to_string()), ("CAMPAIGN_SCALE", options.scale.to_string())];
        result.outcome = test.run(&variables).0;
        result.n_runs += 1;
    }
    result.took = begun.elapsed();
    result
}
