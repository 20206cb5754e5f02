//! D. Logs.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{RESTARTS, memory, startup};
use crate::own_path;
use crate::support::campaign::{in_own_world, rounds};
use crate::support::home::{Home, is_alive, kill, wait_until};
use crate::support::terminal::Terminal;

/// A disk of its own, of this many KiB, at a path. Only in a world of one's own.
pub(super) fn small_disk(path: &Path, kibibytes: u64) {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={kibibytes}k,mode=0700"), "none"])
        .arg(path)
        .status()
        .unwrap();
    assert!(mounted.success());
}

/// Fills a disk to its last byte, and gives what has to be removed to have room again.
pub(super) fn fill(directory: &Path) -> std::path::PathBuf {
    let path = directory.join("filler");
    let mut dd = Command::new("dd");
    dd.arg("if=/dev/zero").arg(format!("of={}", path.display())).arg("bs=1k").stderr(Stdio::null());
    assert!(!dd.status().unwrap().success(), "the disk has no end");
    path
}

fn line(number: u64) -> String {
    format!("{number:010} the quick brown fox jumps over the lazy dog\n")
}

#[test]
fn a_disk_that_is_full_for_a_moment_costs_no_line() {
    in_own_world(own_path!(), || {
        let home = Home::empty();
        small_disk(&home.path("services"), 512);
        let go = home.path("go");
        let wait = format!("while [ ! -e {} ]; do sleep 0.01; done", go.display());
        let done = home.path("done").display().to_string();
        home.write(&home.section("a", &[], &["--run-sh", &wait, "--flood", "1000", "--ready-file", &done], ""));
        home.must("services start a");
        let filler = fill(&home.services_dir());
        std::fs::write(&go, "").unwrap();
        // What a FIFO holds fits into it, so the service goes on; and nothing of it is in the log yet.
        wait_until("all is said", || home.path("done").exists());
        assert!(!home.log("a").contains(&line(999)));
        // What was there before stays whole, and the console sees that the service lives.
        home.assert_files_whole();
        assert!(home.pid("a").is_some());
        std::fs::remove_file(filler).unwrap();
        let expected: String = (0..1000).map(line).collect();
        let log = || home.log("a").split_inclusive('\n').filter(|line| !line.starts_with("---")).collect::<String>();
        wait_until("everything is in the log", || log() == expected);
        assert_eq!(home.record("a").expect("a record").dropped_bytes, 0);
        home.assert_all_can_be_stopped();
    });
}

#[test]
fn a_disk_that_stays_full_blocks_no_service_and_what_was_dropped_is_counted() {
    in_own_world(own_path!(), || {
        let home = Home::empty();
        small_disk(&home.path("services"), 256);
        let (done, go) = (home.path("done"), home.path("go"));
        let wait = format!("while [ ! -e {} ]; do sleep 0.01; done", go.display());
        let flood =
            ["--flood", "20000", "--ready-file", &done.display().to_string(), "--run-sh", &wait, "--flood", "10"];
        home.write(&home.section("a", &[], &flood, ""));
        home.must("services start a");
        let begun = Instant::now();
        wait_until("the service was not held up for good", || done.exists());
        assert!(begun.elapsed() > Duration::from_secs(4), "nothing was kept for the disk to have room again");
        assert!(home.pid("a").is_some() && is_alive(home.shim("a")));
        home.assert_files_whole();
        // There is room again: what was lost is said where it was lost, and what comes is kept.
        let kept = home.log("a");
        std::fs::write(home.layout().logs().join("a.log"), "").unwrap();
        std::fs::write(&go, "").unwrap();
        wait_until("what comes is kept", || home.log("a").ends_with(&line(9)));
        let log = home.log("a");
        let dropped: u64 = log
            .lines()
            .filter_map(|line| line.strip_prefix("--- ")?.split_once(" bytes dropped")?.0.parse::<u64>().ok())
            .sum();
        let lines: u64 = kept.lines().filter(|line| !line.starts_with("---")).map(|line| line.len() as u64 + 1).sum();
        // The last line that fitted in part lost its end with the rest, and counts with the part that is there.
        let total = 20_000 * line(0).len() as u64;
        let in_part = u64::from(!kept.ends_with('\n'));
        assert_eq!(dropped + lines - in_part, total, "{dropped} dropped, {lines} kept\n{log}");
        wait_until("the record says so too", || home.record("a").is_some_and(|record| record.dropped_bytes == dropped));
        let status = home.must("services status a");
        assert!(status.contains(&format!("{dropped} bytes of output were dropped")), "{status}");
        home.assert_all_can_be_stopped();
    });
}

