//! The command tree (B6): names, arguments and flags, with help worth reading. `{program}` stands for the name the program was called by.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::engine::{ArgValueCompleter, PathCompleter, SubcommandCandidates};

mod common;
mod platform;
mod services;
mod supervise;

pub use common::{ActArgs, EventsArgs, JsonArgs, LogArgs, WaitArgs};
pub use platform::{
    PlatformCommand, PlatformHealthArgs, PlatformLogsArgs, PlatformRestartArgs, PlatformStartArgs, PlatformStopArgs,
};
pub use services::{
    DependenciesArgs, HistoryArgs, ListArgs, MonitorArgs, OperationArgs, ServiceArgs, ServiceHealthArgs,
    ServiceLogsArgs, ServiceRestartArgs, ServiceStartArgs, ServiceStopArgs, ServicesCommand,
};

pub use supervise::{InstallArgs, SuperviseArgs, SuperviseCommand};

use super::complete;

/// One console and one command for all services of the platform.
///
/// See, start, stop and understand the services of a registry file, each after the services it needs. Without arguments the
/// console opens. Services outlive this program: closing it stops nothing.
#[derive(Debug, Parser)]
#[command(
    version,
    // What is no command of ours may be an operation of the platform: `provisioning-OPERATION` on the PATH.
    allow_external_subcommands = true,
    add = SubcommandCandidates::new(complete::operations),
    after_help = "\
Examples:
  {program}                                   open the console
  {program} platform status                   what runs, at a glance
  {program} platform start                    start every auto-start service
  {program} services start control-center     start one, with what it needs
  {program} services logs orchestrator --follow
  {program} --once --format json              the board for a script
  {program} server create                     what the operation `server` needs is started,
                                              then `provisioning-server create` runs

Exit codes:
  0    done, or healthy
  1    what was asked for failed, was refused, is invalid or unhealthy, or took
       longer than --timeout
  2    usage or configuration error; nothing was begun
  130  interrupted with Ctrl+C while waiting; what was started keeps running
An operation of the platform ends with the exit code of its own program.

Results go to standard output; refusals, errors, notes and progress go to
standard error. Without a terminal there is no colour; NO_COLOR is honoured.

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
    #[arg(long, value_name = "FILE", global = true, help_heading = "Global options", add = ArgValueCompleter::new(PathCompleter::file()))]
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
    /// Colours of the console: default, light, high-contrast, sixteen, frost, ember or your own; else $PROVISIONING_THEME
    #[arg(long, value_name = "NAME", conflicts_with = "once")]
    pub theme: Option<String>,
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
    /// Metrics in the Prometheus text format, for a node exporter's text file collector
    Prometheus,
}

/// The command groups, and what belongs to neither.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// All services as one system
    #[command(subcommand, arg_required_else_help = true)]
    Platform(PlatformCommand),
    /// One service at a time, and what the registry says of all of them
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
    /// Look after services while no console is open
    #[command(after_help = "\
The one engine of a home that acts on its own, without a face: it asks running
services how they are, restarts what is unhealthy, and replaces a guardian that
was killed. Ending or killing it at any moment touches no service.

The first command that starts something starts it in the background, and it ends
by itself when no service is wanted up. To switch that off: `auto = false` below
[supervise] in the registry, or PROVISIONING_SUPERVISE=off. While none runs, an
open console or `services monitor` leads in its place. It keeps to the registry
it was started with, takes edits of it in, and logs to
~/.provisioning/services/provisioning.log.

Examples:
  {program} supervise                  here, until Ctrl+C or nothing is wanted up
  {program} supervise --background     the same in the background
  {program} supervise status
  {program} supervise stop
  {program} supervise install          as a systemd user unit")]
    Supervise(SuperviseArgs),
    /// Print what happened to services, when, and who caused it
    #[command(after_help = "\
The newest entries of the timeline, oldest first. It is written by whoever acts:
consoles, commands, automatic recovery. It is bounded: what is old is forgotten.

Examples:
  {program} events
  {program} events orchestrator --lines 200
  {program} events --follow --json | jq .service      one object a line")]
    Events(EventsArgs),
    /// Print the completions of a shell, which offer the services of the registry
    #[command(after_help = "\
Put one of these lines into your shell's start-up file:
  source <({program} completions bash)       # ~/.bashrc
  source <({program} completions zsh)        # ~/.zshrc, after compinit
  {program} completions fish | source        # ~/.config/fish/config.fish")]
    Completions(CompletionsArgs),
    /// Print the manual page, or write one page for each command
    #[command(after_help = "\
Examples:
  {program} man | man -l -
  {program} man ~/.local/share/man/man1")]
    Man(ManArgs),
    /// `provisioning OPERATION …`: an operation of the wider platform.
    #[command(external_subcommand)]
    Operation(Vec<OsString>),
}

/// `completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: CompletionShell,
}

/// A shell whose completions are known to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompletionShell {
    /// GNU bash
    Bash,
    /// Z shell
    Zsh,
    /// Friendly interactive shell
    Fish,
}

/// `man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write the pages of all commands into this directory
    #[arg(value_name = "DIR", add = ArgValueCompleter::new(PathCompleter::dir()))]
    pub directory: Option<PathBuf>,
}
