//! Why a connection failed, in words that tell the causes apart (R157, R191).

use std::error::Error;
use std::io;

use rustix::io::Errno;

/// Whose failure it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The service's, or that of the way to it: the words after `failed: `.
    Service(String),
    /// Ours: nothing was learned about the service.
    Ours(String),
}

/// Judges a failed socket operation towards `host`.
pub(crate) fn of_io(error: &io::Error, host: &str) -> Cause {
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
pub(crate) fn unresolvable(host: &str) -> Cause {
    Cause::Service(format!("cannot resolve host {host}"))
}

/// Whether `host` is the name that means both loopback addresses (R156).
pub(crate) fn is_localhost(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
}

/// The innermost error of a chain says what happened; the outer ones say what we were doing.
pub(crate) fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost
}

/// The first I/O error of a chain.
pub(crate) fn io_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        next = error.source();
    }
    None
}

/// Judges a request to `host` that has no answer.
pub(crate) fn of_request(error: &reqwest::Error, host: &str) -> Cause {
    if error.is_dns() {
        return unresolvable(host);
    }
    if let Some(doubt) = tls_error(error) {
        return Cause::Service(format!("TLS error: {doubt}"));
    }
    match io_error(error) {
        Some(io) => of_io(io, host),
        None => Cause::Service(match innermost(error).to_string() {
            closed if closed.starts_with("connection closed") => "connection closed without an answer".to_owned(),
            other => other,
        }),
    }
}

/// What to do about a certificate that was not believed, or a server that speaks no TLS.
#[cfg(feature = "remote")]
pub(crate) fn doubt(error: &reqwest::Error) -> Option<&'static str> {
    use rustls::{CertificateError as Certificate, Error as Tls};

    Some(match tls(error)? {
        Tls::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => {
            "its certificate has to be renewed"
        }
        Tls::InvalidCertificate(Certificate::NotValidYet | Certificate::NotValidYetContext { .. }) => {
            "compare the clocks of both machines"
        }
        Tls::InvalidCertificate(Certificate::NotValidForName | Certificate::NotValidForNameContext { .. }) => {
            "use a host name in `endpoint` that its certificate names"
        }
        Tls::InvalidCertificate(Certificate::UnknownIssuer | Certificate::Other(_)) => {
            "name the certificate of its authority with `ca_path`"
        }
        Tls::InvalidCertificate(_) => "its certificate has to be replaced",
        Tls::InvalidMessage(_) => "it seems to speak no TLS at that port",
        _ => return None,
    })
}

/// What was doubted of the other side, or of what it spoke.
#[cfg(feature = "tls")]
fn tls_error(error: &(dyn Error + 'static)) -> Option<String> {
    tls(error).map(ToString::to_string)
}

/// What TLS itself has to say of a failure, wherever in its chain that is.
#[cfg(feature = "tls")]
pub(crate) fn tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(doubt) = error.downcast_ref::<rustls::Error>() {
        return Some(doubt);
    }
    // An I/O error hides what it carries from `source`, and handshake errors come wrapped in two of them.
    let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match carried {
        Some(carried) => tls(carried),
        None => tls(error.source()?),
    }
}

#[cfg(not(feature = "tls"))]
fn tls_error(_error: &(dyn Error + 'static)) -> Option<String> {
    None
}
