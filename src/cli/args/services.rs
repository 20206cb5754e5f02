//! `services …`: its commands and their arguments.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCompleter;

use super::common::{ActArgs, JsonArgs, LogArgs, WaitArgs};
use crate::cli::complete;
use crate::model::Category;

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
  {program} services start orchestrator --force
  {program} services start api-gateway --dry-run
  {program} services start api-gateway --timeout 60 || exit 1")]
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
    Restart(ServiceRestartArgs),
    /// Check the health of a service now
    #[command(after_help = "\
A check that fails is tried again, up to the service's `retries`. Exits 0 only
when the service is healthy, so it works as a gate in a script.

Examples:
  {program} services health orchestrator
  {program} services health orchestrator && deploy
  {program} services health orchestrator --wait --timeout 60")]
    Health(ServiceHealthArgs),
    /// Show a service's uptime, latency and failures of up to a week
    #[command(after_help = "\
Read from what was kept while a console or `supervise` led: nobody is asked now.
Times in which nobody looked count neither as up nor as down. Whole hours are
told; --samples tells every probe of the last day or so.

Examples:
  {program} services history orchestrator
  {program} services history orchestrator --since 7d
  {program} services history orchestrator --since 1h --samples
  {program} services history orchestrator --json | jq .total.uptime_percent")]
    History(HistoryArgs),
    /// Print the last lines of a service's log
    #[command(after_help = "\
Whatever a terminal would obey is taken out. With --raw nothing is: every byte
comes as the log holds it, which is refused on a terminal. Send it to a file or
a program (| cat sends it to this terminal all the same).

Examples:
  {program} services logs orchestrator
  {program} services logs orchestrator --lines 200
  {program} services logs orchestrator --follow      until Ctrl+C
  {program} services logs orchestrator --raw > orchestrator.txt")]
    Logs(ServiceLogsArgs),
    /// Show what an operation of the platform needs, and whether it runs
    #[command(after_help = "\
The services whose `required_for` names the operation. Exits 1 when one of them
does not run.

Examples:
  {program} services check server
  {program} services check server --json | jq .not_running")]
    Check(OperationArgs),
    /// Start what an operation of the platform needs
    #[command(after_help = "\
Starts the services whose `required_for` names the operation, with what they
need, and waits until they are healthy. Prints nothing when they run already.
A required service with auto_start = false is not started: that fails.

Examples:
  {program} services ensure workflow && submit-workflow
  {program} server create                     the same, then provisioning-server create")]
    Ensure(OperationArgs),
    /// Show what a service needs and who needs it, or the whole graph
    #[command(after_help = "\
Without a name: every service, and the order in which all of them would start.

Examples:
  {program} services dependencies
  {program} services dependencies orchestrator")]
    Dependencies(DependenciesArgs),
    /// Check the registry, and what each service needs on this machine
    #[command(after_help = "\
Starts, stops and writes nothing. Exits 1 when a service is invalid; warnings do
not make it so: what is odd in the file, and what stands in the way at this
moment only (a taken port, a running conflict).

Examples:
  {program} services validate
  {program} services validate --config ./services.toml
  {program} services validate --json | jq '.diagnostics[]'")]
    Validate(JsonArgs),
    /// Show what runs, what could be started now, and what stands in the way
    #[command(after_help = "\
Examples:
  {program} services readiness
  {program} services readiness --verbose      with the issues themselves")]
    Readiness(JsonArgs),
    /// Check the health again and again, one line each time, until Ctrl+C
    #[command(after_help = "\
The first check is made at once. Without a name all services are watched.
--json prints one object a line.

Examples:
  {program} services monitor orchestrator
  {program} services monitor --interval 5")]
    Monitor(MonitorArgs),
}

/// One name.
#[derive(Debug, Args)]
pub struct ServiceArgs {
    /// The service
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub service: String,
    /// The machine-readable form.
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `services start`
#[derive(Debug, Args)]
pub struct ServiceStartArgs {
    /// The service
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub service: String,
    /// Skip the checks, and start it without what it needs; what runs is left alone
    #[arg(long)]
    pub force: bool,
    /// How it is done and told.
    #[command(flatten)]
    pub act: ActArgs,
}

/// `services stop`
#[derive(Debug, Args)]
pub struct ServiceStopArgs {
    /// The service
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub service: String,
    /// Stop it whatever depends on it, and kill it (SIGKILL) when it does not end in time
    #[arg(long)]
    pub force: bool,
    /// How it is done and told.
    #[command(flatten)]
    pub act: ActArgs,
}

/// `services restart`
#[derive(Debug, Args)]
pub struct ServiceRestartArgs {
    /// The service
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub service: String,
    /// How it is done and told.
    #[command(flatten)]
    pub act: ActArgs,
}

/// `services health`
#[derive(Debug, Args)]
pub struct ServiceHealthArgs {
    /// The service
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub service: String,
    /// Whether it waits.
    #[command(flatten)]
    pub wait: WaitArgs,
    /// The machine-readable form.
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `services history`
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// The service
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub service: String,
    /// How far back: a number with m, h or d, up to 7d; in whole hours
    #[arg(long, value_name = "LENGTH", default_value = "24h", value_parser = length)]
    pub since: u64,
    /// Tell every single probe and change instead of hours
    #[arg(long)]
    pub samples: bool,
    /// The machine-readable form.
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `90m`, `24h` or `7d`, in seconds.
fn length(text: &str) -> Result<u64, String> {
    let wrong = || "use a number with m, h or d, such as 90m, 24h or 7d".to_owned();
    let unit = match text.chars().last() {
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        Some(_) | None => return Err(wrong()),
    };
    let number: u64 = text.get(..text.len() - 1).unwrap_or_default().parse().map_err(|_| wrong())?;
    match number.checked_mul(unit) {
        Some(0) | None => Err(wrong()),
        Some(seconds) if seconds > 7 * 86_400 => Err("no more than 7d are remembered".to_owned()),
        Some(seconds) => Ok(seconds),
    }
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

/// `services logs`
#[derive(Debug, Args)]
pub struct ServiceLogsArgs {
    /// The service
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub service: String,
    /// What is printed.
    #[command(flatten)]
    pub log: LogArgs,
}

/// `services check` and `services ensure`
#[derive(Debug, Args)]
pub struct OperationArgs {
    /// The operation, as `required_for` names it
    #[arg(value_name = "OPERATION", add = ArgValueCompleter::new(complete::operation_values))]
    pub operation: String,
    /// The machine-readable form.
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `services dependencies`
#[derive(Debug, Args)]
pub struct DependenciesArgs {
    /// The service; all of them when left out
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub service: Option<String>,
    /// The machine-readable form.
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `services monitor`
#[derive(Debug, Args)]
pub struct MonitorArgs {
    /// The service; all of them when left out
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub service: Option<String>,
    /// Seconds from one check to the next, from start to start
    // The guide's number, and not the service's own `interval` (A10, A62).
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub interval: u64,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}