/// A disk of its own that is full to its last byte by what a service that may wait has said, and goes on to say.
fn full_and_waiting(home: &Home, startup: &str) {
    let logs = home.layout().logs();
    small_disk(&logs, 256);
    let done = home.path("done").display().to_string();
    let flood = ["--flood", "20000", "--ready-file", &done];
    home.write(&home.section("a", &[], &flood, &format!("log_on_full = \"block\"\n{startup}")));
    home.must("services start a");
    let available = || rustix::fs::statvfs(&logs).unwrap().f_bavail;
    wait_until("the disk is full", || available() == 0);
}

/// Processor time in ticks, and how often it slept and was woken.
fn effort(pid: u32) -> (u64, u64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let woken = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
    (ticks(11) + ticks(12), woken.trim().parse().unwrap())
}

#[test]
fn a_service_that_may_wait_for_a_full_disk_loses_no_line_however_long_that_takes() {
    in_own_world(own_path!(), || {
        let home = Home::empty();
        full_and_waiting(&home, "");
        let shim = home.shim("a");
        let (begun, before) = (Instant::now(), effort(shim));
        // Longer than anything is kept that may be dropped.
        wait_until("a good while has passed", || begun.elapsed() > Duration::from_secs(7));
        let after = effort(shim);
        assert!(!home.path("done").exists(), "it was not held up");
        assert!(after.0 - before.0 <= 20 && after.1 - before.1 <= 60, "the shim is busy: {before:?}, {after:?}");
        let status = home.must("services status a");
        assert!(status.contains("the disk of its log is full"), "{status}");
        let larger = Command::new("mount").args(["-o", "remount,size=8m"]).arg(home.layout().logs()).status().unwrap();
        assert!(larger.success());
        wait_until("it goes on to its end", || home.path("done").exists());
        let log = || home.log("a").split_inclusive('\n').filter(|line| !line.starts_with("---")).collect::<String>();
        let expected: String = (0..20_000).map(line).collect();
        wait_until("everything is in the log", || log() == expected);
        assert_eq!(home.record("a").expect("a record").dropped_bytes, 0);
        assert!(!home.must("services status a").contains("disk"));
        home.assert_all_can_be_stopped();
    });
}

#[test]
fn a_service_that_waits_for_a_full_disk_can_be_stopped_and_is_restarted_when_it_dies() {
    in_own_world(own_path!(), || {
        let home = Home::empty();
        let more = "stop_timeout = 2\nrestart_on_failure = true\nmax_restarts = 3\n";
        full_and_waiting(&home, &startup("a", more));
        let before = home.living("a");
        kill("-9", before[0]);
        wait_until("another one", || home.living("a").first().is_some_and(|now| *now != before[0]));
        let begun = Instant::now();
        home.must("services stop a");
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert!(home.living("a").is_empty());
        // What nobody holds any more is counted.
        let status = home.must("services status a");
        assert!(status.contains("bytes of output were dropped"), "{status}");
        home.must("services start a");
        let begun = Instant::now();
        home.must("services stop a --force");
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        home.assert_all_can_be_stopped();
    });
}

#[test]
fn output_without_line_ends_costs_a_shim_no_memory_and_is_shown_at_once() {
    let home = Home::empty();
    let n_bytes = rounds(30 << 20, 1 << 30);
    let done = home.path("done");
    let shout = format!("head -c {n_bytes} /dev/zero | tr '\\0' x; touch {}", done.display());
    home.write(&home.section("a", &[], &["--run-sh", &shout], ""));
    home.must("services start a");
    let shim = home.shim("a");
    wait_until("all is said", || done.exists());
    let most = memory(shim, "VmHWM");
    assert!(most < 4 << 20, "the shim took {most} bytes");
    for entry in std::fs::read_dir(home.layout().logs()).unwrap() {
        let length = entry.unwrap().metadata().unwrap().len();
        assert!(length <= (10 << 20) + (64 << 10) + 100, "a log of {length} bytes");
    }
    let begun = Instant::now();
    let shown = home.must("services logs a --lines 1");
    assert!(begun.elapsed() < Duration::from_secs(2) && shown.len() < 100_000, "{} bytes", shown.len());
    home.assert_all_can_be_stopped();
}

