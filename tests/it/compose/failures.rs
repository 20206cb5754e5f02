//! What keeps a service from starting is said before and after, with what to do.

use provisioning::engine::ports::ErrorKind;
use provisioning::model::HostPort;
use provisioning::preflight::Requirement;

use super::*;

#[track_caller]
fn check(error: &BackendError, kind: ErrorKind, words: &str, remedy: &str) {
    assert_eq!(error.kind, kind, "{error:?}");
    assert!(error.message.contains(words), "{error:?}");
    assert!(error.remedy.as_deref().unwrap_or_default().contains(remedy), "{error:?}");
}

/// What the check before a start says of Compose.
async fn problem(it: &Fixture) -> String {
    let requirements = it.another_backend().requirements(&it.spec).await;
    let problem = requirements.iter().find_map(|requirement| match requirement {
        Requirement::Compose { problem: Some((message, remedy)) } => Some(format!("{message} -> {remedy}")),
        _ => None,
    });
    problem.unwrap_or_else(|| panic!("{requirements:?}"))
}

#[tokio::test]
async fn a_file_that_is_missing_or_wrong_or_lacks_the_service_is_named_with_what_to_do() {
    use ErrorKind::{Misconfigured, Permanent};
    let Some(mut it) = Fixture::new(GOOD) else { return };
    let shown = it.file().display().to_string();

    fs::remove_file(it.file()).expect("removed");
    let error = it.start().await.expect_err("no file");
    check(&error, Misconfigured, &format!("{shown} does not exist"), "`compose_file`");
    assert!(problem(&it).await.contains("does not exist"));

    fs::write(it.file(), "services:\n  app:\n   image: x\n  bad\n").expect("file");
    check(&it.start().await.expect_err("no YAML"), Misconfigured, &format!("{shown} cannot be used"), "config");
    fs::write(it.file(), "services:\n  app:\n    imagex: x\n").expect("file");
    check(&it.start().await.expect_err("a wrong key"), Misconfigured, "imagex", "config");
    assert!(problem(&it).await.contains("imagex"));

    it.write(&it.definition("other", GOOD, ""));
    check(&it.start().await.expect_err("no such service"), Misconfigured, "has no service app", "the file has other");
    assert!(problem(&it).await.contains("has no service app"));

    it.write("  app:\n    build: .\n");
    check(
        &it.start().await.expect_err("not built"),
        Misconfigured,
        "has to be built",
        &format!("-f {shown} build app"),
    );

    it.write("  app:\n    image: 127.0.0.1:1/nowhere:1\n");
    let requirements = it.another_backend().requirements(&it.spec).await;
    assert!(requirements.iter().any(|it| matches!(it, Requirement::Image { is_here: false, .. })), "{requirements:?}");
    check(&it.start().await.expect_err("no registry"), Permanent, "cannot be pulled", "pull app");

    it.compose_spec().compose_file = it.home.path().to_owned();
    check(&it.start().await.expect_err("a directory"), Misconfigured, "is a directory", "`compose_file`");
    assert!(is_down(&it.observe().await));
}

#[tokio::test]
async fn a_port_in_use_and_services_it_depends_on_are_told_before_the_start() {
    let Some(it) = Fixture::new(GOOD) else { return };
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("bind");
    let port = taken.local_addr().expect("address").port();
    let image = &it.name;
    it.write(&format!(
        "  app:\n    image: {image}\n    command: {GOOD}\n    ports: [\"127.0.0.1:{port}:80\"]\n    depends_on: [db]\n{}",
        it.definition("db", GOOD, "")
    ));
    let requirements = it.another_backend().requirements(&it.spec).await;
    let is_told = |wanted: &Requirement| match wanted {
        Requirement::PublishedPort { port: found, holder } => {
            *found == HostPort::tcp(port) && holder.pid == Some(std::process::id())
        }
        _ => false,
    };
    assert!(requirements.iter().any(is_told), "{requirements:?}");
    let names_db =
        |it: &Requirement| matches!(it, Requirement::ComposeDependencies { missing, .. } if missing == &["db"]);
    assert!(requirements.iter().any(names_db), "{requirements:?}");

    let error = it.start().await.expect_err("the port is taken");
    check(&error, ErrorKind::Permanent, "in use", "free the port");
    let observed = it.observe().await;
    assert!(matches!(observed.presence, Presence::Failed { .. }), "another copy sees it too: {observed:?}");
    drop(taken);
    it.by_hand(&it.name, &["up", "-d", "db"]);
    it.start().await.expect("starts once the port is free");
    let requirements = it.another_backend().requirements(&it.spec).await;
    let is_obstacle =
        |it: &Requirement| matches!(it, Requirement::PublishedPort { .. } | Requirement::ComposeDependencies { .. });
    assert!(!requirements.iter().any(is_obstacle), "{requirements:?}");
}
