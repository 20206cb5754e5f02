//! Which Compose is called, and how: with stand-ins on `PATH`.

use std::os::unix::fs::PermissionsExt as _;

use provisioning::engine::ports::ErrorKind;
use provisioning::preflight::Requirement;

use super::*;

/// A home whose `PATH` begins with a directory of stand-ins. The engine is real, and has nothing of this project.
struct StandIns {
    home: tempfile::TempDir,
    spec: ServiceSpec,
}

impl StandIns {
    fn new() -> Option<Self> {
        if !engine_answers() {
            return None;
        }
        let home = tempfile::tempdir().expect("directory");
        fs::create_dir(home.path().join("bin")).expect("directory");
        let file = home.path().join("compose.yaml");
        fs::write(&file, "services: {}\n").expect("file");
        let project = format!("provisioning-stand-in-{}", home.path().file_name().expect("name").to_string_lossy());
        let spec = spec_of(file, Some(&project.to_lowercase().replace('.', "")));
        Some(Self { home, spec })
    }

    /// A program in the words of `sh`, which finds its own directory in `$here`.
    fn program(&self, name: &str, script: &str) {
        let path = self.home.path().join("bin").join(name);
        let text = format!("#!/bin/sh\nhere={}\n{script}\n", self.home.path().display());
        // Aside first: a file that is open for writing cannot be executed.
        let aside = path.with_extension("new");
        fs::write(&aside, text).expect("program");
        fs::set_permissions(&aside, fs::Permissions::from_mode(0o755)).expect("mode");
        fs::rename(&aside, &path).expect("rename");
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.home.path().join("bin").join(name)).expect("removed");
    }

    /// With nothing but the stand-ins.
    fn backend(&self) -> ComposeBackend {
        backend_in(self.home.path(), Some(self.home.path().join("bin").into()))
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.home.path().join("calls")).unwrap_or_default()
    }

    async fn problem(&self, backend: &ComposeBackend) -> String {
        let requirements = backend.requirements(&self.spec).await;
        let problem = requirements.iter().find_map(|requirement| match requirement {
            Requirement::Compose { problem: Some((message, remedy)) } => Some(format!("{message} -> {remedy}")),
            _ => None,
        });
        problem.unwrap_or_else(|| panic!("{requirements:?}"))
    }
}

/// Tells that it has no such command, as the command line without the plugin does.
const NO_PLUGIN: &str = r#"echo "docker: 'compose' is not a docker command." >&2; exit 1"#;

/// Answers as a program of the second generation; what it is told to do fails with its arguments in the words.
const SECOND: &str = r#"
echo "$@" >> $here/calls
case "$*" in
    *"version --short"*) echo 2.29.1 ;;
    *config*) printf 'name: own\nservices:\n  app:\n    build: .\n' ;;
    *) echo "Error response from daemon: called as $*" >&2; exit 1 ;;
esac"#;

#[tokio::test]
async fn the_plugin_is_called_where_it_answers_and_else_the_program_that_stands_alone() {
    let Some(it) = StandIns::new() else { return };
    let project = match &it.spec.deployment {
        Deployment::DockerCompose(compose) => compose.project_name.clone().expect("a project"),
        other => panic!("{other:?}"),
    };
    let up = format!("-p {project} -f {}/compose.yaml up -d --no-deps --no-build", it.home.path().display());
    it.program("docker", SECOND);
    it.program("docker-compose", "echo 1.29.2; touch $here/wrong");
    let backend = it.backend();
    let error = start_with(&backend, &it.spec).await.expect_err("the stand-in starts nothing");
    assert!(error.message.contains(&format!("called as compose {up}")), "{error:?}");
    assert_eq!(it.calls().matches("version").count(), 1, "decided once: {}", it.calls());
    assert!(!it.home.path().join("wrong").exists());

    // It goes away while we run.
    it.program("docker", NO_PLUGIN);
    it.program("docker-compose", SECOND);
    let error = start_with(&backend, &it.spec).await.expect_err("the stand-in starts nothing");
    assert!(error.message.contains(&format!("called as {up}")), "{error:?}");
    // And so does this one.
    it.remove("docker");
    it.remove("docker-compose");
    let error = backend.start(&it.spec, StartHow::AsItIs).await.expect_err("there is none");
    assert_eq!(error.kind, ErrorKind::Misconfigured);
    assert!(error.message.contains("neither `docker compose` nor `docker-compose` works here"), "{error:?}");
    it.program("docker", SECOND);
    let error = backend.start(&it.spec, StartHow::AsItIs).await.expect_err("the stand-in starts nothing");
    assert!(error.message.contains("called as compose"), "found again: {error:?}");
}

