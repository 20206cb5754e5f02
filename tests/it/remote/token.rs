//! The token: sent where it belongs, read at each use, and never seen.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::server::{Reply, Server};
use super::{Remote, TOKEN, fails, header, home, said, write};
use crate::support::home::{Home, wait_until};

/// A server that lets in whoever sends `Bearer` and this.
fn guarded(token: &'static str) -> Server {
    Server::plain(move |request| match header(request, "authorization") {
        Some(sent) if sent == format!("Bearer {token}") => Reply::Status(200),
        Some(_) | None => Reply::Status(401),
    })
}

struct Fixture {
    files: tempfile::TempDir,
    server: Server,
    home: Home,
}

impl Fixture {
    fn new(server: Server) -> Self {
        let files = tempfile::tempdir().unwrap();
        let token = Some(files.path().join("token"));
        let check = Some(server.url("/health"));
        let home = home(&Remote { token, check, ..Remote::at(server.url("/")) });
        Self { files, server, home }
    }

    fn token(&self) -> PathBuf {
        self.files.path().join("token")
    }
}

#[test]
fn a_token_of_which_others_could_know_is_never_sent() {
    let it = Fixture::new(guarded(TOKEN));
    fails(&it.home, "services start auth", &["does not exist", "chmod 600"]);
    for (mode, shown) in [(0o644, "0644"), (0o640, "0640"), (0o606, "0606")] {
        write(&it.token(), TOKEN, mode);
        for line in ["services start auth", "services start auth --force"] {
            fails(&it.home, line, &[&format!("(mode {shown})"), "chmod 600"]);
        }
    }
    write(&it.token(), "", 0o600);
    fails(&it.home, "services start auth", &["is empty"]);
    let real = it.files.path().join("real");
    write(&real, TOKEN, 0o600);
    fs::remove_file(it.token()).unwrap();
    symlink(&real, it.token()).unwrap();
    fails(&it.home, "services start auth", &["symbolic link"]);
    let told = said(&it.home.types("services status auth --verbose"));
    assert!(told.contains("symbolic link"), "{told}");
    for line in ["services validate", "services readiness --verbose", "services start auth --dry-run"] {
        let told = said(&it.home.types(line));
        assert!(told.contains("symbolic link"), "{line}: {told}");
    }
    assert_eq!(it.server.requests(), Vec::<String>::new(), "a request without the token is not sent either");
    fs::remove_file(it.token()).unwrap();
    write(&it.token(), TOKEN, 0o600);
    it.home.must("services start auth");
}

/// The same command without the privileges that let the superuser look into every process.
fn like_anybody(command: &Command) -> Command {
    if !rustix::process::geteuid().is_root() {
        let mut same = Command::new(command.get_program());
        same.args(command.get_args());
        return like(command, same);
    }
    let mut stripped = Command::new("setpriv");
    stripped.args(["--bounding-set=-all", "--inh-caps=-all"]).arg(command.get_program()).args(command.get_args());
    like(command, stripped)
}

fn like(command: &Command, mut other: Command) -> Command {
    other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    other.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    other
}

#[test]
fn a_leader_that_hides_its_memory_because_of_a_token_is_still_known_and_can_be_ended() {
    let it = Fixture::new(guarded(TOKEN));
    write(&it.token(), TOKEN, 0o600);
    let mut supervise = like_anybody(&it.home.command("supervise --stay")).spawn().unwrap();
    wait_until("it asks with its token", || !it.server.requests().is_empty());
    let types = |line: &str| like_anybody(&it.home.command(line)).output().unwrap();
    // Nobody sees what it has open, and so what it may hold.
    let mut look = Command::new("readlink");
    look.arg(format!("/proc/{}/fd/0", supervise.id()));
    let looked = like_anybody(&look).output().unwrap();
    assert!(!looked.status.success(), "{}", said(&looked));
    let status: serde_json::Value = serde_json::from_slice(&types("supervise status --json").stdout).unwrap();
    assert_eq!(status["pid"], supervise.id(), "{status}");
    assert_eq!(status["leader"]["kind"], "supervise", "{status}");
    let stopped = types("supervise stop");
    assert!(stopped.status.success(), "{}", said(&stopped));
    supervise.wait().unwrap();
}

#[test]
fn a_token_that_is_not_accepted_says_what_to_do() {
    let it = Fixture::new(guarded(TOKEN));
    write(&it.token(), "yesterday", 0o600);
    let told = fails(&it.home, "services start auth", &["HTTP 401 Unauthorized", "put a valid one there"]);
    assert!(!told.contains("yesterday"), "{told}");
    it.server.answers(|_| Reply::Status(403));
    fails(&it.home, "services start auth", &["HTTP 403 Forbidden", "use another token"]);
    let without = home(&Remote::at(it.server.url("/")));
    fails(&without, "services start auth", &["HTTP 403 Forbidden", "`auth_token_path`"]);
    it.server.answers(|_| Reply::Status(401));
    fails(&without, "services start auth", &["HTTP 401 Unauthorized", "`auth_token_path`"]);
}

