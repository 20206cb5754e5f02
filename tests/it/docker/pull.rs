//! Images that have to be fetched first, from a registry of the test's own on the loopback interface.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use provisioning::engine::ports::{Backend as _, BackendError, ErrorKind, Preparation};
use provisioning::model::{LaunchOrigin, StartHow, StopHow};
use provisioning::preflight::Requirement;

use super::{Fixture, GOOD};
use crate::process::{DEADLINE, is_present};
use crate::support::engine::{import_with, must};

/// `bob:s3cret`, as HTTP says it.
const BOB: &str = "Ym9iOnMzY3JldA==";

/// How a registry behaves.
#[derive(Default)]
struct Manners {
    /// Whom it lets in; everybody when unset.
    only: Option<&'static str>,
    /// Whether it is slow with the second half of each layer until the gate is opened.
    has_gate: bool,
}

/// What the registry's threads and the test both see.
#[derive(Default)]
struct Seen {
    is_open: bool,
    /// Readers that went away in the middle of a layer.
    n_given_up: usize,
}

/// A registry with one image, `/app:1`.
struct Registry {
    port: u16,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    image: String,
}

/// What it serves.
struct Content {
    manifest: Vec<u8>,
    config: Vec<u8>,
    config_digest: String,
    layer: Vec<u8>,
    layer_digest: String,
    manners: Manners,
}

impl Registry {
    /// Takes the fixture's image out of the engine, and serves it.
    fn serving(it: &mut Fixture, manners: Manners) -> Self {
        // Nobody has this layer, also when another test with the same program runs, and it is large enough for its progress to be told.
        let padding = format!("{}\n", it.name).repeat(600_000);
        must(&["rmi", &it.name]);
        import_with(None, &it.name, &GOOD, Some(padding.as_bytes()));
        let content = Arc::new(Content { manners, ..exported(&it.name, it.home.path()) });
        must(&["rmi", "-f", &it.name]);
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("bind");
        let port = listener.local_addr().expect("address").port();
        let seen = Arc::<(Mutex<Seen>, Condvar)>::default();
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (content, seen) = (Arc::clone(&content), Arc::clone(&shared));
                // One that goes away is one that asked for something else.
                std::thread::spawn(move || drop(serve(&stream, &content, &seen)));
            }
        });
        let image = format!("127.0.0.1:{port}/app:1");
        it.docker_spec().image.clone_from(&image);
        Self { port, seen, image }
    }

    fn open(&self) {
        self.seen.0.lock().unwrap_or_else(PoisonError::into_inner).is_open = true;
        self.seen.1.notify_all();
    }

    async fn until_given_up(&self) {
        let deadline = Instant::now() + DEADLINE;
        while self.seen.0.lock().expect("seen").n_given_up == 0 {
            assert!(Instant::now() < deadline, "the engine goes on pulling");
            // The connection of what was dropped is closed by this thread.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.open();
    }
}

fn exported(name: &str, home: &Path) -> Content {
    let dir = home.join("exported");
    std::fs::create_dir(&dir).expect("directory");
    let mut saved = Command::new("docker").args(["save", name]).stdout(Stdio::piped()).spawn().expect("docker");
    let unpacked = Command::new("tar")
        .arg("-C")
        .arg(&dir)
        .arg("-x")
        .stdin(saved.stdout.take().expect("stdout"))
        .status()
        .expect("tar");
    assert!(unpacked.success() && saved.wait().expect("docker").success());
    let json = |path: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(dir.join(path)).expect("exported")).expect("JSON")
    };
    let listing = json("manifest.json");
    let file = |value: &serde_json::Value| value.as_str().expect("a path").to_owned();
    let (config_file, layer_file) = (file(&listing[0]["Config"]), file(&listing[0]["Layers"][0]));
    let config = std::fs::read(dir.join(&config_file)).expect("config");
    let layer = std::fs::read(dir.join(layer_file)).expect("layer");
    let layer_digest = file(&json(&config_file)["rootfs"]["diff_ids"][0]);
    let config_digest = must(&["inspect", "--type", "image", "--format", "{{.Id}}", name]);
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": { "mediaType": "application/vnd.docker.container.image.v1+json", "size": config.len(), "digest": config_digest },
        "layers": [{ "mediaType": "application/vnd.docker.image.rootfs.diff.tar", "size": layer.len(), "digest": layer_digest }],
    });
    let manifest = manifest.to_string().into_bytes();
    Content { manifest, config, config_digest, layer, layer_digest, manners: Manners::default() }
}

