//! C. Who is who, and many at once.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{RESTARTS, startup};
use crate::own_path;
use crate::support::campaign::{dice, in_own_world, rounds};
use crate::support::dice::pass;
use crate::support::home::{Home, is_alive, kill, wait_until};

/// Leads a group of its own, has nothing to do with us, and must not notice us.
struct Bystander(Child);

impl Bystander {
    fn new() -> Self {
        let null = Stdio::null;
        Self(
            Command::new("sleep")
                .arg("1000")
                .process_group(0)
                .stdin(null())
                .stdout(null())
                .stderr(null())
                .spawn()
                .unwrap(),
        )
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn fifty_commands_at_once_start_one_instance_and_all_succeed() {
    let home = Home::empty();
    home.write(&(home.section("a", &[], &[], "") + &home.section("b", &["a"], &[], "")));
    for round in 0..rounds(1, 1000) {
        let n_commands = if round % 10 == 9 { 50 } else { [50, 2][usize::from(round > 0)] };
        let commands: Vec<_> = (0..n_commands).map(|_| home.command("services start b").spawn().unwrap()).collect();
        for command in commands {
            let output = command.wait_with_output().unwrap();
            assert!(output.status.success(), "round {round}: {}", String::from_utf8_lossy(&output.stderr));
        }
        for name in ["a", "b"] {
            let pid = home.pid(name).expect("it runs");
            wait_until("its first deed", || home.living(name).contains(&pid));
            assert_eq!(home.living(name), [pid], "round {round}: {name}");
        }
        home.must("platform stop");
    }
    home.assert_all_can_be_stopped();
}

/// A check that a file answers.
fn well_when_there(path: &std::path::Path, name: &str) -> String {
    let check = "start_interval = 1\ninterval = 1\ntype = \"file\"";
    format!("[services.{name}.health_check]\n{check}\n[services.{name}.health_check.file]\npath = {path:?}\n")
}

#[test]
fn a_stop_is_heard_by_a_start_that_waits_in_another_program() {
    let home = Home::empty();
    let well = home.path("well");
    home.write(
        &(home.section("queue", &[], &[], &well_when_there(&well, "queue"))
            + &home.section("worker", &["queue"], &[], "")),
    );
    let starting = home.command("services start worker").stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it waits for queue", || !home.living("queue").is_empty());

    let said = home.must("services stop worker");
    assert!(said.contains("worker is not running"), "{said}");
    std::fs::write(&well, "").unwrap();
    let output = starting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("worker: given up, since something else was asked for meanwhile"), "{said}");
    assert_eq!(home.living("worker"), [] as [u32; 0]);
    // Nobody but an earlier start is concerned.
    home.must("services start worker");
    home.assert_all_can_be_stopped();
}

#[test]
fn whatever_races_with_it_the_last_wish_is_what_comes_true() {
    let home = Home::empty();
    home.write(&home.section("a", &[], &[], &startup("a", RESTARTS)));
    let mut dice = dice();
    for round in 0..rounds(12, 1000) {
        // Three of them at about the same time, and crashes between them.
        let racing: Vec<_> = (0..3)
            .map(|_| {
                let verb = *dice.pick(&["start", "stop", "restart", "stop --force"]);
                let mut command = home.command(&format!("services {} a", verb));
                if verb == "stop --force" {
                    command = home.command("services stop a --force");
                }
                let racer = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
                pass(dice.moment(Duration::from_millis(20)));
                if dice.below(2) == 0 {
                    home.living("a").iter().for_each(|&pid| kill("-9", pid));
                }
                racer
            })
            .collect();
        // The last wish comes while they are still at it, or right after.
        let wants_up = dice.below(2) == 0;
        for mut racer in racing {
            racer.wait().unwrap();
        }
        if wants_up {
            home.must("services start a");
            let pid =
                home.pid("a").unwrap_or_else(|| panic!("round {round}: not up after a start: {}", home.status("a")));
            wait_until("its first deed", || home.living("a").contains(&pid));
            assert_eq!(home.living("a"), [pid], "round {round}");
        } else {
            home.must("services stop a");
            assert!(home.living("a").is_empty(), "round {round}: up after a completed stop");
            // No shim is left that could start it again.
            wait_until("nobody is left", || home.strays().is_empty());
            assert!(home.living("a").is_empty(), "round {round}: up again after a completed stop");
        }
    }
    home.assert_all_can_be_stopped();
}

#[test]
fn a_stop_at_any_moment_of_a_pause_before_a_restart_is_the_end_of_it() {
    let home = Home::empty();
    home.write(&home.section("a", &[], &["--exit", "1"], &startup("a", RESTARTS)));
    let mut dice = dice();
    for round in 0..rounds(3, 1000) {
        drop(home.types("services start a"));
        pass(dice.moment(Duration::from_millis(1100)));
        home.must("services stop a");
        wait_until("nobody is left", || home.strays().is_empty());
        let n_runs = std::fs::read_to_string(home.ledger("a")).unwrap().lines().count();
        assert!(home.living("a").is_empty(), "round {round}");
        let status = home.status("a");
        assert_eq!((status["status"].as_str(), status["wanted"].as_str()), (Some("stopped"), Some("down")), "{status}");
        assert_eq!(std::fs::read_to_string(home.ledger("a")).unwrap().lines().count(), n_runs);
    }
    home.assert_all_can_be_stopped();
}

#[test]
fn a_service_that_waits_for_what_it_needs_can_be_restarted_and_stopped() {
    let home = Home::empty();
    for round in 0..rounds(1, 50) {
        let ready = home.path(&format!("ready{round}"));
        let health = format!(
            "[services.db.health_check]\ntype = \"file\"\ninterval = 1\n[services.db.health_check.file]\npath = {:?}\n",
            ready.display().to_string()
        );
        let db = home.section("db", &[], &[], &health);
        home.write(&(db + &home.section("web", &["db"], &[], "")));
        let waiting = home.command("services start web").spawn().unwrap();
        wait_until("the database has begun", || !home.living("db").is_empty());
        let restarting = home.command("services restart web").spawn().unwrap();
        let stopped = home.types("services stop web");
        assert!(stopped.status.success(), "{}", String::from_utf8_lossy(&stopped.stderr));
        std::fs::write(&ready, "").unwrap();
        for command in [waiting, restarting] {
            command.wait_with_output().unwrap();
        }
        home.must("services start web");
        for name in ["db", "web"] {
            let pid = home.pid(name).expect("it runs");
            wait_until("its first deed", || home.living(name).contains(&pid));
            assert_eq!(home.living(name), [pid], "round {round}: {name}");
        }
        home.must("platform stop");
    }
    home.assert_all_can_be_stopped();
}

#[test]
fn a_bystander_that_got_the_pid_of_a_dead_service_is_never_touched() {
    in_own_world(own_path!(), || {
        let home = Home::empty();
        home.write(&home.section("a", &[], &[], &startup("a", RESTARTS)));
        for round in 0..rounds(2, 100) {
            home.must("services start a");
            let (shim, service) = (home.shim("a"), home.pid("a").expect("it runs"));
            // Nobody writes down its end, so the record goes on naming this PID.
            kill("-9", shim);
            kill("-9", service);
            wait_until("their end", || !is_alive(shim) && !is_alive(service));
            wait_until("they were waited for", || {
                [shim, service].iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
            });
            let reborn = if round % 2 == 0 { service } else { shim };
            std::fs::write("/proc/sys/kernel/ns_last_pid", (reborn - 1).to_string()).unwrap();
            let bystander = Bystander::new();
            assert_eq!(bystander.pid(), reborn, "the kernel did not give the number out again");
            std::fs::write(home.layout().pids().join("a.pid"), format!("{reborn}\n")).unwrap();
            assert_eq!(home.pid("a"), None, "{}", home.status("a"));
            home.must("services stop a");
            home.must("services stop a --force");
            assert!(is_alive(bystander.pid()), "round {round}: a bystander was signalled");
            std::fs::write("/proc/sys/kernel/ns_last_pid", (reborn + 50).to_string()).unwrap();
            home.must("services start a");
            assert_ne!(home.pid("a"), Some(reborn));
            home.must("services stop a --force");
            assert!(is_alive(bystander.pid()), "round {round}: a bystander was signalled");
        }
        home.assert_all_can_be_stopped();
    });
}

#[test]
fn after_a_restart_of_the_machine_what_ran_is_stopped_and_nobody_is_taken_for_it() {
    let home = Home::empty();
    home.write(&home.section("a", &[], &[], &startup("a", RESTARTS)));
    home.must("services start a");
    let record = home.record("a").expect("a record");
    let (shim, service) = (record.shim.expect("a shim"), record.service.expect("a service"));
    kill("-9", shim.pid);
    kill("-9", service.pid);
    wait_until("their end", || !is_alive(shim.pid) && !is_alive(service.pid));
    let (one, two) = (Bystander::new(), Bystander::new());
    let stat = |pid: u32| provisioning::host::process::stat(pid).expect("stat");
    let path = home.layout().state().join("a.json");
    let mut text = std::fs::read_to_string(&path).unwrap();
    // The same numbers and start times in another boot.
    for (old, new) in [(&shim, one.pid()), (&service, two.pid())] {
        text = text.replace(&format!("\"pid\":{}", old.pid), &format!("\"pid\":{new}"));
        text = text.replace(
            &format!("\"start_ticks\":{}", old.start_ticks),
            &format!("\"start_ticks\":{}", stat(new).start_ticks),
        );
    }
    let text = text.replace(&shim.boot_id, "00000000-1111-2222-3333-444444444444");
    std::fs::write(&path, text).unwrap();
    let status = home.must("services status a");
    assert!(status.contains("the machine was restarted"), "{status}");
    assert_eq!(home.status("a")["status"], "stopped");
    for line in ["platform status", "services list", "services stop a", "services stop a --force"] {
        home.must(line);
        assert!(home.living("a").is_empty(), "{line} started it");
        assert!(is_alive(one.pid()) && is_alive(two.pid()), "{line} signalled a bystander");
    }
    home.must("services start a");
    home.assert_all_can_be_stopped();
    assert!(is_alive(one.pid()) && is_alive(two.pid()));
}

#[test]
fn hostile_pid_files_hold_nobody_up_and_change_nothing() {
    let home = Home::empty();
    home.write(&home.section("a", &[], &[], ""));
    home.must("services start a");
    home.must("services stop a");
    let pid_file = home.layout().pids().join("a.pid");
    let make_fifo = || assert!(Command::new("mkfifo").arg(&pid_file).status().unwrap().success());
    let bystander = Bystander::new();
    let own = bystander.pid().to_string();
    for content in ["0", "1", "-1", "99999999999", "text", "\0\0", &own] {
        std::fs::write(&pid_file, content).unwrap();
        assert_eq!(home.status("a")["status"], "stopped", "{content:?}");
        home.must("services stop a --force");
        std::fs::write(&pid_file, content).unwrap();
        home.must("services start a");
        home.must("services stop a");
    }
    assert!(is_alive(bystander.pid()), "a bystander was signalled");
    make_fifo();
    assert_eq!(home.status("a")["status"], "stopped");
    home.must("services start a");
    home.must("services stop a");
    std::fs::create_dir(&pid_file).unwrap();
    home.must("services start a");
    assert!(home.pid("a").is_some());
    std::fs::remove_dir(&pid_file).unwrap();
    home.assert_all_can_be_stopped();
}