#[test]
fn a_token_that_is_replaced_while_it_is_used_is_read_again() {
    let it = Fixture::new(guarded(TOKEN));
    write(&it.token(), "yesterday", 0o600);
    let path = it.token();
    // Whoever comes with the old one learns that it is old, and the new one is there by then.
    it.server.answers(move |request| match header(request, "authorization") {
        Some(sent) if sent.ends_with(TOKEN) => Reply::Status(200),
        Some(_) | None => {
            write(&path, TOKEN, 0o600);
            Reply::Status(401)
        }
    });
    it.home.must("services list --json");
    let sent: Vec<String> = it
        .server
        .requests()
        .iter()
        .map(|request| header(request, "authorization").unwrap_or("none").to_owned())
        .collect();
    assert_eq!(sent, ["Bearer yesterday".to_owned(), format!("Bearer {TOKEN}")]);
    it.home.must("services start auth");
    it.home.must("services health auth");
}

#[test]
fn a_token_is_not_sent_where_it_does_not_belong() {
    let other = Server::plain(|_| Reply::Status(200));
    let it = Fixture::new(guarded(TOKEN));
    write(&it.token(), TOKEN, 0o600);
    let place = other.url("/?code=secret");
    it.server.answers(move |request| match request.starts_with("GET / ") {
        true => Reply::Redirect(place.clone()),
        false => Reply::Status(200),
    });
    it.home.must("services start auth");
    let told = said(&it.home.types("services status auth --verbose"));
    assert!(told.contains("redirects to another place") && !told.contains("secret"), "{told}");
    assert_eq!(other.requests(), Vec::<String>::new());
    // A health check elsewhere is asked, but with nothing of ours.
    let elsewhere =
        home(&Remote { token: Some(it.token()), check: Some(other.url("/health")), ..Remote::at(it.server.url("/")) });
    elsewhere.must("services health auth");
    assert!(!other.requests().is_empty());
    assert!(other.requests().iter().all(|request| header(request, "authorization").is_none()));
}

#[test]
fn in_the_clear_a_token_leaves_this_machine_for_nobody() {
    let files = tempfile::tempdir().unwrap();
    let token = files.path().join("token");
    write(&token, TOKEN, 0o600);
    let home = home(&Remote { token: Some(token), ..Remote::at("http://auth.example.com/") });
    let told = said(&home.types("services validate"));
    assert!(told.contains("in the clear"), "{told}");
}

/// Every file below a directory that holds these bytes.
fn files_with(directory: &Path, needle: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files_with(&path, needle, found);
        } else if fs::read(&path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(needle)) {
            found.push(path);
        }
    }
}

#[test]
fn a_token_is_in_no_output_no_file_and_no_argument() {
    let it = Fixture::new(guarded(TOKEN));
    let lines = [
        "services start auth",
        "services start auth --json",
        "services start auth --dry-run --json",
        "services stop auth",
        "services restart auth --json",
        "services list --json",
        "services status auth --verbose",
        "services status auth --json",
        "services health auth --json",
        "services validate --json",
        "services readiness --verbose",
        "services dependencies auth",
        "services logs auth",
        "platform status --json",
        "platform health --json",
        "doctor --json",
        "events --json",
    ];
    // Accepted, refused, and of no use.
    for (token, mode) in [
        (TOKEN.to_owned(), 0o600),
        (format!("{TOKEN}-old"), 0o600),
        (format!("{TOKEN} {TOKEN}"), 0o600),
        (TOKEN.to_owned(), 0o644),
    ] {
        write(&it.token(), &token, mode);
        for line in lines {
            let output =
                it.home.command(line).env("PROVISIONING_LOG", "trace").env("RUST_LOG", "trace").output().unwrap();
            let said = said(&output);
            assert!(!said.contains("hunter2"), "{line}: {said}");
            assert_ne!(output.status.code(), Some(101), "{line} panicked: {said}");
        }
    }
    assert!(it.server.requests().iter().any(|request| request.contains(TOKEN)), "it was sent");
    let mut found = Vec::new();
    files_with(&it.home.services_dir(), "hunter2", &mut found);
    assert_eq!(found, Vec::<PathBuf>::new());
}

#[test]
fn a_token_is_in_no_process_list() {
    let it = Fixture::new(Server::plain(|_| Reply::Silent));
    write(&it.token(), TOKEN, 0o600);
    let mut asking = it.home.command("services list").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("it asks", || !it.server.requests().is_empty());
    for file in ["cmdline", "environ"] {
        let bytes = fs::read(format!("/proc/{}/{file}", asking.id())).unwrap();
        assert!(!bytes.is_empty() && !String::from_utf8_lossy(&bytes).contains("hunter2"), "{file}");
    }
    asking.kill().unwrap();
    asking.wait().unwrap();
}
