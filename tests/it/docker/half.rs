//! An engine that half-answers: a stand-in on a socket of the test's own, in front of the machine's engine when it is well.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use provisioning::backends::docker::{DockerBackend, Settings};
use provisioning::engine::ports::{Backend as _, BackendError, ErrorKind};
use provisioning::model::{StartHow, StopHow};
use provisioning::preflight::Requirement;
use provisioning::store::Layout;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

use super::{Fixture, GOOD, is_at_the_usual_socket};
use crate::process::{DEADLINE, is_present};
use crate::support::home::Home;
use crate::support::terminal::Terminal;

/// A question has this long to be answered, and a little is left for a machine that is busy.
const LIMIT: Duration = Duration::from_secs(13);

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// The machine's engine answers it.
    Well,
    /// It is taken, and nothing is said.
    Silent,
    /// An answer begins and does not go on.
    BreaksOff,
    /// What comes back is no HTTP.
    Garbage,
    /// What comes back is no answer of an engine.
    AnotherPage,
    /// The connection is closed.
    Closes,
}

/// Each way, with the words for it.
const BAD: [(Manner, &str); 5] = [
    (Manner::Silent, "it does not answer within 10 s"),
    (Manner::BreaksOff, "it does not answer within 10 s"),
    (Manner::Garbage, "it does not answer as it should"),
    (Manner::AnotherPage, "it does not answer as it should"),
    (Manner::Closes, "it does not answer as it should"),
];

struct StandIn {
    socket: PathBuf,
    serving: JoinHandle<()>,
}

impl StandIn {
    fn new(socket: &Path, manner: Manner) -> Self {
        drop(std::fs::remove_file(socket));
        let listener = UnixListener::bind(socket).expect("bind");
        let serving = tokio::spawn(async move {
            // Aborting this drops the set, and with it every connection.
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(converse(stream, manner));
            }
        });
        Self { socket: socket.to_owned(), serving }
    }

    /// From now on; every connection breaks.
    async fn turns(self, manner: Manner) -> Self {
        self.serving.abort();
        drop(self.serving.await);
        Self::new(&self.socket, manner)
    }
}

/// A client that goes is no failure.
async fn converse(mut near: UnixStream, manner: Manner) -> std::io::Result<()> {
    if manner == Manner::Well {
        let mut far = UnixStream::connect("/var/run/docker.sock").await?;
        return copy_bidirectional(&mut near, &mut far).await.map(drop);
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(near.read_u8().await?);
    }
    let begins = |length: usize| {
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n")
    };
    match manner {
        Manner::Well | Manner::Closes => Ok(()),
        Manner::Silent => std::future::pending().await,
        Manner::BreaksOff => {
            near.write_all(format!("{}{{", begins(1000)).as_bytes()).await?;
            std::future::pending().await
        }
        Manner::Garbage => near.write_all(b"\x16\x03\x01 no HTTP \xff\r\n\r\n").await,
        Manner::AnotherPage => near.write_all(format!("{}<html></html>", begins(13)).as_bytes()).await,
    }
}

fn backend_at(home: &Path, socket: &Path) -> DockerBackend {
    DockerBackend::new(Settings {
        layout: Layout::new(home.join("services")),
        docker_host: Some(format!("unix://{}", socket.display())),
        docker_certificates: None,
        docker_config: None,
    })
}

#[track_caller]
fn assert_unknown(manner: Manner, error: &BackendError, words: &str) {
    assert_eq!(error.kind, ErrorKind::Transient, "{manner:?}: {error:?}");
    assert!(error.message.contains("docker is unreachable at unix://"), "{manner:?}: {error:?}");
    assert!(error.message.contains(words) && error.remedy.is_some(), "{manner:?}: {error:?}");
}

