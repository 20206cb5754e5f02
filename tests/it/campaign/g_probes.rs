//! G. Endpoints that don't behave.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::campaign::rounds;
use crate::support::home::{Home, wait_until};
use crate::support::terminal::Terminal;

#[test]
fn the_holder_of_the_port_of_a_service_that_only_seems_well_is_named_in_the_console_and_by_commands() {
    let home = Home::empty();
    let [stolen, own] = provisioning::host::free_ports().unwrap();
    let check = |name: &str, port: u16| {
        format!("[services.{name}.health_check]\ntype = \"tcp\"\n[services.{name}.health_check.tcp]\nport = {port}\n")
    };
    let daemon = format!("setsid -f {} --port {own}", crate::support::program::service().display());
    let registry = home.section("stolen", &[], &[], &check("stolen", stolen))
        + &home.section("own", &[], &["--run-sh", &daemon], &check("own", own));
    home.write(&registry);
    let mut start = home.command("services start stolen").spawn().unwrap();
    wait_until("it runs", || !home.living("stolen").is_empty());
    // Somebody else begins to listen where it should.
    let thief = TcpListener::bind(("127.0.0.1", stolen)).unwrap();
    assert!(start.wait().unwrap().success());
    // A child that put itself into the background listens for its service.
    home.must("services start own");
    let status = home.must("services status own");
    assert!(!status.contains("already in use"), "its own child is no stranger: {status}");
    let me = std::process::id();
    let status = home.must("services status stolen");
    assert!(status.contains(&format!("PID {me}")), "{status}");
    let mut console = Terminal::open(&home, env!("CARGO_BIN_EXE_provisioning-tui"), "", (160, 40), &[]);
    console.wait_for("Services");
    console.wait_for(&format!("port {stolen} is held by"));
    console.press("j");
    // In the row that tells what it is asked at.
    console.wait("the other one, asked", || {
        let text = console.text();
        text.contains(&format!("localhost:{own}")) && text.contains("running, healthy")
    });
    assert!(!console.text().contains("is held by"), "{}", console.text());
    console.press("\u{3}");
    console.ended();
    drop(thief);
    home.assert_all_can_be_stopped();
}

/// How an endpoint answers, by the path that is asked, and whether that counts as healthy within a second.
const WAYS: [(&str, bool); 14] = [
    ("well", true),
    ("never", false),
    ("drip", false),
    ("slow-headers", false),
    ("close", false),
    ("reset", false),
    ("loop", false),
    ("elsewhere", false),
    ("file", false),
    ("endless", true),
    ("huge", true),
    ("bomb", true),
    ("headers", false),
    ("escape", false),
];

fn answer(mut stream: TcpStream, elsewhere: u16) -> std::io::Result<()> {
    let mut line = String::new();
    BufReader::new(stream.try_clone()?).read_line(&mut line)?;
    let way = line.split_whitespace().nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
    let mut say = |text: &str| stream.write_all(text.as_bytes());
    let redirect = |to: &str| format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    let forever = |stream: &mut TcpStream, piece: &[u8]| -> std::io::Result<()> {
        loop {
            stream.write_all(piece)?;
        }
    };
    match way.as_str() {
        "well" => say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        "never" => {
            std::thread::sleep(Duration::from_secs(5));
            Ok(())
        }
        "drip" => "HTTP/1.1 200 OK\r\nX: y\r\n\r\n".chars().try_for_each(|c| {
            std::thread::sleep(Duration::from_millis(150));
            say(&c.to_string())
        }),
        "slow-headers" => {
            say("HTTP/1.1 200 OK\r\n")?;
            (0..30).try_for_each(|number| {
                std::thread::sleep(Duration::from_millis(150));
                say(&format!("X-{number}: y\r\n"))
            })
        }
        "close" => Ok(()),
        "reset" => rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).map_err(Into::into),
        "loop" => say(&redirect("/loop")),
        "elsewhere" => say(&redirect(&format!("http://127.0.0.1:{elsewhere}/well"))),
        "file" => say(&redirect("file:///etc/passwd")),
        "endless" => {
            say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            forever(&mut stream, b"4\r\nabcd\r\n")
        }
        "huge" => {
            say("HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n")?;
            forever(&mut stream, &[b'x'; 65536])
        }
        "bomb" => {
            say("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1000000\r\n\r\n")?;
            stream.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])?;
            stream.write_all(&[0; 999_990])
        }
        "headers" => {
            say("HTTP/1.1 200 OK\r\n")?;
            (0..1_000_000).try_for_each(|number| say(&format!("X-{number}: y\r\n")))
        }
        _ => say("HTTP/1.1 503 \x1b]52;c;x\x07\x1b[2J\r\nContent-Length: 9\r\n\r\n\x1b]0;x\x07"),
    }
}

