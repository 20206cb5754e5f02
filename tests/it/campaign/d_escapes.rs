//! D. What services say never acts on a terminal: asserted on the bytes that reach one.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use crate::support::campaign::rounds;
use crate::support::home::{Home, kill, wait_until};
use crate::support::terminal::Terminal;

/// What a terminal would obey, each with a word that shows where it went. No program of ours sends any of these by itself.
const HOSTILE: [&[u8]; 14] = [
    b"\x1b]52;c;SE9TVElMRQ==\x07",
    b"\x1b]0;HOSTILE TITLE\x07",
    b"\x1b]8;;http://hostile.example\x1b\\link\x1b]8;;\x1b\\",
    b"\x1bP$qm\x1b\\",
    b"\x1b_HOSTILE\x1b\\",
    b"\x1b^HOSTILE\x1b\\",
    b"\x1b[6n",
    b"\x1b[3;7;41m\x1b[38;2;1;2;3m",
    b"\x1b[?1049l\x1b[?1000h\x1b[2J\x1b[H",
    b"\x1bc",
    b"\x07\x07\x07\x07",
    b"\xc2\x9b31m\xc2\x9d52;c;x\xc2\x9c\x9b31m\x90q\x9d0;x\x9c",
    "\u{202e}rtl\u{2066}iso\u{200b}zero\u{200d}width\u{feff}".as_bytes(),
    b"overwritten\rover \x08\x08 \0 \xff\xfe \x0b\x0c\x0e\x0f\x7f",
];

