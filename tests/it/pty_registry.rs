//! The console in a real pseudo-terminal while its registry is edited, from outside and from inside.

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::pty::Console;

/// Services that run for as long as they are let, by name.
fn registry(names: &[&str]) -> String {
    let service = |name: &&str| {
        format!(
            "[services.{name}]\ntype = \"platform\"\ncategory = \"api\"\n\
             [services.{name}.deployment]\nmode = \"binary\"\n\
             [services.{name}.deployment.binary]\nbinary_path = \"/bin/sleep\"\nargs = [\"1000\"]\n\n"
        )
    };
    names.iter().map(service).collect()
}

/// A console on a registry of these services, whose editor is a script with that text.
fn open(names: &[&str], editor: &str) -> Console {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("services.toml");
    std::fs::write(&file, registry(names)).unwrap();
    // Called `vi`, so that it is told the line as vi is.
    let script = home.path().join("vi");
    std::fs::write(&script, format!("#!/bin/sh\n{editor}\n")).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let console = Console::open_in(home, 120, 40, |command| {
        command.args(["--config".as_ref(), file.as_os_str()]);
        command.env("VISUAL", &script);
    });
    console.wait_for(&format!("Running 0/{}", names.len()));
    console
}

fn file(console: &Console) -> PathBuf {
    console.home.path().join("services.toml")
}

/// The service's PID; `None` while it is not there.
fn pid(console: &Console, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(console.home.path().join(format!("services/pids/{name}.pid"))).ok()?;
    Some(text.trim().to_owned()).filter(|pid| !pid.is_empty())
}

fn rename_over(file: &Path, text: &str) {
    let aside = file.with_file_name(".services.toml.swp");
    std::fs::write(&aside, text).unwrap();
    std::fs::rename(aside, file).unwrap();
}

fn write_in_two_pieces(path: &Path, text: &str) {
    let (one, two) = text.split_at(text.len() / 2);
    let mut file = std::fs::File::create(path).unwrap();
    file.write_all(one.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    file.write_all(two.as_bytes()).unwrap();
}

/// The name of the last service of a file.
fn last_name(text: &str) -> &str {
    let header = text.lines().filter_map(|line| line.strip_prefix("[services.")).next_back().unwrap();
    header.split('.').next().unwrap()
}

/// Renames the last service, as a person would with one line.
fn sed(file: &Path, text: &str) {
    let before = std::fs::read_to_string(file).unwrap();
    let rename = format!("s/services\\.{}/services.{}/", last_name(&before), last_name(text));
    let status = Command::new("sed").args(["-i", &rename]).arg(file).status().unwrap();
    assert!(status.success());
}

fn swap_link(file: &Path, text: &str) {
    let target = file.with_file_name(format!("target-{}", text.len()));
    std::fs::write(&target, text).unwrap();
    let aside = file.with_file_name(".link");
    symlink(&target, &aside).unwrap();
    std::fs::rename(aside, file).unwrap();
}

fn delete_and_make_again(file: &Path, text: &str) {
    std::fs::remove_file(file).unwrap();
    std::fs::write(file, text).unwrap();
}

#[test]
fn five_ways_of_saving_are_seen_at_once_and_touch_nothing_that_runs() {
    type Save = fn(&Path, &str);
    let ways: [(&str, Save); 5] = [
        ("renamed", rename_over),
        ("pieces", write_in_two_pieces),
        ("sed", sed),
        ("linked", swap_link),
        ("anew", delete_and_make_again),
    ];
    let console = open(&["steady"], "exit 1");
    let mut keys = console.writer();
    console.type_keys(&mut keys, "s");
    console.wait_for("Running 1/1");
    let before = pid(&console, "steady");
    let mut fastest = Duration::MAX;
    for (way, save) in ways {
        let text = registry(&["steady", way]);
        let began = Instant::now();
        save(&file(&console), &text);
        console.wait_for(&format!("+ {way}"));
        fastest = fastest.min(began.elapsed());
        console.type_keys(&mut keys, "\u{1b}");
        console.wait("the panel to close", || !console.text().contains("Registry edited"));
        // The panel tells of the file; the board follows when the engine has taken it up.
        console.wait("its row", || console.text().contains(way) && console.text().contains("Running 1/2"));
    }
    assert!(fastest < Duration::from_millis(250), "a save came on the screen after {fastest:?} at best");
    assert_eq!(pid(&console, "steady"), before);
}

#[test]
fn a_console_opens_on_a_file_that_is_no_toml_and_shows_what_is_wrong_with_it() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("services.toml");
    std::fs::write(&path, "[services.web\n").unwrap();
    let console = Console::open_in(home, 120, 40, |command| {
        command.args(["--config".as_ref(), path.as_os_str()]);
    });
    console.wait_for("services.toml:1:14: error: unclosed table");
    rename_over(&path, &registry(&["web"]));
    console.wait_for("Running 0/1");
}

