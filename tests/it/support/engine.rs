//! The container engine of this machine, and images that hold nothing but the test program.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use super::program::compiled;

/// Types it.
pub(crate) fn docker(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).stdin(Stdio::null()).output().expect("docker runs")
}

/// The same for a command that has to succeed.
#[track_caller]
pub(crate) fn must(arguments: &[&str]) -> String {
    let output = docker(arguments);
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Whether tests can use it. Says so loudly where not.
pub(crate) fn engine_answers() -> bool {
    let answers = docker_found(&["version", "--format", "{{.Server.Version}}"]);
    if !answers {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test").to_owned();
        writeln!(std::io::stderr(), "SKIPPED, no Docker Engine answers here: {test}").expect("stderr");
    }
    answers
}

fn docker_found(arguments: &[&str]) -> bool {
    let output = Command::new("docker").args(arguments).stdin(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}

/// The test program for an image that holds nothing else.
fn static_service() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| compiled("static-service", &["-C", "target-feature=+crt-static"])).clone()
}

/// Makes an image from nothing but the test program.
pub(crate) fn import(name: &str, arguments: &[&str]) {
    import_with(None, name, arguments, None);
}

/// Into the engine at that address, with a file beside the program.
pub(crate) fn import_with(host: Option<&str>, name: &str, arguments: &[&str], padding: Option<&[u8]>) {
    let program = static_service();
    let words: Vec<String> =
        std::iter::once("/static-service").chain(arguments.iter().copied()).map(|word| format!("{word:?}")).collect();
    let beside = tempfile::tempdir().expect("directory");
    std::fs::write(beside.path().join("padding"), padding.unwrap_or_default()).expect("padding");
    let mut packed = Command::new("tar");
    packed.arg("-c").arg("-C").arg(program.parent().expect("directory")).arg("static-service");
    if padding.is_some() {
        packed.arg("-C").arg(beside.path()).arg("padding");
    }
    let mut tar = packed.stdout(Stdio::piped()).spawn().expect("tar");
    let imported = Command::new("docker")
        .args(host.map(|host| format!("--host={host}")))
        .args(["import", "--change", &format!("CMD [{}]", words.join(", ")), "-", name])
        .stdin(tar.stdout.take().expect("stdout"))
        .output()
        .expect("docker");
    assert!(tar.wait().expect("tar").success());
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
}
