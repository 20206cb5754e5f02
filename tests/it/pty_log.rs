//! What of a log leaves the console, and its themes, in a real pseudo-terminal.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use portable_pty::CommandBuilder;

use super::pty::Console;

const REGISTRY: &str = r#"
[services.talker]
type = "platform"
category = "api"
description = "says three things"
[services.talker.deployment]
mode = "binary"
[services.talker.deployment.binary]
binary_path = "/bin/sh"
args = ["-c", "echo one; echo '\u001b[31mtwo\u001b[0m'; echo three; exec sleep 1000"]
"#;

fn open(configure: impl FnOnce(&mut CommandBuilder)) -> Console {
    let home = tempfile::tempdir().unwrap();
    let registry = home.path().join("services.toml");
    std::fs::write(&registry, REGISTRY).unwrap();
    Console::open_in(home, 100, 30, |command| {
        command.args(["--config".as_ref(), registry.as_os_str()]);
        configure(command);
    })
}

fn decoded(base64: &str) -> String {
    let mut program =
        Command::new("base64").arg("-d").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("coreutils");
    program.stdin.take().unwrap().write_all(base64.as_bytes()).unwrap();
    String::from_utf8(program.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn copied_and_saved_lines_are_those_of_the_log_and_nothing_around_them() {
    let mut console = open(|_| {});
    let mut keys = console.writer();
    console.wait_for("Running 0/1");
    console.type_keys(&mut keys, "s");
    console.wait_for("three");
    console.type_keys(&mut keys, "4&^(one|two|three)\ry");
    console.wait_for("3 lines sent");
    let bytes = console.bytes();
    let text = String::from_utf8_lossy(&bytes);
    let (_, after) = text.split_once("\u{1b}]52;c;").expect("OSC 52");
    let copied = after.split(['\u{1b}', '\u{7}']).next().unwrap();
    assert_eq!(decoded(copied), "one\ntwo\nthree\n");

    console.type_keys(&mut keys, "\u{13}");
    console.wait_for("3 lines saved to");
    let files = std::fs::read_dir(console.home.path()).unwrap().map(|entry| entry.unwrap().path());
    let saved: Vec<_> = files.filter(|path| path.extension().is_some_and(|it| it == "log")).collect();
    assert_eq!(saved.len(), 1, "{saved:?}");
    assert_eq!(std::fs::read_to_string(&saved[0]).unwrap(), "one\ntwo\nthree\n");
    assert_eq!(std::fs::metadata(&saved[0]).unwrap().permissions().mode() & 0o777, 0o600);
    console.type_keys(&mut keys, "q");
    console.ended();
    console.assert_handed_back();
}

#[test]
fn a_theme_of_ones_own_is_used_and_one_that_is_wrong_is_told_and_replaced() {
    let config = tempfile::tempdir().unwrap();
    let themes = config.path().join("provisioning/themes");
    std::fs::create_dir_all(&themes).unwrap();
    std::fs::write(themes.join("mine.toml"), "inherit = 'frost'\n[palette]\npaper = { rgb = '#010203' }\n").unwrap();
    std::fs::write(themes.join("wrong.toml"), "inherit = 'frost'\n[roles]\n'txet' = {}\n").unwrap();
    let with_theme = |name: &'static str| {
        let config = config.path().to_owned();
        open(move |command| {
            command.args(["--theme", name]);
            command.env("COLORTERM", "truecolor");
            command.env("XDG_CONFIG_HOME", config);
        })
    };
    let console = with_theme("mine");
    console.wait_for("Running 0/1");
    assert!(String::from_utf8_lossy(&console.bytes()).contains("48;2;1;2;3"), "the background is not the theme's");

    let console = with_theme("wrong");
    console.wait_for("The default theme is used");
    console.wait_for("wrong.toml:3:1");
    assert!(!String::from_utf8_lossy(&console.bytes()).contains("48;2;31;39;51"));
    let mut keys = console.writer();
    console.type_keys(&mut keys, "\u{1b}");
    console.wait("the message to close", || !console.text().contains("The default theme is used"));
}
