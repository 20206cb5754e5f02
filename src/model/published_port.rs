//! Docker's short syntax for published ports, `[ip:]host:container[/protocol]`, each port possibly a range.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// `tcp`, also where none is written.
    Tcp,
    /// `udp`.
    Udp,
    /// `sctp`.
    Sctp,
}

impl Protocol {
    /// As Docker writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// A port of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// Ports of different protocols do not meet.
    pub protocol: Protocol,
    /// From 1.
    pub number: u16,
}

impl HostPort {
    /// A port that is connected to.
    pub fn tcp(number: u16) -> Self {
        Self { protocol: Protocol::Tcp, number }
    }
}

impl fmt::Display for HostPort {
    /// `8080`, `53/udp`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            Protocol::Tcp => write!(f, "{}", self.number),
            Protocol::Udp | Protocol::Sctp => write!(f, "{}/{}", self.number, self.protocol.as_str()),
        }
    }
}

/// One published port, or a range of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPort {
    /// The address it is bound to; every one when unset.
    pub ip: Option<IpAddr>,
    /// On this host.
    pub host: RangeInclusive<u16>,
    /// In the container; as many as on this host.
    pub container: RangeInclusive<u16>,
    /// Of all of them.
    pub protocol: Protocol,
}

impl PublishedPort {
    /// Each of them.
    pub fn host_ports(&self) -> impl Iterator<Item = HostPort> + use<> {
        let protocol = self.protocol;
        self.host.clone().map(move |number| HostPort { protocol, number })
    }

    /// Reads one entry.
    ///
    /// # Errors
    /// What is wrong with it, as a fragment.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (ports, protocol) = match text.rsplit_once('/') {
            None => (text, Protocol::Tcp),
            Some((ports, "tcp")) => (ports, Protocol::Tcp),
            Some((ports, "udp")) => (ports, Protocol::Udp),
            Some((ports, "sctp")) => (ports, Protocol::Sctp),
            Some(_) => return Err("the protocol must be tcp, udp or sctp"),
        };
        let (rest, container) = ports.rsplit_once(':').ok_or("it needs a port of the host and one of the container")?;
        let (ip, host) = match rest.rsplit_once(':') {
            None => (None, rest),
            Some((ip, host)) => {
                let ip = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
                (Some(ip.parse().map_err(|_| "what stands before the host's port must be an IP address")?), host)
            }
        };
        let host = range(host)?;
        let container = range(container)?;
        if host.end() - host.start() != container.end() - container.start() {
            return Err("both ranges must have the same length");
        }
        Ok(Self { ip, host, container, protocol })
    }
}

fn range(text: &str) -> Result<RangeInclusive<u16>, &'static str> {
    let port = |text: &str| {
        let number = if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None };
        number.filter(|port: &u16| *port != 0).ok_or("ports are numbers from 1 to 65535")
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err("a range begins with the smaller port");
    }
    Ok(first..=last)
}

#[cfg(test)]
mod tests {
    use super::{Protocol, PublishedPort};

    #[test]
    fn the_forms_of_docker_are_understood() {
        let port = PublishedPort::parse("5353:53/udp").unwrap();
        assert_eq!((port.ip, port.host, port.protocol), (None, 5353..=5353, Protocol::Udp));
        let port = PublishedPort::parse("127.0.0.1:8000-8010:80-90").unwrap();
        assert_eq!((port.ip, port.host, port.protocol), (Some([127, 0, 0, 1].into()), 8000..=8010, Protocol::Tcp));
        assert!(PublishedPort::parse("[::1]:1:65535/tcp").is_ok());
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "80",
            ":80",
            "80:",
            "0:80",
            "65536:80",
            "a:80",
            "+1:80",
            "80:80/icmp",
            "host:1:2",
            "1-2:1-3",
            "2-1:2-1",
            "::",
            "1:2:3",
        ] {
            assert!(PublishedPort::parse(text).is_err(), "{text:?}");
        }
    }
}
