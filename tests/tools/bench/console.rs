//! The console in a real PTY: first frame, keys, and what it costs while nothing happens.

use std::io::{Read as _, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant, SystemTime};

use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};

use provisioning::model::history::{Seen, Turn};
use provisioning::model::{ProbeVerdict, Sample, ServiceId};
use provisioning::store::Layout;
use provisioning::store::history::Histories;

use super::platform::{Platform, Service};
use super::{Figure, median, watching};

/// How long idleness is watched; figures are per minute.
const IDLE: Duration = Duration::from_secs(30);

/// A console in a terminal of 120 × 40.
struct Console {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
    n_bytes: Arc<AtomicU64>,
    /// Hears of each piece that arrives at the terminal.
    arrivals: mpsc::Receiver<()>,
    opened: Instant,
}

impl Console {
    fn open(platform: &Platform) -> Self {
        let size = PtySize { rows: 40, cols: 120, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("pty");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_provisioning-tui"));
        command.env("PROVISIONING_SUPERVISE", "off");
        command.arg("--config");
        command.arg(platform.registry());
        command.env("PROVISIONING_SERVICES_DIR", platform.services_dir());
        command.env("TERM", "xterm-256color");
        let opened = Instant::now();
        let child = pair.slave.spawn_command(command).expect("console");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("reader");
        let keyboard = pair.master.take_writer().expect("writer");
        let parser = vt100::Parser::new(40.try_into().expect("rows"), 120.try_into().expect("columns"), 0);
        let screen = Arc::new(Mutex::new(parser));
        let n_bytes = Arc::new(AtomicU64::new(0));
        let (seen, counted) = (Arc::clone(&screen), Arc::clone(&n_bytes));
        let (arrived, arrivals) = mpsc::channel();
        std::thread::spawn(move || {
            let _master = pair.master;
            let mut buffer = [0; 65_536];
            while let Ok(n) = reader.read(&mut buffer) {
                if n == 0 {
                    return;
                }
                counted.fetch_add(n as u64, Ordering::SeqCst);
                // Before the bytes are interpreted here: that is the terminal's time, not the console's.
                let _ended = arrived.send(());
                seen.lock().expect("screen").process(&buffer[..n]);
            }
        });
        Self { child, keyboard, screen, n_bytes, arrivals, opened }
    }

    fn text(&self) -> String {
        self.screen.lock().expect("screen").screen().contents()
    }

    /// How long until the screen holds it.
    fn wait_for(&self, what: &str) -> Duration {
        self.wait_for_all(&[what])
    }

    /// How long until one screen holds all of them.
    fn wait_for_all(&self, what: &[&str]) -> Duration {
        let began = Instant::now();
        loop {
            let text = self.text();
            if what.iter().all(|what| text.contains(what)) {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "never saw {what:?}:\n{text}");
            std::thread::sleep(Duration::from_micros(200));
        }
        began.elapsed()
    }

    /// Presses a key that moves the selection, and waits until something is drawn. Blocks, to leave the processors to the console.
    fn press(&mut self, key: u8) -> Duration {
        while self.arrivals.try_recv().is_ok() {}
        let began = Instant::now();
        self.keyboard.write_all(&[key]).expect("key");
        self.keyboard.flush().expect("key");
        self.arrivals.recv_timeout(Duration::from_secs(5)).expect("the key did nothing");
        began.elapsed()
    }

    fn pid(&self) -> u32 {
        self.child.process_id().expect("a PID")
    }

    fn cpu(&self) -> f64 {
        cpu_of(self.pid())
    }

    fn quit(mut self) {
        self.keyboard.write_all(b"q").expect("key");
        let began = Instant::now();
        while self.child.try_wait().expect("wait").is_none() {
            assert!(began.elapsed() < Duration::from_secs(5), "q does not quit");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// User and system time, in seconds.
pub(crate) fn cpu_of(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a living process");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime");
    ticks as f64 / 100.0
}

fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share) as usize]
}

/// Key latencies in ms, after a warm-up.
fn keys(console: &mut Console, n: usize) -> Vec<f64> {
    let mut latencies = Vec::new();
    for index in 0..n {
        let key = if index / 20 % 2 == 0 { b'j' } else { b'k' };
        latencies.push(console.press(key).as_secs_f64() * 1e3);
        // A person's pace, so that every press finds an idle console.
        std::thread::sleep(Duration::from_millis(30));
    }
    latencies
}

