//! The commands over a real engine on a pretended world: what is printed where, and the exit code.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use clap::Parser as _;

use super::args::Cli;
use super::exit::Exit;
use super::print::Printer;
use super::program::Program;
use super::run::execute;
use super::session::{Face, Session};
use crate::engine::{Options, spawn};
use crate::lifecycle::machine::{Probing, Tending};
use crate::model::{Category, Code, Diagnostic, Registry, RegistrySource, Role, Severity};
use crate::preflight::{Conflict, ConflictKind};
use crate::report::Style;
use crate::store::Layout;
use crate::testkit::builders::{checked_service, registry, service};
use crate::testkit::world::{Script, World};

/// A stream that a test can read.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One platform, and a person who types.
struct Typist {
    world: Arc<World>,
    session: Session,
    _home: tempfile::TempDir,
}

/// What came of a line.
#[derive(Debug)]
struct Answer {
    exit: Exit,
    out: String,
    err: String,
}

impl Typist {
    fn at(mut registry: Registry) -> Self {
        registry.source = RegistrySource::File("services.toml".into());
        let world = World::new();
        let options = Options { probing: Probing::WhileStarting, tending: Tending::No, role: Role::Follower };
        let handle = spawn(registry.clone(), world.ports(), options);
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::new(home.path());
        std::fs::create_dir(layout.logs()).unwrap();
        Self {
            session: Session {
                background: crate::supervise::Background::off(&layout),
                registry: Arc::new(registry),
                handle,
                layout,
                output: Arc::new(crate::engine::ports::NoOutput),
                usage: Arc::new(crate::engine::ports::NoUsage),
            },
            world,
            _home: home,
        }
    }

    fn at_the_platform() -> Self {
        Self::at(registry([
            checked_service("orchestrator", ""),
            checked_service("control-center", "orchestrator"),
            checked_service("mcp-server", "orchestrator"),
            service("gitea", ""),
        ]))
    }

    async fn types(&self, line: &str) -> Answer {
        let words = std::iter::once("provisioning").chain(line.split_whitespace());
        let cli = Cli::try_parse_from(words).unwrap();
        let (out, err) = (Captured::default(), Captured::default());
        let mut face = Face {
            out: Printer::new(Box::new(out.clone()), Box::new(err.clone())),
            style: if cli.global.ascii { Style::Ascii } else { Style::Emoji },
            verbose: cli.global.verbose,
            program: Program::Provisioning,
            original_umask: 0o022,
        };
        let exit = execute(&cli, &self.session, &mut face).await;
        Answer { exit, out: out.take(), err: err.take() }
    }
}

