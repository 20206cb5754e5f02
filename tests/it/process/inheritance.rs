//! What a service gets from us: its environment, its place, and nothing else.

use provisioning::engine::ports::Backend as _;
use provisioning::model::StopHow;

use super::{Home, binary, service};

#[tokio::test]
async fn a_service_inherits_its_lock_and_its_output_and_nothing_else() {
    let home = Home::new();
    let shown = home.path("shown");
    let spec = service("a", &["--show", &shown.to_string_lossy()]);
    home.start(&spec).await.expect("starts");
    home.until_file("shown").await;
    let text = home.text("shown");
    let descriptors: Vec<&str> = text.lines().filter(|line| line.starts_with("fd ")).collect();
    assert_eq!(descriptors.len(), 4, "{text}");
    assert_eq!(descriptors[0], "fd 0 /dev/null");
    let fifo = home.layout.fifo(&spec.id);
    assert_eq!(descriptors[1], format!("fd 1 {}", fifo.display()));
    assert_eq!(descriptors[2], format!("fd 2 {}", fifo.display()));
    assert!(descriptors[3].ends_with(&home.layout.lock_file(&spec.id).display().to_string()), "{text}");
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).expect("line").trim().to_owned();
    assert_eq!(value("Umask:"), "0022");
    assert_eq!(value("SigBlk:"), "0000000000000000");
    // The test program is Rust, whose runtime itself ignores SIGPIPE (bit 12). Signals 32 and 33 belong to the C library, which lets
    // nobody change them.
    let ignored = u64::from_str_radix(&value("SigIgn:"), 16).expect("mask") & !(0b11 << 31);
    assert_eq!(ignored, 1 << 12);
    assert_eq!(value("cwd"), home.directory.path().canonicalize().expect("path").display().to_string());
    home.stop(&spec, StopHow::Ask).await.expect("stops");
}

#[tokio::test]
async fn the_environment_is_ours_then_the_files_then_the_registrys() {
    let home = Home::new();
    let file = home.path("env");
    std::fs::write(&file, "FROM_FILE=1\nTEST_SECRET=overridden\n").expect("write");
    let mut spec = service(
        "a",
        &["--print-env", "PATH", "--print-env", "FROM_FILE", "--print-env", "TEST_SECRET", "--print", "end"],
    );
    binary(&mut spec).env_file = Some(file);
    home.start(&spec).await.expect("starts");
    home.until_true("printed", || home.log(&spec).ends_with("end\n")).await;
    let expected = format!("{}\n1\nhunter2\nend\n", std::env::var("PATH").expect("PATH"));
    assert_eq!(home.log(&spec), expected);
    // No secret in what others may read.
    let state = std::fs::read_to_string(home.layout.state_file(&spec.id)).expect("state");
    let arguments = std::fs::read(format!("/proc/{}/cmdline", home.shim_pid(&spec))).expect("cmdline");
    let environment = std::fs::read(format!("/proc/{}/environ", home.shim_pid(&spec))).expect("environ");
    for text in [state.as_bytes(), &arguments, &environment] {
        assert!(!String::from_utf8_lossy(text).contains("hunter2"));
    }
    home.stop(&spec, StopHow::Ask).await.expect("stops");
}

#[tokio::test]
async fn the_shim_keeps_nothing_open_that_is_not_its_own() {
    let home = Home::new();
    let spec = service("a", &[]);
    home.start(&spec).await.expect("starts");
    let shim = home.shim_pid(&spec);
    home.until_true("the socket is closed", || {
        let own = home.directory.path().to_string_lossy().into_owned();
        let mut foreign: Vec<String> = std::fs::read_dir(format!("/proc/{shim}/fd"))
            .expect("fds")
            .filter_map(|entry| Some(std::fs::read_link(entry.ok()?.path()).ok()?.to_string_lossy().into_owned()))
            .filter(|target| target != "/dev/null" && !target.starts_with(&own))
            .collect();
        foreign.sort();
        // The pair by which its signals wake it: one end to read, one for each of the four signals.
        foreign.len() <= 6 && foreign.iter().all(|target| target.starts_with("socket:"))
    })
    .await;
    assert_eq!(provisioning::host::process::stat(shim).expect("stat").session, shim, "a session of its own");
    home.stop(&spec, StopHow::Ask).await.expect("stops");
    assert!(home.backend.observe(&spec).await.is_ok());
}
