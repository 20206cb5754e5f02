//! `provisioning`: the same program under the name that scripts and the service management guide use.

use std::process::ExitCode;

fn main() -> ExitCode {
    provisioning::app::main()
}
