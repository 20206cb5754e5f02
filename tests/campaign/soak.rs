//! Chance decides what breaks next; after every step nothing may be as it must not be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::dice::{Dice, pass};
use crate::support::home::{Home, is_alive, kill};
use crate::support::terminal::Terminal;
use crate::{Options, mounts};

/// Twelve services: what each needs, and what it does besides.
const PLATFORM: [(&str, &[&str], &[&str]); 12] = [
    ("db", &[], &["--tick", "100000000"]),
    ("cache", &[], &[]),
    ("queue", &["db"], &["--spawn-child"]),
    ("auth", &["db", "cache"], &[]),
    ("api", &["auth", "queue"], &["--tick", "100000000"]),
    ("web", &["api"], &[]),
    ("worker", &["queue"], &["--spawn-child"]),
    ("mail", &["queue"], &[]),
    ("search", &["db"], &["--run-sh", "trap '' HUP; sleep 0.1"]),
    ("metrics", &[], &["--after-ms", "300"]),
    ("cron", &["api"], &[]),
    ("docs", &[], &["--print", "hello"]),
];

/// How long things may take to come to rest on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Soak {
    home: Home,
    /// Whether the services' files are on a disk of their own, which can be filled.
    has_own_disk: bool,
    supervise: Option<Child>,
    dice: Dice,
    good: String,
    bystanders: Vec<Child>,
    consoles: Vec<Terminal>,
    /// What a person wants of a service, as far as that is certain.
    wishes: BTreeMap<&'static str, bool>,
    history: Vec<String>,
    stopped: Option<u32>,
}

/// The size of the disk of its own, in MiB.
const DISK: u32 = 16;

/// Breaks things until the time is over. Whether nothing was found. Where the machine allows it, in a world of its own, with a disk of its
/// own that can be filled.
pub(crate) fn run(options: &Options) -> bool {
    match mounts::again_inside() {
        Some(is_well) => is_well,
        None => soak(options),
    }
}

fn soak(options: &Options) -> bool {
    let begun = Instant::now();
    let mut soak = Soak::new(options.seed);
    let mut n_steps = 0_u64;
    let mut next_report = Duration::from_secs(60);
    while begun.elapsed() < options.time() {
        n_steps += 1;
        soak.step(n_steps);
        let is_due = n_steps.is_multiple_of(25);
        let found = soak.what_must_not_be().or_else(|| is_due.then(|| soak.what_does_not_come_to_rest()).flatten());
        if let Some(violation) = found {
            println!("\nVIOLATED after step {n_steps}: {violation}\nseed {}; the steps before it:", options.seed);
            let from = soak.history.len().saturating_sub(60);
            soak.history[from..].iter().for_each(|step| println!("  {step}"));
            return false;
        }
        if begun.elapsed() > next_report {
            println!("{:>4.0?}: {n_steps} steps", begun.elapsed());
            next_report += Duration::from_secs(60);
        }
    }
    let end = soak.what_does_not_come_to_rest().or_else(|| soak.what_the_logs_lack());
    if let Some(violation) = &end {
        println!("\nVIOLATED at the end, after {n_steps} steps: {violation}\nseed {}", options.seed);
        let from = soak.history.len().saturating_sub(60);
        soak.history[from..].iter().for_each(|step| println!("  {step}"));
    } else {
        println!("{n_steps} steps, nothing found; seed {}", options.seed);
    }
    end.is_none()
}

impl Soak {
    fn new(seed: u64) -> Self {
        let home = Home::empty();
        let has_own_disk = mounts::is_inside() && mount_disk(&home);
        if !has_own_disk {
            println!("SKIPPED, no mounts of one's own here (unshare -Urm): full disks");
        }
        let good: String = PLATFORM
            .iter()
            .map(|(name, needs, arguments)| {
                let startup = format!(
                    "[services.{name}.startup]\nauto_start = true\nrestart_on_failure = true\nmax_restarts = 1000000\nstop_timeout = 5\n"
                );
                home.section(name, needs, arguments, &startup)
            })
            .collect();
        home.write(&good);
        let bystanders = (0..3)
            .map(|_| {
                let mut sleep = Command::new("sleep");
                sleep.arg("100000").process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                sleep.spawn().expect("a bystander")
            })
            .collect();
        home.must("platform start");
        let wishes = PLATFORM.iter().map(|(name, ..)| (*name, true)).collect();
        Self {
            home,
            has_own_disk,
            supervise: None,
            dice: Dice::new(seed),
            good,
            bystanders,
            consoles: Vec::new(),
            wishes,
            history: Vec::new(),
            stopped: None,
        }
    }

    fn note(&mut self, step: u64, what: &str) {
        self.history.push(format!("{step}: {what}"));
    }

