//! Why a connection failed, in words that tell the causes apart (R157, R191).

use std::error::Error;
use std::io;

use rustix::io::Errno;

/// Whose failure it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// The service's, or that of the way to it: the words after `failed: `.
    Service(String),
    /// Ours: nothing was learned about the service.
    Ours(String),
}

/// Judges a failed socket operation towards `host`.
pub(super) fn of_io(error: &io::Error, host: &str) -> Cause {
    if let Some(errno) = error.raw_os_error().map(Errno::from_raw_os_error) {
        match errno {
            Errno::MFILE | Errno::NFILE => return Cause::Ours("too many open files".to_owned()),
            Errno::NOBUFS | Errno::NOMEM => return Cause::Ours("out of memory for sockets".to_owned()),
            // Without IPv6, the second try of `localhost` ends like this, after the first was refused.
            Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT if is_localhost(host) => {
                return Cause::Service("connection refused".to_owned());
            }
            Errno::ADDRNOTAVAIL => return Cause::Ours("no local port is free".to_owned()),
            _ => {}
        }
    }
    Cause::Service(match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            "connection reset".to_owned()
        }
        io::ErrorKind::UnexpectedEof => "connection closed without an answer".to_owned(),
        io::ErrorKind::HostUnreachable => "host unreachable".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".to_owned(),
        io::ErrorKind::PermissionDenied => "not permitted, perhaps by a firewall".to_owned(),
        // The kernel gave up connecting before our deadline.
        io::ErrorKind::TimedOut => "connection timed out".to_owned(),
        _ => error.to_string(),
    })
}

/// What is said of a name that has no address.
pub(super) fn unresolvable(host: &str) -> Cause {
    Cause::Service(format!("cannot resolve host {host}"))
}

/// Whether `host` is the name that means both loopback addresses (R156).
pub(super) fn is_localhost(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
}

/// The innermost error of a chain says what happened; the outer ones say what we were doing.
pub(super) fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost
}

/// The first I/O error of a chain.
pub(super) fn io_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        next = error.source();
    }
    None
}
