//! `supervise …`

use clap::{Args, Subcommand};

use super::JsonArgs;

/// `supervise`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SuperviseArgs {
    /// What to do with it; without a word it runs here, until Ctrl+C
    #[command(subcommand)]
    pub command: Option<SuperviseCommand>,
    /// Start it in the background and come back when it runs
    #[arg(long, conflicts_with_all = ["stay", "replace"])]
    pub background: bool,
    /// Stay when no service is wanted up, until told to go
    #[arg(long)]
    pub stay: bool,
    /// Take over from one that runs already
    #[arg(long)]
    pub replace: bool,
    /// In the background, for whoever started it there.
    #[arg(long, hide = true)]
    pub detached: bool,
}

/// What can be done with it.
#[derive(Debug, Subcommand)]
pub enum SuperviseCommand {
    /// Say who leads; exits 0 when supervise runs, else 1
    Status(JsonArgs),
    /// End it; services go on
    Stop,
    /// Write a systemd user unit that keeps it running, and say how to enable it
    #[command(after_help = "\
Examples:
  {program} supervise install --print      look at it first
  {program} supervise install
  systemctl --user enable --now provisioning-supervise.service
  loginctl enable-linger                    also from boot on, and after logout")]
    Install(InstallArgs),
    /// Remove the systemd user unit
    Uninstall,
}

/// `supervise install`
#[derive(Debug, Clone, Copy, Args)]
pub struct InstallArgs {
    /// Only print what would be written
    #[arg(long)]
    pub print: bool,
}
