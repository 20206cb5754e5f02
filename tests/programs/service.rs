//! A service to test with: does what its arguments say, in their order. Std only; compiled once by `support::program`.
//!
//! `--ledger FILE` appends its PID and when it began; `--ready-file FILE` makes a file; `--after-ms N` waits; `--port N` listens; `--flood N` prints N
//! numbered lines; `--trickle N` does so with pauses, `--tick N` with one a line; `--print TEXT`; `--print-env NAME`; `--show FILE` writes what it inherited; `--spawn-child` starts a copy of itself that
//! waits for ever; `--daemonize FILE` leaves a grandchild of another session behind, its PID in FILE; `--run-sh LINE` runs a shell line;
//! `--public-port N` listens on every address; `--end-on-term` exits with 0 on SIGTERM, which the first process of a container ignores
//! otherwise; `--complain TEXT` prints to standard error; `--eat-mib N` takes that much memory and keeps it;
//! `--exit N` ends with a code; `--abort`. At the end of the arguments it waits for ever.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, exit};
use std::time::Duration;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut kept: Vec<TcpListener> = Vec::new();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| exit(64));
        match argument.as_str() {
            "--ledger" => {
                let mut ledger = OpenOptions::new().append(true).create(true).open(value()).expect("ledger");
                ledger.write_all(format!("{} {}\n", std::process::id(), began()).as_bytes()).expect("ledger");
            }
            "--ready-file" => drop(File::create(value()).expect("ready file")),
            "--after-ms" => std::thread::sleep(Duration::from_millis(value().parse().expect("number"))),
            "--port" => {
                let port: u16 = value().parse().expect("port");
                kept.push(TcpListener::bind(("127.0.0.1", port)).expect("bind"));
            }
            "--public-port" => {
                let port: u16 = value().parse().expect("port");
                kept.push(TcpListener::bind(("0.0.0.0", port)).expect("bind"));
            }
            "--end-on-term" => {
                // SAFETY: the handler does nothing but leave, which is allowed in one.
                unsafe { signal(15, leave) };
            }
            "--complain" => eprintln!("{}", value()),
            "--flood" => {
                let n_lines: u64 = value().parse().expect("number");
                let mut out = std::io::BufWriter::with_capacity(4096, std::io::stdout().lock());
                for number in 0..n_lines {
                    writeln!(out, "{number:010} the quick brown fox jumps over the lazy dog").expect("write");
                }
                out.flush().expect("flush");
            }
            "--trickle" => {
                let n_lines: u64 = value().parse().expect("number");
                for first in (0..n_lines).step_by(200) {
                    let lines: String = (first..n_lines.min(first + 200))
                        .map(|number| format!("{number:010} the quick brown fox jumps over the lazy dog\n"))
                        .collect();
                    std::io::stdout().lock().write_all(lines.as_bytes()).expect("write");
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            "--tick" => {
                let n_lines: u64 = value().parse().expect("number");
                for number in 0..n_lines {
                    // One write a line: whoever is killed in the middle of it has written all of it or nothing.
                    let line = format!("{number:010} tick\n");
                    std::io::stdout().lock().write_all(line.as_bytes()).expect("write");
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            "--print" => {
                println!("{}", value());
            }
            "--print-env" => {
                println!("{}", std::env::var(value()).unwrap_or_else(|_| "(unset)".into()));
            }
            "--show" => show(&value()),
            "--spawn-child" => {
                Command::new(std::env::current_exe().expect("own path")).spawn().expect("child");
            }
            "--daemonize" => {
                let file = value();
                let line = format!("setsid -f sh -c 'echo $$ > {file}.new; mv {file}.new {file}; exec sleep 1000'");
                assert!(Command::new("sh").arg("-c").arg(line).status().expect("sh").success());
            }
            "--run-sh" => {
                Command::new("sh").arg("-c").arg(value()).status().expect("sh");
            }
            "--eat-mib" => {
                let n_bytes: usize = value().parse::<usize>().expect("number") << 20;
                // Written to, so that it really is taken.
                std::mem::forget(std::hint::black_box(vec![1_u8; n_bytes]));
            }
            "--exit" => exit(value().parse().expect("code")),
            "--abort" => std::process::abort(),
            other => {
                eprintln!("unknown argument {other}");
                exit(64);
            }
        }
    }
    loop {
        std::thread::park();
    }
}

unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
    fn _exit(code: i32) -> !;
}

extern "C" fn leave(_signal: i32) {
    // SAFETY: it takes any number and returns never.
    unsafe { _exit(0) }
}

/// What this process got from its parent.
fn show(file: &str) {
    let mut text = String::new();
    let mut descriptors: Vec<String> = fs::read_dir("/proc/self/fd")
        .expect("fds")
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let target = fs::read_link(entry.path()).ok()?;
            Some(format!("fd {} {}", entry.file_name().to_string_lossy(), target.display()))
        })
        .filter(|line| !line.contains("/proc/"))
        .collect();
    descriptors.sort();
    text.push_str(&descriptors.join("\n"));
    text.push('\n');
    let status = fs::read_to_string("/proc/self/status").expect("status");
    for line in status.lines().filter(|line| ["SigBlk:", "SigIgn:", "SigCgt:", "Umask:"].iter().any(|key| line.starts_with(key))) {
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(&format!("cwd {}\n", std::env::current_dir().expect("cwd").display()));
    let aside = format!("{file}.new");
    fs::write(&aside, text).expect("write");
    fs::rename(aside, file).expect("rename");
}

/// When this process began, in the kernel's ticks since the boot: with the PID, it tells it from any other (proc_pid_stat(5), field 22).
fn began() -> String {
    let stat = fs::read_to_string("/proc/self/stat").expect("stat");
    let after_name = stat.rsplit(") ").next().expect("fields");
    after_name.split(' ').nth(19).expect("start time").to_owned()
}