#[test]
fn a_rotation_that_is_cut_short_loses_and_doubles_nothing() {
    for point in ["rotate-before-create", "rotate-shifting", "rotate-shifting:2"] {
        let home = Home::empty();
        let done = home.path("done");
        // Three rotations of 10 MiB.
        let n_lines = 700_000;
        let flood = ["--flood", &n_lines.to_string(), "--ready-file", &done.display().to_string()];
        home.write(&home.section("a", &[], &flood, ""));
        let mut command = home.command("services start a");
        assert!(command.env("PROVISIONING_FAILPOINT", point).stdout(Stdio::null()).status().unwrap().success());
        let shim = home.shim("a");
        wait_until(point, || !is_alive(shim));
        assert!(!done.exists(), "{point}: it was over before");
        home.must("services start a");
        wait_until("all is said", || done.exists());
        home.must("services stop a");
        let log = home.log("a");
        let lines: Vec<&str> = log.split_inclusive('\n').filter(|line| !line.starts_with("---")).collect();
        assert_eq!(lines.len(), n_lines, "{point}");
        let wrong = lines.iter().zip(0..).find(|(there, number)| **there != line(*number));
        assert_eq!(wrong, None, "{point}");
    }
}

#[test]
fn lines_come_whole_and_in_order_however_often_their_shim_is_killed_during_rotations() {
    let home = Home::empty();
    let n_lines = rounds(200_000, 3_000_000);
    let done = home.path("done");
    let trickle = ["--trickle", &n_lines.to_string(), "--ready-file", &done.display().to_string()];
    home.write(&home.section("a", &[], &trickle, &startup("a", RESTARTS)));
    home.must("services start a");
    let mut n_kills = 0;
    while !done.exists() {
        let shim = home.shim("a");
        kill("-9", shim);
        wait_until("its end", || !is_alive(shim));
        n_kills += 1;
        home.must("services start a");
    }
    home.must("services stop a");
    // Only so much is kept; what is there has to be one piece, and its end the end.
    let log = home.log("a");
    let numbers: Vec<u64> = log
        .lines()
        .filter(|line| !line.starts_with("---"))
        .map(|line| line.get(..10).and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{line:?}")))
        .collect();
    let first = numbers[0];
    assert!(numbers.iter().zip(first..).all(|(number, expected)| *number == expected), "after {n_kills} kills");
    assert_eq!(numbers.last(), Some(&(n_lines - 1)), "after {n_kills} kills");
    assert!(n_kills >= 3, "only {n_kills} kills");
    home.assert_all_can_be_stopped();
}

#[test]
fn a_log_of_ten_gigabytes_opens_at_once_and_costs_no_memory() {
    use std::io::{Seek as _, SeekFrom, Write as _};
    let home = Home::empty();
    home.write(&home.section("a", &[], &[], ""));
    home.must("services start a");
    home.must("services stop a");
    let path = home.layout().logs().join("a.log");
    let mut log = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    // A hole, in which no line ends, and lines behind it.
    log.seek(SeekFrom::Start(10 << 30)).unwrap();
    let lines: String = (0..5000).fold(String::from("\n"), |mut text, number| {
        writeln!(text, "line {number}").unwrap();
        text
    });
    log.write_all(lines.as_bytes()).unwrap();
    let begun = Instant::now();
    let shown = home.must("services logs a --lines 3");
    assert!(shown.contains("line 4997\n") && shown.ends_with("line 4999\n"), "{shown}");
    let mut console = Terminal::console(&home);
    console.wait_for("line 4999");
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    console.press("\t\t\t");
    for _ in 0..20 {
        console.press("\u{1b}[5~");
    }
    console.wait("earlier lines", || !console.text().contains("line 4999"));
    let most = memory(console.pid(), "VmHWM");
    assert!(most < 64 << 20, "the console took {most} bytes");
    console.press("\u{3}");
    console.ended();
    console.assert_handed_back();
}
