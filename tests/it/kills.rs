//! Whatever of ours is killed at whatever moment: one instance of each service, nothing stuck, no line lost.

use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

use super::support::home::{Home, Service, wait_until};

/// How often each kind of death is tried.
const ROUNDS: u64 = 12;

const CHAIN: [&str; 4] = ["a", "b", "c", "d"];

fn chain() -> Home {
    let needs: [&[&str]; 4] = [&[], &["a"], &["b"], &["a", "c"]];
    let services: Vec<Service<'_>> =
        CHAIN.iter().zip(needs).map(|(name, needs)| Service { name, needs, arguments: Vec::new() }).collect();
    Home::with(&services)
}

/// Moments that are the same in every run and differ from round to round, between nothing and 40 ms (SplitMix64).
fn moment(round: u64) -> Duration {
    let mut z = round.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Duration::from_micros((z ^ (z >> 31)) % 40_000)
}

/// Lets a moment pass: it is when the fault comes, not something that is waited for.
fn pass(moment: Duration) {
    let began = Instant::now();
    while began.elapsed() < moment {
        std::hint::spin_loop();
    }
}

/// The PID that is told of a service.
#[track_caller]
fn told_pid(home: &Home, name: &str) -> u32 {
    let status: serde_json::Value =
        serde_json::from_str(&home.must(&format!("services status {name} --json"))).expect("JSON");
    let pid = status["service"]["pid"].as_u64().unwrap_or_else(|| panic!("{name} does not run: {status}"));
    u32::try_from(pid).expect("a PID")
}

#[track_caller]
fn assert_one_of_each(home: &Home, round: u64) {
    for name in CHAIN {
        let pid = told_pid(home, name);
        // Without a health check a service is up when its process is: its first deed, the line in the ledger, may still be to come.
        wait_until(&format!("{name} has begun"), || home.living(name).contains(&pid));
        let living = home.living(name);
        assert_eq!(living.len(), 1, "round {round}: instances of {name}: {living:?}\n{}", home.must("platform status"));
    }
}

#[test]
fn twenty_commands_at_once_start_one_instance_and_all_succeed() {
    let home = chain();
    let commands: Vec<_> = (0..20).map(|_| home.command("services start d --json").spawn().unwrap()).collect();
    let mut pids = Vec::new();
    for command in commands {
        let output = command.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        pids.push(told_pid(&home, "d"));
    }
    assert_one_of_each(&home, 0);
    assert!(pids.iter().all(|pid| Some(*pid) == home.living("d").first().copied()), "{pids:?}");
}

#[test]
fn a_command_that_is_killed_while_it_starts_leaves_nothing_half_done() {
    let home = chain();
    for round in 0..ROUNDS {
        let mut command = home.command("platform start").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        pass(moment(round));
        command.kill().unwrap();
        command.wait().unwrap();
        home.must("platform start");
        assert_one_of_each(&home, round);
        home.must("platform stop");
        for name in CHAIN {
            assert!(home.living(name).is_empty(), "round {round}: {name} lives after its stop");
        }
    }
}

#[test]
fn a_command_that_is_killed_while_it_stops_leaves_nothing_half_done() {
    let home = chain();
    for round in 0..ROUNDS {
        home.must("platform start");
        let mut command = home.command("platform stop").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        pass(moment(round));
        command.kill().unwrap();
        command.wait().unwrap();
        home.must("platform stop");
        for name in CHAIN {
            assert!(home.living(name).is_empty(), "round {round}: {name} lives after its stop");
        }
    }
}

/// A console on a terminal of 100 × 30.
struct Console {
    child: Box<dyn Child + Send + Sync>,
    _master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn std::io::Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Console {
    fn open(home: &Home) -> Self {
        let size = PtySize { rows: 30, cols: 100, pixel_width: 0, pixel_height: 0 };
        let pty = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_provisioning-tui"));
        command.env("PROVISIONING_SUPERVISE", "off");
        command.arg("--config");
        command.arg(home.registry());
        command.env("PROVISIONING_SERVICES_DIR", home.services_dir());
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(30.try_into().unwrap(), 100.try_into().unwrap(), 0)));
        let seen = Arc::clone(&screen);
        let mut reader = pty.master.try_clone_reader().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                seen.lock().unwrap().process(&buffer[..n]);
            }
        });
        let keyboard = pty.master.take_writer().unwrap();
        let console = Self { child, _master: pty.master, keyboard, screen };
        wait_until("the board is on the screen", || console.text().contains("Services"));
        console
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    fn press(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).unwrap();
        self.keyboard.flush().unwrap();
    }

    fn kill(mut self) {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn a_console_that_is_killed_while_it_starts_everything_leaves_nothing_half_done() {
    let home = chain();
    for round in 0..ROUNDS / 2 {
        let mut console = Console::open(&home);
        console.press(b"a");
        pass(moment(round));
        console.kill();
        home.must("platform start");
        assert_one_of_each(&home, round);
        home.must("platform stop");
    }
}

/// Numbered lines of the flood, in the order of the log.
fn numbers(log: &str) -> Vec<u64> {
    log.lines().filter_map(|line| line.get(..10)?.parse().ok()).collect()
}

#[test]
fn a_flood_loses_no_line_whoever_is_killed() {
    const N_BURSTS: usize = 15;
    const N_LINES: u64 = 30_000;
    let burst = ["--flood".to_owned(), N_LINES.to_string(), "--after-ms".to_owned(), "100".to_owned()];
    let mut arguments = vec![burst; N_BURSTS].concat();
    arguments.extend(["--print".to_owned(), "all said".to_owned()]);
    let home = Home::with(&[Service { name: "flood", needs: &[], arguments }]);
    let is_over = || home.log("flood").contains("all said");
    let mut command = home.command("services start flood").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the flood has begun", || !home.living("flood").is_empty());
    command.kill().unwrap();
    command.wait().unwrap();
    let mut n_kills = 0;
    for round in 0..4 {
        let console = Console::open(&home);
        pass(moment(round));
        if let Some(shim) = home.living("flood").first().and_then(|pid| parent(*pid)) {
            n_kills += usize::from(kill_process(shim, Signal::KILL).is_ok() && !is_over());
        }
        console.kill();
    }
    assert!(n_kills > 0, "the flood was over before any shim was killed");
    // Whoever comes next with the right to act gives the orphan a guardian again.
    let _console = Console::open(&home);
    wait_until("the flood ends", is_over);
    let expected: Vec<u64> = (0..N_BURSTS).flat_map(|_| 0..N_LINES).collect();
    let numbers = numbers(&home.log("flood"));
    let first_difference = numbers.iter().zip(&expected).position(|(number, expected)| number != expected);
    assert_eq!((first_difference, numbers.len()), (None, expected.len()));
    assert_eq!(home.living("flood").len(), 1);
}

/// The parent of a service's process, if that is a shim and not init.
fn parent(pid: u32) -> Option<Pid> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("PPid:"))?;
    let parent: u32 = line.split_whitespace().nth(1)?.parse().ok()?;
    let name = std::fs::read_to_string(format!("/proc/{parent}/comm")).ok()?;
    name.starts_with("provisioning-sh").then(|| Pid::from_raw(i32::try_from(parent).ok()?)).flatten()
}
