//! The demo: the guide's seven services, carried by the program itself, in a home that vanishes.
//!
//! [`Home`] is a private temporary directory with a registry whose binary-mode services are this very program under a hidden
//! subcommand ([`hidden`]). Each stand-in watches the console that it belongs to and ends with it, and a sweeper process removes the
//! home when everything has ended, so that nothing is left however the console dies. Knows no engine and no face: the demo is a
//! registry like any other to them.

mod cast;
mod chatter;
mod home;
mod registry;
mod service;
mod sweeper;
mod watch;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

pub use home::{Home, HomeError};
pub use registry::registry_text;
pub use watch::Console;

/// The hidden subcommand of a stand-in.
const SERVICE: &str = "__demo-service";

/// The hidden subcommand of the process that removes a home.
const SWEEPER: &str = "__demo-sweeper";

/// Runs the hidden subcommands of the demo; `None` when `name` is none of them. `arguments` are those behind the name.
///
/// To be asked before anything else is set up: a stand-in needs no runtime and no terminal.
pub fn hidden(name: &OsStr, arguments: &[OsString]) -> Option<ExitCode> {
    match name.to_str()? {
        SERVICE => Some(service::main(arguments)),
        SWEEPER => Some(sweeper::main(arguments)),
        _ => None,
    }
}
