//! The campaign of faults, on demand:
//!
//! ```sh
//! cargo test --test campaign -- all [--scale 0.1] [--only A,C18] [--seed N]
//! cargo test --test campaign -- soak [--minutes 10] [--seed N]
//! cargo test --test campaign -- fuzz [--minutes 10] [--seed N]
//! ```
//!
//! `all` runs every test that `tests/faults.toml` names, as often as the list of faults wants it times `--scale`, and prints a table.
//! `soak` breaks things by chance on a platform of services, and looks after every step that nothing is as it must not be. Each says its
//! seed, and does the same again when it is given one. The exit code is 0 when nothing was found.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "it is a test, and prints what it found"
)]

mod cases;
mod mounts;
mod soak;
#[path = "../it/support/mod.rs"]
#[allow(dead_code, reason = "what the tests share is more than what this needs")]
mod support;
mod tests;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

/// What was asked for.
struct Options {
    seed: u64,
    scale: f64,
    minutes: f64,
    only: Vec<String>,
}

impl Options {
    fn parse(words: &[String]) -> Result<Self, String> {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let mut options = Self { seed: now.as_secs(), scale: 1.0, minutes: 10.0, only: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            let wrong = |_| format!("{word}: {value} is no number");
            match word.as_str() {
                "--seed" => options.seed = value.parse().map_err(|_| format!("{word}: {value} is no number"))?,
                "--scale" => options.scale = value.parse().map_err(wrong)?,
                "--minutes" => options.minutes = value.parse().map_err(wrong)?,
                "--only" => options.only = value.split(',').map(str::to_owned).collect(),
                _ => return Err(format!("{word} is not known")),
            }
        }
        Ok(options)
    }

    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0)
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = words.split_first() else {
        println!("a campaign is run on demand: cargo test --test campaign -- all | soak | fuzz");
        return ExitCode::SUCCESS;
    };
    let run: fn(&Options) -> bool = match command.as_str() {
        "all" => cases::run,
        "soak" => soak::run,
        "fuzz" => tests::fuzz,
        // A filter for other tests reaches this too.
        _ => return ExitCode::SUCCESS,
    };
    match Options::parse(rest) {
        Ok(options) => {
            println!("seed {}", options.seed);
            if run(&options) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            println!("{why}");
            ExitCode::from(2)
        }
    }
}
