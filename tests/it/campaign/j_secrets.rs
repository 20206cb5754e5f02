//! J. Secrets stay where they belong.

use std::path::Path;
use std::time::Duration;

use crate::support::dice::pass;
use crate::support::home::{Home, wait_until};
use crate::support::terminal::Terminal;

const SECRET: &str = "hunter2-correct-horse";

/// The files below a directory that hold the secret.
fn holders(dir: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            holders(&entry.path(), found);
        } else if kind.is_file() {
            let bytes = std::fs::read(entry.path()).unwrap_or_default();
            if String::from_utf8_lossy(&bytes).contains(SECRET) {
                found.push(entry.path().display().to_string());
            }
        }
    }
}

/// The processes whose arguments, or whose first environment where it is one of ours, hold the secret.
fn told(home: &Home) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(arguments) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let arguments = String::from_utf8_lossy(&arguments).into_owned();
        if arguments.contains(SECRET) && arguments.contains(&home.path("").display().to_string()) {
            found.push(arguments);
        }
    }
    found
}

#[test]
fn the_value_of_a_variable_is_nowhere_but_in_the_service() {
    let home = Home::empty();
    let env =
        |name: &str, more: &str| format!("[services.{name}.deployment.binary.env]\nTOKEN = \"{SECRET}\"\n{more}\n");
    let failing = home.section("bad", &[], &["--complain", "no", "--exit", "3"], &env("bad", ""));
    let lost =
        home.section("lost", &[], &[], &env("lost", "")).replace("binary_path = \"", "binary_path = \"/nonexistent");
    home.write(&(home.section("a", &[], &["--print-env", "HOME"], &env("a", "")) + &failing + &lost));
    let mut said = Vec::new();
    for line in [
        "services start a",
        "services start bad",
        "services start lost",
        "services status a --verbose",
        "services status bad --verbose --json",
        "services list --json",
        "services validate",
        "platform status --json",
        "doctor",
        "events",
        "services logs a",
        "services restart a",
        "services start a --dry-run --verbose",
    ] {
        let output =
            home.command(line).env("PROVISIONING_LOG", "trace").env("RUST_BACKTRACE", "full").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains(SECRET), "{line}: {text}");
        said.push(text);
    }
    assert!(said.iter().any(|text| text.contains("running")), "nothing ran: {said:?}");
    assert_eq!(told(&home), Vec::<String>::new(), "in the arguments of a process");
    let shim = home.shim("a");
    let environ = std::fs::read(format!("/proc/{shim}/environ")).unwrap();
    assert!(!String::from_utf8_lossy(&environ).contains(SECRET), "in the shim's environment");
    let service = std::fs::read(format!("/proc/{}/environ", home.pid("a").unwrap())).unwrap();
    assert!(String::from_utf8_lossy(&service).contains(SECRET), "the service itself was not told");
    // The console, with everything that it knows open, and an edit that it tells the difference of.
    let program = env!("CARGO_BIN_EXE_provisioning-tui");
    let variables = [("PROVISIONING_LOG", "trace")];
    let mut console = Terminal::open(&home, program, "", (160, 50), &variables);
    console.wait_for("Services");
    console.wait_for("TOKEN");
    console.press("\r");
    console.wait_for("***");
    let edited = std::fs::read_to_string(home.registry()).unwrap().replace(SECRET, &format!("{SECRET}-changed"));
    home.write(&edited);
    console.wait_for("edited");
    // A file that is broken at that very line.
    home.write(&edited.replace(&format!("{SECRET}-changed\""), &format!("{SECRET}-changed")));
    console.wait("the finding", || console.text().contains("services.toml:"));
    pass(Duration::from_millis(100));
    console.press("\u{3}");
    console.ended();
    assert!(!String::from_utf8_lossy(&console.bytes()).contains(SECRET), "in the console");
    home.write(&edited);
    let mut found = Vec::new();
    holders(&home.services_dir(), &mut found);
    assert_eq!(found, Vec::<String>::new(), "in files");
    home.assert_all_can_be_stopped();
}

#[test]
fn an_env_file_is_read_and_its_values_are_told_to_nobody_else() {
    let home = Home::empty();
    let file = home.path("secrets.env");
    std::fs::write(&file, format!("TOKEN={SECRET}\n")).unwrap();
    let section = home.section("a", &[], &["--show", &home.path("shown").display().to_string()], "");
    home.write(&section.replace("args = ", &format!("env_file = {:?}\nargs = ", file.display().to_string())));
    home.must("services start a");
    wait_until("it has begun", || home.path("shown").exists());
    let environ = std::fs::read(format!("/proc/{}/environ", home.pid("a").unwrap())).unwrap();
    assert!(String::from_utf8_lossy(&environ).contains(SECRET));
    assert_eq!(told(&home), Vec::<String>::new());
    std::fs::write(&file, format!("TOKEN={SECRET}\n{SECRET}\n")).unwrap();
    let refused = home.types("services restart a");
    let said = String::from_utf8_lossy(&refused.stdout).into_owned() + &String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("line 2") && !said.contains(SECRET), "{said}");
    let mut found = Vec::new();
    holders(&home.services_dir(), &mut found);
    assert_eq!(found, Vec::<String>::new());
    home.assert_all_can_be_stopped();
}

/// The inodes of the sockets that listen, of every kind that has an address outside of the machine or in it.
fn listening() -> std::collections::BTreeSet<String> {
    let mut inodes = std::collections::BTreeSet::new();
    for (file, state_column, inode_column, listens) in
        [("tcp", 3, 9, "0A"), ("tcp6", 3, 9, "0A"), ("udp", 3, 9, "07"), ("udp6", 3, 9, "07"), ("unix", 5, 6, "01")]
    {
        let text = std::fs::read_to_string(format!("/proc/net/{file}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields.get(state_column) == Some(&listens) {
                inodes.extend(fields.get(inode_column).map(|inode| format!("socket:[{inode}]")));
            }
        }
    }
    inodes
}

#[test]
fn none_of_our_programs_listens_anywhere() {
    let home = Home::empty();
    home.write(&home.section("a", &[], &[], ""));
    home.must("services start a");
    let console = Terminal::console(&home);
    console.wait_for("Running 1/1");
    let listening = listening();
    for pid in [home.shim("a"), console.pid()] {
        for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
            let target = std::fs::read_link(entry.path()).unwrap_or_default().display().to_string();
            assert!(!listening.contains(&target), "{pid} listens on {target}");
        }
    }
    drop(console);
    home.assert_all_can_be_stopped();
}
