//! I. Terminals, and the places from which commands are typed.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::campaign::{dice, rounds};
use crate::support::dice::pass;
use crate::support::home::{Home, is_alive, wait_until};
use crate::support::terminal::Terminal;

/// The processor time that a process has taken, in its own work and the kernel's.
fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

fn two() -> Home {
    let home = Home::empty();
    home.write(&(home.section("a", &[], &[], "") + &home.section("b", &["a"], &[], "")));
    home
}

#[test]
fn a_storm_of_resizes_ends_with_the_right_picture_and_cost_less_than_one_processor() {
    let home = two();
    home.must("services start b");
    let mut console = Terminal::console(&home);
    console.wait_for("Running 2/2");
    let mut dice = dice();
    let (begun, before) = (Instant::now(), processor_time(console.pid()));
    for _ in 0..rounds(150, 6000) {
        let (columns, rows) = match dice.below(20) {
            0 => (0, 0),
            1 => (1, 1),
            2 => (500, 200),
            _ => (1 + dice.below(500), 1 + dice.below(200)),
        };
        console.resize(u16::try_from(columns).unwrap(), u16::try_from(rows).unwrap());
        pass(Duration::from_millis(10));
    }
    let (took, used) = (begun.elapsed(), processor_time(console.pid()) - before);
    assert!(used < took, "{used:?} of {took:?}");
    console.resize(30, 8);
    console.wait_for("needed, this is 30x8");
    console.resize(100, 30);
    console.wait_for("Running 2/2");
    console.wait_for("quit");
    console.press("\u{3}");
    assert_eq!(console.ended(), 0);
    console.assert_handed_back();
    home.assert_all_can_be_stopped();
}

/// The sequences that choose a colour, of all that was sent.
fn colours(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let sequences = text.split("\u{1b}[").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';')?;
        rest[end..].starts_with('m').then(|| rest[..end].to_owned())
    });
    let chooses = |number: &str| matches!(number.parse(), Ok(30..=38 | 40..=48 | 90..=97 | 100..=107_u32));
    sequences.filter(|sequence| sequence.split(';').any(chooses)).collect()
}

#[test]
fn any_kind_of_terminal_shows_states_in_words() {
    let home = two();
    home.must("services start a");
    for variables in [
        [("TERM", "dumb"), ("LC_ALL", "C")],
        [("TERM", ""), ("COLORTERM", "")],
        [("TERM", "no-such-terminal"), ("NO_COLOR", "1")],
        [("TERM", "linux"), ("CLICOLOR", "0")],
        [("TERM", "xterm"), ("COLORTERM", "")],
        [("TERM", "xterm-256color"), ("NO_COLOR", "1")],
    ] {
        let program = env!("CARGO_BIN_EXE_provisioning-tui");
        let mut console = Terminal::open(&home, program, "", (100, 30), &variables);
        console.wait_for("Running 1/2");
        console.wait_for("running");
        console.wait_for("stopped");
        if variables.contains(&("NO_COLOR", "1")) {
            assert_eq!(colours(&console.bytes()), Vec::<String>::new(), "{variables:?}");
        }
        console.press("\u{3}");
        assert_eq!(console.ended(), 0, "{variables:?}");
        console.assert_handed_back();
    }
    home.assert_all_can_be_stopped();
}

/// A shell line with `@P` for a command in this home.
fn shell(home: &Home, line: &str) -> Command {
    let plain = home.command("");
    let mut command = Command::new("sh");
    let words: Vec<String> = std::iter::once(plain.get_program())
        .chain(plain.get_args())
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    command.arg("-c").arg(line.replace("@P", &words.join(" ")));
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

#[test]
fn without_a_terminal_a_console_says_what_to_do_instead_and_a_full_or_closed_output_is_no_crash() {
    let home = two();
    home.must("services start a");
    let console = format!("'{}'", env!("CARGO_BIN_EXE_provisioning-tui"));
    for (line, code) in [
        (format!("{console} < /dev/null"), 2),
        (format!("{console} < /dev/null | cat; exit 0"), 0),
        (format!("setsid -w {console} < /dev/null"), 2),
        ("@P platform status < /dev/null".to_owned(), 0),
        ("@P platform status > /dev/full".to_owned(), 1),
        ("@P services list --json > /dev/full".to_owned(), 1),
        ("@P platform status >&-; exit 0".to_owned(), 0),
        ("@P platform status 2>&-".to_owned(), 0),
        ("@P platform status <&- >/dev/null 2>&-".to_owned(), 0),
        ("@P platform status | true; exit 0".to_owned(), 0),
        ("setsid -w @P platform status".to_owned(), 0),
        ("env -i PROVISIONING_SUPERVISE=off HOME=$HOME PROVISIONING_SERVICES_DIR=$PROVISIONING_SERVICES_DIR @P platform status".to_owned(), 0),
    ] {
        let output = shell(&home, &line).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{line}: {said}");
        assert_eq!(output.status.code(), Some(code), "{line}: {said}");
    }
    home.assert_all_can_be_stopped();
}

#[test]
fn wherever_a_start_is_typed_it_returns_and_the_service_keeps_nothing_of_that_place() {
    let home = Home::empty();
    for (number, line) in [
        "@P services start a | cat",
        "x=$(@P services start a); echo \"$x\"",
        "nohup @P services start a",
        "setsid -w @P services start a",
        "env -i PROVISIONING_SUPERVISE=off HOME=$HOME PROVISIONING_SERVICES_DIR=$PROVISIONING_SERVICES_DIR @P services start a",
        "exec 7>held 8</dev/zero; @P services start a",
        "trap '' HUP PIPE INT QUIT; @P services start a",
        "ulimit -S -n 64; @P services start a",
        "@P services start a >&- 2>&- <&-",
    ]
    .iter()
    .enumerate()
    {
        let shown = home.path(&format!("shown{number}"));
        home.write(&home.section("a", &[], &["--show", &shown.display().to_string()], ""));
        let mut typed = shell(&home, line);
        typed.current_dir(home.path("")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let begun = Instant::now();
        let mut child = typed.spawn().unwrap();
        let mut said = Vec::new();
        // Returns when nobody holds it any more.
        child.stdout.take().unwrap().read_to_end(&mut said).unwrap();
        child.stderr.take().unwrap().read_to_end(&mut said).unwrap();
        let status = child.wait().unwrap();
        assert!(status.success() && begun.elapsed() < Duration::from_secs(10), "{line}: {}", String::from_utf8_lossy(&said));
        wait_until("what it inherited", || shown.exists());
        let text = std::fs::read_to_string(&shown).unwrap();
        let descriptors = text.lines().filter(|line| line.starts_with("fd ")).count();
        assert_eq!(descriptors, 4, "{line}: null, its output twice, its lock: {text}");
        assert!(!text.contains("pipe:") && !text.contains("/held") && !text.contains("/dev/zero"), "{line}: {text}");
        let ignored = text.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim().to_owned();
        let ignored = u64::from_str_radix(&ignored, 16).unwrap();
        // HUP, INT, QUIT. PIPE is ignored by the runtime of the test program itself.
        assert_eq!(ignored & 0b111, 0, "{line}: {text}");
        let shim = home.shim("a");
        for entry in std::fs::read_dir(format!("/proc/{shim}/fd")).unwrap().flatten() {
            let target = std::fs::read_link(entry.path()).unwrap_or_default().display().to_string();
            assert!(!target.starts_with("pipe:") && !target.ends_with("/held") && target != "/dev/zero", "{line}: {target}");
        }
        assert!(is_alive(shim));
        home.must("services stop a");
    }
    home.assert_all_can_be_stopped();
}
