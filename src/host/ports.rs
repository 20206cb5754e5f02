//! Who has a port of the loopback interface.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{names, process};
use crate::model::{HostPort, Protocol};
use crate::preflight::PortHolder;
use crate::store::cookie;

/// `TCP_LISTEN` of the kernel's `tcp_states.h`, as `/proc/net/tcp` prints it.
const LISTEN: &str = "0A";
/// `TCP_CLOSE`, which is what a UDP socket is as long as it is not connected to one other (`udp_seq_show` and `udp_disconnect`).
const UNCONNECTED: &str = "07";

/// Those that have `ports` for what comes from this machine. PID and program unknown where the process belongs to somebody else. SCTP is
/// left to those who use it.
///
/// The kernel's tables are read rather than the port bound for a test: that would keep it from a service that starts at this moment.
/// Each is read once for all ports, since reading it makes the kernel walk through all connections of the machine.
pub(super) fn holders(proc: &Path, ports: &[HostPort]) -> HashMap<HostPort, PortHolder> {
    let name = |(port, inodes): (HostPort, Vec<u64>)| {
        let pid = owner(proc, &inodes);
        let program = pid.and_then(|pid| names::program_name(proc, pid));
        (port, PortHolder { pid, program })
    };
    sockets_of(proc, ports).into_iter().map(name).collect()
}

/// Who has `port` when nobody of the tree has it that `pid` belongs to; `None` where that is not proven: where somebody of the tree, or the
/// holder, does not let us look.
///
/// Without a shim, what has left the service's process is still told by what it inherited in its environment.
pub(super) fn stranger_on(proc: &Path, port: HostPort, pid: u32) -> Option<PortHolder> {
    let inodes = sockets_of(proc, &[port]).remove(&port)?;
    let own = process::stat(pid)?;
    let mut members: Vec<u32> =
        process::descendants(process::top_of_tree(pid)).into_iter().map(|stat| stat.pid).collect();
    members.push(pid);
    for member in members {
        if has_one_of(proc, member, &inodes)? {
            return None;
        }
    }
    let holder = owner(proc, &inodes)?;
    let cookie_of = |pid: u32| {
        let environ = fs::read(proc.join(pid.to_string()).join("environ")).ok()?;
        Some(cookie::find(&environ).map(<[u8]>::to_vec))
    };
    let is_of_service = match (cookie_of(pid)?, cookie_of(holder)?) {
        (Some(its), Some(holders)) => its == holders,
        (None, _) | (_, None) => false,
    };
    let is_in_session = process::stat(holder)?.session == own.session;
    (!is_of_service && !is_in_session)
        .then(|| PortHolder { pid: Some(holder), program: names::program_name(proc, holder) })
}

/// The sockets of each of `ports` that somebody has.
fn sockets_of(proc: &Path, ports: &[HostPort]) -> HashMap<HostPort, Vec<u64>> {
    let mut inodes: HashMap<HostPort, Vec<u64>> = HashMap::new();
    for (protocol, tables) in [(Protocol::Tcp, ["net/tcp", "net/tcp6"]), (Protocol::Udp, ["net/udp", "net/udp6"])] {
        if !ports.iter().any(|port| port.protocol == protocol) {
            continue;
        }
        for found in tables.iter().flat_map(|table| sockets(&proc.join(table), protocol)) {
            let port = HostPort { protocol, number: found.port };
            if ports.contains(&port) && is_local(found.address) {
                inodes.entry(port).or_default().push(found.inode);
            }
        }
    }
    inodes
}

/// The sockets of a table that hold their port; none where there is no such table.
fn sockets(table: &Path, protocol: Protocol) -> Vec<Socket> {
    let Ok(table) = File::open(table) else { return Vec::new() };
    let lines = BufReader::new(table).lines().map_while(Result::ok).skip(1);
    match protocol {
        // Listeners come before all others (`tcp_seq_start` of the kernel's `tcp_ipv4.c`), so reading ends at the first line of
        // another kind.
        Protocol::Tcp => lines
            .take_while(|line| line.split_ascii_whitespace().nth(3) == Some(LISTEN))
            .filter_map(|line| socket(&line, LISTEN))
            .collect(),
        Protocol::Udp | Protocol::Sctp => lines.filter_map(|line| socket(&line, UNCONNECTED)).collect(),
    }
}

/// A line of the table.
struct Socket {
    address: IpAddr,
    port: u16,
    inode: u64,
}

/// Fields 2, 4 and 10 of a line of `/proc/net/tcp` (proc_net_tcp.rst), which `/proc/net/udp` shares; `None` for the heading and for
/// sockets in another state.
fn socket(line: &str, state: &str) -> Option<Socket> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    if fields.nth(1)? != state {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    let (address, port) = local.split_once(':')?;
    Some(Socket { address: address_of(address)?, port: u16::from_str_radix(port, 16).ok()?, inode })
}

/// The table prints addresses as 32-bit words in the machine's own byte order.
fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (n, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(n * 8)?);
            }
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

