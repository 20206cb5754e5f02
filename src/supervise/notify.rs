//! Telling a service manager how it goes: `sd_notify(3)`, one datagram a message, to the socket that `NOTIFY_SOCKET` names.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::ClockId;

/// A way to the service manager; silent where there is none.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As the environment says. A socket that cannot be used is said to the log, and is none.
    pub fn new(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let Some(name) = variable("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else { return Self::default() };
        let socket = address(&name).and_then(|address| Ok((UnixDatagram::unbound()?, address)));
        let socket = match socket.and_then(|(socket, address)| socket.set_nonblocking(true).map(|()| (socket, address)))
        {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!(%error, socket = %name.display(), "the service manager cannot be told anything");
                None
            }
        };
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        // sd_watchdog_enabled(3): meant for another process when it names one.
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let limit = number("WATCHDOG_USEC").filter(|usec| is_ours && *usec > 0);
        Self { socket, watchdog: limit.map(|usec| Duration::from_micros(usec) / 2) }
    }

    /// How often [`Notifier::alive`] has to be called: half of what the service manager waits for.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog.filter(|_| self.socket.is_some())
    }

    /// It is ready.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// It takes in an edited configuration; [`Notifier::ready`] ends that.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(ClockId::Monotonic);
        let usec = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }

    /// What it does, in one line.
    pub fn status(&self, text: &str) {
        self.tell(&format!("STATUS={}", text.replace('\n', " ")));
    }

    /// It is about to end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// It is not stuck.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// Nothing depends on it being heard.
    fn tell(&self, message: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(message.as_bytes(), address)
        {
            tracing::debug!(%error, "the service manager was not told: {message}");
        }
    }
}

/// A path, or a name in the abstract namespace where the first byte is `@`.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a path from the root nor an abstract name")),
    }
}

#[cfg(test)]
mod tests {
    use super::Notifier;
    use std::ffi::OsString;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::time::Duration;

    fn notifier(pairs: &[(&str, &str)]) -> Notifier {
        Notifier::new(|name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value)))
    }

    fn received(socket: &UnixDatagram) -> String {
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).expect("a message");
        String::from_utf8(buffer[..length].to_vec()).expect("text")
    }

    #[test]
    fn a_socket_with_a_path_and_one_in_the_abstract_namespace_hear_every_message() {
        let home = tempfile::tempdir().expect("directory");
        let path = home.path().join("notify");
        let name = format!("provisioning-test-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).expect("address");
        for (socket, variable) in [
            (UnixDatagram::bind(&path).expect("bind"), path.display().to_string()),
            (UnixDatagram::bind_addr(&abstract_address).expect("bind"), format!("@{name}")),
        ] {
            let notifier = notifier(&[("NOTIFY_SOCKET", &variable)]);
            notifier.ready();
            notifier.status("leads\nhere");
            notifier.stopping();
            notifier.alive();
            notifier.reloading();
            let heard: Vec<String> = (0..5).map(|_| received(&socket)).collect();
            assert_eq!(heard[..4], ["READY=1", "STATUS=leads here", "STOPPING=1", "WATCHDOG=1"]);
            assert!(heard[4].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{heard:?}");
        }
    }

    #[test]
    fn the_watchdog_is_told_twice_in_its_time_and_only_by_the_process_it_watches() {
        let here = std::process::id().to_string();
        let socket = ("NOTIFY_SOCKET", "/run/x");
        let limit = ("WATCHDOG_USEC", "3000000");
        assert_eq!(notifier(&[socket, limit]).watchdog(), Some(Duration::from_millis(1_500)));
        assert_eq!(notifier(&[socket, limit, ("WATCHDOG_PID", &here)]).watchdog(), Some(Duration::from_millis(1_500)));
        assert_eq!(notifier(&[socket, limit, ("WATCHDOG_PID", "1")]).watchdog(), None);
        assert_eq!(notifier(&[socket, ("WATCHDOG_USEC", "soon")]).watchdog(), None);
        assert_eq!(notifier(&[limit]).watchdog(), None, "nobody to tell");
    }

    #[test]
    fn without_a_socket_that_can_be_used_nothing_is_said_and_nothing_fails() {
        for pairs in [
            vec![],
            vec![("NOTIFY_SOCKET", "")],
            vec![("NOTIFY_SOCKET", "relative")],
            vec![("NOTIFY_SOCKET", "/nowhere/x")],
        ] {
            notifier(&pairs).ready();
        }
    }
}
