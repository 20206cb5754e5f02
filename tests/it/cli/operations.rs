//! What operations of the wider platform need: `check`, `ensure`, and the programs `provisioning-OPERATION` (O6, O16, A12).

use std::process::Command;

use super::{Home, check, ready, service};

/// `front` is required for the operation `server` and needs `back`; `manual` is required for `paint`, and only started by name.
fn home() -> Home {
    let part = |name: &str, on: &str| service(name, "platform", "api", on, &ready(name));
    let required = |text: String, operation: &str| {
        text.replacen("type = ", &format!("required_for = [\"{operation}\"]\ntype = "), 1)
    };
    let front = required(part("front", "\"back\""), "server") + "[services.front.startup]\nauto_start = true\n";
    Home::with(&[part("back", ""), front, required(part("manual", ""), "paint")].concat())
}

/// A command that finds the operations' programs of this home.
fn with_programs(home: &Home, line: &str) -> Command {
    home.shell("sh", &["-c", &format!("exec provisioning {line}")])
}

#[test]
fn check_says_what_an_operation_needs_and_fails_while_it_does_not_run() {
    let home = home();
    let o6 = "Operation: server\nRequired services: front\nAll running: false\nNot running: front";
    check(&home.types("services check server"), 1, o6, "");
    home.types("services start front");
    let answer = home.types("services check server");
    check(&answer, 0, "Operation: server\nRequired services: front\nAll running: true", "");
    assert!(!answer.out.contains("Not running"), "R107");
    let unknown = home.types("services check servre");
    check(&unknown, 0, "Required services: none\nAll running: true", "Did you mean server?");
    assert!(unknown.err.contains("the known operations are server, paint"), "R108: {unknown:#?}");
    let json: serde_json::Value = serde_json::from_str(&home.types("services check server --json").out).unwrap();
    assert_eq!((&json["all_running"], &json["required"][0]), (&true.into(), &"front".into()));
}

#[test]
fn ensure_starts_what_is_missing_once_and_then_says_nothing() {
    let home = home();
    check(&home.types("services ensure server"), 0, "Starting required services...\n✅ Front started", "");
    home.pid_of("front");
    home.pid_of("back");
    let again = home.types("services ensure server");
    assert_eq!((again.code, again.out.as_str(), again.err.as_str()), (Some(0), "", ""), "R174");
}

#[test]
fn ensure_leaves_a_service_that_is_only_started_by_name_to_the_person() {
    let home = home();
    let refused = home.types("services ensure paint");
    check(&refused, 1, "", "Start it with: provisioning services start manual");
    assert_eq!(refused.out, "", "R173");
    assert!(!home.path(".provisioning/services/pids/manual.pid").exists());
    home.types("services start manual");
    assert_eq!(home.types("services ensure paint").code, Some(0));
    let json: serde_json::Value = serde_json::from_str(&home.types("services ensure paint --json").out).unwrap();
    assert_eq!((&json["success"], &json["start"]), (&true.into(), &serde_json::Value::Null));
}

#[test]
fn an_operation_runs_its_own_program_once_what_it_needs_runs() {
    let home = home();
    home.program("provisioning-server", "echo \"Creating server... $# $2\"; umask; exit 7");
    let output = with_programs(&home, "server create --name=x").output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    // O16. What the program prints is the result; what we say stands beside it, so that a script can read the result.
    assert!(out.starts_with("Creating server... 2 --name=x\n"), "{out}");
    assert_eq!(err, "Starting required services...\n✅ Front started\n");
    assert_eq!(output.status.code(), Some(7), "the program's own exit code");
    let umask = Command::new("sh").args(["-c", "umask"]).output().unwrap();
    assert!(out.ends_with(&String::from_utf8(umask.stdout).unwrap()), "the caller's umask: {out}");
    home.pid_of("front");
    let again = with_programs(&home, "server create").output().unwrap();
    assert_eq!(String::from_utf8(again.stderr).unwrap(), "", "everything runs already");
}

#[test]
fn an_operation_whose_needs_do_not_start_does_not_run() {
    let home = home();
    home.program("provisioning-paint", "touch painted");
    let output = with_programs(&home, "paint").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(!home.path("painted").exists());
}

#[test]
fn an_unknown_command_is_told_what_it_could_have_been_and_starts_nothing() {
    let home = home();
    for (line, near) in [("platfrom status", "Did you mean platform?"), ("servr create", "Did you mean server?")] {
        let answer = home.types(line);
        check(&answer, 2, "", near);
        assert!(answer.err.contains("services ensure"), "R214: {answer:#?}");
    }
    // An operation without a program of its own.
    let answer = home.types("server create");
    assert_eq!(answer.code, Some(2));
    assert!(answer.err.contains("provisioning-server") && answer.err.contains("services ensure server"), "{answer:#?}");
    assert!(!answer.err.contains("Did you mean"), "it was meant: {answer:#?}");
    // A name is no way to somewhere else.
    home.program("provisioning-x", "touch made");
    for line in ["../programs/x", "./x", "x/../x"] {
        assert_eq!(with_programs(&home, line).output().unwrap().status.code(), Some(2), "{line}");
    }
    assert!(!home.path("made").exists() && !home.path(".provisioning").exists());
}