/// From the command to the first services on the screen, in ms.
fn first_frame(platform: &Platform) -> f64 {
    let frames = (0..7).map(|_| {
        let console = Console::open(platform);
        console.wait_for("s0001");
        let took = console.opened.elapsed().as_secs_f64() * 1e3;
        console.quit();
        took
    });
    median(frames.collect())
}

/// A week of one probe in 10 s for each of a hundred services that run: until all of it is on the screen.
pub(crate) fn week_of_history() -> Vec<Figure> {
    let services: Vec<Service> = (0..100).map(|index| Service::new(index, Vec::new(), 0)).collect();
    let platform = Platform::new(&services);
    platform.must(&["platform", "start"]);
    let layout = Layout::new(platform.services_dir());
    let every = Duration::from_secs(10);
    let n_samples = 7 * 24 * 360;
    let id = |index: usize| ServiceId::new(&format!("s{index:04}")).expect("a name");
    let (histories, first) = (Histories::new(&layout), id(0));
    let now = SystemTime::now();
    for i in 0..n_samples {
        let verdict = if i % 1_000 < 5 { ProbeVerdict::Failed } else { ProbeVerdict::Passed };
        let took = Duration::from_micros(u64::from(3_000 + i * 7_919 % 20_000));
        let seen = Seen::Answer { verdict, took, turn: Turn::Same };
        histories.append(&first, &Sample { at: now - every * (n_samples - i), seen }, every).expect("sample");
    }
    for index in 1..100 {
        std::fs::copy(layout.history_file(&first), layout.history_file(&id(index))).expect("copy");
    }
    let mut frames = Vec::new();
    for _ in 0..11 {
        let console = Console::open(&platform);
        console.wait_for_all(&["Running 100/100", "Uptime, 7 d"]);
        frames.push(console.opened.elapsed().as_secs_f64() * 1e3);
        console.quit();
    }
    let bytes = std::fs::metadata(layout.history_file(&first)).expect("history").len();
    vec![
        Figure::at_most("console, 100 services with a week of history: complete", median(frames), "ms", 100.0),
        Figure::at_most("a week of history", bytes as f64 / 1024.0, "KiB/service", 256.0),
    ]
}

/// A hundred services that run: first frame, keys, and half a minute of nothing.
pub(crate) fn idle_and_keys() -> Vec<Figure> {
    let services: Vec<Service> = (0..100).map(|index| Service::new(index, Vec::new(), 0)).collect();
    let platform = Platform::new(&services);
    platform.must(&["platform", "start"]);
    let first = first_frame(&platform);
    let mut console = Console::open(&platform);
    console.wait_for("Running 100/100");
    let keys = keys(&mut console, 200);
    // The first minute of a service's uptime counts seconds.
    std::thread::sleep(Duration::from_secs(65));
    let (cpu, bytes) = (console.cpu(), console.n_bytes.load(Ordering::SeqCst));
    std::thread::sleep(IDLE);
    let per_minute = 60.0 / IDLE.as_secs_f64();
    let idle_cpu = (console.cpu() - cpu) * per_minute;
    let idle_bytes = (console.n_bytes.load(Ordering::SeqCst) - bytes) as f64 * per_minute;
    let resident = resident_mib(console.pid());
    let private = watching::private_kib(console.pid()) / 1024.0;
    console.quit();
    vec![
        Figure::at_most("console, 100 services: first frame", first, "ms", 80.0),
        Figure::at_most("console, 100 services: key to screen, 95 %", percentile(keys, 0.95), "ms", 5.0),
        Figure::at_most("console, 100 services idle: CPU", idle_cpu, "s/min", 0.1),
        Figure::at_most("console, 100 services idle: to the terminal", idle_bytes / 1024.0, "KiB/min", 64.0),
        Figure::at_most("console, 100 services: resident", resident, "MiB", 40.0),
        Figure::at_most("console, 100 services: private", private, "MiB", 40.0),
    ]
}

fn resident_mib(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a living console");
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|number| number.parse::<f64>().ok()).expect("a number") / 1024.0
}

/// A thousand services, none of them running.
pub(crate) fn thousand() -> Vec<Figure> {
    let services: Vec<Service> = (0..1000).map(|index| Service::new(index, Vec::new(), 0)).collect();
    let platform = Platform::new(&services);
    let first = first_frame(&platform);
    let mut console = Console::open(&platform);
    console.wait_for("s0001");
    let keys = keys(&mut console, 200);
    console.quit();
    vec![
        Figure::at_most("console, 1000 services: first frame", first, "ms", 80.0),
        Figure::at_most("console, 1000 services: key to screen, 95 %", percentile(keys, 0.95), "ms", 50.0),
    ]
}
