//! The example in `config/examples`: the very files, with an image that is here.

use super::*;

/// The example's files in a home of the test, with another image, another port and another project.
fn prepared(it: &Fixture, port: u16) -> PathBuf {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples/compose-stack");
    let read = |name: &str| fs::read_to_string(example.join(name)).expect("the example");
    let command =
        format!("image: {}\n    command: [\"/static-service\", \"--end-on-term\", \"--public-port\", \"80\"]", it.name);
    let mut file = read("docker-compose.yaml").replace("18081", &port.to_string());
    for image in ["image: redis:7-alpine", "image: nginx:1.27-alpine"] {
        assert!(file.contains(image), "{file}");
        file = file.replace(image, &command);
    }
    let platform = it.home.path().join(".provisioning/platform");
    fs::create_dir_all(&platform).expect("directory");
    fs::write(platform.join("docker-compose.yaml"), file).expect("compose file");
    let registry = read("services.toml").replace("18081", &port.to_string());
    let registry = registry.replace("project_name = \"platform\"", &format!("project_name = {:?}", it.name));
    let path = it.home.path().join("services.toml");
    fs::write(&path, registry).expect("registry");
    path
}

#[tokio::test]
async fn the_example_runs_as_it_is_shipped() {
    let Some(it) = Fixture::new(GOOD) else { return };
    let [port] = provisioning::host::free_ports().expect("a port");
    let registry = prepared(&it, port);
    let answer = |line: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_provisioning"))
            .arg("--config")
            .arg(&registry)
            .args(line.split_whitespace())
            .env("HOME", it.home.path())
            .env("PROVISIONING_SERVICES_DIR", it.home.path().join("services"))
            .env("PROVISIONING_SUPERVISE", "off")
            .stdin(Stdio::null())
            .output()
            .expect("runs");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    };
    let must = |line: &str| {
        let (is_well, text) = answer(line);
        assert!(is_well, "{line}: {text}");
        text
    };
    let begun = must("services start web");
    assert_eq!((it.running("cache").len(), it.running("web").len()), (1, 1), "{begun}");
    let health = must("services health web");
    assert!(health.contains("healthy"), "{health}");
    let (is_well, refused) = answer("services stop cache");
    assert!(!is_well && refused.contains("web"), "{refused}");
    must("platform stop");
    assert_eq!((it.running("cache"), it.running("web")), (Vec::new(), Vec::new()));
}
