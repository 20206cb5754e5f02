//! `platform …`: its commands and their arguments.

use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCompleter;

use super::common::{ActArgs, JsonArgs, LogArgs, WaitArgs};
use crate::cli::complete;

/// `platform …`
#[derive(Debug, Subcommand)]
pub enum PlatformCommand {
    /// Start services in dependency order and wait until they are healthy
    #[command(after_help = "\
Without names: every service with auto_start = true, and what it needs.
A service that runs already is left alone, unless --force restarts it.

Examples:
  {program} platform start
  {program} platform start orchestrator control-center
  {program} platform start --dry-run          what would start, in which order, and why
  {program} platform start --force orchestrator")]
    Start(PlatformStartArgs),
    /// Stop services in reverse dependency order
    #[command(after_help = "\
Without names: every running service. With names: refused while a service
outside the list needs one of them, unless --force.

Examples:
  {program} platform stop
  {program} platform stop api-gateway mcp-server
  {program} platform stop --force orchestrator")]
    Stop(PlatformStopArgs),
    /// Restart services
    #[command(after_help = "\
Without names: exactly the services that run now. With names: those; what is
stopped is started, and running services that need them are named and left
running.

Examples:
  {program} platform restart
  {program} platform restart orchestrator")]
    Restart(PlatformRestartArgs),
    /// Show what runs, by category, each asked once for its health
    #[command(after_help = "\
Examples:
  {program} platform status
  {program} platform status --verbose        also why a service is not green
  {program} platform status --json | jq .running")]
    Status(JsonArgs),
    /// Check the health of all running services at once
    #[command(after_help = "\
A check that fails is tried again, up to the service's `retries`, before it
counts. Exits 1 when a running service is unhealthy.

Examples:
  {program} platform health
  {program} platform health --json | jq .summary
  {program} platform health --wait --timeout 60")]
    Health(PlatformHealthArgs),
    /// Print the last lines of a service's log, or of all logs
    #[command(after_help = "\
Without a name: the last lines of every service that has a log, each line
behind its service's name.

Whatever a terminal would obey is taken out. With --raw nothing is: every byte
comes as the log holds it, which is refused on a terminal. Send it to a file or
a program (| cat sends it to this terminal all the same).

Examples:
  {program} platform logs orchestrator
  {program} platform logs orchestrator --lines 200 --follow
  {program} platform logs --follow")]
    Logs(PlatformLogsArgs),
}

/// `platform start`
#[derive(Debug, Args)]
pub struct PlatformStartArgs {
    /// The services
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub services: Vec<String>,
    /// Restart what runs already; the checks are still made
    #[arg(long)]
    pub force: bool,
    /// How it is done and told.
    #[command(flatten)]
    pub act: ActArgs,
}

/// `platform stop`
#[derive(Debug, Args)]
pub struct PlatformStopArgs {
    /// The services
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub services: Vec<String>,
    /// Kill at once (SIGKILL), whatever depends on it
    #[arg(long)]
    pub force: bool,
    /// How it is done and told.
    #[command(flatten)]
    pub act: ActArgs,
}

/// `platform restart`
#[derive(Debug, Args)]
pub struct PlatformRestartArgs {
    /// The services
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub services: Vec<String>,
    /// How it is done and told.
    #[command(flatten)]
    pub act: ActArgs,
}

/// `platform health`
#[derive(Debug, Args)]
pub struct PlatformHealthArgs {
    /// Whether it waits.
    #[command(flatten)]
    pub wait: WaitArgs,
    /// The machine-readable form.
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `platform logs`
#[derive(Debug, Args)]
pub struct PlatformLogsArgs {
    /// The service; every service that has a log when left out
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub service: Option<String>,
    /// What is printed.
    #[command(flatten)]
    pub log: LogArgs,
}