/// The machine's engine is well at first, then in this manner, and well again.
async fn turns_bad_and_well_again(it: &Fixture, manner: Manner, words: &str) {
    let stand_in = StandIn::new(&it.home.path().join(format!("{manner:?}.sock")), Manner::Well);
    let backend = backend_at(it.home.path(), &stand_in.socket);
    let mut changes = backend.changes();
    assert!(is_present(&backend.observe(&it.spec).await.expect("observation").presence));
    tokio::time::timeout(DEADLINE, changes.recv()).await.expect("a hint").expect("a watch");

    let stand_in = stand_in.turns(manner).await;
    // One that has never been reached, by many at a time: they don't wait one after the other.
    let new = backend_at(it.home.path(), &stand_in.socket);
    let all = async {
        let observations = futures::future::join_all((0..20).map(|_| new.observe(&it.spec)));
        tokio::join!(
            backend.observe(&it.spec),
            backend.stop(&it.spec, StopHow::Kill, DEADLINE),
            new.requirements(&it.spec),
            observations
        )
    };
    let (seen, stopped, required, observations) =
        tokio::time::timeout(LIMIT, all).await.unwrap_or_else(|_| panic!("{manner:?}: not in time"));
    assert_unknown(manner, &seen.expect_err("unknown"), words);
    assert!(stopped.is_err(), "{manner:?}: what is unknown is not said to be stopped");
    let problem = |it: &Requirement| matches!(it, Requirement::ContainerEngine { problem: Some((cause, _)) } if cause.contains(words));
    assert!(required.iter().any(problem), "{manner:?}: {required:?}");
    for seen in observations {
        assert_unknown(manner, &seen.expect_err("unknown"), words);
    }

    let stand_in = stand_in.turns(Manner::Well).await;
    loop {
        let hint = tokio::time::timeout(DEADLINE, changes.recv()).await;
        hint.unwrap_or_else(|_| panic!("{manner:?}: it is not found again")).expect("a watch");
        if backend.observe(&it.spec).await.is_ok_and(|observed| is_present(&observed.presence)) {
            break;
        }
    }
    // Right after a wait in vain, the same is said for a moment.
    let begun = Instant::now();
    while new.observe(&it.spec).await.is_err() {
        assert!(begun.elapsed() < DEADLINE, "{manner:?}: it is not found again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(stand_in);
}

#[tokio::test]
async fn an_engine_that_half_answers_makes_the_state_unknown_in_time_and_is_found_again_by_itself() {
    let Some(it) = Fixture::new(&GOOD) else { return };
    if !is_at_the_usual_socket() {
        return;
    }
    it.backend.start(&it.spec, StartHow::AsItIs).await.expect("starts");
    futures::future::join_all(BAD.map(|(manner, words)| turns_bad_and_well_again(&it, manner, words))).await;
    it.backend.stop(&it.spec, StopHow::Kill, DEADLINE).await.expect("stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_and_no_console_hangs_on_an_engine_that_half_answers() {
    let home = Home::empty();
    home.write(
        "[services.web]\ntype = \"utility\"\ncategory = \"ui\"\n[services.web.deployment]\nmode = \"docker\"\n\
         [services.web.deployment.docker]\nimage = \"web\"\ncontainer_name = \"web\"\n",
    );
    let types = async |stand_in: &StandIn, line: &str| {
        let mut command = tokio::process::Command::from(home.command(line));
        command.env("DOCKER_HOST", format!("unix://{}", stand_in.socket.display())).kill_on_drop(true);
        let begun = Instant::now();
        let output = tokio::time::timeout(LIMIT * 2, command.output()).await.expect("it hangs").expect("runs");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text, begun.elapsed())
    };
    let silent = StandIn::new(&home.path("silent.sock"), Manner::Silent);
    let breaks_off = StandIn::new(&home.path("breaks-off.sock"), Manner::BreaksOff);
    let ((_, status, took), (is_started, start, _), (is_stopped, stop, _), (_, logs, _)) = tokio::join!(
        types(&silent, "services status web"),
        types(&breaks_off, "services start web"),
        types(&silent, "services stop web"),
        types(&breaks_off, "services logs web"),
    );
    assert!(took < LIMIT, "{took:?}");
    assert!(status.contains("unknown"), "{status}");
    assert!(!is_started && !is_stopped, "{start}\n{stop}");
    for text in [status, start, stop, logs] {
        assert!(text.contains("it does not answer within 10 s"), "{text}");
    }

    let socket = format!("unix://{}", silent.socket.display());
    let console = tokio::task::spawn_blocking(move || {
        let program = env!("CARGO_BIN_EXE_provisioning-tui");
        let mut console = Terminal::open(&home, program, "", (100, 30), &[("DOCKER_HOST", &socket)]);
        console.wait_for("Services");
        console.press("q");
        console.ended();
    });
    tokio::time::timeout(LIMIT, console).await.expect("it hangs").expect("it ends");
}
