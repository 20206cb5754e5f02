//! Services whose shim was killed, with a leader that looks after them.

use std::time::{Duration, Instant};

use provisioning::model::Ending;
use provisioning::store::state::Phase;

use super::{Supervise, home};
use crate::support::home::{DEADLINE, Home, Service, is_alive, kill, wait_until};

/// Waits for another shim than `shim`, and says how long that took.
#[track_caller]
fn replaced(home: &Home, service: &str, shim: u32) -> Duration {
    let begun = Instant::now();
    while home.record(service).is_none_or(|it| it.shim.is_none_or(|now| now.pid == shim || !is_alive(now.pid))) {
        assert!(begun.elapsed() < DEADLINE, "nobody replaced the shim");
        std::thread::sleep(Duration::from_millis(1));
    }
    begun.elapsed()
}

#[test]
fn a_shim_that_is_killed_again_and_again_under_a_flood_is_replaced_within_a_second_and_no_line_is_lost() {
    const N_BURSTS: usize = 12;
    const N_LINES: u64 = 30_000;
    let burst = ["--flood".to_owned(), N_LINES.to_string(), "--after-ms".to_owned(), "100".to_owned()];
    let mut arguments = vec![burst; N_BURSTS].concat();
    arguments.extend(["--print".to_owned(), "all said".to_owned()]);
    let home = Home::with(&[Service { name: "flood", needs: &[], arguments }]);
    let _supervise = Supervise::leading(&home, "--stay");
    home.must("services start flood");
    let pid = home.pid("flood").unwrap();
    let mut n_kills = 0;
    while !home.log("flood").contains("all said") {
        let shim = home.shim("flood");
        kill("-9", shim);
        let took = replaced(&home, "flood", shim);
        assert!(took < Duration::from_secs(1), "it took {took:?}");
        n_kills += 1;
    }
    assert!(n_kills >= 5, "the flood was over after {n_kills} kills");
    let log = home.log("flood");
    let numbers: Vec<u64> = log.lines().filter_map(|line| line.get(..10)?.parse().ok()).collect();
    let expected: Vec<u64> = (0..N_BURSTS).flat_map(|_| 0..N_LINES).collect();
    let first_difference = numbers.iter().zip(&expected).position(|(number, expected)| number != expected);
    assert_eq!((first_difference, numbers.len()), (None, expected.len()), "after {n_kills} kills");
    assert_eq!(home.living("flood"), [pid], "the same process");
}

#[test]
fn a_service_that_ends_after_its_shim_was_replaced_is_restarted_once_and_its_last_words_are_kept() {
    let home = Home::empty();
    let go = home.path("go");
    let line = format!("while ! test -e '{}'; do sleep 0.01; done; echo last words; exit 7", go.display());
    home.write(&format!(
        "{}[services.a.startup]\nrestart_on_failure = true\nmax_restarts = 1\n",
        home.section("a", &[], &["--run-sh", &line, "--exit", "7"], "")
    ));
    let _supervise = Supervise::leading(&home, "--stay");
    home.must("services start a");
    let (pid, shim) = (home.pid("a").unwrap(), home.shim("a"));
    kill("-9", shim);
    replaced(&home, "a", shim);
    assert_eq!(home.pid("a"), Some(pid));
    std::fs::write(&go, "").unwrap();
    wait_until("it was given up after one restart", || home.record("a").is_some_and(|it| it.phase == Phase::Failed));
    let record = home.record("a").unwrap();
    assert_eq!(record.restarts, 1);
    let endings: Vec<Ending> = record.exits.iter().map(|exit| exit.ending).collect();
    // The first one's shim was not its parent: the code is known when the shim looked before the parent did.
    assert!(matches!(endings[..], [Ending::Exited(7) | Ending::Unknown, Ending::Exited(7)]), "{endings:?}");
    eprintln!("the exit of an orphan was seen as {:?}", endings[0]);
    assert_eq!(home.log("a").matches("last words").count(), 2, "{}", home.log("a"));
    assert_eq!(std::fs::read_to_string(home.ledger("a")).unwrap().lines().count(), 2);
}

#[test]
fn signals_to_a_shim_do_what_is_documented_and_nothing_else() {
    let home = home();
    let _supervise = Supervise::leading(&home, "--stay");
    home.must("services start a");
    let (pid, shim) = (home.pid("a").unwrap(), home.shim("a"));
    for signal in ["-HUP", "-INT", "-QUIT", "-PIPE", "-ALRM", "-TSTP", "-WINCH"] {
        kill(signal, shim);
    }
    // Written again on request: its file changes, so all signals before it have arrived.
    let inode =
        || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(home.services_dir().join("state/a.json")).unwrap());
    let before = inode();
    kill("-USR2", shim);
    wait_until("the state is written again", || inode() != before);
    assert_eq!((home.pid("a"), home.shim("a")), (Some(pid), shim));
    assert!(is_alive(pid) && is_alive(shim));

    kill("-TERM", shim);
    wait_until("TERM stops the service, then the shim ends", || !is_alive(pid) && !is_alive(shim));
    let record = home.record("a").unwrap();
    assert_eq!(record.phase, Phase::Stopped);
    assert_eq!(home.status("a")["wanted"], "down", "and nobody starts it again");

    home.must("services start a");
    let (pid, shim) = (home.pid("a").unwrap(), home.shim("a"));
    kill("-USR1", shim);
    wait_until("USR1 kills it", || !is_alive(pid) && !is_alive(shim));
}