/// One connection. What does not speak HTTP, such as a greeting of TLS, is closed.
fn serve(stream: &TcpStream, content: &Content, seen: &(Mutex<Seen>, Condvar)) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut stream = stream;
    loop {
        let mut first = [0];
        reader.read_exact(&mut first)?;
        if !first[0].is_ascii_uppercase() {
            return Ok(());
        }
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") {
            if reader.read_line(&mut request)? == 0 {
                return Ok(());
            }
        }
        let path = request.split(' ').nth(1).unwrap_or_default();
        let has_body = first[0] == b'G';
        let is_let_in =
            content.manners.only.is_none_or(|only| request.contains(&format!("Authorization: Basic {only}\r\n")));
        let (status, kind, body): (_, _, &[u8]) = if !is_let_in {
            let words = br#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
            ("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"the test\"", "application/json", words)
        } else if path == "/v2/" {
            ("200 OK", "application/json", b"{}")
        } else if path == "/v2/app/manifests/1" || path.starts_with("/v2/app/manifests/sha256:") {
            ("200 OK", "application/vnd.docker.distribution.manifest.v2+json", &content.manifest)
        } else if path == format!("/v2/app/blobs/{}", content.config_digest) {
            ("200 OK", "application/octet-stream", &content.config)
        } else if path == format!("/v2/app/blobs/{}", content.layer_digest) {
            ("200 OK", "application/octet-stream", &content.layer)
        } else {
            let words = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
            ("404 Not Found", "application/json", words)
        };
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nDocker-Distribution-Api-Version: registry/2.0\r\n\r\n",
            body.len()
        )?;
        if !has_body {
            continue;
        }
        if content.manners.has_gate && body.len() == content.layer.len() {
            let (sooner, later) = body.split_at(body.len() / 2);
            stream.write_all(sooner)?;
            // The engine gives up when it wants to tell how far it is and nobody is there, so it has to get a little further.
            for piece in later.chunks(64 * 1024) {
                wait_at_the_gate(stream, seen)?;
                stream.write_all(piece)?;
            }
        } else {
            stream.write_all(body)?;
        }
    }
}

/// Returns when the gate is open, or after a moment, or with an error when the reader has gone.
fn wait_at_the_gate(stream: &TcpStream, seen: &(Mutex<Seen>, Condvar)) -> std::io::Result<()> {
    let state = seen.0.lock().expect("seen");
    let moment = Duration::from_millis(40);
    let (mut state, _) = seen.1.wait_timeout_while(state, moment, |state| !state.is_open).expect("seen");
    stream.set_nonblocking(true)?;
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false)?;
    match peeked {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
        Ok(n) if n > 0 => Ok(()),
        ended => {
            state.n_given_up += 1;
            Err(ended.err().unwrap_or_else(|| std::io::ErrorKind::ConnectionReset.into()))
        }
    }
}

async fn prepared(it: &Fixture) -> Result<(), BackendError> {
    tokio::time::timeout(DEADLINE, it.backend.prepare(&it.spec, StartHow::AsItIs, Preparation::new().0))
        .await
        .expect("an end")
}

#[tokio::test]
async fn a_missing_image_is_pulled_with_its_progress_told_and_can_be_given_up() {
    let Some(mut it) = Fixture::new(&GOOD) else { return };
    let registry = Registry::serving(&mut it, Manners { has_gate: true, ..Manners::default() });
    let requirements = it.backend.requirements(&it.spec).await;
    assert!(requirements.iter().any(|it| matches!(it, Requirement::Image { is_here: false, .. })), "{requirements:?}");

    let half = |words: &Option<String>| {
        words.as_deref().is_some_and(|words| words.contains("(0 of 1 layer, ") && !words.contains(", 0 of"))
    };
    let (news, mut words) = Preparation::new();
    {
        let mut pull = std::pin::pin!(it.backend.prepare(&it.spec, StartHow::AsItIs, news));
        let told = tokio::time::timeout(DEADLINE, words.wait_for(half));
        tokio::select! {
            told = told => drop(told.expect("progress").expect("progress")),
            ended = &mut pull => panic!("the gate is closed: {ended:?}"),
        }
        // Dropped here.
    }
    registry.until_given_up().await;
    assert_eq!(*words.borrow(), None, "nothing is told any more");

    registry.open();
    prepared(&it).await.expect("pulled");
    let launch = it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    assert_eq!(launch.origin, LaunchOrigin::Started);
    assert!(is_present(&it.observe().await.presence));
    it.backend.stop(&it.spec, StopHow::Kill, DEADLINE).await.expect("stops");
}

