//! The commands on containers.

use std::process::{Command, Stdio};

use super::{Fixture, free_port};

#[tokio::test]
async fn the_commands_work_in_docker_mode_as_in_any_other() {
    let Some(it) = Fixture::new(&["--end-on-term", "--public-port", "80", "--print", "listening"]) else { return };
    let port = free_port();
    let registry = it.home.path().join("services.toml");
    std::fs::write(
        &registry,
        format!(
            "[services.web]\ntype = \"utility\"\ncategory = \"ui\"\n[services.web.deployment]\nmode = \"docker\"\n\
             [services.web.deployment.docker]\nimage = {name:?}\ncontainer_name = {name:?}\nports = [\"{port}:80\"]\n\
             [services.web.health_check]\ntype = \"tcp\"\n[services.web.health_check.tcp]\nhost = \"127.0.0.1\"\nport = {port}\n\
             [services.rival]\ntype = \"utility\"\ncategory = \"ui\"\n[services.rival.deployment]\nmode = \"binary\"\n\
             [services.rival.deployment.binary]\nbinary_path = \"/bin/sh\"\n\
             [services.rival.health_check]\ntype = \"tcp\"\n[services.rival.health_check.tcp]\nhost = \"127.0.0.1\"\nport = {port}\n",
            name = it.name
        ),
    )
    .expect("registry");
    let answer = |line: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_provisioning"))
            .env("PROVISIONING_SUPERVISE", "off")
            .arg("--config")
            .arg(&registry)
            .args(line.split_whitespace())
            .env("HOME", it.home.path())
            .env("PROVISIONING_SERVICES_DIR", it.home.path().join("services"))
            .stdin(Stdio::null())
            .output()
            .expect("runs");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    };
    let types = |line: &str| {
        let (is_well, text) = answer(line);
        assert!(is_well, "{line}: {text}");
        text
    };
    types("services start web");
    let (is_well, text) = answer("services start rival");
    let held = format!("Port {port} is already in use by the service web");
    assert!(!is_well && text.contains(&held), "who published a port holds it: {text}");
    let status = types("services status web");
    assert!(status.contains("running") && status.contains(&it.name), "{status}");
    it.until_it_has_said("listening");
    assert_eq!(types("services logs web --lines 1"), "listening\n");
    let line: serde_json::Value = serde_json::from_str(&types("services logs web --lines 1 --json")).expect("JSON");
    assert_eq!((&line["service"], &line["line"]), (&"web".into(), &"listening".into()), "{line}");
    types("services restart web");
    types("services stop web");
    let status = types("services status web");
    assert!(status.contains("stopped"), "{status}");
}
