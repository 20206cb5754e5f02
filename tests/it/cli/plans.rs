//! `--dry-run` and `--timeout`.

use std::time::{Duration, Instant};

use super::{Home, b10, check, is_alive, service};

#[test]
fn a_dry_run_says_what_would_happen_and_does_nothing() {
    let home = b10();
    let plan = "\
Plan: start (dry run: nothing is done)
Wave 1:
start orchestrator needed by control-center, mcp-server, api-gateway
Wave 2:
start control-center needed by api-gateway; after orchestrator
start mcp-server needed by api-gateway; after orchestrator
Wave 3:
start api-gateway asked for; after orchestrator, control-center, mcp-server";
    check(&home.types("services start api-gateway --dry-run"), 0, plan, "");
    check(&home.types("platform start --plan"), 0, "Wave 1:\nstart orchestrator auto_start = true", "");
    check(&home.types("platform stop --dry-run"), 0, "Nothing to stop: no services are running", "");
    assert!(!home.path(".provisioning").exists(), "nothing was started, nothing was written");

    home.types("services start control-center");
    let before = home.pid_of("orchestrator");
    let again = home.types("services start api-gateway --dry-run");
    check(&again, 0, "start mcp-server needed by api-gateway\nLeft alone:", "");
    assert!(again.out.contains("orchestrator    runs already (PID "), "{again:#?}");
    check(&home.types("services stop orchestrator --dry-run"), 1, "", "Dependent services running: control-center");
    let stop = home.types("platform stop --dry-run");
    let order = ["Wave 1:", "control-center", "Wave 2:", "orchestrator"];
    let mut rest = stop.out.as_str();
    for wanted in order {
        rest = rest.split_once(wanted).unwrap_or_else(|| panic!("{wanted} is missing or out of order: {stop:#?}")).1;
    }
    check(
        &home.types("platform restart orchestrator --dry-run"),
        0,
        "orchestrator is needed by control-center, left running",
        "",
    );
    assert_eq!(home.pid_of("orchestrator"), before);

    let json: serde_json::Value =
        serde_json::from_str(&home.types("services start api-gateway --dry-run --json").out).unwrap();
    assert_eq!((&json["would_succeed"], &json["steps"][0]["action"]), (&true.into(), &"none".into()), "{json:#}");
}

#[test]
fn a_dry_run_tells_what_would_go_wrong() {
    let broken = service("a", "utility", "api", "", "").replace("binary_path = \"", "binary_path = \"/nowhere");
    let answer = Home::with(&broken).types("services start a --dry-run");
    assert_eq!(answer.code, Some(1));
    assert!(answer.out.contains("❌ a: Binary not found: /nowhere"), "{answer:#?}");
}

#[test]
fn a_start_that_the_checks_refuse_says_which_check() {
    let broken = service("a", "utility", "api", "", "").replace("binary_path = \"", "binary_path = \"/nowhere");
    let home = Home::with(&(broken + &service("b", "utility", "api", "\"a\"", "")));
    // M22.
    for (name, which, detail) in
        [("a", "prerequisites", "Binary not found: /nowhere"), ("b", "dependencies", "Dependency not available: a")]
    {
        let answer = home.types(&format!("services start {name}"));
        check(&answer, 1, "", &format!("❌ Pre-flight check failed: {which}"));
        assert!(answer.err.contains(detail), "{answer:#?}");
        assert!(!home.pid_file(name).exists());
    }
}

#[test]
fn a_stop_that_is_not_obeyed_says_how_to_insist_and_a_forced_platform_stop_kills_at_once() {
    let stubborn = "[services.a]\ntype = \"utility\"\ncategory = \"api\"\n[services.a.deployment]\nmode = \"binary\"\n\
                    [services.a.deployment.binary]\nbinary_path = \"/bin/sh\"\n\
                    args = [\"-c\", \"trap '' TERM; touch $HOME/a.ready; while :; do sleep 1000; done\"]\n\
                    [services.a.health_check]\ntype = \"file\"\nretries = 0\n\
                    [services.a.health_check.file]\npath = \"${HOME}/a.ready\"\n\
                    [services.a.startup]\nstop_timeout = 1\n";
    let home = Home::with(stubborn);
    check(&home.types("services start a"), 0, "✅ Service a is healthy", "");
    let pid = home.pid_of("a");
    // R98, A27.
    let asked = home.types("services stop a");
    assert_eq!(asked.code, Some(1), "{asked:#?}");
    assert!(asked.err.contains("--force"), "{asked:#?}");
    assert!(is_alive(pid));
    // R46.
    check(&home.types("platform stop --force"), 0, "✅ Stopped a", "");
    assert!(!is_alive(pid) && !home.pid_file("a").exists());
}

#[test]
fn a_timeout_ends_the_waiting_and_leaves_the_service_alone() {
    let home = Home::with(&service("late", "utility", "api", "", "\"--after-ms\", \"100000\""));
    let begun = Instant::now();
    let answer = home.types("services start late --timeout 1");
    check(&answer, 1, "", "Not done within 1s (--timeout)");
    assert!(begun.elapsed() < Duration::from_secs(15), "start_timeout was not waited for");
    assert!(is_alive(home.pid_of("late")));
    assert_eq!(home.types("services start late --timeout 0").code, Some(2));
}

#[test]
fn a_start_succeeds_once_whoever_held_its_port_has_gone() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let text = service("a", "utility", "api", "", &format!("\"--port\", \"{port}\""));
    let (rest, _) = text.split_once("[services.a.health_check]").unwrap();
    let tcp = format!("[services.a.health_check]\ntype = \"tcp\"\n[services.a.health_check.tcp]\nport = {port}\n");
    let home = Home::with(&format!("{rest}{tcp}"));
    let refused = home.types("services start a");
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    // R185.
    let named = format!("(PID {})", std::process::id());
    assert!(refused.err.contains(&format!("Port {port} is already in use by ")), "{refused:#?}");
    assert!(refused.err.contains(&named), "{refused:#?}");
    drop(holder);
    // R186.
    check(&home.types("services start a"), 0, "✅ Service a is healthy", "");
}
