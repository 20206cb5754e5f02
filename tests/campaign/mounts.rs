//! Mounts that nobody else sees.

use std::process::{Command, Stdio};

/// Set for the program that runs in them.
const INSIDE: &str = "CAMPAIGN_OWN_MOUNTS";

/// Runs this program again, with mounts of its own, and says whether that went well; `None` inside, and where it cannot be.
pub(crate) fn again_inside() -> Option<bool> {
    let unshare = || {
        let mut unshare = Command::new("unshare");
        unshare.arg("-Urm").stdin(Stdio::null());
        unshare
    };
    if is_inside() || !unshare().arg("true").status().is_ok_and(|status| status.success()) {
        return None;
    }
    let program = std::env::current_exe().expect("own path");
    let status = unshare().arg(program).args(std::env::args_os().skip(1)).env(INSIDE, "1").status();
    Some(status.is_ok_and(|status| status.success()))
}

/// Whether this is what [`again_inside`] runs.
pub(crate) fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}