    fn any(&mut self) -> &'static str {
        self.dice.pick(&PLATFORM).0
    }

    /// The shim of a service; `None` where none is on record.
    fn shim(&self, name: &str) -> Option<u32> {
        self.home.record(name)?.shim.map(|shim| shim.pid).filter(|&pid| is_shim(pid))
    }

    fn step(&mut self, step: u64) {
        let name = self.any();
        match self.dice.below(18) {
            0 | 1 => {
                self.note(step, &format!("kill the process of {name}"));
                self.home.living(name).iter().for_each(|&pid| kill("-9", pid));
            }
            2 | 3 => {
                self.note(step, &format!("kill the shim of {name}"));
                if let Some(shim) = self.shim(name) {
                    kill("-9", shim);
                }
            }
            4 => {
                self.note(step, &format!("kill shim and process of {name}"));
                let shim = self.shim(name);
                self.home.living(name).into_iter().chain(shim).for_each(|pid| kill("-9", pid));
                // Nobody saw that end, so nobody is sure to start it again.
                self.wishes.remove(name);
            }
            5 => {
                self.note(step, &format!("stop and wake {name}"));
                let living = self.home.living(name);
                living.iter().for_each(|&pid| kill("-STOP", pid));
                pass(self.dice.moment(Duration::from_millis(50)));
                living.iter().for_each(|&pid| kill("-CONT", pid));
            }
            6 => {
                self.note(step, &format!("suspend the shim of {name} for a moment"));
                if let Some(shim) = self.shim(name) {
                    kill("-STOP", shim);
                    pass(self.dice.moment(Duration::from_millis(100)));
                    kill("-CONT", shim);
                }
            }
            7..=9 => self.one_command(step, name),
            10 => self.several_commands(step),
            11 => {
                let round = self.dice.below(5);
                let bad =
                    ["[services.", "", "\u{0}", "[services.db]\ntype = 3\n", "[services.x]\ndependencies = [\"x\"]\n"];
                self.note(
                    step,
                    &format!("a bad registry: {:?}, seen by a command, then the good one again", bad[round]),
                );
                self.home.write(bad[round]);
                drop(self.home.types("platform status"));
                let good = self.good.clone();
                self.home.write(&good);
            }
            12 => {
                let what =
                    *self.dice.pick(&["pids/*.pid", "logs/*.log", "logs/*.1", "state/.*.new", "state/events.jsonl"]);
                self.note(step, &format!("remove {what}"));
                let line = format!("rm -f {}/{what}", self.home.services_dir().display());
                drop(Command::new("sh").arg("-c").arg(line).stderr(Stdio::null()).status());
            }
            13 => {
                self.note(step, &format!("corrupt the state of {name}"));
                let path = self.home.layout().state().join(format!("{name}.json"));
                if self.shim(name).is_some() && self.wishes.get(name) == Some(&true) {
                    drop(std::fs::write(path, "{\"schema\":1,"));
                    drop(self.home.types(&format!("services start {name} --timeout 20")));
                    // It may have been between two runs, and then a start brings up what it needs.
                    self.may_have_been_started(name);
                }
            }
            14 => {
                self.note(step, "open a console, start everything, and kill it");
                if self.consoles.len() > 2 {
                    self.consoles.clear();
                }
                let mut console = Terminal::console(&self.home);
                let starts = self.dice.below(2) == 0;
                if starts {
                    console.press("a");
                    self.wishes.clear();
                }
                pass(self.dice.moment(Duration::from_millis(200)));
                if self.dice.below(2) == 0 {
                    kill("-9", console.pid());
                } else {
                    if starts {
                        // Until it has begun, whatever is asked for after this step is not the later wish.
                        let has_begun = |text: &str| text.contains("start all") && !text.contains("beginning");
                        console.wait("the start of everything", || has_begun(&console.text()));
                    }
                    self.consoles.push(console);
                }
            }
            15 if self.supervise.is_some() => {
                self.note(step, "kill supervise");
                self.kill_supervise();
            }
            15 => {
                self.note(step, "begin to supervise");
                let mut command = self.home.command("supervise");
                let command = command.stdout(Stdio::null()).stderr(Stdio::null());
                self.supervise = Some(command.spawn().expect("supervise"));
            }
            16 if self.has_own_disk => {
                self.note(step, "fill the disk");
                fill_disk(&self.home);
                for _ in 0..1 + self.dice.below(3) {
                    let name = self.any();
                    if self.dice.below(3) == 0 {
                        self.note(step, &format!("kill the process of {name}"));
                        self.home.living(name).iter().for_each(|&pid| kill("-9", pid));
                    } else {
                        self.one_command(step, name);
                    }
                }
                self.note(step, "make room again");
                std::fs::remove_file(filler(&self.home)).expect("there is one");
            }
            _ => {
                self.note(step, "begin a start of everything, and kill it");
                self.wishes.clear();
                let mut command = self.home.command("platform start");
                let mut command = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a command");
                pass(self.dice.moment(Duration::from_millis(100)));
                let _ended = command.kill();
                let _ended = command.wait();
            }
        }
    }

    fn kill_supervise(&mut self) {
        if let Some(mut supervise) = self.supervise.take() {
            let _ended = supervise.kill();
            let _ended = supervise.wait();
        }
    }

    /// One command, waited for: when it succeeds, the wish is certain.
    fn one_command(&mut self, step: u64, name: &'static str) {
        let line = *self.dice.pick(&["services start", "services stop", "services stop --force", "services restart"]);
        let (verb, force) = line.strip_suffix(" --force").map_or((line, ""), |verb| (verb, " --force"));
        let output = self.home.types(&format!("{verb} {name}{force} --timeout 60"));
        self.note(step, &format!("{line} {name}: {:?}", output.status.code()));
        let is_done = output.status.success();
        let wants_up = !verb.ends_with("stop");
        if wants_up {
            self.may_have_been_started(name);
        }
        if is_done && wants_up {
            self.wishes.insert(name, true);
        } else if is_done {
            self.wishes.insert(name, false);
            self.stopped = None;
        } else {
            self.wishes.remove(name);
        }
    }

    /// A start brings up what is needed and down; what runs it leaves alone, with all that this needs.
    fn may_have_been_started(&mut self, name: &'static str) {
        let mut waiting = vec![name];
        while let Some(name) = waiting.pop() {
            if self.wishes.get(name) == Some(&false) {
                self.wishes.remove(name);
            }
            waiting.extend(PLATFORM.iter().find(|service| service.0 == name).expect("known").1);
        }
    }

    /// Several at once: which of them is the last is not certain.
    fn several_commands(&mut self, step: u64) {
        let mut told = String::new();
        let mut running = Vec::new();
        for _ in 0..2 + self.dice.below(4) {
            let name = self.any();
            let verb = *self.dice.pick(&["start", "stop", "restart"]);
            write!(told, "{verb} {name}, ").expect("a text");
            self.wishes.clear();
            let mut command = self.home.command(&format!("services {verb} {name} --timeout 60"));
            running.push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a command"));
            pass(self.dice.moment(Duration::from_millis(10)));
        }
        self.note(step, &format!("at once: {told}"));
        for mut command in running {
            let _ended = command.wait();
        }
    }

    /// What may not be at any moment.
    fn what_must_not_be(&mut self) -> Option<String> {
        for bystander in &mut self.bystanders {
            if bystander.try_wait().ok()?.is_some() {
                return Some("a bystander has ended".to_owned());
            }
        }
        for (name, ..) in PLATFORM {
            let living = self.home.living(name);
            if living.len() > 1 {
                // One that is being killed lives for a moment longer than its successor takes to begin, never more.
                pass(Duration::from_millis(300));
                let still = self.home.living(name);
                if still.len() > 1 {
                    return Some(format!("{} instances of {name}: {still:?}", still.len()));
                }
            }
            if self.wishes.get(name) == Some(&false) && !living.is_empty() {
                return Some(format!("{name} was stopped, and lives: {living:?}"));
            }
            let path = self.home.layout().state_file(&provisioning::model::ServiceId::new(name).expect("a name"));
            if let Ok(provisioning::store::state_reader::Found::Unusable(why)) =
                provisioning::store::state_reader::read(&path)
            {
                return Some(format!("the state of {name} is torn: {why}"));
            }
        }
        None
    }

    /// What is not as it was wished after everything had its time.
    fn what_does_not_come_to_rest(&mut self) -> Option<String> {
        self.history.push("come to rest".to_owned());
        self.consoles.clear();
        // Says what is wanted of those of whom it is not certain, and gives orphans a guardian again.
        for (name, ..) in PLATFORM {
            let is_open = !self.wishes.contains_key(name);
            let is_wanted = self.wishes.get(name) == Some(&true);
            // What runs without anybody's wish may have lost its shim, and nobody has looked since.
            if is_wanted || is_open && (self.dice.below(2) == 0 || !self.home.living(name).is_empty()) {
                if let Err(said) = self.start(name) {
                    return Some(format!("{name} cannot be started: {said}"));
                }
                self.may_have_been_started(name);
                self.wishes.insert(name, true);
            }
        }
        let begun = Instant::now();
        loop {
            let wrong = self.what_is_not_as_wished();
            if wrong.is_none() || begun.elapsed() > PATIENCE {
                return wrong;
            }
            pass(Duration::from_millis(50));
        }
    }

    /// Starts it. Where the shim and the process of a service were killed and a child of it was not, a start says so and what to do
    /// about it: then that has to help.
    fn start(&mut self, name: &str) -> Result<(), String> {
        let mut said = String::new();
        for _ in 0..PLATFORM.len() {
            let output = self.home.types(&format!("services start {name} --timeout 60"));
            if output.status.success() {
                return Ok(());
            }
            said = String::from_utf8_lossy(&output.stderr).into_owned();
            let held =
                said.lines().filter(|line| line.contains("Stop it with force") || line.contains(".lock is held by"));
            let lock = held.filter_map(|line| line.split("/state/").nth(1)?.split(".lock").next()).next();
            let Some(lock) = lock.map(str::to_owned) else { return Err(said) };
            self.history.push(format!("stop the remains of {lock}, as was said"));
            let stopped = self.home.types(&format!("services stop {lock} --force"));
            if !stopped.status.success() {
                return Err(format!("{said}\nand its remains stay: {}", String::from_utf8_lossy(&stopped.stderr)));
            }
        }
        Err(said)
    }

    fn what_is_not_as_wished(&self) -> Option<String> {
        let mut expected = BTreeSet::new();
        for (name, ..) in PLATFORM {
            let living = self.home.living(name);
            match self.wishes.get(name) {
                Some(true) if living.len() != 1 => {
                    return Some(format!("{name} is wanted and {} live: {}", living.len(), self.home.status(name)));
                }
                Some(false) if !living.is_empty() => {
                    return Some(format!("{name} is not wanted and lives: {living:?}"));
                }
                _ => {}
            }
            if !living.is_empty() {
                let Some(shim) = self.shim(name).filter(|&shim| is_alive(shim)) else {
                    return Some(format!("{name} has no shim"));
                };
                expected.insert(shim);
            }
        }
        let shims: BTreeSet<u32> = self.home.strays().into_iter().filter(|&pid| is_shim(pid)).collect();
        let n_zombies = provisioning::host::process::all()
            .filter(|stat| expected.contains(&stat.parent) && !stat.is_alive())
            .count();
        if n_zombies > 0 {
            return Some(format!("{n_zombies} zombies"));
        }
        // One of a service of which nobody is sure may be on its way out or in.
        (self.wishes.len() == PLATFORM.len() && shims != expected)
            .then(|| format!("shims {shims:?} instead of {expected:?}"))
    }

    /// Numbered lines that are missing, doubled or out of order, in the logs that nobody removed.
    fn what_the_logs_lack(&mut self) -> Option<String> {
        self.kill_supervise();
        let output = self.home.types("platform stop --force");
        if !output.status.success() {
            return Some(format!("not all can be stopped: {}", String::from_utf8_lossy(&output.stderr)));
        }
        for (name, _, arguments) in PLATFORM {
            if !arguments.contains(&"--tick") {
                continue;
            }
            // Each run begins at 0. A removed file leaves a gap at its end, so what is left of the newest file is looked at.
            let path = self.home.layout().logs().join(format!("{name}.log"));
            let mut last: Option<u64> = None;
            for line in std::fs::read_to_string(&path).unwrap_or_default().lines() {
                match line.get(..10).and_then(|number| number.parse::<u64>().ok()) {
                    Some(number) if last.is_none_or(|last| number == last + 1) || number == 0 => last = Some(number),
                    Some(number) => return Some(format!("{name}: line {number} after {last:?}")),
                    // The end of a run that was killed in the middle of a line, or a start.
                    None => last = None,
                }
            }
        }
        let strays = self.home.strays();
        (!strays.is_empty()).then(|| format!("after the stop of everything there are {strays:?}"))
    }
}

fn is_shim(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("provisioning-sh"))
}

/// Puts the services' files on a disk of their own.
fn mount_disk(home: &Home) -> bool {
    let place = home.services_dir();
    std::fs::create_dir_all(&place).expect("a directory");
    let size = format!("size={DISK}m,mode=0700");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(&place).status();
    mounted.is_ok_and(|status| status.success())
}

fn filler(home: &Home) -> PathBuf {
    home.services_dir().join("filler")
}

/// Until nothing more can be written.
fn fill_disk(home: &Home) {
    let mut file = std::fs::File::create(filler(home)).expect("a file");
    for length in [64 * 1024, 4096, 1] {
        let block = vec![0; length];
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
    }
}

impl Drop for Soak {
    fn drop(&mut self) {
        self.kill_supervise();
        for bystander in &mut self.bystanders {
            let _ended = bystander.kill();
            let _ended = bystander.wait();
        }
    }
}
