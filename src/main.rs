//! `provisioning-tui`: the console, and every command of `provisioning`.

use std::process::ExitCode;

fn main() -> ExitCode {
    provisioning::app::main()
}
