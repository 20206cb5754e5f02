//! Credential plugins: real scripts, which must never get at the terminal.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use provisioning::engine::ports::Backend as _;
use provisioning::model::StartHow;

use super::Platform;

/// With a plugin of these lines of shell.
fn with_plugin(script: &str, more: &str) -> Platform {
    let platform = Platform::new();
    platform.write("plugin", &format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(platform.path("plugin"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let user = format!(
        "    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: {:?}\n      args: [one, two]\n      \
         env: [{{name: HOME_OF_TEST, value: {:?}}}]\n{more}",
        platform.path("plugin").display().to_string(),
        platform.dir.path().display().to_string(),
    );
    platform.write("kubeconfig", &platform.double.kubeconfig(&user));
    platform.double.accept(&["from-the-plugin"]);
    platform
}

const TOKEN: &str = r#"echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"from-the-plugin"}}'"#;

#[test]
fn a_plugin_is_asked_without_a_terminal_and_its_token_is_used() {
    let script = format!(
        "if (: >/dev/tty) 2>/dev/null; then echo has-tty; else echo no-tty; fi > $HOME_OF_TEST/seen\n\
         read line && echo \"read $line\" >> $HOME_OF_TEST/seen\n\
         echo \"$*\" >> $HOME_OF_TEST/seen\necho \"$KUBERNETES_EXEC_INFO\" >> $HOME_OF_TEST/seen\n\
         echo SMEARED >&2\n{TOKEN}"
    );
    let platform = with_plugin(&script, "      interactiveMode: IfAvailable");
    // In a real terminal, where there is something to be smeared.
    let pty = native_pty_system().openpty(PtySize { rows: 24, cols: 100, pixel_width: 0, pixel_height: 0 }).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_provisioning"));
    command.args(["--config", &platform.path("services.toml").display().to_string(), "services", "validate"]);
    command.env("HOME", platform.dir.path());
    command.env("PROVISIONING_SERVICES_DIR", platform.path("services"));
    command.env("KUBECONFIG", platform.path("kubeconfig"));
    let mut child = pty.slave.spawn_command(command).unwrap();
    drop(pty.slave);
    let mut screen = String::new();
    // The end of a terminal is an error of its own.
    let _end = pty.master.try_clone_reader().unwrap().read_to_string(&mut screen);
    assert!(child.wait().unwrap().success(), "{screen}");
    assert!(!screen.contains("SMEARED"), "{screen}");
    let seen = std::fs::read_to_string(platform.path("seen")).unwrap();
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines[0], "no-tty");
    assert_eq!(lines[1], "one two", "nothing was there to be read");
    assert!(lines[2].contains("\"interactive\":false"), "{seen}");
}

#[test]
fn a_plugin_that_fails_is_quoted_and_one_that_must_ask_is_refused() {
    let platform = with_plugin("echo 'your session has expired, run corp-login' >&2; exit 3", "");
    let failed = platform.must_fail("services validate");
    assert!(failed.contains("your session has expired, run corp-login"), "{failed}");
    let platform = with_plugin(TOKEN, "      interactiveMode: Always");
    let refused = platform.must_fail("services validate");
    assert!(refused.contains("wants to ask on a terminal"), "{refused}");
    let platform = with_plugin("echo no json", "");
    let odd = platform.must_fail("services validate");
    assert!(
        odd.contains("printed something that is no ExecCredential") || odd.contains("printed no credentials"),
        "{odd}"
    );
    let platform = with_plugin(TOKEN, "");
    std::fs::remove_file(platform.path("plugin")).unwrap();
    let missing = platform.must_fail("services validate");
    assert!(missing.contains("No such file"), "{missing}");
}

#[test]
fn a_plugin_that_hangs_is_killed_with_all_it_started() {
    let platform = with_plugin("echo $$ > $HOME_OF_TEST/pid\nsleep 1000 & echo $! >> $HOME_OF_TEST/pid\nwait", "");
    let begun = Instant::now();
    let hung = platform.must_fail("services validate");
    assert!(hung.contains("did not answer within 10 s"), "{hung}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    for pid in std::fs::read_to_string(platform.path("pid")).unwrap().lines() {
        super::wait_until("dead", || {
            std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_is_asked_for_anew() {
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(30);
    let script = format!(
        "echo asked >> $HOME_OF_TEST/asked\n\
         echo '{{\"kind\":\"ExecCredential\",\"status\":{{\"token\":\"from-the-plugin\",\"expirationTimestamp\":\"{soon}\"}}}}'"
    );
    let platform = with_plugin(&script, "");
    platform.backend().start(&platform.spec(), StartHow::AsItIs).await.unwrap();
    let asked = std::fs::read_to_string(platform.path("asked")).unwrap();
    assert!(asked.lines().count() > 1, "what expires within a minute is not kept");
}
