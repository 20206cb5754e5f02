//! `doctor` on real homes: what it finds, what it says to do, the exit code, and that it leaves nothing behind.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

struct Home {
    dir: TempDir,
}

impl Home {
    fn with(registry: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("services.toml"), registry).unwrap();
        Self { dir }
    }

    fn doctor(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_provisioning"))
            .env("PROVISIONING_SUPERVISE", "off")
            .arg("--config")
            .arg(self.dir.path().join("services.toml"))
            .arg("doctor")
            .args(arguments)
            .env("HOME", self.dir.path())
            .env("DOCKER_HOST", format!("unix://{}", self.dir.path().join("docker.sock").display()))
            .env_remove("KUBECONFIG")
            .env_remove("PROVISIONING_SERVICES_DIR")
            .output()
            .unwrap()
    }

    fn json(&self) -> (Option<i32>, Value) {
        let output = self.doctor(&["--json"]);
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
    }
}

fn service(name: &str, lines: &str) -> String {
    format!("[services.{name}]\ntype = 'utility'\ncategory = 'api'\n{lines}\n")
}

fn binary(name: &str, path: &str, lines: &str) -> String {
    service(name, &format!("deployment = {{ mode = 'binary', binary = {{ binary_path = '{path}' }} }}\n{lines}"))
}

/// The messages about a service.
fn about(report: &Value, name: &str) -> Vec<String> {
    let services = report["services"].as_array().unwrap();
    let found = services.iter().find(|service| service["name"] == name).unwrap_or_else(|| panic!("{name}: {report}"));
    let findings = found["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["message"].as_str().unwrap().to_owned()).collect()
}

fn topics(report: &Value) -> Vec<String> {
    let host = report["host"].as_array().unwrap();
    host.iter().map(|finding| finding["topic"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn where_nothing_stands_in_the_way_it_exits_0_and_leaves_nothing_behind() {
    let home = Home::with(&binary("a", "/bin/sh", ""));
    let output = home.doctor(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("✅ State directory: ") && text.contains("✅ a can start, or runs"), "{text}");
    assert!(text.contains("Summary: Nothing stands in the way"), "{text}");
    let left: Vec<_> = fs::read_dir(home.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["services.toml"]);
}

#[test]
fn all_that_is_wrong_is_found_in_one_run_with_what_to_do() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let number = port.local_addr().unwrap().port();
    let check = format!("health_check = {{ type = 'tcp', tcp = {{ host = 'localhost', port = {number} }} }}");
    let home = Home::with(
        &[
            binary("fine", "/bin/sh", ""),
            binary("missing", "/no/such/program", "conflicts = ['fine']"),
            binary("above", "/bin/sh", "dependencies = ['missing']"),
            binary("held", "/bin/sh", &check),
            binary("one", "/bin/sh", "dependencies = ['two']"),
            binary("two", "/no/such/program", "dependencies = ['one']"),
            service("aside", "deployment = { mode = 'sideways' }"),
            service("boxed", "deployment = { mode = 'docker', docker = { image = 'nginx' } }"),
            service("far", "deployment = { mode = 'kubernetes', kubernetes = { manifests_path = '/x' } }"),
        ]
        .concat(),
    );
    let (code, report) = home.json();
    assert_eq!(code, Some(1));
    assert_eq!(about(&report, "fine"), Vec::<String>::new());
    assert_eq!(about(&report, "missing"), ["Binary not found: /no/such/program"]);
    assert_eq!(about(&report, "above"), ["Dependency not available: missing: Binary not found: /no/such/program"]);
    let held = about(&report, "held").join("; ");
    assert!(held.contains(&format!("Port {number} is already in use by")), "{held}");
    let circle = about(&report, "two").join("; ");
    assert!(circle.contains("Circular dependency") && circle.contains("Binary not found"), "{circle}");
    assert!(about(&report, "aside").join("; ").contains("sideways"), "{report}");
    let docker = report["host"].as_array().unwrap().iter().find(|finding| finding["topic"] == "docker").unwrap();
    assert_eq!(docker["message"], "Docker is not installed or not running");
    assert!(docker["remedy"].as_str().unwrap().contains("systemctl start docker"), "{docker}");
    assert!(topics(&report).contains(&"kubernetes".to_owned()), "{report}");
    let complaints = ["host", "registry"].iter().flat_map(|key| report[*key].as_array().unwrap().clone());
    let services = report["services"].as_array().unwrap().iter();
    let all = complaints.chain(services.flat_map(|service| service["findings"].as_array().unwrap().clone()));
    let n_failed = all.filter(|finding| finding["verdict"] == "failed").count();
    assert_eq!(report["failed"], n_failed, "{report}");
}

#[test]
fn engines_that_no_service_asks_for_are_not_looked_for() {
    let home = Home::with(&binary("a", "/bin/sh", ""));
    let (code, report) = home.json();
    assert_eq!(code, Some(0), "{report}");
    assert!(!topics(&report).iter().any(|topic| topic == "docker" || topic == "kubernetes"), "{report}");
}

#[test]
fn what_is_true_of_the_machine_is_said_once_and_not_for_each_service() {
    let home = Home::with(&[binary("a", "/bin/sh", ""), binary("b", "/bin/sh", "")].concat());
    fs::write(home.dir.path().join(".provisioning"), "a file in the way").unwrap();
    let output = home.doctor(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.matches("State directory cannot be used").count(), 1, "{text}");
}

#[test]
fn a_registry_that_cannot_be_read_is_a_configuration_error() {
    let home = Home::with("[services.a\n");
    assert_eq!(home.doctor(&[]).status.code(), Some(2));
}
