//! The service to test with, compiled once for each run of the tests.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The path of the compiled `tests/programs/service.rs`.
pub(crate) fn service() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| compiled("service", &[])).clone()
}

/// Compiles it under another name, with options of its own for the compiler.
pub(crate) fn compiled(name: &str, options: &[&str]) -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/service.rs");
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    // Aside first: another test binary may be executing, or building, the same file; one in a world of its own may even have our PID.
    let own = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("directory");
    let aside = own.path().join(name);
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let built = Command::new(compiler)
        .args(["--edition", "2024", "-C", "opt-level=1", "-C", "debuginfo=0"])
        .args(options)
        .arg("-o")
        .arg(&aside)
        .arg(source)
        .status()
        .expect("rustc runs");
    assert!(built.success(), "tests/programs/service.rs does not compile");
    std::fs::rename(&aside, &target).expect("rename");
    target
}
