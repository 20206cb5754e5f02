//! The command tree (B6): names, arguments and flags, with help worth reading. `{program}` stands for the name the program was called by.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::model::Category;

/// One console and one command for all services of the platform.
///
/// See, start, stop and understand the services of a registry file, each after the services it needs. Without arguments the
/// console opens. Services outlive this program: closing it stops nothing.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
Examples:
  {program}                                   open the console
  {program} platform status                   what runs, at a glance
  {program} platform start                    start every auto-start service
  {program} services start control-center     start one, with what it needs
  {program} services logs orchestrator --follow
  {program} --once --format json              the board for a script

Exit codes:
  0  done, or healthy
  1  what was asked for failed, was refused, or is unhealthy
  2  usage or configuration error; nothing was begun
  130  interrupted with Ctrl+C; what was started keeps running

Registry: --config FILE, else provisioning/config/services.toml or
config/services.toml here or above, else ~/.provisioning/config/services.toml,
else the built-in seven services."
)]
pub struct Cli {
    /// Flags that every command takes.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// Flags of the console.
    #[command(flatten)]
    pub console: ConsoleArgs,
    /// The command; without one, the console.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags that every command takes, before or after its name.
#[derive(Debug, Clone, Args)]
pub struct GlobalArgs {
    /// Use this registry file
    #[arg(long, value_name = "FILE", global = true, help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// Whether icons are plain ASCII.
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        help = "Draw icons as plain ASCII: [up] [--] [..] [!!] [ok] [??]"
    )]
    pub ascii: bool,
    /// Say more: why a service is not green, what dependencies do
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub verbose: bool,
}

/// Flags of the console.
#[derive(Debug, Clone, Args)]
pub struct ConsoleArgs {
    /// Print the board once and exit: 0 when all that is wanted up is healthy, else 1
    #[arg(long)]
    pub once: bool,
    /// How --once prints the board
    #[arg(long, value_enum, value_name = "FORMAT", requires = "once")]
    pub format: Option<BoardFormat>,
    /// Open the console on seven stand-in services in a temporary home; leaves nothing behind
    #[arg(long, conflicts_with_all = ["once", "config"])]
    pub demo: bool,
}

/// How `--once` prints the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum BoardFormat {
    /// As `platform status`
    #[default]
    Text,
    /// Aligned columns
    Table,
    /// One JSON object
    Json,
}

/// The command groups, and what concerns everything.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// All services as one system
    #[command(subcommand, arg_required_else_help = true)]
    Platform(PlatformCommand),
    /// One service at a time
    #[command(subcommand, arg_required_else_help = true)]
    Services(ServicesCommand),
    /// Find everything that would keep a service from starting or surviving
    #[command(after_help = "\
Looks at the machine (disk, limits, logout, clock, engines) and at every service
(program, directories, ports, conflicts, dependencies), starts nothing, and says
what to do about each finding. Exits 1 when something would fail.

Examples:
  {program} doctor
  {program} doctor --json | jq '.services[] | select(.findings != [])'")]
    Doctor(JsonArgs),
}

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
    Restart(NamesArgs),
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
  {program} platform health --json | jq .summary")]
    Health(JsonArgs),
    /// Print the last lines of a service's log, or of all logs
    #[command(after_help = "\
Without a name: the last lines of every service that has a log, each line
behind its service's name.

Examples:
  {program} platform logs orchestrator
  {program} platform logs orchestrator --lines 200 --follow
  {program} platform logs --follow")]
    Logs(PlatformLogsArgs),
}