#[test]
fn a_bad_save_is_explained_and_the_next_good_one_is_taken() {
    let console = open(&["web", "old"], "exit 1");
    let mut keys = console.writer();
    console.type_keys(&mut keys, "s");
    console.wait_for("Running 1/2");
    std::fs::write(file(&console), "[services.web\ntype = 1\n").unwrap();
    console.wait_for("Registry not applied");
    console.wait_for("stays in force");
    console.type_keys(&mut keys, "\u{1b}");
    console.wait("the panel to close", || !console.text().contains("stays in force"));
    assert!(console.text().contains("✗ 1 error"), "{}", console.text());
    assert!(console.text().contains("Running 1/2"), "{}", console.text());
    rename_over(&file(&console), &registry(&["old"]));
    console.wait_for("removed; it runs on and can be stopped");
    console.type_keys(&mut keys, "\u{1b}");
    console.wait("the panel to close", || !console.text().contains("Registry edited"));
    assert!(!console.text().contains("1 error"), "{}", console.text());
    // The panel tells of the file; the board follows when the engine has taken it up, and then names what left the registry last.
    let row_of = |service: &str| {
        let is_row = |line: &str| {
            line.contains(&format!(" {service} ")) && (line.contains("running") || line.contains("stopped"))
        };
        console.text().lines().position(is_row)
    };
    console.wait("the board as the file says", || row_of("old").is_some() && row_of("old") < row_of("web"));
    // It is still on the board, and stops like any other.
    console.type_keys(&mut keys, "Gx");
    console.wait_for("Running 0/1");
}

#[test]
fn what_was_edited_while_it_ran_restarts_when_the_person_says_so() {
    let console = open(&["web"], "exit 1");
    let mut keys = console.writer();
    console.type_keys(&mut keys, "s");
    console.wait_for("Running 1/1");
    let before = pid(&console, "web");
    rename_over(&file(&console), &registry(&["web"]).replace("1000", "2000"));
    console.wait_for("restart to apply: deployment.binary.args");
    assert_eq!(pid(&console, "web"), before, "a save alone restarts nothing");
    console.type_keys(&mut keys, "a");
    console.wait_for("1 service is restarted");
    console.type_keys(&mut keys, "y");
    let command = || std::fs::read(format!("/proc/{}/cmdline", pid(&console, "web")?)).ok();
    console.wait("the edited process", || {
        pid(&console, "web") != before && command().is_some_and(|it| String::from_utf8_lossy(&it).contains("2000"))
    });
}

#[test]
fn the_editor_has_the_terminal_for_itself_and_gives_it_back() {
    let editor = r#"echo "editing: $@"
read typed
echo "$typed" >"$HOME/typed"
sed -i 's/services.old/services.new/' "$2""#;
    let mut console = open(&["web", "old"], editor);
    let mut keys = console.writer();
    console.type_keys(&mut keys, "je");
    // The second service begins in line 10.
    console.wait_for("editing: +10 ");
    assert!(console.is_cooked(), "the editor has the terminal as the shell had it");
    console.type_keys(&mut keys, "quit is no key here\r");
    console.wait_for("+ new");
    assert!(!console.is_cooked());
    assert_eq!(std::fs::read_to_string(console.home.path().join("typed")).unwrap(), "quit is no key here\n");
    console.type_keys(&mut keys, "\u{1b}");
    console.wait("the panel to close", || !console.text().contains("Registry edited"));
    console.type_keys(&mut keys, "q");
    console.ended();
    console.assert_handed_back();
}

#[test]
fn an_editor_that_cannot_be_used_is_named_and_the_console_goes_on() {
    let console = open(&["web"], "exit 3");
    let mut keys = console.writer();
    console.type_keys(&mut keys, "e");
    console.wait_for("The editor did not end well");
    console.type_keys(&mut keys, "\u{1b}");
    console.wait("the message to close", || !console.text().contains("did not end well"));
    console.type_keys(&mut keys, "s");
    console.wait_for("Running 1/1");
}

#[test]
fn the_built_in_registry_becomes_a_file_of_ones_own() {
    let home = tempfile::tempdir().unwrap();
    let own = home.path().join(".provisioning/config/services.toml");
    let console = Console::open_in(home, 120, 40, |command| {
        command.env("VISUAL", "true");
        command.env_remove("PROVISIONING_CONFIG");
    });
    let mut keys = console.writer();
    console.wait_for("built-in registry");
    console.type_keys(&mut keys, "e");
    console.wait_for("cannot be edited");
    assert!(!own.exists(), "nothing is written before it was asked for");
    console.type_keys(&mut keys, "y");
    console.wait_for(".provisioning/config/services.toml ✓");
    assert!(own.with_file_name("services.schema.json").exists());
    // From now on that file is the one that is watched.
    let text = std::fs::read_to_string(&own).unwrap();
    rename_over(&own, &(text + &registry(&["mine"])));
    console.wait_for("+ mine");
}
