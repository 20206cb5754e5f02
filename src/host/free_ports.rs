//! Ports for services that bind them a little later.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU16, Ordering};

/// The kernel's own range, unless it says otherwise (`ip_local_port_range` in its `ip-sysctl` manual).
const USUAL_EPHEMERAL: RangeInclusive<u16> = 32_768..=60_999;

/// Below this are ports that programs are known by.
const LOWEST: u16 = 20_000;

/// TCP ports of the loopback interface that are free at this moment, all different; another call gives others as long as there are any.
///
/// They are none of those that the kernel hands out by itself: such a port may belong to a connection of anybody by the time at which a
/// service binds it. Two processes that ask at the same moment begin at different places.
///
/// # Errors
/// When there are not enough.
pub fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    static N_TRIED: AtomicU16 = AtomicU16::new(0);
    let range = outside(&ephemeral());
    let n_all = range.end() - range.start() + 1;
    // Processes that begin together have neighbouring numbers: a stride that shares no factor with most ranges puts them far apart.
    let begin = u16::try_from(u64::from(std::process::id()) * 7_919 % u64::from(n_all)).unwrap_or(0);
    let mut ports = Vec::with_capacity(N);
    for _ in 0..n_all {
        if ports.len() == N {
            break;
        }
        let step = N_TRIED.fetch_add(1, Ordering::Relaxed);
        let offset = (u32::from(begin) + u32::from(step)) % u32::from(n_all);
        let port = range.start() + u16::try_from(offset).unwrap_or(0);
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_free) => ports.push(port),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
    let too_few = |_| io::Error::new(io::ErrorKind::AddrInUse, "no port is free on the loopback interface");
    ports.try_into().map_err(too_few)
}

/// From which the kernel takes ports for whoever names none.
fn ephemeral() -> RangeInclusive<u16> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(last))) if first <= last => first..=last,
        _ => USUAL_EPHEMERAL,
    }
}

/// The larger part beside it; all of it where it leaves too little.
fn outside(ephemeral: &RangeInclusive<u16>) -> RangeInclusive<u16> {
    let below = LOWEST..=ephemeral.start().saturating_sub(1).max(LOWEST);
    let above = ephemeral.end().saturating_add(1)..=u16::MAX;
    let larger = if below.len() >= above.len() { below } else { above };
    if larger.len() >= 1_000 { larger } else { LOWEST..=u16::MAX }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{Ipv4Addr, TcpListener};

    use super::{ephemeral, free_ports, outside};

    #[test]
    fn no_port_is_given_twice_or_could_be_given_by_the_kernel() {
        let ports: Vec<u16> = (0..20).flat_map(|_| free_ports::<10>().expect("ports")).collect();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 200);
        if outside(&ephemeral()).end() < ephemeral().start() || outside(&ephemeral()).start() > ephemeral().end() {
            assert!(ports.iter().all(|port| !ephemeral().contains(port)), "{ports:?}");
        }
    }

    #[test]
    fn a_port_that_is_taken_is_passed_over() {
        let [taken] = free_ports().expect("a port");
        let _holder = TcpListener::bind((Ipv4Addr::LOCALHOST, taken)).expect("bind");
        for _ in 0..300 {
            assert!(!free_ports::<100>().expect("ports").contains(&taken));
        }
    }

    #[test]
    fn the_larger_part_beside_the_kernels_range_is_used() {
        assert_eq!(outside(&(32_768..=60_999)), 20_000..=32_767);
        assert_eq!(outside(&(10_000..=40_000)), 40_001..=65_535);
        assert_eq!(outside(&(1_024..=65_535)), 20_000..=65_535);
        assert_eq!(outside(&(0..=65_535)), 20_000..=65_535);
    }
}