/// `services …`
#[derive(Debug, Subcommand)]
pub enum ServicesCommand {
    /// List the registered services
    #[command(after_help = "\
Examples:
  {program} services list
  {program} services list --running
  {program} services list --category orchestration")]
    List(ListArgs),
    /// Show one service in full, and what has to be put right
    #[command(after_help = "\
Examples:
  {program} services status orchestrator
  {program} services status orchestrator --json | jq .service.pid")]
    Status(ServiceArgs),
    /// Start a service: checks first, then what it needs, then itself
    #[command(after_help = "\
Returns when the service is healthy, or when it is clear that it will not be.

Examples:
  {program} services start control-center
  {program} services start orchestrator --force")]
    Start(ServiceStartArgs),
    /// Stop a service
    #[command(after_help = "\
Refused while running services need it, unless --force.

Examples:
  {program} services stop api-gateway
  {program} services stop orchestrator --force")]
    Stop(ServiceStopArgs),
    /// Restart a service, or start it when it is stopped
    #[command(after_help = "\
Running services that need it are named and left running.

Examples:
  {program} services restart orchestrator")]
    Restart(ServiceArgs),
    /// Check the health of a service now
    #[command(after_help = "\
A check that fails is tried again, up to the service's `retries`. Exits 0 only
when the service is healthy, so it works as a gate in a script.

Examples:
  {program} services health orchestrator
  {program} services health orchestrator && deploy")]
    Health(ServiceArgs),
    /// Print the last lines of a service's log
    #[command(after_help = "\
Examples:
  {program} services logs orchestrator
  {program} services logs orchestrator --lines 200
  {program} services logs orchestrator --follow      until Ctrl+C")]
    Logs(ServiceLogsArgs),
}

/// The machine-readable form.
#[derive(Debug, Clone, Copy, Args)]
pub struct JsonArgs {
    /// Print one JSON object with stable field names
    #[arg(long)]
    pub json: bool,
}

/// Any number of names.
#[derive(Debug, Args)]
pub struct NamesArgs {
    /// The services
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// The machine-readable form.
    #[command(flatten)]
    pub json: JsonArgs,
}

/// One name.
#[derive(Debug, Args)]
pub struct ServiceArgs {
    /// The service
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// The machine-readable form.
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `platform start`
#[derive(Debug, Args)]
pub struct PlatformStartArgs {
    /// Which services.
    #[command(flatten)]
    pub names: NamesArgs,
    /// Restart what runs already; the checks are still made
    #[arg(long)]
    pub force: bool,
}

/// `platform stop`
#[derive(Debug, Args)]
pub struct PlatformStopArgs {
    /// Which services.
    #[command(flatten)]
    pub names: NamesArgs,
    /// Kill at once (SIGKILL), whatever depends on it
    #[arg(long)]
    pub force: bool,
}

/// `services start`
#[derive(Debug, Args)]
pub struct ServiceStartArgs {
    /// Which service.
    #[command(flatten)]
    pub service: ServiceArgs,
    /// Skip the checks, and start it without what it needs; what runs is left alone
    #[arg(long)]
    pub force: bool,
}

/// `services stop`
#[derive(Debug, Args)]
pub struct ServiceStopArgs {
    /// Which service.
    #[command(flatten)]
    pub service: ServiceArgs,
    /// Stop it whatever depends on it, and kill it (SIGKILL) when it does not end in time
    #[arg(long)]
    pub force: bool,
}

/// `services list`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only those that run
    #[arg(long)]
    pub running: bool,
    /// Only those of this category
    #[arg(long, value_name = "CATEGORY", ignore_case = true, value_parser = category_parser())]
    pub category: Option<Category>,
    /// The machine-readable form.
    #[command(flatten)]
    pub json: JsonArgs,
}

/// Takes a category in any letter case, and lists the seven when it is none of them (A43, A51).
fn category_parser() -> impl clap::builder::TypedValueParser<Value = Category> {
    PossibleValuesParser::new(Category::ALL.iter().map(|category| category.as_str())).try_map(|text| {
        Category::from_name(&text.to_ascii_lowercase()).ok_or_else(|| format!("unknown category: {text}"))
    })
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
}

/// `platform logs`
#[derive(Debug, Args)]
pub struct PlatformLogsArgs {
    /// The service; every service that has a log when left out
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,
    /// What is printed.
    #[command(flatten)]
    pub log: LogArgs,
}

/// `services logs`
#[derive(Debug, Args)]
pub struct ServiceLogsArgs {
    /// The service
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// What is printed.
    #[command(flatten)]
    pub log: LogArgs,
}
