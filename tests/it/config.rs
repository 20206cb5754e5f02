//! The registry file: everything in `tests/config/valid` loads, everything in `tests/config/invalid` is explained.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test may fail it")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use provisioning::config::{self, Environment, Found, Naming};
use provisioning::model::{
    Check, Code, Deployment, Diagnostic, Mode, Registry, RegistrySource, RestartOnFailure, ServiceSpec, Severity,
};
use provisioning::report::diagnostics;

fn environment() -> Environment {
    Environment {
        variables: [("TOKEN".into(), "hunter2".into()), ("DATA".into(), "/srv/data".into())].into(),
        home: Some("/home/u".into()),
        current_dir: None,
    }
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(name)
}

fn files(name: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(directory(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

fn load(path: &Path) -> Registry {
    config::load(&RegistrySource::File(path.to_owned()), &environment())
}

fn valid(name: &str) -> Registry {
    let registry = load(&directory("valid").join(name));
    assert_eq!(registry.diagnostics, [], "{name}");
    registry
}

fn parse(text: &str) -> Registry {
    config::parse(text, None, &environment())
}

/// A registry of one service with these lines below its deployment's.
fn service(lines: &str) -> Registry {
    parse(&format!("[services.a]\ntype='platform'\ncategory='api'\ndeployment={{mode='kubernetes'}}\n{lines}\n"))
}

fn only(registry: &Registry) -> &ServiceSpec {
    assert_eq!(registry.diagnostics, []);
    assert_eq!(registry.services.len(), 1);
    &registry.services[0]
}

/// Everything that was found, with file names that do not depend on where the tests run.
fn rendered(registry: &Registry) -> String {
    let mut shown = format!(
        "services: {:?}\nset aside: {:?}\n",
        registry.services.iter().map(|spec| spec.id.as_str()).collect::<Vec<_>>(),
        registry.set_aside
    );
    for found in &registry.diagnostics {
        let mut found = found.clone();
        let related = found.related.iter_mut().map(|related| &mut related.place);
        for place in found.place.iter_mut().chain(related) {
            place.file = place.file.as_ref().map(|file| PathBuf::from(file.file_name().unwrap()));
        }
        shown += &format!(
            "\n[{}]\n{}\n",
            found.service.as_deref().unwrap_or("-").escape_debug(),
            diagnostics::render(&found, false)
        );
    }
    shown
}

fn codes(registry: &Registry) -> Vec<(Code, Severity)> {
    registry.diagnostics.iter().map(|found| (found.code, found.severity)).collect()
}

/// Compares with `tests/it/snapshots/config/<name>.snap`.
fn assert_snapshot(name: &str, shown: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots/config");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name.to_owned(), shown));
}

fn points_at(found: &Diagnostic, text: &str) -> String {
    text[found.place.as_ref().unwrap().span.clone()].to_owned()
}

#[test]
fn every_valid_file_loads_without_a_word() {
    for path in files("valid") {
        let registry = load(&path);
        assert_eq!(registry.diagnostics, [], "{}", path.display());
        assert!(registry.set_aside.is_empty() && registry.is_usable(), "{}", path.display());
    }
}

#[test]
fn every_invalid_file_is_explained() {
    for path in files("invalid") {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let registry = load(&path);
        assert!(!registry.diagnostics.is_empty(), "{name}");
        assert_snapshot(&name, &rendered(&registry));
    }
}

#[test]
fn no_diagnostic_shows_the_value_of_an_environment_entry() {
    let text = std::fs::read_to_string(directory("invalid").join("secrets.toml")).unwrap();
    assert!(text.contains("geheim"), "the file must hold what is to be hidden");
    for path in files("invalid") {
        let registry = load(&path);
        let shown = format!("{}{:?}", rendered(&registry), registry.diagnostics);
        assert!(!shown.contains("geheim") && !shown.contains("ge heim") && !shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn the_built_in_registry_has_the_seven_services_in_order_and_no_flaw() {
    let registry = config::load(&RegistrySource::BuiltIn, &environment());
    assert_eq!(registry.diagnostics, []);
    let names: Vec<&str> = registry.services.iter().map(|spec| spec.id.as_str()).collect();
    let expected = ["orchestrator", "control-center", "coredns", "gitea", "oci-registry", "mcp-server", "api-gateway"];
    assert_eq!(names, expected);
    let orders: Vec<i64> = registry.services.iter().map(|spec| spec.startup.start_order).collect();
    assert_eq!(orders, [10, 20, 15, 30, 35, 40, 45]);
    let auto: Vec<bool> = registry.services.iter().map(|spec| spec.startup.auto_start).collect();
    assert_eq!(auto, [true, false, false, false, false, false, false]);
    // R3, R4.
    let described: Vec<String> =
        registry.services.iter().map(|spec| format!("{} {} {}", spec.kind, spec.category, spec.description)).collect();
    let expected = [
        "platform orchestration Rust-based orchestrator for workflow coordination",
        "platform ui Web-based management interface",
        "infrastructure dns Local DNS resolution",
        "infrastructure git Self-hosted Git service",
        "infrastructure registry OCI-compliant container registry",
        "platform api Model Context Protocol server",
        "platform api Unified REST API gateway",
    ];
    assert_eq!(described, expected);
}

#[test]
fn the_orchestrator_of_the_guide_means_what_the_guide_says() {
    let registry = valid("t2-orchestrator.toml");
    let spec = only(&registry);
    let Deployment::Binary(binary) = &spec.deployment else { panic!("{spec:?}") };
    assert_eq!(binary.binary_path, Path::new("/home/u/.provisioning/bin/provisioning-orchestrator"));
    assert_eq!(binary.args, ["--port", "9090", "--data-dir", "/home/u/.provisioning/orchestrator/data"]);
    assert_eq!((binary.working_dir.as_ref(), binary.env.len(), binary.stop_signal), (None, 0, 15));
    assert_eq!(spec.required_for, ["server", "taskserv", "cluster", "workflow", "batch"]);
    let expected = Check::Http {
        endpoint: "http://localhost:9090/health".to_owned(),
        expected_status: 200,
        method: "GET".to_owned(),
    };
    assert_eq!(spec.health_check.check, expected);
    let pace = (spec.health_check.interval.as_secs(), spec.health_check.retries, spec.health_check.timeout.as_secs());
    assert_eq!(pace, (10, 3, 5), "the guide's defaults (R14)");
    assert_eq!((spec.startup.auto_start, spec.startup.start_order), (true, 10));
}

#[test]
fn a_byte_order_mark_and_carriage_returns_change_nothing() {
    let plain = valid("t2-orchestrator.toml");
    let marked = valid("byte-order-mark-and-crlf.toml");
    assert_eq!(only(&plain), only(&marked));
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_of_the_file() {
    let registry = load(Path::new("/nowhere/services.toml"));
    assert_eq!(codes(&registry), [(Code::Unreadable, Severity::Error)]);
    assert!(!registry.is_usable());
    assert_eq!(
        diagnostics::plain(&registry.diagnostics[0]),
        "error: cannot read `/nowhere/services.toml`: no such file"
    );
}

#[test]
fn files_that_are_not_there_are_a_warning_for_whoever_asks() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("services.toml");
    let text = "[services.a]\ntype='platform'\ncategory='api'\n[services.a.deployment]\nmode='binary'\n\
                [services.a.deployment.binary]\nbinary_path='/nowhere/a'\nworking_dir='/'\n";
    std::fs::write(&path, text).unwrap();
    let found = Found { source: RegistrySource::File(path), naming: Naming::Named };
    assert_eq!(
        found.load(&environment()).diagnostics,
        [],
        "a registry may be written before its programs are installed"
    );
    let registry = found.load_and_check_files(&environment());
    assert_eq!(codes(&registry), [(Code::MissingFile, Severity::Warning)]);
    assert_eq!(points_at(&registry.diagnostics[0], text), "'/nowhere/a'");
    assert_eq!(registry.services.len(), 1);
}

#[test]
fn what_is_not_given_has_its_default() {
    let registry = service("");
    let spec = only(&registry);
    assert_eq!(spec.description, "");
    assert!(spec.required_for.is_empty() && spec.dependencies.is_empty() && spec.conflicts.is_empty());
    let Deployment::Kubernetes(kubernetes) = &spec.deployment else { panic!("{spec:?}") };
    assert_eq!((kubernetes.namespace.as_str(), kubernetes.deployment_name.as_str()), ("default", "a"));
    assert_eq!((&spec.health_check.check, spec.health_check.start_interval), (&Check::None, None));
    assert_eq!((spec.startup.auto_start, spec.startup.start_order), (false, 100));
    assert_eq!(
        (spec.startup.start_timeout, spec.startup.stop_timeout),
        (Duration::from_secs(30), Duration::from_secs(10))
    );
    assert_eq!(spec.startup.restart_on_failure, RestartOnFailure::Never);
    let registry = service("[services.a.startup]\nrestart_on_failure = true");
    assert_eq!(only(&registry).startup.restart_on_failure, RestartOnFailure::UpTo { max_restarts: 3 });
    let registry = service("[services.a.health_check]\ntype='tcp'\ntcp.port=1\n[services.a.health_check.command]\nx=1");
    assert_eq!(only(&registry).health_check.check, Check::Tcp { host: "localhost".to_owned(), port: 1 });
    let check = |lines: &str| only(&service(lines)).health_check.check.clone();
    // R15: neither a status nor a method is given.
    let http = check("health_check={type='http',http={endpoint='http://h/'}}");
    let expected = Check::Http { endpoint: "http://h/".to_owned(), expected_status: 200, method: "GET".to_owned() };
    assert_eq!(http, expected);
    let command = check("health_check={type='command',command={command='x'}}");
    assert_eq!(command, Check::Command { command: "x".to_owned(), expected_exit_code: 0 });
    let file = check("health_check={type='file',file={path='/x'}}");
    assert_eq!(file, Check::File { path: "/x".into(), must_exist: true });
}

#[test]
fn each_mode_has_its_defaults() {
    let deployment = |text: &str| {
        let registry = parse(&format!("[services.a]\ntype='platform'\ncategory='api'\ndeployment={{{text}}}\n"));
        only(&registry).deployment.clone()
    };
    let Deployment::Docker(docker) = deployment("mode='docker', docker={image='x'}") else { panic!("F15 to F18") };
    assert_eq!((docker.container_name.as_str(), docker.restart_policy), ("provisioning-a", None));
    assert!(docker.ports.is_empty() && docker.volumes.is_empty());
    let compose = deployment("mode='docker-compose', docker_compose={compose_file='/x.yaml'}");
    let Deployment::DockerCompose(compose) = compose else { panic!("F20, F21") };
    assert_eq!((compose.service_name.as_str(), compose.project_name), ("a", None));
    for (scheme, is_tls) in [("http", false), ("https", true)] {
        let remote = deployment(&format!("mode='remote', remote={{endpoint='{scheme}://h/'}}"));
        let Deployment::Remote(remote) = remote else { panic!("F26, F27") };
        assert_eq!((remote.tls_enabled, remote.auth_token_path), (is_tls, None), "{scheme}");
    }
}

#[test]
fn what_a_mode_or_a_check_cannot_do_without_is_asked_for() {
    for (lines, missing) in [
        ("deployment={mode='binary', binary={}}", "deployment.binary.binary_path"),
        ("deployment={mode='docker', docker={}}", "deployment.docker.image"),
        ("deployment={mode='docker-compose', docker_compose={}}", "deployment.docker_compose.compose_file"),
        ("deployment={mode='remote', remote={}}", "deployment.remote.endpoint"),
        ("health_check={type='http', http={}}", "health_check.http.endpoint"),
        ("health_check={type='tcp', tcp={}}", "health_check.tcp.port"),
        ("health_check={type='command', command={}}", "health_check.command.command"),
        ("health_check={type='file', file={}}", "health_check.file.path"),
    ] {
        let mode = if lines.starts_with("health") { "deployment={mode='kubernetes'}" } else { "" };
        let registry = parse(&format!("[services.a]\ntype='platform'\ncategory='api'\n{mode}\n{lines}\n"));
        assert_eq!(codes(&registry), [(Code::MissingKey, Severity::Error)], "{lines}");
        assert!(registry.diagnostics[0].message.contains(missing), "{}", registry.diagnostics[0].message);
    }
}

#[test]
fn every_field_is_read() {
    let registry = valid("every-field.toml");
    assert_snapshot("valid-every-field", &format!("{:#?}", registry.services));
    let Deployment::Binary(binary) = &registry.services[0].deployment else { panic!() };
    assert_eq!(binary.env["TOKEN"].expose(), "Bearer hunter2");
}

#[test]
fn services_keep_the_order_of_the_file() {
    let registry = valid("names.toml");
    let names: Vec<&str> = registry.services.iter().map(|spec| spec.id.as_str()).collect();
    assert_eq!(names, ["zeta", "9.x_y-z", "platform", "custom", "alpha", "A"]);
    assert_eq!(registry.services[2].deployment.mode(), Mode::DockerCompose);
}

#[test]
fn an_error_points_at_its_own_string() {
    let text = "[services.a]\ntype='platform'\ncategory='api'\ndependencies=['b', 'nope']\n\
                deployment={mode='kubernetes', kubernetes={namespace='x${NO}'}}\n";
    let registry = parse(text);
    assert_eq!(codes(&registry), [(Code::UnsetVariable, Severity::Error)]);
    assert_eq!(points_at(&registry.diagnostics[0], text), "${NO}");
    assert_eq!(registry.set_aside, ["a"]);
    let text = text.replace("${NO}", "");
    let registry = parse(&text);
    assert_eq!(codes(&registry), [(Code::UnknownDependency, Severity::Error); 2]);
    assert_eq!(points_at(&registry.diagnostics[1], &text), "'nope'");
    assert_eq!(registry.services.len(), 1, "it stays: it can be shown and stopped");
}

#[test]
fn numbers_are_held_to_their_ranges() {
    let cases = [
        ("health_check={interval=1,retries=0,timeout=1}", true),
        ("health_check={interval=0}", false),
        ("health_check={timeout=0}", false),
        ("health_check={retries=-1}", false),
        ("health_check={interval=99999999999999999999}", false),
        ("health_check={start_interval=0.25}", true),
        ("health_check={start_interval=2}", true),
        ("health_check={start_interval=0.0}", false),
        ("health_check={start_interval=nan}", false),
        ("health_check={start_interval=1e400}", false),
        ("health_check={type='tcp',tcp={port=65535}}", true),
        ("health_check={type='tcp',tcp={port=65536}}", false),
        ("health_check={type='tcp',tcp={port=0}}", false),
        ("health_check={type='http',http={endpoint='http://h',expected_status=599}}", true),
        ("health_check={type='http',http={endpoint='http://h',expected_status=600}}", false),
        ("health_check={type='http',http={endpoint='http://h',expected_status=99}}", false),
        ("health_check={type='command',command={command='x',expected_exit_code=256}}", false),
        ("startup={start_timeout=0}", false),
        ("startup={stop_timeout=0}", false),
        ("startup={max_restarts=0,start_order=-5}", true),
        ("startup={max_restarts=-1}", false),
        ("startup={max_restarts=0x10}", true),
    ];
    for (lines, is_fine) in cases {
        let registry = service(lines);
        assert_eq!(registry.diagnostics.is_empty(), is_fine, "{lines}: {:?}", registry.diagnostics);
        assert_eq!(registry.services.len(), usize::from(is_fine), "{lines}");
    }
}

#[test]
fn a_misspelt_key_explains_the_missing_one() {
    let registry = parse("[services.a]\ntpye='platform'\ncategory='api'\ndeploymnt={mode='kubernetes'}\n");
    assert_eq!(codes(&registry), [(Code::UnknownKey, Severity::Error); 2], "{:?}", registry.diagnostics);
    assert_eq!(registry.diagnostics[0].hint.as_deref(), Some("did you mean `type`?"));
}

#[test]
fn tables_of_other_modes_are_not_looked_at() {
    let registry = service("health_check={type='none',http={endpoint=1}}\n[services.a.deployment.docker]\nimage=1\n");
    assert!(!registry.is_usable(), "an inline table cannot be added to: that is TOML's own error");
    let registry = parse(
        "[services.a]\ntype='platform'\ncategory='api'\n[services.a.deployment]\nmode='kubernetes'\n\
         [services.a.deployment.docker]\nimage=1\nnonsense=2\n[services.a.health_check]\ntype='none'\nhttp={x=1}\n",
    );
    only(&registry);
}

#[test]
fn a_text_that_is_not_toml_gives_no_service() {
    let registry =
        parse("[services.a]\ntype='platform'\ncategory='api'\ndeployment={mode='kubernetes'}\n[services.b\n");
    assert!(registry.services.is_empty() && !registry.is_usable());
}

#[test]
fn a_bracket_that_is_not_closed_is_one_error_however_long_the_file_is() {
    let services = |n: usize| -> String {
        (0..n)
            .map(|n| format!("[services.s{n}]\ntype = 'platform'\n\n[services.s{n}.deployment]\nmode = 'x'\n\n"))
            .collect()
    };
    for slip in ["dependencies = ['b'\n", "a = ['x', 'y]\n", "env = { A = 'x'\n", "env = { A = 'x', \n"] {
        let registry = parse(&format!("[services.a]\ntype = 'platform'\n{slip}{}", services(40)));
        let found: Vec<String> = registry.diagnostics.iter().map(ToString::to_string).collect();
        assert!((1..=3).contains(&found.len()), "{slip}: {found:#?}");
        assert!(
            registry.diagnostics[0].place.as_ref().is_some_and(|place| (3..=4).contains(&place.line)),
            "{found:#?}"
        );
    }
    let two = parse("[services.a]\ntype = x\ncategory = y\n");
    assert_eq!(two.diagnostics.len(), 2, "{:#?}", two.diagnostics);
}

#[test]
fn an_empty_file_is_a_registry_of_no_services() {
    for text in ["", "\n# nothing\n", "\u{feff}", "[services]\n"] {
        let registry = parse(text);
        assert!(registry.diagnostics.is_empty() && registry.services.is_empty() && registry.is_usable(), "{text:?}");
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_stack_overflow() {
    for text in [
        format!("a = {}", "[".repeat(20_000)),
        format!("a = {}{}", "[".repeat(20_000), "]".repeat(20_000)),
        format!("a = {}1{}", "{a=".repeat(20_000), "}".repeat(20_000)),
        format!("[{}a]", "a.".repeat(20_000)),
        format!("{}a = 1", "a.".repeat(20_000)),
    ] {
        let registry = parse(&text);
        assert!(registry.has_errors() && registry.diagnostics.len() <= 501, "{}", &text[..20]);
    }
}

#[test]
fn a_chain_of_a_thousand_services_loads_and_closing_it_is_one_circle() {
    let service = |n: usize, needs: usize| {
        format!(
            "[services.s{n}]\ntype='platform'\ncategory='api'\ndependencies=['s{needs}']\ndeployment={{mode='kubernetes'}}\n"
        )
    };
    let mut text: String = (1..1000).map(|n| service(n, n - 1)).collect();
    text += &service(0, 0).replace("['s0']", "[]");
    assert_eq!(parse(&text).diagnostics, []);
    let closed = text.replace("dependencies=[]", "dependencies=['s999']");
    let registry = parse(&closed);
    assert_eq!(codes(&registry), [(Code::Cycle, Severity::Error)]);
    assert_eq!(registry.services.len(), 1000);
}

#[test]
fn findings_are_bounded() {
    let text: String = (0..20_000).map(|n| format!("k{n} = 1\n")).collect();
    let registry = parse(&text);
    assert_eq!(registry.diagnostics.len(), 501);
    assert!(registry.diagnostics.last().unwrap().message.contains("19500 more"));
}

/// Pieces that make up registries, so that random texts get past the first line.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "[services.a]\n",
            "[services.b.deployment]\n",
            "[services.a.deployment.binary]\n",
            "type = 'platform'\n",
            "category = 'api'\n",
            "mode = 'binary'\n",
            "mode = 'docker'\n",
            "[services.a.health_check]\n",
            "[",
            "]",
            "{",
            "}",
            "=",
            "'",
            "\"",
            "\"\"\"",
            ",",
            ".",
            "\n",
            "\r\n",
            "env = { A = '${X}' }\n",
            "binary_path = '~/x'\n",
            "#",
            "ports = ['1:2']\n",
            "dependencies = ['b', 'a', '\u{1b}']\n",
            "interval = -0\n",
            "services",
            "\0",
            "\u{feff}",
            "\u{1b}",
            "ä€🟢",
            "1979-05-27",
            "nan",
            "name = '${HOME'\n",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic_and_no_code_gets_out(pieces in prop::collection::vec(piece(), 0..60)) {
        let text = pieces.concat();
        let registry = parse(&text);
        for found in &registry.diagnostics {
            let shown = diagnostics::render(found, false) + &diagnostics::plain(found);
            prop_assert!(!shown.chars().any(|c| c != '\n' && c.is_control()), "{shown:?}");
            if let Some(place) = &found.place {
                prop_assert!(place.span.start <= place.span.end && place.span.end <= text.len());
                prop_assert!(place.line >= 1 && place.column >= 1);
            }
        }
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        load(file.path());
    }
}
