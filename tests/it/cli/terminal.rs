//! What is different on a terminal: the sign of life, and colour (R205).

use std::io::Read as _;

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use super::{Home, b10, ready, service};

/// Everything that a command writes to a terminal of its own.
fn typed(home: &Home, line: &str, environment: &[(&str, &str)]) -> String {
    let size = PtySize { rows: 24, cols: 60, pixel_width: 0, pixel_height: 0 };
    let pty = native_pty_system().openpty(size).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_provisioning"));
    command.env("PROVISIONING_SUPERVISE", "off");
    command.args(line.split_whitespace());
    command.cwd(home.path(""));
    command.env("HOME", home.path(""));
    command.env("TERM", "xterm-256color");
    for name in ["PROVISIONING_CONFIG", "PROVISIONING_SERVICES_DIR", "NO_COLOR"] {
        command.env_remove(name);
    }
    for (name, value) in environment {
        command.env(name, value);
    }
    let mut reader = pty.master.try_clone_reader().unwrap();
    let mut child = pty.slave.spawn_command(command).unwrap();
    drop(pty.slave);
    let mut bytes = Vec::new();
    // The other side ends with an error where Linux ends a terminal: that is the end of the output.
    let _ = reader.read_to_end(&mut bytes);
    child.wait().unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What stands on the screen at the end.
fn screen(written: &str) -> String {
    let mut parser = vt100::Parser::new(24.try_into().unwrap(), 60.try_into().unwrap(), 0);
    parser.process(written.as_bytes());
    parser.screen().contents()
}

#[test]
fn a_start_that_takes_a_while_shows_that_it_lives_and_leaves_no_trace_of_it() {
    let slow = format!("\"--after-ms\", \"1500\", {}", ready("slow"));
    let home = Home::with(&service("slow", "utility", "api", "", &slow));
    let written = typed(&home, "services start slow", &[]);
    assert!(written.contains("⠋ starting slow (0s)") && written.contains("(1s)"), "{written:?}");
    let left = screen(&written);
    assert!(left.contains("✅ Service slow is healthy") && !left.contains("starting slow ("), "{left}");
    home.types("platform stop");
    std::fs::remove_file(home.path("slow.ready")).unwrap();
    let plain = typed(&home, "services start slow --ascii", &[("TERM", "dumb")]);
    assert!(!plain.contains('\u{1b}') && !plain.contains("starting slow ("), "a dumb terminal gets none: {plain:?}");
}

#[test]
fn colour_is_for_terminals_and_can_be_refused() {
    let home = Home::with("[services.bad]\ntype = \"utilty\"\ncategory = \"api\"\n");
    let is_coloured = |written: &str| written.contains("\u{1b}[1m") || written.contains("\u{1b}[3");
    assert!(is_coloured(&typed(&home, "services validate", &[])));
    assert!(!is_coloured(&typed(&home, "services validate", &[("NO_COLOR", "1")])));
    assert!(!is_coloured(&typed(&home, "--help", &[("NO_COLOR", "1")])));
    assert!(!home.types("services validate").out.contains('\u{1b}'));
    let quick = typed(&b10(), "services list", &[]);
    assert!(!quick.contains('\u{1b}'), "what is quick shows no sign: {quick:?}");
}