/// A file with all of that, line by line, and what is as bad as it is long.
fn hostile_file(home: &Home) -> PathBuf {
    let mut bytes = Vec::new();
    for hostile in HOSTILE {
        bytes.extend_from_slice(b"begin ");
        bytes.extend_from_slice(hostile);
        bytes.extend_from_slice(b" end\n");
    }
    // A megabyte that is one character, for whoever counts what combines.
    bytes.extend_from_slice("e".as_bytes());
    bytes.extend("\u{301}".as_bytes().iter().copied().cycle().take(1_000_000));
    bytes.extend_from_slice(b"\nhostile bytes are over\n");
    let path = home.path("hostile");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Nothing of that came through: no command to the terminal but the console's own, no C1, no bidirectional control, no bell.
#[track_caller]
fn assert_harmless(where_: &str, bytes: &[u8]) {
    let found = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    // Operating system commands, device control, application and privacy strings, reset, reports: nobody here sends any.
    for forbidden in [
        &b"\x1b]"[..],
        b"\x1bP",
        b"\x1b_",
        b"\x1b^",
        b"\x1bX",
        b"\x1bc",
        b"\x1b[6n",
        b"\x1b[38;2;1;2;3m",
        b"\x07",
        b"\x7f",
        b"\0",
    ] {
        assert!(!found(forbidden), "{where_}: {:?} came through", String::from_utf8_lossy(forbidden));
    }
    let text = std::str::from_utf8(bytes).unwrap_or_else(|error| panic!("{where_}: not UTF-8: {error}"));
    let control = text.chars().find(|&c| {
        matches!(c, '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' | '\u{feff}')
    });
    assert_eq!(control, None, "{where_}");
}

/// What is not even coloured: no escape at all.
#[track_caller]
fn assert_plain(where_: &str, bytes: &[u8]) {
    assert_harmless(where_, bytes);
    assert!(!bytes.contains(&0x1b), "{where_}: an escape: {}", String::from_utf8_lossy(bytes).escape_debug());
}

#[test]
fn no_log_reaches_the_terminal_as_it_is() {
    let home = Home::empty();
    let file = hostile_file(&home);
    home.write(&home.section("a", &[], &["--run-sh", &format!("cat {}", file.display())], ""));
    home.must("services start a");
    let raw = || std::fs::read(home.layout().logs().join("a.log")).unwrap_or_default();
    wait_until("all is said", || raw().ends_with(b"hostile bytes are over\n"));
    assert!(raw().windows(4).any(|window| window == b"\x1b]52"), "the file keeps the bytes as they are");
    for line in ["services logs a --lines 100", "platform logs --lines 100", "services logs a --lines 100 --json"] {
        let piped = home.types(line);
        assert!(piped.status.success());
        assert!(String::from_utf8_lossy(&piped.stdout).contains("hostile bytes are over"), "{line}");
        assert_plain(line, &piped.stdout);
        let mut terminal =
            Terminal::open(&home, env!("CARGO_BIN_EXE_provisioning"), line, (100, 30), &[("NO_COLOR", "1")]);
        assert_plain(line, &terminal.all_bytes());
        let mut terminal = Terminal::command(&home, line);
        assert_harmless(line, &terminal.all_bytes());
    }
    let mut console = Terminal::console(&home);
    console.wait_for("hostile bytes are over");
    // Through the whole log, and larger and smaller.
    console.press("4z");
    for _ in 0..rounds(10, 200) {
        console.press("\u{1b}[5~");
    }
    console.wait("earlier lines", || console.text().contains("begin"));
    console.press("\u{3}");
    console.ended();
    assert_harmless("the console", &console.bytes());
    console.assert_handed_back();
    home.assert_all_can_be_stopped();
}

#[test]
fn what_a_service_printed_comes_unchanged_when_that_is_asked_for_and_never_to_a_terminal() {
    let home = Home::empty();
    let file = hostile_file(&home);
    // The end of the last line is still to come.
    let says = format!("cat {}; printf 'last words'", file.display());
    home.write(&home.section("a", &[], &["--run-sh", &says], ""));
    home.must("services start a");
    let raw = || std::fs::read(home.layout().logs().join("a.log")).unwrap_or_default();
    wait_until("all is said", || raw().ends_with(b"last words"));
    for line in ["services logs a --lines 100 --raw", "platform logs a --lines 100 --raw"] {
        let piped = home.types(line);
        assert!(piped.status.success());
        assert!(piped.stdout == raw(), "{line}: {} bytes instead of {}", piped.stdout.len(), raw().len());
        let mut terminal = Terminal::command(&home, line);
        assert_eq!(terminal.ended(), 2);
        assert_harmless(line, &terminal.all_bytes());
        assert!(terminal.text().contains("--raw is not for a terminal"), "{}", terminal.text());
    }
    // What comes while it is followed is unchanged too, to its end.
    let mut following = home.command("services logs a --lines 100 --raw --follow").spawn().unwrap();
    let mut read = Vec::new();
    let mut out = following.stdout.take().unwrap();
    let complete = raw().len() - "last words".len();
    let mut buffer = vec![0; 64 * 1024];
    while read.len() < complete {
        let n = out.read(&mut buffer).unwrap();
        assert!(n > 0, "it ended after {} bytes", read.len());
        read.extend_from_slice(&buffer[..n]);
    }
    kill("-INT", following.id());
    out.read_to_end(&mut read).unwrap();
    assert!(following.wait().unwrap().success());
    assert!(read == raw(), "{} bytes instead of {}", read.len(), raw().len());
    // Without a name, each line stands behind its service.
    let all = home.types("platform logs --lines 100 --raw").stdout;
    assert!(all.starts_with(b"a | ---") && all.ends_with(b"a | last words\n") && all.contains(&0x1b));
    // Nothing of that without asking, but the last words too.
    let shown = home.types("services logs a --lines 100").stdout;
    assert_plain("without --raw", &shown);
    assert!(shown.ends_with(b"last words\n"));
    assert_eq!(home.types("services logs a --raw --json").status.code(), Some(2));
    home.assert_all_can_be_stopped();
}

#[test]
fn no_words_of_a_failure_a_description_or_a_name_reach_the_terminal_as_they_are() {
    let home = Home::empty();
    let file = hostile_file(&home);
    let fails = format!("head -c 2000 {} >&2; sleep 0.2", file.display());
    let hostile = "\\u001b]52;c;x\\u0007\\u001b[2J\\u009b31m\\u202e";
    let described = home.section("a", &[], &["--run-sh", &fails, "--exit", "3"], "");
    let described =
        described.replace("category = \"api\"\n", &format!("category = \"api\"\ndescription = \"{hostile}\"\n"));
    // Not ready before it fails, so that a start waits and quotes what it said last.
    let health =
        "[services.a.health_check]\ntype = \"file\"\n[services.a.health_check.file]\npath = \"/nonexistent\"\n";
    let named = "[services.\"evil\\u001b]0;title\\u0007\\u202e\"]\ntype = \"utility\"\ncategory = \"api\"\n";
    home.write(&format!("{described}{health}{named}"));
    for line in [
        "services start a",
        "services status a --verbose",
        "services validate",
        "services list",
        "platform health",
        "services start \u{1b}]0;x\u{7}",
        "events",
    ] {
        let piped = home.types(line);
        assert_plain(line, &piped.stdout);
        assert_plain(line, &piped.stderr);
        let mut terminal = Terminal::command(&home, line);
        assert_harmless(line, &terminal.all_bytes());
    }
    let mut console = Terminal::console(&home);
    console.press("s");
    console.wait_for("begin");
    console.wait_for("failed: a");
    console.press("\r");
    console.press("p");
    console.wait_for("evil");
    console.press("\u{3}");
    console.ended();
    assert_harmless("the console", &console.bytes());
}

#[cfg(feature = "docker")]
#[test]
fn no_words_of_a_container_engine_reach_the_terminal_as_they_are() {
    let home = Home::empty();
    let socket = home.path("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let body =
                "{\"message\":\"hostile\\u001b]52;c;x\\u0007\\u001b[2J\\u009b31m\\u202e\\u001b[38;2;1;2;3m words\"}";
            let answer = format!(
                "HTTP/1.1 500 Internal\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    home.write(
        "[services.a]\ntype = \"utility\"\ncategory = \"api\"\n[services.a.deployment]\nmode = \"docker\"\n\
         [services.a.deployment.docker]\nimage = \"example/image:1\"\ncontainer_name = \"a\"\n",
    );
    let host = format!("unix://{}", socket.display());
    for line in ["platform status", "services status a", "services start a", "services logs a", "doctor"] {
        let output = home.command(line).env("DOCKER_HOST", &host).output().unwrap();
        assert_plain(line, &output.stdout);
        assert_plain(line, &output.stderr);
        let program = env!("CARGO_BIN_EXE_provisioning");
        let mut terminal = Terminal::open(&home, program, line, (100, 30), &[("DOCKER_HOST", &host)]);
        assert_harmless(line, &terminal.all_bytes());
    }
    let status = home.command("services status a").env("DOCKER_HOST", &host).output().unwrap();
    assert!(String::from_utf8_lossy(&status.stdout).contains("hostile"), "{}", String::from_utf8_lossy(&status.stdout));
    let program = env!("CARGO_BIN_EXE_provisioning-tui");
    let mut console = Terminal::open(&home, program, "", (100, 30), &[("DOCKER_HOST", &host)]);
    console.wait_for("hostile");
    console.press("s");
    console.press("\u{3}\u{3}");
    console.ended();
    assert_harmless("the console", &console.bytes());
}
