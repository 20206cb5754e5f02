//! A start that is killed half-way: nothing is started twice, and the next start completes it.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Child;

use super::commands::Commands;
use super::*;
use crate::support::campaign::rounds;

/// The processes that this one started, and theirs.
fn descendants(pid: u32) -> Vec<u32> {
    let children = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten().flat_map(|task| {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.split_whitespace().map(|pid| pid.parse().expect("a PID")).collect::<Vec<u32>>()
    });
    children.flat_map(|child| std::iter::once(child).chain(descendants(child)).collect::<Vec<_>>()).collect()
}

/// Of those, the ones that run Compose.
fn composers(pid: u32) -> Vec<u32> {
    let is_it = |pid: &u32| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
            line.windows(4).any(|words| words == b"\0up\0") && line.windows(7).any(|it| it == b"compose")
        })
    };
    descendants(pid).into_iter().filter(is_it).collect()
}

#[track_caller]
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn kill(pids: &[u32]) {
    for pid in pids {
        // Gone already is fine.
        drop(Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status());
    }
}

fn ended(mut child: Child) {
    child.wait().expect("reaped");
}

#[test]
fn a_start_that_is_killed_with_its_compose_at_any_moment_is_completed_by_the_next_one() {
    let Some(it) = Fixture::new(GOOD) else { return };
    let commands = Commands::new(&it, std::env::var_os("PATH").expect("PATH"));
    // The first makes a container; the others replace one whose definition has changed, which takes Compose several steps.
    let moments = [300, 500, 700, 0, 900, 400, 600, 800, 100, 1_000].map(Duration::from_millis);
    let n_rounds = usize::try_from(rounds(3, 30)).expect("few");
    for (round, moment) in moments.into_iter().cycle().take(n_rounds).enumerate() {
        it.write(&it.definition("app", GOOD, &format!("    labels: [\"round={round}\"]\n")));
        let mut starting = commands.command("services start web").spawn().expect("spawn");
        let mut killed = Vec::new();
        wait_for("compose runs", || {
            killed = composers(starting.id());
            !killed.is_empty() || starting.try_wait().expect("wait").is_some()
        });
        // Wherever it is by then.
        std::thread::sleep(moment);
        killed.push(starting.id());
        kill(&killed);
        ended(starting);

        commands.types("services start web");
        let running = it.running("app");
        assert_eq!(running.len(), 1, "round {round}");
        assert_eq!(must(&["inspect", "--format", "{{.Config.Labels.round}}", &running[0]]), round.to_string());
        assert_eq!(it.containers(&it.name, "app", &[]).len(), 1, "round {round}: nothing is left beside it");
        it.until_all_have_said("ready");
        commands.types("services stop web");
        assert!(it.running("app").is_empty());
    }
}

#[test]
fn while_the_compose_of_a_killed_start_still_works_nobody_else_starts_the_service() {
    let Some(it) = Fixture::new(GOOD) else { return };
    if Command::new("/usr/bin/docker-compose").arg("version").stdin(Stdio::null()).output().is_err() {
        writeln!(std::io::stderr(), "SKIPPED, there is no /usr/bin/docker-compose to stand in for").expect("stderr");
        return;
    }
    // Waits to be told before it goes on with what the real one does.
    let home = it.home.path().display().to_string();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *config) echo config >> {home}/asked ;; *' up '*) echo up >> {home}/calls; while [ ! -e {home}/go ]; do sleep 0.05; done ;; esac\n\
         exec /usr/bin/docker-compose \"$@\"\n"
    );
    fs::create_dir(it.home.path().join("bin")).expect("directory");
    let program = it.home.path().join("bin/docker-compose");
    fs::write(&program, script).expect("program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("mode");
    let refusing = it.home.path().join("bin/docker");
    fs::write(&refusing, "#!/bin/sh\necho \"docker: 'compose' is not a docker command.\" >&2\nexit 1\n")
        .expect("program");
    fs::set_permissions(&refusing, fs::Permissions::from_mode(0o755)).expect("mode");
    let commands = Commands::new(&it, format!("{home}/bin:/usr/bin:/bin").into());
    let calls = || fs::read_to_string(it.home.path().join("calls")).unwrap_or_default();

    let first = commands.command("services start web").spawn().expect("spawn");
    wait_for("compose is called", || !calls().is_empty());
    kill(&[first.id()]);
    ended(first);
    let mut second = commands.command("services start web").spawn().expect("spawn");
    let asked = || fs::read_to_string(it.home.path().join("asked")).unwrap_or_default();
    wait_for("the second one checks", || asked() == "config\nconfig\n");
    // That something does not happen can only be seen for a while.
    std::thread::sleep(Duration::from_millis(1500));
    assert!(second.try_wait().expect("wait").is_none(), "it has not given up");
    assert_eq!(calls(), "up\n", "and calls nobody");
    fs::write(it.home.path().join("go"), "").expect("go");
    let output = second.wait_with_output().expect("output");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(calls(), "up\n", "what the first one made is found");
    assert_eq!(it.running("app").len(), 1);
    commands.types("services stop web --force");
}