#[tokio::test]
async fn a_private_registry_lets_in_whom_docker_login_knows_and_nobody_else() {
    let Some(mut it) = Fixture::new(&GOOD) else { return };
    let registry = Registry::serving(&mut it, Manners { only: Some(BOB), ..Manners::default() });
    let error = prepared(&it).await.expect_err("nobody is logged in");
    let login = format!("docker login 127.0.0.1:{}", registry.port);
    assert!(error.remedy.as_deref().is_some_and(|remedy| remedy.contains(&login)), "{error:?}");
    assert_eq!(error.kind, ErrorKind::Misconfigured);

    let config = it.docker_config();
    let key = format!("127.0.0.1:{}", registry.port);
    let write = |auth: &str| {
        let text = serde_json::json!({ "auths": { &key: { "auth": auth } } }).to_string();
        std::fs::write(config.join("config.json"), text).expect("config");
    };
    // bob:wrong
    write("Ym9iOndyb25n");
    let error = prepared(&it).await.expect_err("the wrong password");
    assert!(!format!("{error:?}").contains("wrong"), "{error:?}");
    write(BOB);
    prepared(&it).await.expect("pulled");
}

#[tokio::test]
async fn the_command_says_that_it_pulls_asks_the_credential_helper_and_ends_with_an_interrupt() {
    let Some(mut it) = Fixture::new(&GOOD) else { return };
    let registry = Registry::serving(&mut it, Manners { only: Some(BOB), has_gate: true });
    let config = it.docker_config();
    let text =
        serde_json::json!({ "credHelpers": { format!("127.0.0.1:{}", registry.port): "ofthetest" } }).to_string();
    std::fs::write(config.join("config.json"), text).expect("config");
    let helper = config.join("docker-credential-ofthetest");
    // It answers only what it is asked about, and has no terminal to ask on.
    let script = format!(
        "#!/bin/sh\nread server\n[ \"$1 $server\" = \"get 127.0.0.1:{}\" ] || exit 1\n\
         printf '{{\"ServerURL\":\"%s\",\"Username\":\"bob\",\"Secret\":\"s3cret\"}}' \"$server\"\n",
        registry.port
    );
    std::fs::write(&helper, script).expect("helper");
    must_run("chmod", &["+x", &helper.to_string_lossy()]);
    let file = it.home.path().join("services.toml");
    let text = format!(
        "[services.web]\ntype = \"utility\"\ncategory = \"ui\"\n[services.web.startup]\nstart_timeout = 1\n[services.web.deployment]\nmode = \"docker\"\n\
         [services.web.deployment.docker]\nimage = {:?}\ncontainer_name = {:?}\n",
        registry.image, it.name
    );
    std::fs::write(&file, text).expect("registry");
    let command = |line: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_provisioning"));
        command.env("PROVISIONING_SUPERVISE", "off");
        let path = format!("{}:{}", config.display(), std::env::var("PATH").expect("PATH"));
        command.arg("--config").arg(&file).args(line.split_whitespace());
        command.env("HOME", it.home.path()).env("PROVISIONING_SERVICES_DIR", it.home.path().join("services"));
        command.env("DOCKER_CONFIG", &config).env("PATH", path).stdin(Stdio::null());
        command
    };
    let mut start = command("services start web").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    let mut told = String::new();
    let mut lines = BufReader::new(start.stdout.take().expect("stdout"));
    let pulling = format!("Pulling {}...", registry.image);
    while !told.contains(&pulling) {
        assert_ne!(lines.read_line(&mut told).expect("line"), 0, "{told}");
    }
    // Longer than start_timeout, which does not count yet.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1_200) {
        assert!(start.try_wait().expect("state").is_none(), "it waits for the image");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    must_run("kill", &["-INT", &start.id().to_string()]);
    assert_eq!(start.wait().expect("an end").code(), Some(130));
    registry.until_given_up().await;

    registry.open();
    let output = command("services start web").output().expect("runs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&pulling) && !said.contains("s3cret"), "{said}");
    assert!(command("services stop web").output().expect("runs").status.success());
}

#[tokio::test]
async fn an_image_that_cannot_be_had_is_said_with_the_reason_and_what_to_do() {
    let Some(mut it) = Fixture::new(&GOOD) else { return };
    let registry = Registry::serving(&mut it, Manners::default());
    it.docker_spec().image = format!("127.0.0.1:{}/app:2", registry.port);
    let error = prepared(&it).await.expect_err("no such tag");
    assert!(error.message.contains("cannot be pulled"), "{error:?}");
    assert!(error.remedy.as_deref().is_some_and(|remedy| remedy.contains("no such image or tag")), "{error:?}");

    it.docker_spec().image = "127.0.0.1:1/nowhere:1".to_owned();
    let error = prepared(&it).await.expect_err("no registry");
    assert!(error.message.contains("connection refused"), "{error:?}");
    assert!(error.remedy.as_deref().is_some_and(|remedy| remedy.contains("must reach 127.0.0.1:1")), "{error:?}");
    let error = it.backend.start(&it.spec, StartHow::AsItIs).await.expect_err("no image");
    assert_eq!(error.remedy.as_deref(), Some("docker pull 127.0.0.1:1/nowhere:1"));
}

#[track_caller]
fn must_run(program: &str, arguments: &[&str]) {
    assert!(Command::new(program).args(arguments).status().expect("runs").success(), "{program} {arguments:?}");
}