fn check(answer: &Answer, exit: Exit, out: &[&str], err: &[&str]) {
    assert_eq!(answer.exit, exit, "{answer:#?}");
    for (text, wanted) in [(&answer.out, out), (&answer.err, err)] {
        let mut lines = text.lines().map(str::trim);
        for wanted in wanted {
            assert!(lines.any(|line| line == *wanted), "{wanted:?} is missing or out of order in {answer:#?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_brings_up_what_is_needed_and_returns_when_it_is_healthy() {
    let typist = Typist::at_the_platform();
    let answer = typist.types("services start control-center").await;
    let told = [
        "Running pre-flight checks for control-center...",
        "✅ No conflicts detected",
        "Starting dependency: orchestrator",
        "Waiting for orchestrator to become healthy...",
        "✅ Service orchestrator is healthy",
        "Starting service: control-center",
        "✅ Service control-center is healthy",
    ];
    check(&answer, Exit::Done, &told, &[]);
    assert_eq!(answer.err, "");
    let again = typist.types("services start control-center").await;
    assert!(again.out.starts_with("control-center is already running (PID "), "{again:#?}");
    assert_eq!((again.exit, typist.world.n_launches("control-center")), (Exit::Done, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_refused_on_standard_error_while_dependents_run_and_forced_with_a_flag() {
    let typist = Typist::at_the_platform();
    typist.types("platform start control-center mcp-server").await;
    let refused = typist.types("services stop orchestrator").await;
    let told = [
        "❌ Cannot stop orchestrator:",
        "Dependent services running: control-center, mcp-server",
        "Use --force to stop anyway",
    ];
    check(&refused, Exit::Failed, &[], &told);
    assert_eq!(refused.out, "");
    check(&typist.types("services stop orchestrator --force").await, Exit::Done, &["✅ Stopped orchestrator"], &[]);
    check(&typist.types("services stop orchestrator").await, Exit::Done, &["orchestrator is not running"], &[]);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_fails_the_start_and_starts_nothing() {
    let mut coredns = service("coredns", "");
    coredns.conflicts = vec!["dnsmasq".to_owned()];
    let typist = Typist::at(registry([coredns]));
    typist.world.add_stranger(Conflict { name: "dnsmasq".to_owned(), kind: ConflictKind::Process { pid: 7 } });
    let answer = typist.types("services start coredns").await;
    let told = ["❌ Pre-flight check failed: conflicts", "Conflicting services running: dnsmasq"];
    check(&answer, Exit::Failed, &[], &told);
    assert_eq!(typist.world.deeds(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_name_ends_everything_before_anything_begins() {
    let typist = Typist::at_the_platform();
    for line in ["platform start gitea orchestrater", "platform stop gitea orchestrater", "services logs orchestrater"]
    {
        let answer = typist.types(line).await;
        check(&answer, Exit::Usage, &[], &["Unknown service: orchestrater", "Did you mean orchestrator?"]);
    }
    assert_eq!(typist.world.deeds(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn platform_commands_end_with_a_summary_and_take_flags_on_either_side() {
    let typist = Typist::at_the_platform();
    let answer = typist.types("platform start gitea orchestrator").await;
    check(&answer, Exit::Done, &["Summary: 2 started, 0 already running, 0 failed, 0 skipped"], &[]);
    let before = typist.types("platform start --force orchestrator").await;
    check(&before, Exit::Done, &["✅ Stopped orchestrator", "Starting service: orchestrator"], &[]);
    check(&typist.types("platform start orchestrator --force").await, Exit::Done, &["✅ Stopped orchestrator"], &[]);
    let stopped = typist.types("platform stop").await;
    check(&stopped, Exit::Done, &["Summary: 2 stopped, 0 not running, 0 failed, 0 skipped"], &[]);
    let nobody = typist.types("platform stop").await;
    check(&nobody, Exit::Done, &["Nothing to stop: no services are running"], &[]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_starts_what_is_stopped_and_names_who_is_left_running() {
    let typist = Typist::at_the_platform();
    let stopped = typist.types("services restart orchestrator").await;
    check(&stopped, Exit::Done, &["orchestrator is not running", "Starting service: orchestrator"], &[]);
    typist.types("services start control-center").await;
    let answer = typist.types("services restart orchestrator").await;
    let told = ["Dependent services of orchestrator left running: control-center", "✅ Stopped orchestrator"];
    check(&answer, Exit::Done, &told, &[]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_dependency_skips_what_needs_it_and_says_so() {
    let typist = Typist::at_the_platform();
    typist.world.script("orchestrator", Script { launch_fails: Some("permission denied"), ..Script::default() });
    let answer = typist.types("platform start control-center gitea").await;
    let told = ["❌ Could not start orchestrator: permission denied", "⚪ Skipped control-center: orchestrator failed"];
    check(&answer, Exit::Failed, &["Summary: 1 started, 0 already running, 1 failed, 1 skipped"], &told);
}

#[tokio::test(start_paused = true)]
async fn health_is_a_gate_and_status_is_not() {
    let typist = Typist::at_the_platform();
    typist.types("services start orchestrator").await;
    check(&typist.types("services health orchestrator").await, Exit::Done, &["Status: healthy", "Healthy: true"], &[]);
    check(&typist.types("--once").await, Exit::Done, &["Running: 1/4"], &[]);
    typist.world.set_sick("orchestrator", true);
    check(&typist.types("services health orchestrator").await, Exit::Failed, &["Healthy: false"], &[]);
    let platform = typist.types("platform health").await;
    check(&platform, Exit::Failed, &["Summary: 0 healthy, 1 unhealthy, 3 not running"], &[]);
    assert!(typist.types("platform status").await.exit == Exit::Done);
    check(&typist.types("services status orchestrator").await, Exit::Done, &["Health: unhealthy"], &[]);
    assert_eq!(typist.types("--once").await.exit, Exit::Failed);
    check(&typist.types("services health control-center").await, Exit::Failed, &["Message: Not running"], &[]);
}

#[tokio::test(start_paused = true)]
async fn a_list_probes_nobody_and_filters_combine() {
    let typist = Typist::at_the_platform();
    typist.types("services start control-center").await;
    let n_probes = typist.world.n_probes("orchestrator");
    let all = typist.types("services list").await;
    assert_eq!((all.exit, all.out.lines().count()), (Exit::Done, 5), "{all:#?}");
    assert_eq!(typist.types("services list --running").await.out.lines().count(), 3);
    let category = typist.session.registry.services[0].category.as_str();
    let upper = format!("services list --running --category {}", category.to_uppercase());
    assert_eq!(typist.types(&upper).await.out.lines().count(), 3);
    let others = if category == "auth" { "dns" } else { "auth" };
    let none = typist.types(&format!("services list --category {others}")).await;
    assert_eq!((none.exit, none.out.lines().count()), (Exit::Done, 1));
    assert_eq!(typist.world.n_probes("orchestrator"), n_probes);
}

#[test]
fn an_unknown_category_lists_the_seven() {
    let refused = Cli::try_parse_from(["provisioning", "services", "list", "--category", "dnss"]).unwrap_err();
    assert_eq!(refused.exit_code(), 2);
    let text = refused.to_string();
    for category in Category::ALL {
        assert!(text.contains(category.as_str()), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn json_replaces_the_telling_and_standard_output_holds_nothing_else() {
    let typist = Typist::at_the_platform();
    let started = typist.types("services start control-center --json").await;
    let json: serde_json::Value = serde_json::from_str(&started.out).unwrap();
    assert_eq!((&json["operation"], &json["success"]), (&"start".into(), &true.into()));
    assert_eq!(json["services"][0]["name"], "orchestrator");
    let refused = typist.types("services stop orchestrator --json").await;
    let json: serde_json::Value = serde_json::from_str(&refused.out).unwrap();
    assert_eq!(json["refusals"][0]["reason"], "dependents_running");
    assert_eq!(refused.exit, Exit::Failed);
    for line in [
        "platform status --json",
        "platform health --json",
        "services list --json",
        "services status gitea --json",
        "services health gitea --json",
        "--once --format json",
    ] {
        let answer = typist.types(line).await;
        assert!(serde_json::from_str::<serde_json::Value>(&answer.out).is_ok(), "{line}: {answer:#?}");
    }
}

fn broken(service: Option<&str>) -> Diagnostic {
    Diagnostic {
        code: Code::WrongType,
        severity: Severity::Error,
        service: service.map(str::to_owned),
        message: "`port` must be a number \u{1b}[2J".to_owned(),
        place: None,
        label: None,
        related: Vec::new(),
        hint: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_used_is_a_configuration_error_for_every_command() {
    let mut unusable = registry([]);
    unusable.diagnostics = vec![broken(None)];
    let typist = Typist::at(unusable);
    for line in ["services list", "platform start", "--once"] {
        let answer = typist.types(line).await;
        check(&answer, Exit::Usage, &[], &["error: `port` must be a number"]);
        assert_eq!(answer.out, "");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_was_set_aside_is_named_and_the_others_live() {
    let mut registry = registry([service("gitea", "")]);
    registry.set_aside = vec!["bad".to_owned()];
    registry.diagnostics = vec![broken(Some("bad"))];
    let typist = Typist::at(registry);
    let list = typist.types("services list").await;
    check(&list, Exit::Done, &[], &["service bad is set aside: error: `port` must be a number"]);
    assert!(list.out.contains("gitea"));
    let named = typist.types("services start bad").await;
    check(&named, Exit::Usage, &[], &["Service bad cannot be used:", "error: `port` must be a number"]);
}

#[tokio::test(start_paused = true)]
async fn logs_print_the_last_lines_of_one_service_or_of_all_that_have_a_log() {
    let typist = Typist::at_the_platform();
    let path = |name: &str| typist.session.layout.log_file(&crate::testkit::builders::id(name));
    let none = typist.types("services logs gitea").await;
    check(&none, Exit::Done, &[], &[&format!("No log yet: {}", path("gitea").display())]);
    let numbered: String = (0..100).map(|n| format!("line\u{1b}[31m {n}\n")).collect();
    std::fs::write(path("gitea"), numbered).unwrap();
    std::fs::write(path("orchestrator"), "hello\n").unwrap();
    let lines = typist.types("services logs gitea").await;
    assert_eq!((lines.out.lines().count(), lines.exit), (50, Exit::Done));
    assert!(!lines.out.contains('\u{1b}'));
    let same = typist.types("platform logs gitea --lines 2").await;
    assert_eq!(same.out, "line 98\nline 99\n");
    assert_eq!(typist.types("services logs gitea --lines 2").await.out, same.out, "R72");
    assert_eq!(typist.types("platform logs gitea --lines 0").await.out, "");
    let all = typist.types("platform logs --lines 1").await;
    assert_eq!(all.out, "orchestrator | hello\ngitea        | line 99\n");
}
