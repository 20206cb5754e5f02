//! Log throughput against `cat > file` on the same kind of pipe.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::platform::Platform;
use super::{Figure, median, program};

/// Enough that starting and ending are lost in it.
pub(crate) const N_LINES: u64 = 8_000_000;

/// The length of a line of `tests/programs/service.rs --flood`.
pub(crate) const LINE: u64 = 55;

const RUNS: usize = 5;

/// The share of `cat`'s speed, and whether every line arrived.
pub(crate) fn throughput() -> Vec<Figure> {
    let mut shares = Vec::new();
    let mut speed = Vec::new();
    let mut n_missing = 0;
    for _ in 0..RUNS {
        let through_cat = with_cat();
        let (through_shim, missing) = with_shim();
        shares.push(through_cat.as_secs_f64() / through_shim.as_secs_f64());
        speed.push((N_LINES * LINE) as f64 / through_shim.as_secs_f64() / 1e6);
        n_missing += missing;
    }
    vec![
        Figure::at_least("log throughput", median(shares), "× cat > file", 0.7),
        Figure::at_least("log throughput", median(speed), "MB/s", 124.0),
        Figure::at_most("log lines missing", n_missing as f64, "", 0.0),
    ]
}

/// The flooding service marks its first and its last byte, so that neither side pays for starting.
pub(crate) struct Marks {
    dir: tempfile::TempDir,
}

impl Marks {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("temporary directory") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn arguments(&self) -> Vec<String> {
        let mark = |name: &str| ["--ready-file".to_owned(), self.path(name).display().to_string()];
        let flood = ["--flood".to_owned(), N_LINES.to_string()];
        [mark("begun"), flood, mark("done")].concat()
    }

    /// From the first byte to the last.
    pub(crate) fn time(&self) -> Duration {
        wait_for("the flood to begin", || self.path("begun").exists());
        wait_for("the flood to end", || self.path("done").exists());
        let at = |name: &str| fs::metadata(self.path(name)).and_then(|mark| mark.modified()).expect("mark");
        at("done").duration_since(at("begun")).expect("in order")
    }
}

pub(crate) fn wait_for(what: &str, is_there: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_there() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn with_cat() -> Duration {
    let marks = Marks::new();
    let mut service =
        Command::new(program::service()).args(marks.arguments()).stdout(Stdio::piped()).spawn().expect("service");
    let file = fs::File::create(marks.path("log")).expect("log");
    let mut cat = Command::new("cat").stdin(service.stdout.take().expect("pipe")).stdout(file).spawn().expect("cat");
    let took = marks.time();
    service.kill().expect("kill");
    service.wait().expect("wait");
    assert!(cat.wait().expect("wait").success());
    took
}

/// How long it took, and how many lines are missing.
fn with_shim() -> (Duration, u64) {
    let marks = Marks::new();
    let text = format!(
        "[services.flood]\ntype = \"utility\"\ncategory = \"api\"\n[services.flood.deployment]\nmode = \"binary\"\n\
         [services.flood.deployment.binary]\nbinary_path = {:?}\nargs = {:?}\n",
        program::service(),
        marks.arguments(),
    );
    let platform = Platform::of_text(&text);
    platform.must(&["services", "start", "flood"]);
    let took = marks.time();
    platform.must(&["services", "stop", "flood"]);
    (took, missing(&platform.services_dir().join("logs")))
}

/// Rotation forgets the oldest files. Of those that are left, every line must follow the one before, up to the last.
pub(crate) fn missing(dir: &Path) -> u64 {
    let log = dir.join("flood.log");
    let rotated = (1..).map(|number| dir.join(format!("flood.log.{number}"))).take_while(|path| path.exists());
    let mut files: Vec<PathBuf> = rotated.collect();
    files.reverse();
    files.push(log);
    let text: Vec<u8> = files.iter().flat_map(|path| fs::read(path).expect("log")).collect();
    let numbers =
        text.split(|byte| *byte == b'\n').filter(|line| line.first().is_some_and(u8::is_ascii_digit)).map(|line| {
            let number = line.get(..10).and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u64>().ok());
            number.unwrap_or_else(|| panic!("a torn line: {:?}", String::from_utf8_lossy(line)))
        });
    let mut n_missing = 0;
    let mut next = None;
    for number in numbers {
        n_missing += next.map_or(0, |next| number.abs_diff(next));
        next = Some(number + 1);
    }
    n_missing + next.map_or(N_LINES, |next| N_LINES.abs_diff(next))
}
