//! Points at which a test has this process killed: `PROVISIONING_FAILPOINT=NAME`, or `NAME:N` for the Nth time that it is reached.
//!
//! Compiled into builds with debug assertions only. `.ci/run` looks that the variable's name is not in what is released.

/// Kills this process here when the environment names this point; nothing at all in a release.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(debug_assertions)]
        $crate::store::failpoint::reach($name)
    };
}

pub(crate) use failpoint;

/// See [`failpoint!`].
#[cfg(debug_assertions)]
pub(crate) fn reach(name: &str) {
    use std::sync::atomic::{AtomicU32, Ordering};

    static REACHED: AtomicU32 = AtomicU32::new(0);
    let Some(wanted) = std::env::var_os("PROVISIONING_FAILPOINT") else { return };
    let Some(wanted) = wanted.to_str() else { return };
    let (wanted, time) = wanted.split_once(':').unwrap_or((wanted, "1"));
    if wanted == name && time.parse() == Ok(REACHED.fetch_add(1, Ordering::Relaxed) + 1) {
        // Like the kernel, or a person, would: nothing is cleaned up.
        let _dead = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