#[tokio::test]
async fn without_compose_the_check_and_the_start_name_the_package_and_the_state_is_still_known() {
    let Some(it) = StandIns::new() else { return };
    it.program("docker", NO_PLUGIN);
    let backend = it.backend();
    assert!(it.problem(&backend).await.contains("install the package docker-compose-plugin"));
    let error = start_with(&backend, &it.spec).await.expect_err("there is none");
    assert!(error.remedy.expect("a remedy").contains("docker-compose-plugin"));
    let observed = backend.observe(&it.spec).await.expect("the engine tells");
    assert!(is_down(&observed), "{observed:?}");
    backend.stop(&it.spec, StopHow::Ask, DEADLINE).await.expect("a stop needs no Compose");

    it.program("docker-compose", "echo 'ImportError: no module named compose' >&2; exit 1");
    let problem = it.problem(&backend).await;
    assert!(problem.contains("`docker-compose version` says: ImportError: no module named compose"), "{problem}");
}

#[tokio::test]
async fn a_program_that_asks_gets_no_answer_and_one_that_hangs_is_ended_with_its_children() {
    let Some(it) = StandIns::new() else { return };
    // A prompt meets the end of its input at once; what was inherited from us is not open in it.
    it.program(
        "docker-compose",
        &SECOND.replace(
            "echo \"Error",
            "read answer || echo \"Error: nobody answers (${answer:-nothing})\" >&2; echo \"Error",
        ),
    );
    it.program("docker", NO_PLUGIN);
    let error = start_with(&it.backend(), &it.spec).await.expect_err("the stand-in starts nothing");
    assert!(error.message.contains("nobody answers (nothing)"), "{error:?}");

    it.program(
        "docker-compose",
        &SECOND.replace("echo \"Error", "sleep 1000 & echo $! > $here/child; wait; echo \"Error"),
    );
    let layout = Layout::new(it.home.path().join("services"));
    let places = Places { layout: layout.clone(), home: None, docker_host: None, kubeconfig: None };
    let mut path = it.home.path().join("bin").into_os_string();
    path.push(":/usr/bin:/bin");
    let settings = Settings::new(layout, Some(path.clone()), Arc::new(System::new(places)));
    let impatient = ComposeBackend::new(Settings { patience: Duration::from_millis(500), ..settings });
    let begun = Instant::now();
    let error = start_with(&impatient, &it.spec).await.expect_err("it hangs");
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
    assert_eq!(error.kind, ErrorKind::Transient);
    assert!(error.message.contains("did not end within") && error.message.contains("up -d"), "{error:?}");
    let until_gone = async |what: &str| {
        let pid = fs::read_to_string(it.home.path().join("child")).expect("it began");
        let deadline = Instant::now() + DEADLINE;
        while Path::new(&format!("/proc/{}", pid.trim())).exists() {
            assert!(Instant::now() < deadline, "{what}: its child still lives");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    until_gone("past its deadline").await;

    // A start that is given up takes the program with it.
    fs::remove_file(it.home.path().join("child")).expect("removed");
    let backend = backend_in(it.home.path(), Some(path));
    let (spec, child) = (it.spec.clone(), it.home.path().join("child"));
    let starting = tokio::spawn(async move { start_with(&backend, &spec).await });
    let deadline = Instant::now() + DEADLINE;
    while fs::read_to_string(&child).unwrap_or_default().is_empty() {
        assert!(Instant::now() < deadline && !starting.is_finished(), "it never began");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    starting.abort();
    until_gone("given up").await;
}

#[tokio::test]
async fn a_flood_of_words_is_read_and_not_kept() {
    let Some(it) = StandIns::new() else { return };
    it.program("docker", NO_PLUGIN);
    let flood = "head -c 20000000 /dev/zero | tr '\\\\0' x >&2; echo \"Error";
    it.program("docker-compose", &format!("PATH=/usr/bin:/bin\n{}", SECOND.replace("echo \"Error", flood)));
    let error = start_with(&it.backend(), &it.spec).await.expect_err("the stand-in starts nothing");
    assert!(error.message.len() < 2_000, "{}", error.message.len());
}

#[tokio::test]
async fn the_project_is_what_the_second_generation_says_of_its_file() {
    let Some(mut it) = StandIns::new() else { return };
    if let Deployment::DockerCompose(compose) = &mut it.spec.deployment {
        compose.project_name = None;
    }
    it.program("docker", SECOND);
    let error = start_with(&it.backend(), &it.spec).await.expect_err("the stand-in starts nothing");
    assert!(error.message.contains("called as compose -p own -f"), "{error:?}");
    assert!(it.calls().contains("--profile * config"), "services of all profiles are seen: {}", it.calls());
}
