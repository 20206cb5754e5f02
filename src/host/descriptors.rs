//! Descriptors: those that were left open by others, and waiting on those that tokio has no type for.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Closes every descriptor above the standard ones. For a program that begins and has opened nothing yet: what is there was left open
/// by whoever started the one who started it, and nobody shall wait for its end because of that.
///
/// # Errors
/// When `/proc` is not mounted.
pub fn close_inherited() -> io::Result<()> {
    let entries: Vec<i32> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&number| number > 2)
        .collect();
    for number in entries {
        // The directory that was just read is among them and closed already.
        let _already_closed = nix::unistd::close(number);
    }
    Ok(())
}

/// A descriptor that tokio waits on until it is readable. Inside a runtime with I/O enabled.
///
/// # Errors
/// When the kernel cannot wait on it.
#[expect(
    deprecated,
    reason = "the replacement is unsafe, for descriptors that change their number; an OwnedFd never does"
)]
pub fn watchable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(descriptor, Interest::READABLE)
}
