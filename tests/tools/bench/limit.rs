//! The limit: what starting costs when nothing is done but fork, exec and look. No shim, no log, no state, no checks, no restart.

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::platform::Service;
use super::program;

/// Starts all at once and returns when the last one listens.
pub(crate) fn start_independent(services: &[Service]) -> Duration {
    let program = program::service();
    let began = Instant::now();
    let mut children: Vec<Child> = services
        .iter()
        .map(|service| {
            Command::new(&program)
                .args(service.arguments())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .expect("fork and exec")
        })
        .collect();
    let mut waiting: Vec<SocketAddr> =
        services.iter().map(|service| SocketAddr::from(([127, 0, 0, 1], service.port))).collect();
    while !waiting.is_empty() {
        waiting.retain(|address| TcpStream::connect(address).is_err());
        if !waiting.is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let took = began.elapsed();
    for child in &mut children {
        child.kill().expect("kill");
        child.wait().expect("wait");
    }
    took
}