/// The port of a server that answers as badly as it is asked to.
fn server(elsewhere: u16, served: Arc<AtomicUsize>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            served.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                // The client leaves in the middle: that is the point.
                let _left = answer(stream, elsewhere);
            });
        }
    });
    port
}

#[test]
fn an_endpoint_that_misbehaves_costs_no_more_than_its_time_and_no_memory() {
    let (asked, asked_elsewhere) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let elsewhere = server(0, Arc::clone(&asked_elsewhere));
    let port = server(elsewhere, Arc::clone(&asked));
    let home = Home::empty();
    let sections = |has_checks: bool| -> String {
        let section = |(way, _): &(&str, bool)| {
            let more = format!(
                "[services.{way}.health_check]\ntype = \"http\"\ntimeout = 1\nretries = 1\n[services.{way}.health_check.http]\n\
                 endpoint = \"http://127.0.0.1:{port}/{way}\"\n"
            );
            home.section(way, &[], &[], if has_checks { &more } else { "" })
        };
        WAYS.iter().map(section).collect()
    };
    home.write(&sections(false));
    for (way, _) in WAYS {
        home.must(&format!("services start {way}"));
    }
    home.write(&sections(true));
    for _ in 0..rounds(1, 100) {
        for (way, is_healthy) in WAYS {
            let plain = home.command(&format!("services health {way}"));
            let mut command = Command::new("prlimit");
            // Whatever it tried to keep of ten gigabytes would not fit.
            command.arg("--as=400000000").arg(plain.get_program()).args(plain.get_args());
            command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
            let begun = Instant::now();
            let output = command.output().unwrap();
            let took = begun.elapsed();
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.success(), is_healthy, "{way}: {said}");
            // Once, and once more a second later where it failed.
            assert!(took < Duration::from_secs(6), "{way} took {took:?}");
            assert!(!said.contains('\u{1b}') && !said.contains('\u{7}'), "{way}: {said:?}");
        }
    }
    assert_eq!(asked_elsewhere.load(Ordering::SeqCst), 0, "a redirect was followed to another origin");
    assert!(asked.load(Ordering::SeqCst) >= WAYS.len());
    home.assert_all_can_be_stopped();
}

#[test]
fn a_command_that_misbehaves_as_a_check_is_ended_in_time_with_all_that_it_began() {
    let home = Home::empty();
    let left = home.path("left").display().to_string();
    let ways = [
        ("hangs", "sleep 1000".to_owned(), false),
        ("stays", format!("(sleep 1000 & echo $! >> {left}); exit 0"), true),
        ("prints", "head -c 1000000000 /dev/zero".to_owned(), true),
        ("ignores", "trap '' TERM INT HUP; while :; do sleep 1; done".to_owned(), false),
        ("missing", "/nonexistent/program".to_owned(), false),
        ("dies", "kill -SEGV $$".to_owned(), false),
        ("reads", "cat".to_owned(), true),
    ];
    let sections = |has_checks: bool| -> String {
        let section = |(way, line, _): &(&str, String, bool)| {
            let more = format!(
                "[services.{way}.health_check]\ntype = \"command\"\ntimeout = 1\nretries = 1\n\
                 [services.{way}.health_check.command]\ncommand = {line:?}\n"
            );
            home.section(way, &[], &[], if has_checks { &more } else { "" })
        };
        ways.iter().map(section).collect()
    };
    home.write(&sections(false));
    for (way, ..) in &ways {
        home.must(&format!("services start {way}"));
    }
    home.write(&sections(true));
    for (way, _, is_healthy) in &ways {
        let begun = Instant::now();
        let output = home.types(&format!("services health {way}"));
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), *is_healthy, "{way}: {said}");
        assert!(begun.elapsed() < Duration::from_secs(6), "{way} took {:?}", begun.elapsed());
        assert!(said.len() < 8192, "{way}: {} bytes were kept", said.len());
    }
    for pid in std::fs::read_to_string(left).unwrap().lines() {
        let pid: u32 = pid.parse().unwrap();
        wait_until("what a check began is over", || !crate::support::home::is_alive(pid));
    }
    home.assert_all_can_be_stopped();
}
