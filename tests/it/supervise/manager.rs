//! Under a service manager: what it is told, and the unit that tells it what to run.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use super::{Supervise, home};
use crate::support::home::{DEADLINE, Home};

/// A service manager's ear.
struct Manager(UnixDatagram);

impl Manager {
    fn of(home: &Home) -> Self {
        let socket = UnixDatagram::bind(home.path("notify.sock")).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self(socket)
    }

    /// The next message that begins with `wanted`, and what came before it.
    #[track_caller]
    fn hears(&self, wanted: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let mut buffer = [0; 4096];
            let length = self.0.recv(&mut buffer).unwrap_or_else(|error| panic!("no {wanted}: {error}, but {heard:?}"));
            heard.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
            if heard.last().is_some_and(|message| message.starts_with(wanted)) {
                return heard;
            }
        }
    }
}

#[test]
fn a_service_manager_is_told_that_it_is_ready_how_it_goes_and_that_it_ends() {
    let home = home();
    home.must("services start a");
    let manager = Manager::of(&home);
    let mut command = home.command("supervise --stay");
    command.env("NOTIFY_SOCKET", home.path("notify.sock")).env("WATCHDOG_USEC", "400000");
    let supervise = Supervise(command.spawn().unwrap());
    manager.hears("READY=1");
    manager.hears("STATUS=leading: 1 of 1 services run");
    manager.hears("WATCHDOG=1");
    manager.hears("WATCHDOG=1");
    let text = std::fs::read_to_string(home.registry()).unwrap();
    home.write(&format!("{text}{}", home.section("b", &[], &[], "")));
    manager.hears("RELOADING=1\nMONOTONIC_USEC=");
    manager.hears("READY=1");
    manager.hears("STATUS=leading: 1 of 2 services run");
    supervise.signal(rustix::process::Signal::TERM);
    manager.hears("STOPPING=1");
    assert!(supervise.ended().0.success());
}

#[test]
fn no_service_inherits_the_way_to_the_service_manager() {
    let home = Home::empty();
    let words = ["--print-env", "NOTIFY_SOCKET", "--print-env", "WATCHDOG_USEC", "--print", "that is all"];
    home.write(&home.section("a", &[], &words, ""));
    let mut command = home.command("services start a");
    let started = command.env("NOTIFY_SOCKET", "/run/secret.sock").env("WATCHDOG_USEC", "1").output().unwrap();
    assert!(started.status.success());
    crate::support::home::wait_until("it printed", || home.log("a").contains("that is all"));
    assert!(!home.log("a").contains("secret.sock"), "{}", home.log("a"));
}

#[test]
fn the_unit_is_printed_written_removed_and_understood_by_systemd() {
    let home = home();
    let text = home.must("supervise install --print");
    let executable = std::fs::canonicalize(env!("CARGO_BIN_EXE_provisioning")).unwrap();
    let line = format!(
        "ExecStart=\"{}\" supervise --stay --replace --config \"{}\"",
        executable.display(),
        home.registry().display()
    );
    for wanted in [line.as_str(), "Type=notify", "KillMode=process", "WantedBy=default.target"] {
        assert!(text.lines().any(|found| found == wanted), "{wanted:?} is missing:\n{text}");
    }
    assert!(text.contains(&format!("PROVISIONING_SERVICES_DIR={}", home.services_dir().display())), "{text}");
    let path = home.path("config/systemd/user/provisioning-supervise.service");
    assert!(!path.exists(), "printing writes nothing");
    let run = |line: &str| {
        let output = home.command(line).env("XDG_CONFIG_HOME", home.path("config")).output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let said = run("supervise install");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    for wanted in ["systemctl --user enable --now provisioning-supervise.service", "loginctl enable-linger"] {
        assert!(said.contains(wanted), "{said}");
    }
    match Command::new("systemd-analyze").args(["verify", "--user", "--man=no"]).arg(&path).output() {
        Ok(verified) => {
            let complaints = String::from_utf8_lossy(&verified.stderr);
            let is_about_it = |line: &&str| line.contains("provisioning-supervise");
            let about_it: Vec<&str> = complaints.lines().filter(is_about_it).collect();
            assert!(about_it.is_empty(), "{about_it:?}");
        }
        Err(error) => eprintln!("SKIPPED: systemd has not read the unit: {error}"),
    }
    run("supervise uninstall");
    assert!(!path.exists());
    assert!(run("supervise uninstall").contains("There is no"));
}

#[test]
fn a_unit_takes_over_from_one_that_was_started_in_the_background() {
    let home = home();
    home.must("services start a");
    home.must("supervise --background");
    let manager = Manager::of(&home);
    let mut command = home.command("supervise --stay --replace");
    let supervise = Supervise(command.env("NOTIFY_SOCKET", home.path("notify.sock")).spawn().unwrap());
    manager.hears("STATUS=leading: 1 of 1");
    assert_eq!(super::running(&home), Some(supervise.pid()));
}
