//! Edits of the registry, and whose it is, as commands see them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::support::home::{Home, Service};

#[test]
fn what_runs_from_an_older_registry_says_so_to_every_copy_until_it_is_restarted() {
    let home = Home::with(&[Service { name: "web", needs: &[], arguments: Vec::new() }]);
    home.must("services start web");
    assert!(!home.must("services status web --verbose").contains("edited since"));
    let before = home.living("web");
    let text = fs::read_to_string(home.registry()).unwrap();
    fs::write(home.registry(), text.replace("auto_start = true", "auto_start = false")).unwrap();
    assert!(!home.must("services status web --verbose").contains("edited since"), "that counts without a restart");
    let edited = text.replace("stop_signal", "").replace("args = [", "stop_signal = \"INT\"\nargs = [");
    fs::write(home.registry(), edited).unwrap();
    let status = home.must("services status web --verbose");
    assert!(status.contains("edited since it was started: restart it to apply the edit"), "{status}");
    assert_eq!(home.living("web"), before, "a look restarts nothing");
    home.must("services restart web");
    assert!(!home.must("services status web --verbose").contains("edited since"));
    assert_ne!(home.living("web"), before);
}

#[test]
fn a_registry_that_anyone_could_have_written_is_used_only_when_it_was_named() {
    let project = tempfile::tempdir().unwrap();
    let file = project.path().join("config/services.toml");
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::write(&file, "[services.a]\ntype = 'utility'\ncategory = 'api'\ndeployment = { mode = 'kubernetes' }\n")
        .unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let list = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_provisioning"))
            .env("PROVISIONING_SUPERVISE", "off")
            .args(arguments)
            .args(["services", "list"])
            .current_dir(project.path())
            .env("HOME", project.path())
            .env_remove("PROVISIONING_CONFIG")
            .env("PROVISIONING_SERVICES_DIR", project.path().join("services"))
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, _, errors) = list(&[]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("can be written by anyone") && errors.contains("chmod o-w"), "{errors}");
    let (code, listed, errors) = list(&["--config", file.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(listed.contains('a') && errors.contains("can be written by anyone"), "{listed}{errors}");
}
