//! The small parent process of one binary-mode service.

use std::process::ExitCode;

fn main() -> ExitCode {
    provisioning::shim::main()
}
