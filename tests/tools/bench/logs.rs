//! Log throughput against `cat > file` on the same kind of pipe.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::platform::Platform;
use super::{Figure, median, program};

/// Lines of 55 bytes.
const N_LINES: u64 = 4_000_000;

/// The share of `cat`'s speed, and whether every line arrived.
pub(crate) fn throughput() -> Vec<Figure> {
    let mut shares = Vec::new();
    let mut complete = 1.0;
    let mut speed = Vec::new();
    for _ in 0..3 {
        let through_cat = with_cat();
        let (through_shim, n_lines, n_bytes) = with_shim();
        shares.push(through_cat.as_secs_f64() / through_shim.as_secs_f64());
        speed.push(n_bytes as f64 / through_shim.as_secs_f64() / 1e6);
        if n_lines != N_LINES {
            complete = 0.0;
        }
    }
    vec![
        Figure::at_least("log throughput", median(shares), "× cat > file", 0.7),
        Figure::at_least("log throughput", median(speed), "MB/s", 124.0),
        Figure::at_least("log lines complete (1 = all)", complete, "", 1.0),
    ]
}

fn with_cat() -> Duration {
    let dir = tempfile::tempdir().expect("temporary directory");
    let began = Instant::now();
    let mut service = Command::new(program::service())
        .args(["--flood", &N_LINES.to_string(), "--exit", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("service");
    let file = fs::File::create(dir.path().join("log")).expect("log");
    let mut cat = Command::new("cat").stdin(service.stdout.take().expect("pipe")).stdout(file).spawn().expect("cat");
    assert!(service.wait().expect("wait").success() && cat.wait().expect("wait").success());
    began.elapsed()
}

fn with_shim() -> (Duration, u64, u64) {
    let done = tempfile::tempdir().expect("temporary directory");
    let done = done.path().join("done");
    let text = format!(
        "[services.flood]\ntype = \"utility\"\ncategory = \"api\"\n[services.flood.deployment]\nmode = \"binary\"\n\
         [services.flood.deployment.binary]\nbinary_path = {:?}\nargs = [\"--flood\", \"{N_LINES}\", \"--ready-file\", {:?}]\n",
        program::service(),
        done,
    );
    fs::create_dir_all(done.parent().expect("parent")).expect("directory");
    let platform = Platform::of_text(&text);
    let began = Instant::now();
    platform.must(&["services", "start", "flood"]);
    while !done.exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "the flood never ended");
        std::thread::sleep(Duration::from_millis(1));
    }
    let took = began.elapsed();
    platform.must(&["services", "stop", "flood"]);
    let (n_lines, n_bytes) = logged(&platform.services_dir().join("logs"));
    (took, n_lines, n_bytes)
}

/// Numbered lines and bytes of all log files, rotated ones too.
fn logged(dir: &Path) -> (u64, u64) {
    let mut n_lines = 0;
    let mut n_bytes = 0;
    for entry in fs::read_dir(dir).expect("logs") {
        let bytes = fs::read(entry.expect("entry").path()).expect("log");
        n_bytes += bytes.len() as u64;
        n_lines +=
            bytes.split(|byte| *byte == b'\n').filter(|line| line.first().is_some_and(u8::is_ascii_digit)).count()
                as u64;
    }
    (n_lines, n_bytes)
}
