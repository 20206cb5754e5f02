//! What the engine without a face costs while all is well, and how soon it replaces a shim that was killed.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::logs::{LINE, Marks, N_LINES, missing, wait_for};
use super::platform::{Platform, Service};
use super::{Figure, console, median, program, watching};

/// How long it is watched.
const WATCHED: Duration = Duration::from_secs(60);

/// From one kill of a shim to the next.
const BETWEEN_KILLS: Duration = Duration::from_millis(100);

/// A `supervise` in the foreground. Killed at the end.
struct Supervise(Child);

impl Supervise {
    /// Begins, and leads.
    fn of(platform: &Platform) -> Self {
        let mut command = platform.command(&["supervise", "--stay"]);
        let supervise = Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("supervise"));
        let wanted = format!("\"pid\":{},", supervise.0.id());
        let note = platform.services_dir().join("state/.leader.lock");
        wait_for("supervise to lead", || std::fs::read_to_string(&note).is_ok_and(|note| note.contains(&wanted)));
        supervise
    }
}

impl Drop for Supervise {
    fn drop(&mut self) {
        self.0.kill().expect("kill");
        self.0.wait().expect("wait");
    }
}

/// A hundred services, each asked every ten seconds.
pub(crate) fn hundred() -> Vec<Figure> {
    let services: Vec<Service> = (0..100).map(|index| Service::new(index, Vec::new(), 0)).collect();
    let platform = Platform::new(&services);
    platform.must(&["platform", "start"]);
    let supervise = Supervise::of(&platform);
    let pid = supervise.0.id();
    // Past the first looks at everything.
    std::thread::sleep(Duration::from_secs(12));
    let (cpu, wake_ups) = (console::cpu_of(pid), watching::wake_ups(pid));
    std::thread::sleep(WATCHED);
    let per_minute = 60.0 / WATCHED.as_secs_f64();
    let cpu = (console::cpu_of(pid) - cpu) * per_minute;
    let wake_ups = (watching::wake_ups(pid) - wake_ups) as f64 * per_minute;
    let shims = services.iter().filter_map(|service| watching::parent(platform.pid(&service.name).expect("a PID")));
    let shims: f64 = shims.map(watching::shared_fairly_kib).sum();
    let own = watching::shared_fairly_kib(pid);
    vec![
        Figure::at_most("supervise, 100 services probed every 10 s: CPU", cpu, "s/min", 0.3),
        Figure::at_most("supervise, 100 services: wake-ups", wake_ups, "/min", 6_000.0),
        Figure::at_most("supervise, 100 services: proportional memory", own / 1024.0, "MiB", 20.0),
        Figure::at_most("supervise and 100 shims: proportional memory", (own + shims) / 1024.0, "MiB", 45.0),
    ]
}

/// A service that floods its log while its shim is killed ten times a second.
pub(crate) fn flood() -> Vec<Figure> {
    let marks = Marks::new();
    let text = format!(
        "[services.flood]\ntype = \"utility\"\ncategory = \"api\"\n[services.flood.deployment]\nmode = \"binary\"\n\
         [services.flood.deployment.binary]\nbinary_path = {:?}\nargs = {:?}\n",
        program::service(),
        marks.arguments(),
    );
    let platform = Platform::of_text(&text);
    let supervise = Supervise::of(&platform);
    platform.must(&["services", "start", "flood"]);
    let service = platform.pid("flood").expect("a PID");
    let record = platform.services_dir().join("state/flood.json");
    // As the state file says it: an orphan's shim is not its parent.
    let shim = || -> Option<u32> {
        let text = std::fs::read_to_string(&record).ok()?;
        let at = text.find("\"shim\":{\"pid\":")? + 14;
        text.get(at..)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let mut replaced = Vec::new();
    while !marks.path("done").exists() {
        let old = shim().expect("a shim");
        let began = Instant::now();
        kill_process(Pid::from_raw(i32::try_from(old).expect("a PID")).expect("a PID"), Signal::KILL).expect("kill");
        while shim() == Some(old) {
            assert!(began.elapsed() < Duration::from_secs(10), "nobody replaced the shim");
            std::thread::sleep(Duration::from_micros(200));
        }
        replaced.push(began.elapsed().as_secs_f64() * 1e3);
        std::thread::sleep(BETWEEN_KILLS);
    }
    let took = marks.time();
    assert_eq!(platform.pid("flood"), Some(service), "another process");
    platform.must(&["services", "stop", "flood"]);
    drop(supervise);
    let longest = replaced.iter().copied().fold(0.0, f64::max);
    let n_missing = missing(&platform.services_dir().join("logs")) as f64;
    println!("   {} shims were killed", replaced.len());
    vec![
        Figure::at_most("shim killed under a flood: replaced, median", median(replaced), "ms", 1_000.0),
        Figure::at_most("shim killed under a flood: replaced, longest", longest, "ms", 1_000.0),
        Figure::at_least(
            "a flood whose shim is killed: speed",
            (N_LINES * LINE) as f64 / took.as_secs_f64() / 1e6,
            "MB/s",
            100.0,
        ),
        Figure::at_most("a flood whose shim is killed: lines missing", n_missing, "", 0.0),
    ]
}