fn is_local(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

/// The lowest PID that has one of the sockets open, among the processes that we may look into: of a server and its workers, the server.
fn owner(proc: &Path, inodes: &[u64]) -> Option<u32> {
    let mut pids: Vec<u32> = names::pids(proc).collect();
    pids.sort_unstable();
    // Unreadable for the processes of others.
    pids.into_iter().find(|pid| has_one_of(proc, *pid, inodes) == Some(true))
}

/// Whether a process has one of the sockets open; `None` when it does not let us look. One that has just ended has none.
fn has_one_of(proc: &Path, pid: u32, inodes: &[u64]) -> Option<bool> {
    let entries = match fs::read_dir(proc.join(pid.to_string()).join("fd")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return None,
        Err(_) => return Some(false),
    };
    let is_one = |target: &Path| {
        let name = target.as_os_str().as_bytes().strip_prefix(b"socket:[").and_then(|rest| rest.strip_suffix(b"]"));
        let inode = name.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u64>().ok());
        inode.is_some_and(|inode| inodes.contains(&inode))
    };
    Some(entries.filter_map(Result::ok).any(|entry| fs::read_link(entry.path()).is_ok_and(|target| is_one(&target))))
}

#[cfg(test)]
mod tests {
    use super::{holders, stranger_on};
    use crate::model::{HostPort, Protocol};
    use crate::preflight::PortHolder;
    use std::fs;
    use std::net::{TcpListener, UdpSocket};
    use std::path::Path;

    fn holder(proc: &Path, port: u16) -> Option<PortHolder> {
        let port = HostPort::tcp(port);
        holders(proc, &[port]).remove(&port)
    }

    #[test]
    fn several_ports_are_looked_up_at_once() {
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (one, two, closed) = (listen(), listen(), listen());
        let port = |listener: &TcpListener| HostPort::tcp(listener.local_addr().unwrap().port());
        let ports = [port(&one), port(&closed), port(&two)];
        drop(closed);
        let mut found: Vec<HostPort> = holders(Path::new("/proc"), &ports).into_keys().collect();
        found.sort_unstable();
        let mut expected = vec![ports[0], ports[2]];
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_listener_is_found_by_its_port_and_named() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                assert!(address.starts_with('['), "cannot listen on {address}");
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            let found = holder(Path::new("/proc"), port).unwrap_or_else(|| panic!("nobody on {address}"));
            assert_eq!(found.pid, Some(std::process::id()), "{address}");
            assert!(found.program.is_some_and(|program| program.starts_with("provisioning")));
            drop(listener);
        }
    }

    #[test]
    fn who_has_a_port_beside_a_process_that_should_have_it_is_named_and_its_own_child_is_not() {
        let proc = Path::new("/proc");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = HostPort::tcp(listener.local_addr().unwrap().port());
        assert_eq!(stranger_on(proc, port, std::process::id()), None, "its own");
        // Of a session of its own, so that nothing makes it ours.
        let mut other = std::process::Command::new("setsid").args(["sleep", "100"]).spawn().unwrap();
        let begun = std::time::Instant::now();
        while super::process::stat(other.id()).is_some_and(|stat| stat.session != other.id()) {
            assert!(begun.elapsed().as_secs() < 20, "it never had a session");
        }
        let found = stranger_on(proc, port, other.id());
        assert_eq!(found.and_then(|holder| holder.pid), Some(std::process::id()));
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(stranger_on(proc, port, other.id()), None, "of one that is gone, nothing is proven");
    }

    #[test]
    fn a_port_without_a_listener_has_no_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connection = std::net::TcpStream::connect(address).unwrap();
        let connected_port = connection.local_addr().unwrap().port();
        assert_eq!(holder(Path::new("/proc"), connected_port), None, "a connection is no listener");
    }

    #[test]
    fn a_hidden_holder_is_a_holder_and_another_address_is_not() {
        let proc = tempfile::tempdir().unwrap();
        fs::create_dir(proc.path().join("net")).unwrap();
        let line = |address: u32, port: u16| {
            format!(
                "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                 0: {address:08X}:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 \
                 12345 1 0000000000000000 100 0 0 10 0\n"
            )
        };
        fs::write(proc.path().join("net/tcp"), line(u32::from_ne_bytes([127, 0, 0, 1]), 9090)).unwrap();
        assert_eq!(holder(proc.path(), 9090), Some(PortHolder { pid: None, program: None }));
        assert_eq!(holder(proc.path(), 9091), None);
        fs::write(proc.path().join("net/tcp"), line(u32::from_ne_bytes([192, 0, 2, 1]), 9090)).unwrap();
        assert_eq!(holder(proc.path(), 9090), None);
    }

    #[test]
    fn a_udp_port_is_another_port_than_the_tcp_port_of_its_number() {
        for address in ["127.0.0.1:0", "0.0.0.0:0"] {
            let socket = UdpSocket::bind(address).unwrap();
            let number = socket.local_addr().unwrap().port();
            let (udp, tcp) = (HostPort { protocol: Protocol::Udp, number }, HostPort::tcp(number));
            let found = holders(Path::new("/proc"), &[udp, tcp]);
            assert_eq!(found.get(&udp).and_then(|holder| holder.pid), Some(std::process::id()), "{address}");
            assert_eq!(found.get(&tcp), None);
            // One that speaks to a single other is somebody's question on its way: gone in a moment.
            socket.connect("127.0.0.1:9").unwrap();
            assert!(socket.local_addr().unwrap().ip().is_loopback());
            assert_eq!(holders(Path::new("/proc"), &[udp]).get(&udp), None);
        }
    }
}
