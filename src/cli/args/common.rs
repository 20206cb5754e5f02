//! Arguments that several commands share.

use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use crate::cli::complete;

/// The machine-readable form.
#[derive(Debug, Clone, Copy, Args)]
pub struct JsonArgs {
    /// Print one JSON object with stable field names
    #[arg(long)]
    pub json: bool,
}

/// How an acting command is done and told.
#[derive(Debug, Clone, Copy, Args)]
pub struct ActArgs {
    /// Print what would happen, in which order and why, and do nothing
    #[arg(long, visible_alias = "plan")]
    pub dry_run: bool,
    /// Give up waiting after so many seconds; what was begun goes on
    #[arg(long, value_name = "SECONDS", value_parser = seconds())]
    pub timeout: Option<u64>,
    /// Print one JSON object with stable field names
    #[arg(long)]
    pub json: bool,
}

/// Whether a question about health is asked until the answer is good.
#[derive(Debug, Clone, Copy, Args)]
pub struct WaitArgs {
    /// Ask again, once a second, until the answer is good
    #[arg(long)]
    pub wait: bool,
    /// How long to ask, in seconds; the longest `start_timeout` of those concerned when left out
    #[arg(long, value_name = "SECONDS", requires = "wait", value_parser = seconds())]
    pub timeout: Option<u64>,
}

/// A whole number of seconds that a timer can take: up to a year.
fn seconds() -> impl clap::builder::TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(1..=31_536_000)
}

/// What `logs` prints.
#[derive(Debug, Clone, Copy, Args)]
pub struct LogArgs {
    /// How many of the last lines
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub lines: usize,
    /// Go on with what comes, across restarts and rotations, until Ctrl+C
    #[arg(long, short)]
    pub follow: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Print the service's bytes as they are, not to a terminal, which would obey some of them
    #[arg(long, conflicts_with = "json")]
    pub raw: bool,
}

/// `events`
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Only what happened to this service
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub service: Option<String>,
    /// How many of the newest entries
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub lines: usize,
    /// Go on with what comes, until Ctrl+C
    #[arg(long, short)]
    pub follow: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}
