//! B. What services do.

use super::{memory, startup};
use crate::support::campaign::rounds;
use crate::support::home::{Home, is_alive, kill, wait_until};

/// The processes that have ended and that nobody waited for, of a parent.
fn zombies(parent: u32) -> usize {
    let stats = provisioning::host::process::all();
    stats.filter(|stat| stat.parent == parent && !stat.is_alive()).count()
}

#[test]
fn many_short_lived_grandchildren_leave_no_zombie_and_cost_their_shim_nothing() {
    let home = Home::empty();
    let n_children = rounds(400, 100_000);
    let (done, go) = (home.path("done"), home.path("go"));
    // Each of them loses its parent at once, and so becomes a child of the shim.
    let line = format!(
        "while [ ! -e {} ]; do sleep 0.01; done; i=0; while [ $i -lt {n_children} ]; do (sleep 0.001 &); i=$((i+1)); done; touch {}",
        go.display(),
        done.display()
    );
    home.write(&home.section("a", &[], &["--run-sh", &line], ""));
    home.must("services start a");
    let shim = home.shim("a");
    let before = memory(shim, "VmRSS");
    std::fs::write(go, "").unwrap();
    let begun = std::time::Instant::now();
    while !done.exists() {
        assert!(zombies(shim) < 200, "they pile up");
        assert!(begun.elapsed().as_secs() < 30 + n_children / 100, "it never ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    wait_until("every one was waited for", || zombies(shim) == 0);
    let after = memory(shim, "VmRSS");
    assert!(after < before + 512 * 1024 && after < 4 << 20, "{before} bytes grew to {after}");
    home.assert_all_can_be_stopped();
}

#[test]
fn a_process_that_left_the_group_of_its_service_is_named_and_goes_with_it() {
    let home = Home::empty();
    let daemon = home.path("daemon");
    home.write(&home.section("a", &[], &["--spawn-child", "--daemonize", &daemon.display().to_string()], ""));
    home.must("services start a");
    wait_until("there is a daemon", || daemon.exists());
    let pid = std::fs::read_to_string(&daemon).unwrap();
    wait_until("nobody else is its parent", || {
        home.must("services status a").contains(&format!("(PID {}) left its process group", pid.trim()))
    });
    home.must("services stop a");
    assert!(!is_alive(pid.trim().parse().unwrap()));
    assert!(!home.must("services status a").contains("process group"));
    home.assert_all_can_be_stopped();
}

#[test]
fn a_forced_stop_of_services_that_fork_detach_or_ignore_it_leaves_none_alive() {
    let home = Home::empty();
    let stubborn = "trap '' TERM HUP INT; (trap '' TERM; while :; do sleep 0.5; done) & while :; do sleep 0.5; done";
    let n_services = rounds(20, 100);
    let registry: String = (0..n_services)
        .map(|n| {
            let name = format!("s{n}");
            let daemon = home.path(&format!("daemon{n}")).display().to_string();
            let kinds: [&[&str]; 5] = [
                &["--end-on-term"],
                &["--spawn-child"],
                &["--daemonize", &daemon],
                &["--run-sh", stubborn],
                &["--spawn-child", "--daemonize", &daemon, "--run-sh", stubborn],
            ];
            let more = format!("[services.{name}.startup]\nauto_start = true\nstop_timeout = 5\n");
            home.section(&name, &[], kinds[usize::try_from(n).unwrap() % kinds.len()], &more)
        })
        .collect();
    home.write(&registry);
    home.must("platform start");
    wait_until("all are there", || (0..n_services).all(|n| !home.living(&format!("s{n}")).is_empty()));
    assert!(home.strays().len() > usize::try_from(2 * n_services).unwrap(), "a shim and a process for each, at least");
    let said = home.must("platform stop --force");
    assert!(said.contains(&format!("{n_services} stopped, 0 not running, 0 failed")), "{said}");
    assert_eq!(home.strays(), [] as [u32; 0]);
    home.assert_files_whole();
}

#[test]
fn one_that_crashes_for_ever_is_tried_as_often_as_allowed_with_growing_pauses() {
    let home = Home::empty();
    let restarts = rounds(2, 4);
    let more = startup("a", &format!("restart_on_failure = true\nmax_restarts = {restarts}\n"));
    home.write(&home.section("a", &[], &["--exit", "1"], &more));
    home.types("services start a");
    wait_until("it is given up", || home.status("a")["status"] == "failed");
    let runs = std::fs::read_to_string(home.ledger("a")).unwrap().lines().count() as u64;
    assert_eq!(runs, restarts + 1);
    let moments: Vec<u64> = home.record("a").expect("a record").exits.iter().map(|exit| exit.at).collect();
    for (index, pair) in moments.windows(2).enumerate() {
        let (pause, wanted) = (pair[1] - pair[0], 1000 << index);
        assert!((wanted..wanted + 1000).contains(&pause), "pause {index} was {pause} ms: {moments:?}");
    }
    home.assert_all_can_be_stopped();
}

#[test]
fn the_service_is_stopped_however_often_it_was_stopped_and_woken_before() {
    let home = Home::empty();
    home.write(&home.section("a", &[], &["--spawn-child"], ""));
    for _ in 0..rounds(2, 100) {
        home.must("services start a");
        let pid = home.pid("a").expect("it runs");
        kill("-STOP", pid);
        home.must("services stop a");
        assert!(home.living("a").is_empty());
    }
    home.assert_all_can_be_stopped();
}
