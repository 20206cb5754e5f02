//! Started in the background by the first command that starts something.

use std::process::Command;

use super::{home, leader, running};
use crate::support::home::{Home, Service, is_alive, wait_until};

/// A command as a person types it, who has switched nothing off.
fn typed(home: &Home, line: &str) -> Command {
    let mut command = home.command(line);
    command.env_remove("PROVISIONING_SUPERVISE");
    command
}

#[track_caller]
fn must(home: &Home, line: &str) -> (String, String) {
    let output = typed(home, line).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{line}: {out}{err}");
    (out, err)
}

#[test]
fn the_first_start_starts_it_says_so_once_and_holds_nobody_up() {
    let home = home();
    // Reading both streams to their end would hang if it held one of them.
    let (_, err) = must(&home, "services start a");
    assert!(err.contains("note: `provisioning supervise` now looks after the services in the background"), "{err}");
    wait_until("it leads", || leader(&home).as_deref() == Some("supervise"));
    let pid = running(&home).unwrap();

    let (_, err) = must(&home, "services restart a");
    assert!(!err.contains("supervise"), "{err}");
    assert_eq!(running(&home), Some(pid), "one is enough");

    home.must("supervise stop");
    let (_, err) = must(&home, "services restart a");
    assert!(!err.contains("supervise"), "it is said once for each home: {err}");
    wait_until("another one leads", || running(&home).is_some_and(|other| other != pid));
}

#[test]
fn whoever_asks_after_the_first_start_who_looks_after_the_services_is_told() {
    for _ in 0..5 {
        let home = home();
        must(&home, "services start a");
        let (out, _) = must(&home, "supervise status");
        assert!(out.contains("supervise"), "{out}");
        home.must("supervise stop");
    }
}

#[test]
fn it_has_nothing_of_the_one_who_started_it() {
    let home = home();
    // A shell that left a descriptor open, as `exec 9>file` does, and that ignores hang-ups, as `nohup` does.
    let file = home.path("left-open");
    let line = format!(
        "trap '' HUP; exec 9>'{}'; '{}' --config '{}' services start a",
        file.display(),
        env!("CARGO_BIN_EXE_provisioning"),
        home.registry().display()
    );
    let started = Command::new("sh")
        .args(["-c", &line])
        .env_remove("PROVISIONING_SUPERVISE")
        .env("HOME", home.path(""))
        .env("PROVISIONING_SERVICES_DIR", home.services_dir())
        .current_dir(home.path(""))
        .output()
        .unwrap();
    assert!(started.status.success(), "{started:?}");
    wait_until("it leads", || leader(&home).as_deref() == Some("supervise"));
    let pid = running(&home).unwrap();
    let open = provisioning::host::process::open_files(pid);
    assert!(!open.contains(&file), "{open:?}");
    for number in 0..3 {
        let target = std::fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap();
        assert_eq!(target.to_str(), Some("/dev/null"), "descriptor {number}");
    }
    assert_eq!(std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap().to_str(), Some("/"));
    let stat = provisioning::host::process::stat(pid).unwrap();
    assert_eq!(stat.session, pid, "a session of its own");
    // Its end is asked for by a hang-up like any other's.
    crate::support::home::kill("-HUP", pid);
    wait_until("it ends", || !is_alive(pid));
}

#[test]
fn json_stays_json_and_what_is_said_once_is_not_lost_by_that() {
    let home = Home::with(&[
        Service { name: "a", needs: &[], arguments: Vec::new() },
        Service { name: "b", needs: &[], arguments: Vec::new() },
    ]);
    let (out, err) = must(&home, "services start a --json");
    serde_json::from_str::<serde_json::Value>(&out).unwrap();
    assert_eq!(err, "");
    wait_until("it leads", || leader(&home).as_deref() == Some("supervise"));
}

#[test]
fn several_commands_at_once_end_up_with_one() {
    let home = home();
    let commands: Vec<_> = (0..8).map(|_| typed(&home, "services start a").spawn().unwrap()).collect();
    for command in commands {
        assert!(command.wait_with_output().unwrap().status.success());
    }
    wait_until("one leads", || leader(&home).as_deref() == Some("supervise"));
    let n_running = || {
        let arguments = |pid: &u32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let is_supervise = |pid: &u32| arguments(pid).split(|b| *b == 0).any(|word| word == b"supervise");
        home.strays().into_iter().filter(is_supervise).count()
    };
    wait_until("the others have gone", || n_running() == 1);
}

#[test]
fn it_is_switched_off_by_the_environment_and_by_the_registry() {
    let home = home();
    let off = typed(&home, "services start a").env("PROVISIONING_SUPERVISE", "off").output().unwrap();
    assert!(off.status.success() && !String::from_utf8_lossy(&off.stderr).contains("supervise"));
    assert_eq!(running(&home), None);

    let text = std::fs::read_to_string(home.registry()).unwrap();
    home.write(&format!("{text}\n[supervise]\nauto = false\n"));
    let (_, err) = must(&home, "services restart a");
    assert!(!err.contains("supervise"), "{err}");
    assert_eq!(running(&home), None);
}

#[test]
fn what_only_looks_stops_or_fails_starts_none() {
    let home = home();
    for line in ["platform status", "services start a --dry-run", "services stop a", "services list", "doctor"] {
        drop(typed(&home, line).output().unwrap());
    }
    assert!(!typed(&home, "services start unknown").output().unwrap().status.success());
    assert_eq!(running(&home), None);
    assert!(!home.layout().supervise_lock().exists());
}

#[test]
fn it_can_be_started_in_the_background_by_hand() {
    let home = home();
    home.must("services start a");
    let out = home.must("supervise --background");
    let pid = running(&home).expect("it runs");
    assert_eq!(out, format!("supervise runs in the background (PID {pid})\n"));
    let again = home.types("supervise --background");
    assert!(again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains(&format!("already running (PID {pid})")));
}
