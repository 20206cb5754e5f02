//! Under a service manager: what it is told, and the unit that tells it what to run.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use super::{Supervise, home};
use crate::own_path;
use crate::support::campaign::{in_own_world, skipped};
use crate::support::home::{DEADLINE, Home, kill, wait_until};

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
    wait_until("it printed", || home.log("a").contains("that is all"));
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

/// Where Debian, Fedora and Arch put it.
const SYSTEMD: &str = "/usr/lib/systemd/systemd";

/// A systemd user manager, in a world of its own.
struct UserManager<'a> {
    home: &'a Home,
    systemd: std::process::Child,
}

impl<'a> UserManager<'a> {
    /// `None` where it does not come up.
    fn begin(home: &'a Home) -> Option<Self> {
        // It wants a machine that was booted by systemd, which this directory says.
        let mounted = Command::new("mount").args(["-t", "tmpfs", "none", "/run"]).status().unwrap();
        assert!(mounted.success());
        std::fs::create_dir_all("/run/systemd/system").unwrap();
        std::fs::create_dir(home.path("run")).unwrap();
        let mut systemd = Command::new(SYSTEMD);
        systemd.args(["--user", "--log-target=null"]).env("XDG_RUNTIME_DIR", home.path("run"));
        systemd.env("HOME", home.path("")).env("XDG_CONFIG_HOME", home.path("config"));
        let systemd = systemd.stdin(std::process::Stdio::null()).spawn().ok()?;
        let mut manager = Self { home, systemd };
        let begun = std::time::Instant::now();
        while manager.systemctl("is-system-running").trim() != "running" {
            if manager.systemd.try_wait().unwrap().is_some() || begun.elapsed() > DEADLINE {
                return None;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
        Some(manager)
    }

    fn systemctl(&self, line: &str) -> String {
        let mut systemctl = Command::new("systemctl");
        systemctl.arg("--user").args(line.split(' ')).env("XDG_RUNTIME_DIR", self.home.path("run"));
        String::from_utf8(systemctl.output().unwrap().stdout).unwrap()
    }

    fn property(&self, name: &str) -> String {
        self.systemctl(&format!("show --value --property {name} provisioning-supervise.service")).trim().to_owned()
    }
}

impl Drop for UserManager<'_> {
    fn drop(&mut self) {
        let _ = self.systemd.kill();
        let _ = self.systemd.wait();
    }
}

#[test]
fn a_real_user_manager_starts_it_again_when_it_dies_and_no_service_notices() {
    in_own_world(own_path!(), || {
        const TEST: &str = "a_real_user_manager_starts_it_again_when_it_dies_and_no_service_notices";
        if !std::path::Path::new(SYSTEMD).exists() {
            return skipped(TEST, "there is no systemd here");
        }
        let home = home();
        home.must("services start a");
        let service = home.pid("a").expect("it runs");
        let Some(manager) = UserManager::begin(&home) else {
            return skipped(TEST, "systemd cannot be a user manager here");
        };
        let installed = home.command("supervise install").env("XDG_CONFIG_HOME", home.path("config")).output().unwrap();
        assert!(installed.status.success(), "{installed:?}");
        manager.systemctl("daemon-reload");
        // Comes back when it has said that it is ready.
        manager.systemctl("enable --now provisioning-supervise.service");
        assert_eq!(manager.property("ActiveState"), "active", "{}", manager.systemctl("status"));
        let first: u32 = manager.property("MainPID").parse().unwrap();
        wait_until("it leads", || super::running(&home) == Some(first));
        wait_until("its status", || manager.property("StatusText") == "leading: 1 of 1 services run");

        kill("-9", first);
        wait_until("its successor", || manager.property("NRestarts") == "1");
        wait_until("its successor is ready", || manager.property("ActiveState") == "active");
        let second: u32 = manager.property("MainPID").parse().unwrap();
        wait_until("it leads", || super::running(&home) == Some(second));

        manager.systemctl("stop provisioning-supervise.service");
        assert_eq!(manager.property("ActiveState"), "inactive", "{}", manager.systemctl("status"));
        assert_eq!((super::running(&home), home.pid("a")), (None, Some(service)));
        home.assert_all_can_be_stopped();
    });
}
